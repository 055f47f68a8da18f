//! A launch, stripped of its types.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Span;
use crate::launch::driver::scratch::Scratch;
use crate::launch::grid::Grid;
use crate::launch::operand::describe::Description;
use crate::team::member::LaunchEntry;
use crate::team::orders::WireBytes;

/// A launch, stripped of its types.
pub(crate) struct Job<'a> {
    pub(crate) entry: LaunchEntry,
    pub(crate) layout: u64,
    pub(crate) wire: WireBytes<'a>,
    /// Units that operands must have.
    pub(crate) len: usize,
    pub(crate) grid: Grid,
    /// Chunks of a claim unit.
    pub(crate) unit: usize,
    /// Every rank has a part that no other rank can run.
    pub(crate) rank_bound: bool,
    /// Number of members that it was cut for.
    pub(crate) ranks: usize,
    /// The ranks meet in steps (a region).
    pub(crate) steps: bool,
    pub(crate) scratch: Option<&'a Scratch>,
    pub(crate) description: &'a Description<'a>,
    /// Where the launch was called.
    pub(crate) site: &'static std::panic::Location<'static>,
}

impl Job<'_> {
    pub(super) fn units(&self) -> usize {
        self.grid.chunks.div_ceil(self.unit)
    }

    #[expect(clippy::arithmetic_side_effects, reason = "units are of the grid, which is checked")]
    pub(super) fn unit_span(&self, unit: usize) -> Span {
        let last = ((unit + 1) * self.unit).min(self.grid.chunks).saturating_sub(1);
        Span::new(self.grid.span(unit * self.unit).lo, self.grid.span(last).hi)
    }
}
