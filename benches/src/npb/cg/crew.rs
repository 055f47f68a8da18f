//! What computes: one slab on one thread, many slabs on rayon, one slab per rank of a region.

use super::slab::Slab;
use ndarray::Ix1;
use phalanx::region::{RegionError, RegionMut, Team};
use rayon::prelude::*;
use std::convert::Infallible;

/// Sums over all slabs.
pub type Sums = [f64; 3];

/// The threads or ranks that compute: they hold all slabs and the direction vector p.
pub trait Crew {
    /// Why work may fail.
    type Error;
    /// Runs `work` on every slab; returns the sum of its results.
    fn each(&mut self, work: impl Fn(&mut Slab) -> f64 + Sync) -> Result<f64, Self::Error>;
    /// Writes every slab's part of p.
    fn set(&mut self, work: impl Fn(&mut Slab, &mut [f64]) + Sync) -> Result<(), Self::Error>;
    /// Runs `work` on every slab and all of p; returns the sums of its results.
    fn get(&mut self, work: impl Fn(&mut Slab, &[f64]) -> Sums + Sync) -> Result<Sums, Self::Error>;
}

/// The calling thread with all rows.
pub struct Alone {
    pub slab: Slab,
    pub p: Vec<f64>,
}

impl Crew for Alone {
    type Error = Infallible;
    fn each(&mut self, work: impl Fn(&mut Slab) -> f64 + Sync) -> Result<f64, Infallible> {
        Ok(work(&mut self.slab))
    }
    fn set(&mut self, work: impl Fn(&mut Slab, &mut [f64]) + Sync) -> Result<(), Infallible> {
        let rows = self.slab.rows.clone();
        work(&mut self.slab, &mut self.p[rows]);
        Ok(())
    }
    fn get(&mut self, work: impl Fn(&mut Slab, &[f64]) -> Sums + Sync) -> Result<Sums, Infallible> {
        Ok(work(&mut self.slab, &self.p))
    }
}

/// Slabs that threads of rayon take and steal.
pub struct Stolen {
    pub slabs: Vec<Slab>,
    pub p: Vec<f64>,
}

impl Crew for Stolen {
    type Error = Infallible;
    fn each(&mut self, work: impl Fn(&mut Slab) -> f64 + Sync) -> Result<f64, Infallible> {
        Ok(self.slabs.par_iter_mut().map(&work).sum())
    }
    fn set(&mut self, work: impl Fn(&mut Slab, &mut [f64]) + Sync) -> Result<(), Infallible> {
        let mut rest = &mut self.p[..];
        let mut parts = Vec::with_capacity(self.slabs.len());
        for slab in &self.slabs {
            let (part, others) = rest.split_at_mut(slab.rows.len());
            parts.push(part);
            rest = others;
        }
        self.slabs.par_iter_mut().zip(parts).for_each(|(slab, part)| work(slab, part));
        Ok(())
    }
    fn get(&mut self, work: impl Fn(&mut Slab, &[f64]) -> Sums + Sync) -> Result<Sums, Infallible> {
        let p = &self.p;
        Ok(self.slabs.par_iter_mut().map(|slab| work(slab, p)).reduce(|| [0.0; 3], add))
    }
}

/// One rank of a region.
pub struct Rank<'t, 'w> {
    pub team: &'t mut Team<'w>,
    pub slab: Slab,
    /// Boundaries of all ranks' rows.
    pub bounds: Vec<usize>,
    pub p: RegionMut<'w, f64, Ix1>,
}

impl Crew for Rank<'_, '_> {
    type Error = RegionError;
    fn each(&mut self, work: impl Fn(&mut Slab) -> f64 + Sync) -> Result<f64, RegionError> {
        let own = work(&mut self.slab);
        self.team.all_reduce(own, |a, b| a + b)
    }
    fn set(&mut self, work: impl Fn(&mut Slab, &mut [f64]) + Sync) -> Result<(), RegionError> {
        let slab = &mut self.slab;
        self.team.phase(self.p.split_at_mut(&self.bounds), |part| work(slab, part))
    }
    fn get(&mut self, work: impl Fn(&mut Slab, &[f64]) -> Sums + Sync) -> Result<Sums, RegionError> {
        let slab = &mut self.slab;
        let own = self.team.phase(self.p.whole(), |p| work(slab, p))?;
        self.team.all_reduce(own, add)
    }
}

fn add(mut a: Sums, b: Sums) -> Sums {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    a
}
