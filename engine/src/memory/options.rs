//! What a caller may wish for when memory is made.

/// On which NUMA nodes the pages of an array lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PagePlacement {
    /// On the node of whoever reserves them first: the caller, or through a pool each worker its own block.
    #[default]
    Local,
    /// Page by page around all nodes this process may use.
    Interleave,
    /// On this node; pages that do not fit there go to others, which
    /// [`residency`](crate::SharedArray::residency) shows.
    Bind(u32),
}

/// Whether an array should lie in huge pages (2 MiB).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HugePages {
    /// Takes them where the system offers them to any program for nothing; says no more.
    #[default]
    Auto,
    /// Base pages only.
    Never,
    /// Tries every way: reserved huge pages, transparent ones, collapsing afterwards (which costs time: 0.1 s
    /// and more per 256 MiB). The array takes a multiple of 2 MiB then. What came of it is in
    /// [`pages`](crate::SharedArray::pages).
    Try,
    /// As `Try`, but an array that does not lie wholly in huge pages is an error.
    Require,
}

/// How the memory of an array is made.
///
/// ```
/// use phalanx::{ArrayOptions, HugePages, PagePlacement, SharedArray};
///
/// let options = ArrayOptions::new().placement(PagePlacement::Interleave).huge_pages(HugePages::Try);
/// let a = SharedArray::<f64>::zeros_with(1000, &options)?;
/// assert_eq!(a.len(), 1000);
/// # Ok::<(), phalanx::AllocError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArrayOptions {
    pub(crate) placement: PagePlacement,
    pub(crate) huge: HugePages,
}

impl ArrayOptions {
    /// The defaults: local placement, huge pages only where they cost nothing.
    pub fn new() -> ArrayOptions {
        ArrayOptions::default()
    }

    /// Says on which NUMA nodes the pages shall lie.
    #[must_use]
    pub fn placement(mut self, placement: PagePlacement) -> ArrayOptions {
        self.placement = placement;
        self
    }

    /// Says whether huge pages are wanted.
    #[must_use]
    pub fn huge_pages(mut self, huge: HugePages) -> ArrayOptions {
        self.huge = huge;
        self
    }

    /// Whether the wishes need a segment of their own, whatever the size.
    pub(crate) fn needs_own_segment(&self) -> bool {
        self.placement != PagePlacement::Local || matches!(self.huge, HugePages::Try | HugePages::Require)
    }
}
