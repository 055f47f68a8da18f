//! The parts of a kernel's measurement: an entry of the list prepares a case, whose variants hold their data,
//! run, and check their results.

use crate::harness::Outcome;
use crate::report::Target;
use phalanx::Pool;
use rayon::ThreadPool;

/// A kernel to be measured.
pub struct Entry {
    /// What `phalanx-bench kernels NAME` calls it; records are named `kernels/NAME`.
    pub name: &'static str,
    /// What it does, for `--list`.
    pub about: &'static str,
    /// Stated targets; their bench is `kernels/NAME`.
    pub targets: &'static [Target],
    /// Makes the data and the variants.
    pub prepare: for<'c> fn(&'c Context) -> Outcome<Case<'c>>,
}

/// The pools and sizes that entries work with.
pub struct Context {
    /// Worker processes, one per core.
    pub pool: Pool,
    /// Rayon's threads on the same cores, if the options ask for them.
    pub team: Option<ThreadPool>,
    /// MiB of each long array.
    pub mib: usize,
}

impl Context {
    /// Returns the length of a long array whose elements have `bytes` each.
    pub fn len(&self, bytes: usize) -> usize {
        (self.mib << 20) / bytes
    }
}

/// What one run does, for its rate.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// Bytes read and written.
    Bytes(f64),
    /// Floating-point operations.
    Flops(f64),
    /// Elements.
    Elements(f64),
}

impl Work {
    /// The unit of its rate.
    pub fn unit(self) -> &'static str {
        match self {
            Work::Bytes(_) => "GB/s",
            Work::Flops(_) => "Gflop/s",
            Work::Elements(_) => "Melem/s",
        }
    }

    /// The rate, in that unit.
    pub fn rate(self, seconds: f64) -> f64 {
        match self {
            Work::Bytes(amount) | Work::Flops(amount) => amount / seconds / 1e9,
            Work::Elements(amount) => amount / seconds / 1e6,
        }
    }
}

/// An entry with its data: what to run, on which runtimes.
pub struct Case<'c> {
    /// What one run of each variant does.
    pub work: Work,
    /// In the order in which they were added.
    pub variants: Vec<Variant<'c>>,
}

impl<'c> Case<'c> {
    /// Makes a case without variants.
    pub fn new(work: Work) -> Case<'c> {
        Case { work, variants: Vec::new() }
    }

    /// Adds a variant: what it holds, one run, and the check of what the last run left.
    pub fn variant<S: 'c>(
        mut self,
        name: &'static str,
        state: S,
        run: impl FnMut(&mut S) -> Outcome<()> + 'c,
        check: impl Fn(&S) -> Outcome<()> + 'c,
    ) -> Case<'c> {
        self.variants
            .push(Variant { name, runner: Box::new(Stateful { state, ready: |_: &mut S| {}, run, check }) });
        self
    }

    /// Adds a variant whose runs change what they work on: `ready` puts it back before each, which is not
    /// timed.
    pub fn variant_anew<S: 'c>(
        mut self,
        name: &'static str,
        state: S,
        ready: impl FnMut(&mut S) + 'c,
        run: impl FnMut(&mut S) -> Outcome<()> + 'c,
        check: impl Fn(&S) -> Outcome<()> + 'c,
    ) -> Case<'c> {
        self.variants.push(Variant { name, runner: Box::new(Stateful { state, ready, run, check }) });
        self
    }

    /// Adds rayon's variant, if the options ask for it; `run` is called inside its team.
    pub fn rayon<S: Send + 'c>(
        self,
        context: &'c Context,
        state: impl FnOnce() -> S,
        run: impl Fn(&mut S) + Send + Sync + 'c,
        check: impl Fn(&S) -> Outcome<()> + 'c,
    ) -> Case<'c> {
        let Some(team) = &context.team else { return self };
        let inside = move |state: &mut S| {
            team.install(|| run(state));
            Ok(())
        };
        self.variant("rayon", state(), inside, check)
    }
}

/// A variant of a case.
pub struct Variant<'c> {
    /// Its name in records.
    pub name: &'static str,
    /// What it holds and does.
    pub runner: Box<dyn Runner + 'c>,
}

/// What a variant does.
pub trait Runner {
    /// Puts back what a run changes; not timed.
    fn ready(&mut self);
    /// One run.
    fn run(&mut self) -> Outcome<()>;
    /// Checks the result of the last run.
    fn check(&self) -> Outcome<()>;
}

struct Stateful<S, A, R, C> {
    state: S,
    ready: A,
    run: R,
    check: C,
}

impl<S, A, R, C> Runner for Stateful<S, A, R, C>
where
    A: FnMut(&mut S),
    R: FnMut(&mut S) -> Outcome<()>,
    C: Fn(&S) -> Outcome<()>,
{
    fn ready(&mut self) {
        (self.ready)(&mut self.state);
    }
    fn run(&mut self) -> Outcome<()> {
        (self.run)(&mut self.state)
    }
    fn check(&self) -> Outcome<()> {
        (self.check)(&self.state)
    }
}

/// Returns an error that shows both values, unless their relative difference is at most `relative`.
pub fn near(got: f64, want: f64, relative: f64) -> Outcome<()> {
    if (got - want).abs() <= relative * want.abs() {
        return Ok(());
    }
    Err(format!("{got} instead of {want}").into())
}

/// Returns an error that names the first difference, unless the two are equal.
pub fn same<T: PartialEq + std::fmt::Debug>(got: &[T], want: impl Fn(usize) -> T) -> Outcome<()> {
    match got.iter().enumerate().find(|(index, got)| **got != want(*index)) {
        None => Ok(()),
        Some((index, got)) => Err(format!("element {index} is {got:?} instead of {:?}", want(index)).into()),
    }
}
