//! What computes: one thread, rayon's threads, or the ranks of a region, each on its planes and slabs.

use super::bundle::Bundle;
use super::equations::Five;
use super::grid::Grid;
use super::norms::add;
use super::wave::{Block, Step, Way, plane_of, position_of, steps_of};
use crate::npb::memory::{self, flat, flat_mut};
use ndarray::Ix2;
use phalanx::region::{RegionError, RegionMut, Team};
use rayon::prelude::*;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

/// What a slab holds, for writing.
pub struct Slab<'a> {
    /// Quantities.
    pub u: &'a mut [f64],
    /// The right-hand side's terms along z, and the forcing.
    pub z_part: &'a mut [f64],
    /// What makes the exact solution one.
    pub forcing: &'a mut [f64],
}

/// What planes are computed from: all slabs.
#[derive(Clone, Copy)]
pub struct Slabs<'a> {
    /// Quantities.
    pub u: &'a [f64],
    /// As in [`Slab`].
    pub z_part: &'a [f64],
}

/// The threads or ranks that compute: they hold all arrays.
pub trait Crew {
    /// Why work may fail.
    type Error;
    /// Runs `work` on every plane of the right-hand side. Returns the sum of its results, here that of this
    /// rank.
    fn planes(
        &mut self,
        work: impl Fn(usize, &mut [f64], Slabs<'_>, &mut Bundle) -> Five + Sync,
    ) -> Result<Five, Self::Error>;
    /// Runs `work` on every slab and all of the right-hand side. Returns as [`Self::planes`] does.
    fn slabs(
        &mut self,
        work: impl Fn(usize, Slab<'_>, &[f64], &mut Bundle) -> Five + Sync,
    ) -> Result<Five, Self::Error>;
    /// Runs `work` on every block and every plane inside the border, in the order of a sweep: a block's plane
    /// comes after its plane before, and after the same plane of the block before.
    fn sweep(
        &mut self,
        way: Way,
        work: impl Fn(&mut Block, usize, Step<'_>) + Sync,
    ) -> Result<(), Self::Error>;
    /// The sum over all ranks.
    fn total(&mut self, own: Five) -> Result<Five, Self::Error>;
}

/// The arrays of the runtimes that have no shared memory.
pub struct Arrays {
    sheet: usize,
    u: Vec<f64>,
    z_part: Vec<f64>,
    forcing: Vec<f64>,
    rhs: Vec<f64>,
    /// What blocks hand over in a sweep: written in one step and read in the next.
    handed: [Vec<f64>; 2],
}

impl Arrays {
    /// Of zeros.
    pub fn new(grid: Grid) -> Arrays {
        let array = || memory::zeroed(grid.elements());
        let rows = || memory::zeroed(grid.side * grid.row());
        let handed = [rows(), rows()];
        Arrays { sheet: grid.sheet(), u: array(), z_part: array(), forcing: array(), rhs: array(), handed }
    }
}

/// The calling thread.
pub struct Alone {
    /// All arrays.
    arrays: Arrays,
    /// Its room.
    bundle: Bundle,
    /// All slabs.
    block: Block,
    /// The grid.
    grid: Grid,
}

impl Alone {
    /// On this grid.
    pub fn new(grid: Grid) -> Alone {
        let (arrays, bundle) = (Arrays::new(grid), Bundle::new(grid));
        Alone { arrays, bundle, block: Block::new(0..grid.side), grid }
    }
}

impl Crew for Alone {
    type Error = Infallible;

    fn planes(
        &mut self,
        work: impl Fn(usize, &mut [f64], Slabs<'_>, &mut Bundle) -> Five + Sync,
    ) -> Result<Five, Infallible> {
        let Arrays { sheet, u, z_part, rhs, .. } = &mut self.arrays;
        let slabs = Slabs { u, z_part };
        let planes = rhs.chunks_mut(*sheet).enumerate();
        Ok(planes.map(|(z, plane)| work(z, plane, slabs, &mut self.bundle)).fold([0.0; 5], add))
    }

    fn slabs(
        &mut self,
        work: impl Fn(usize, Slab<'_>, &[f64], &mut Bundle) -> Five + Sync,
    ) -> Result<Five, Infallible> {
        let Arrays { sheet, u, z_part, forcing, rhs, .. } = &mut self.arrays;
        Ok(cut(*sheet, u, z_part, forcing)
            .enumerate()
            .map(|(y, slab)| work(y, slab, rhs, &mut self.bundle))
            .fold([0.0; 5], add))
    }

    fn sweep(
        &mut self,
        way: Way,
        work: impl Fn(&mut Block, usize, Step<'_>) + Sync,
    ) -> Result<(), Infallible> {
        let Arrays { u, rhs, handed: [handed, hands], .. } = &mut self.arrays;
        let grid = self.grid;
        for z in (0..steps_of(grid, 1)).filter_map(|step| plane_of(grid, way, step, 0)) {
            work(&mut self.block, z, Step { u, rhs, handed, hands });
        }
        Ok(())
    }

    fn total(&mut self, own: Five) -> Result<Five, Infallible> {
        Ok(own)
    }
}

/// Neighbouring slabs, one by one.
fn cut<'a>(
    sheet: usize,
    u: &'a mut [f64],
    z_part: &'a mut [f64],
    forcing: &'a mut [f64],
) -> impl Iterator<Item = Slab<'a>> {
    let parts = u.chunks_mut(sheet).zip(z_part.chunks_mut(sheet)).zip(forcing.chunks_mut(sheet));
    parts.map(|((u, z_part), forcing)| Slab { u, z_part, forcing })
}

/// Threads of rayon, which take planes and slabs and steal them. One room per thread of the pool that it runs
/// in.
pub struct Threads {
    /// All arrays.
    arrays: Arrays,
    /// Of each thread.
    bundles: Vec<Mutex<Bundle>>,
    /// All slabs, one block per thread.
    blocks: Vec<Block>,
    /// The grid.
    grid: Grid,
}

impl Threads {
    /// As many as this, on this grid.
    pub fn new(grid: Grid, count: usize) -> Threads {
        let bundles = (0..count).map(|_| Mutex::new(Bundle::new(grid))).collect();
        let bound = |index: usize| index * grid.side / count;
        let blocks = (0..count).map(|index| Block::new(bound(index)..bound(index + 1))).collect();
        Threads { arrays: Arrays::new(grid), bundles, blocks, grid }
    }
}

/// Runs `work` with the calling thread's room.
fn with_own<R>(bundles: &[Mutex<Bundle>], work: impl FnOnce(&mut Bundle) -> R) -> R {
    let own = &bundles[rayon::current_thread_index().unwrap_or(0)];
    work(&mut own.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Crew for Threads {
    type Error = Infallible;

    fn planes(
        &mut self,
        work: impl Fn(usize, &mut [f64], Slabs<'_>, &mut Bundle) -> Five + Sync,
    ) -> Result<Five, Infallible> {
        let Arrays { sheet, u, z_part, rhs, .. } = &mut self.arrays;
        let (slabs, bundles) = (Slabs { u, z_part }, &self.bundles);
        let planes = rhs.par_chunks_mut(*sheet).enumerate();
        let sums = planes.map(|(z, plane)| with_own(bundles, |bundle| work(z, plane, slabs, bundle)));
        Ok(sums.reduce(|| [0.0; 5], add))
    }

    fn slabs(
        &mut self,
        work: impl Fn(usize, Slab<'_>, &[f64], &mut Bundle) -> Five + Sync,
    ) -> Result<Five, Infallible> {
        let Arrays { sheet, u, z_part, forcing, rhs, .. } = &mut self.arrays;
        let (rhs, bundles) = (&rhs[..], &self.bundles);
        let parts = u.par_chunks_mut(*sheet).zip(z_part.par_chunks_mut(*sheet));
        let parts = parts.zip(forcing.par_chunks_mut(*sheet)).enumerate();
        let sums = parts.map(|(y, ((u, z_part), forcing))| {
            with_own(bundles, |bundle| work(y, Slab { u, z_part, forcing }, rhs, bundle))
        });
        Ok(sums.reduce(|| [0.0; 5], add))
    }

    fn sweep(
        &mut self,
        way: Way,
        work: impl Fn(&mut Block, usize, Step<'_>) + Sync,
    ) -> Result<(), Infallible> {
        let Arrays { sheet, u, rhs, handed: [handed, hands], .. } = &mut self.arrays;
        let (grid, count, rhs) = (self.grid, self.blocks.len(), &rhs[..]);
        let at = |block: &Block, each: usize| block.slabs.len() * each;
        for step in 0..steps_of(grid, count) {
            let (mut u, mut hands_rest) = (&mut u[..], &mut hands[..]);
            let mut parts = Vec::with_capacity(count);
            for block in &mut self.blocks {
                let (own_u, rest_u) = u.split_at_mut(at(block, *sheet));
                let (own_hands, rest_hands) = hands_rest.split_at_mut(at(block, grid.row()));
                (u, hands_rest) = (rest_u, rest_hands);
                parts.push((block, own_u, own_hands));
            }
            let handed_over = &handed[..];
            parts.into_par_iter().enumerate().for_each(|(index, (block, u, hands))| {
                if let Some(z) = plane_of(grid, way, step, position_of(way, index, count)) {
                    work(block, z, Step { u, rhs, handed: handed_over, hands });
                }
            });
            std::mem::swap(handed, hands);
        }
        Ok(())
    }

    fn total(&mut self, own: Five) -> Result<Five, Infallible> {
        Ok(own)
    }
}

/// One rank of a region.
pub struct Rank<'t, 'w> {
    /// The team.
    team: &'t mut Team<'w>,
    /// The grid.
    grid: Grid,
    /// As in [`Slab`].
    u: RegionMut<'w, f64, Ix2>,
    /// As in [`Slab`].
    z_part: RegionMut<'w, f64, Ix2>,
    /// As in [`Slab`].
    forcing: RegionMut<'w, f64, Ix2>,
    /// The right-hand side.
    rhs: RegionMut<'w, f64, Ix2>,
    /// What ranks hand over in a sweep: written in one phase and read in the next.
    handed: [RegionMut<'w, f64, Ix2>; 2],
    /// Its room.
    bundle: Bundle,
    /// Its slabs.
    block: Block,
}

impl<'t, 'w> Rank<'t, 'w> {
    /// With the arrays in the order u, z part, forcing, right-hand side, and the two that are handed over.
    pub fn new(
        team: &'t mut Team<'w>,
        grid: Grid,
        arrays: Vec<RegionMut<'w, f64, Ix2>>,
    ) -> Result<Self, RegionError> {
        let arrays: Result<[_; 6], _> = arrays.try_into();
        let [u, z_part, forcing, rhs, even, odd] =
            arrays.map_err(|_| RegionError::new("a crew has six arrays"))?;
        let own = team.my_span(grid.side);
        let (bundle, block) = (Bundle::new(grid), Block::new(own.lo..own.hi));
        Ok(Rank { team, grid, u, z_part, forcing, rhs, handed: [even, odd], bundle, block })
    }
}

impl Crew for Rank<'_, '_> {
    type Error = RegionError;

    fn planes(
        &mut self,
        work: impl Fn(usize, &mut [f64], Slabs<'_>, &mut Bundle) -> Five + Sync,
    ) -> Result<Five, RegionError> {
        let (grid, bundle) = (self.grid, &mut self.bundle);
        let operands = (0..grid.side, self.rhs.split_mut(), self.u.whole(), self.z_part.whole());
        self.team.phase(operands, |(planes, own, u, z_part)| {
            let slabs = Slabs { u: flat(u)?, z_part: flat(z_part)? };
            let own = planes.zip(flat_mut(own)?.chunks_mut(grid.sheet()));
            Ok(own.map(|(z, plane)| work(z, plane, slabs, bundle)).fold([0.0; 5], add))
        })?
    }

    fn slabs(
        &mut self,
        work: impl Fn(usize, Slab<'_>, &[f64], &mut Bundle) -> Five + Sync,
    ) -> Result<Five, RegionError> {
        let (grid, bundle) = (self.grid, &mut self.bundle);
        let own = (self.u.split_mut(), self.z_part.split_mut(), self.forcing.split_mut());
        self.team.phase((0..grid.side, own, self.rhs.whole()), |(slabs, (u, z_part, forcing), rhs)| {
            let rhs = flat(rhs)?;
            let own = cut(grid.sheet(), flat_mut(u)?, flat_mut(z_part)?, flat_mut(forcing)?);
            Ok(slabs.zip(own).map(|(y, slab)| work(y, slab, rhs, bundle)).fold([0.0; 5], add))
        })?
    }

    fn sweep(
        &mut self,
        way: Way,
        work: impl Fn(&mut Block, usize, Step<'_>) + Sync,
    ) -> Result<(), RegionError> {
        let (grid, block) = (self.grid, &mut self.block);
        let (index, count) = (self.team.rank(), self.team.size());
        let position = position_of(way, index, count);
        for step in 0..steps_of(grid, count) {
            let [handed, hands] = &mut self.handed;
            let operands = (self.u.split_mut(), hands.split_mut(), handed.whole(), self.rhs.whole());
            self.team.phase(operands, |(u, hands, handed, rhs)| {
                if let Some(z) = plane_of(grid, way, step, position) {
                    let (u, hands) = (flat_mut(u)?, flat_mut(hands)?);
                    work(block, z, Step { u, rhs: flat(rhs)?, handed: flat(handed)?, hands });
                }
                Ok::<_, RegionError>(())
            })??;
            self.handed.swap(0, 1);
        }
        Ok(())
    }

    fn total(&mut self, own: Five) -> Result<Five, RegionError> {
        self.team.all_reduce(own, add)
    }
}
