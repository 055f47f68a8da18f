//! What a benchmark does, stage by stage, with whatever computes.

use super::adi::{Method, advance_plane, advance_slab};
use super::crew::Crew;
use super::problem::{Found, Problem};
use super::setup::{begin, judge, set_up};
use std::marker::PhantomData;

/// What a benchmark does with a crew. Stages keep nothing but the arrays.
pub trait Stages: 'static {
    /// How much members keep for themselves, in arrays.
    const KEPT: usize = 0;

    /// Sets all arrays, and sets u back after one step, so that all memory and code has been used.
    fn prepare<C: Crew>(crew: &mut C, problem: &Problem) -> Result<(), C::Error>;
    /// Makes all steps.
    fn advance<C: Crew>(crew: &mut C, problem: &Problem) -> Result<(), C::Error>;
    /// Compares u with the exact solution.
    fn judge<C: Crew>(crew: &mut C, problem: &Problem) -> Result<Found, C::Error> {
        judge(crew, problem)
    }
}

/// A benchmark that steps by this method.
pub struct Adi<M>(PhantomData<M>);

impl<M: Method> Stages for Adi<M> {
    fn prepare<C: Crew>(crew: &mut C, problem: &Problem) -> Result<(), C::Error> {
        set_up(crew, problem)?;
        steps::<M, C>(crew, problem, 1)?;
        begin(crew, problem)
    }

    fn advance<C: Crew>(crew: &mut C, problem: &Problem) -> Result<(), C::Error> {
        steps::<M, C>(crew, problem, problem.steps)
    }
}

fn steps<M: Method, C: Crew>(crew: &mut C, problem: &Problem, count: usize) -> Result<(), C::Error> {
    for _ in 0..count {
        crew.planes(|z, plane, slabs, bundle| advance_plane::<M>(problem, z, plane, slabs, bundle))?;
        crew.slabs(|y, slab, rhs, bundle| advance_slab::<M>(problem, y, slab, rhs, bundle))?;
    }
    Ok(())
}
