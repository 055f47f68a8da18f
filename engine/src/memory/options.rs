//! What a caller may wish for when memory is made.

/// The NUMA nodes on which the pages of an array are placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PagePlacement {
    /// On the node of the thread that reserves them: the caller, or, for arrays made by a pool, the worker
    /// that owns the block.
    #[default]
    Local,
    /// Round robin, page by page, over all nodes this process may use.
    Interleave,
    /// On this node. Pages that do not fit go to other nodes; see
    /// [`residency`](crate::SharedArray::residency).
    Bind(u32),
}

/// Whether an array should use huge pages (2 MiB).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HugePages {
    /// Uses transparent huge pages where the system offers them for shared memory. Failure is not reported.
    #[default]
    Auto,
    /// Base pages only.
    Never,
    /// Tries every way: reserved huge pages, transparent huge pages, then collapsing pages afterwards (which
    /// takes 0.1 s or more per 256 MiB). The size of the array is rounded up to a multiple of 2 MiB.
    /// [`pages`](crate::SharedArray::pages) reports the outcome.
    Try,
    /// Same as `Try`, but fails unless the whole array is in huge pages.
    Require,
}

/// Options for the memory of an array.
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
    /// Creates the default options: local placement, and huge pages only where they cost nothing.
    pub fn new() -> ArrayOptions {
        ArrayOptions::default()
    }

    /// Sets the NUMA nodes for the pages.
    #[must_use]
    pub fn placement(mut self, placement: PagePlacement) -> ArrayOptions {
        self.placement = placement;
        self
    }

    /// Sets the use of huge pages.
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
