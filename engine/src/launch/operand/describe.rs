//! What operands report to the driver before a launch.
#![deny(clippy::arithmetic_side_effects)]

use crate::launch::cancel::CancelToken;
use crate::launch::error::LaunchError;
use crate::launch::grid::Grid;
use crate::memory::Segment;
use crate::team::board::MAX_CHUNKS;
use std::marker::PhantomData;
use std::sync::Arc;

/// Largest number of leaves in a reduction.
const MAX_LEAVES: usize = 256;
/// Largest size of all leaves' accumulators together, in bytes.
const MAX_LEAF_BYTES: usize = 64 << 20;
/// Accumulators of different leaves never share a line.
pub(crate) const LEAF_ALIGN: usize = 128;

/// Lengths, segments and rights, as collected from the operands of one launch.
#[derive(Default)]
pub struct Description<'a> {
    length: Option<(usize, &'static str)>,
    unit_bytes: usize,
    /// The operand whose units are chunks of their own, if any.
    parts: Option<&'static str>,
    /// How many tiles an operand is cut into along each axis.
    tiles: Option<(Vec<usize>, &'static str)>,
    pub(crate) segments: Vec<Arc<Segment>>,
    /// Handles of per-worker state.
    pub(crate) states: Vec<u64>,
    /// Tokens that may stop the launch.
    pub(crate) tokens: Vec<CancelToken>,
    in_place: bool,
    leaf_bytes: Vec<usize>,
    leaf_len: Option<usize>,
    operands: PhantomData<&'a ()>,
}

impl Description<'_> {
    /// An operand is cut along `len` units.
    pub(crate) fn length(&mut self, len: usize, what: &'static str) -> Result<(), LaunchError> {
        match self.length {
            Some((other_len, other)) if other_len != len => {
                Err(LaunchError::Lengths { what, len, other, other_len })
            }
            Some(_) => Ok(()),
            None => {
                self.length = Some((len, what));
                Ok(())
            }
        }
    }

    /// A unit of the cut operand has this many bytes.
    pub(crate) fn unit_bytes(&mut self, bytes: usize) {
        self.unit_bytes = self.unit_bytes.max(bytes);
    }

    /// Units of `what` are parts with given boundaries, each of which is one chunk.
    pub(crate) fn parts(&mut self, what: &'static str) {
        self.parts = Some(what);
    }

    /// An operand is cut into `len` tiles, each of which is one chunk: so many along each axis.
    pub(crate) fn tiles(
        &mut self,
        counts: &[usize],
        len: usize,
        what: &'static str,
    ) -> Result<(), LaunchError> {
        let bad = |why: String| Err(LaunchError::BadGrant { what, why });
        if len > MAX_CHUNKS {
            return bad(format!(
                "{len} tiles are more than the {MAX_CHUNKS} of one launch; make them larger"
            ));
        }
        match &self.tiles {
            Some((known, other)) if known != counts => {
                return bad(format!(
                    "it has {counts:?} tiles along its axes, but {other} has {known:?}: tiles of one launch must agree"
                ));
            }
            Some(_) => {}
            None => self.tiles = Some((counts.to_vec(), what)),
        }
        self.length(len, what)?;
        self.parts(what);
        Ok(())
    }

    /// The members must reach this segment.
    pub(crate) fn segment(&mut self, segment: &Arc<Segment>) {
        if !self.segments.iter().any(|known| known.id() == segment.id()) {
            self.segments.push(segment.clone());
        }
    }

    /// The kernel receives the state of this handle, exclusively.
    pub(crate) fn state(&mut self, handle: u64) -> Result<(), LaunchError> {
        if self.states.contains(&handle) {
            return Err(LaunchError::BadGrant {
                what: "per-worker state",
                why: "the same PerWorker stands twice among the operands, and a kernel gets it as one `&mut`; name it once"
                    .into(),
            });
        }
        self.states.push(handle);
        Ok(())
    }

    /// The kernel changes contents that it may have read, so a lost chunk cannot be run again.
    pub(crate) fn changes_in_place(&mut self) {
        self.in_place = true;
    }

    /// Every leaf needs `bytes` of its own.
    pub(crate) fn leaf(&mut self, bytes: usize) {
        self.leaf_bytes.push(bytes.next_multiple_of(LEAF_ALIGN));
    }

    /// Leaves have this many units each, whatever the launch would choose.
    pub(crate) fn leaf_len(&mut self, units: Option<usize>) {
        self.leaf_len = units;
    }

    /// Units of the split operands, if any.
    pub(crate) fn len(&self) -> Option<usize> {
        self.length.map(|(len, _)| len)
    }

    /// A broadcast passes each rank one block, and has no leaves.
    pub(crate) fn check_broadcast(&self) -> Result<(), LaunchError> {
        if self.parts.is_some() || !self.leaf_bytes.is_empty() {
            let what = self.parts.unwrap_or("a reduce() accumulator");
            return Err(LaunchError::BadGrant { what, why: "it cannot be broadcast; use for_each()".into() });
        }
        Ok(())
    }

    pub(crate) fn is_repeatable(&self) -> bool {
        !self.in_place
    }

    /// Scratch bytes for `leaves` leaves.
    pub(crate) fn scratch_bytes(&self, leaves: usize) -> usize {
        self.leaf_bytes.iter().sum::<usize>().saturating_mul(leaves)
    }

    /// The grid, and the number of chunks in a claim unit.
    pub(crate) fn grid(
        &self,
        chunk: Option<usize>,
        site: &std::panic::Location<'_>,
    ) -> Result<(Grid, usize), LaunchError> {
        let (len, _) = self.length.ok_or_else(|| LaunchError::NoLength { site: site.to_string() })?;
        let grid = match chunk {
            Some(0) => return Err(LaunchError::ChunkZero),
            _ if self.parts.is_some() => Grid::with_chunk(len, 1),
            _ if self.leaf_len.is_some() => Grid::with_chunk(len, self.leaf_len.unwrap_or(1)),
            Some(chunk) => Grid::with_chunk(len, chunk),
            None => Grid::automatic(len, self.unit_bytes),
        };
        if grid.chunks > MAX_CHUNKS {
            return Err(LaunchError::TooManyChunks {
                chunk: grid.chunk_len,
                len,
                chunks: grid.chunks,
                limit: MAX_CHUNKS,
                least: len.div_ceil(MAX_CHUNKS),
            });
        }
        if self.leaf_bytes.is_empty() {
            return Ok((grid, 1));
        }
        if let Some(leaf_len) = self.leaf_len {
            return Ok((grid, leaf_len.div_ceil(grid.chunk_len).max(1)));
        }
        let fit = MAX_LEAF_BYTES.checked_div(self.scratch_bytes(1)).unwrap_or(MAX_LEAF_BYTES);
        Ok((grid, grid.chunks.div_ceil(fit.clamp(1, MAX_LEAVES)).max(1)))
    }
}
