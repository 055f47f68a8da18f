//! Kernels of `phalanx-kernels` beside the same work on rayon and in one thread.
//!
//! Each family has a file with its entries; an entry prepares its data, names its variants, and says how each answer is checked. A rate
//! is printed only after every variant gave the right answer, before and after it was timed; a wrong answer ends the program with
//! an error. Variants take turns, so that a busy machine is busy for all of them.
//!
//! To add a family: a file with `pub const ENTRIES: &[Entry]`, and a line in [`families`].

mod dense;
mod order;
mod particles;
mod random;
mod reduce;
mod scan;
mod sparse;
mod spectral;
mod stencil;
mod stream;

use crate::cli::{Kernels, Peer};
use crate::harness::{Outcome, Setup};
use crate::peers::rayon as rayon_peer;
use crate::report::{Record, Report, Target};
use crate::watchdog;
use phalanx::{Backend, Pool};
use rayon::ThreadPool;
use std::time::Instant;

/// All entries, family by family.
fn families() -> Vec<&'static [Entry]> {
    vec![
        stream::ENTRIES,
        reduce::ENTRIES,
        scan::ENTRIES,
        dense::ENTRIES,
        sparse::ENTRIES,
        stencil::ENTRIES,
        spectral::ENTRIES,
        order::ENTRIES,
        random::ENTRIES,
        particles::ENTRIES,
    ]
}

/// A kernel to be measured.
pub struct Entry {
    /// What `phalanx-bench kernels NAME` calls it; records are named `kernels/NAME`.
    pub name: &'static str,
    /// What it does, for `--list`.
    pub about: &'static str,
    /// Stated targets; their bench is `kernels/NAME`.
    pub targets: &'static [Target],
    /// Makes the data.
    pub prepare: for<'c> fn(&'c Context) -> Outcome<Case<'c>>,
}

/// What entries work with.
pub struct Context {
    /// Worker processes, one per core.
    pub pool: Pool,
    /// Rayon's threads on the same cores, where they are asked for.
    pub team: Option<ThreadPool>,
    /// MiB of each long array.
    pub mib: usize,
}

impl Context {
    /// Elements of `bytes` each in a long array.
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
    fn unit(self) -> &'static str {
        match self {
            Work::Bytes(_) => "GB/s",
            Work::Flops(_) => "Gflop/s",
            Work::Elements(_) => "Melem/s",
        }
    }

    fn rate(self, seconds: f64) -> f64 {
        match self {
            Work::Bytes(amount) | Work::Flops(amount) => amount / seconds / 1e9,
            Work::Elements(amount) => amount / seconds / 1e6,
        }
    }
}

/// An entry with its data: what is to be run, on what runtimes.
pub struct Case<'c> {
    work: Work,
    variants: Vec<Variant<'c>>,
}

impl<'c> Case<'c> {
    /// A case without variants so far.
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

    /// Adds a variant whose runs change what they work on: `ready` puts it back before each, which is not timed.
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

    /// Adds rayon's variant, where it is asked for; `run` is called inside its team.
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

struct Variant<'c> {
    name: &'static str,
    runner: Box<dyn Runner + 'c>,
}

trait Runner {
    fn ready(&mut self);
    fn run(&mut self) -> Outcome<()>;
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

/// Runs the bench.
pub fn run(setup: &Setup, options: &Kernels, report: &mut Report) -> Outcome<()> {
    let all = || families().into_iter().flatten();
    if options.list {
        all().for_each(|entry| println!("{:<20} {}", entry.name, entry.about));
        return Ok(());
    }
    let wanted =
        |entry: &&Entry| options.names.is_empty() || options.names.iter().any(|name| name == entry.name);
    if let Some(unknown) = options.names.iter().find(|name| !all().any(|entry| entry.name == **name)) {
        return Err(format!("there is no kernel {unknown:?}; --list shows them").into());
    }
    let context = Context {
        pool: setup.pool(Backend::Processes)?,
        team: options.vs.contains(&Peer::Rayon).then(|| rayon_peer::team(&setup.places)).transpose()?,
        mib: options.mib as usize,
    };
    for entry in all().filter(wanted) {
        watchdog::note(format!("making the data of kernels/{}", entry.name));
        let case = (entry.prepare)(&context).map_err(|error| format!("kernels/{}: {error}", entry.name))?;
        let records = measure(setup, entry, case)?;
        report.group(&records, entry.targets);
    }
    Ok(())
}

/// Times the variants in turns; each round begins with another one.
fn measure(setup: &Setup, entry: &Entry, mut case: Case<'_>) -> Outcome<Vec<Record>> {
    let bench = format!("kernels/{}", entry.name);
    let count = case.variants.len();
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); count];
    for variant in &mut case.variants {
        checked(&bench, variant)?;
    }
    for round in 0..setup.rounds as usize {
        for turn in 0..count {
            let index = (round + turn) % count;
            let variant = &mut case.variants[index];
            watchdog::note(format!("{bench} of {}", variant.name));
            variant.runner.ready();
            variant.runner.run()?;
            let began = Instant::now();
            while rates[index].len() <= round || began.elapsed() < setup.budget / setup.rounds {
                variant.runner.ready();
                let start = Instant::now();
                variant.runner.run()?;
                rates[index].push(case.work.rate(start.elapsed().as_secs_f64()));
            }
        }
    }
    for variant in &mut case.variants {
        checked(&bench, variant)?;
    }
    let named = case.variants.iter().zip(rates);
    Ok(named
        .map(|(variant, rates)| {
            let workers = if variant.name == "serial" { 1 } else { setup.workers() };
            Record::of(&bench, variant.name, workers, rates, case.work.unit())
        })
        .collect())
}

fn checked(bench: &str, variant: &mut Variant<'_>) -> Outcome<()> {
    variant.runner.ready();
    variant.runner.run()?;
    let wrong = |error| format!("{bench} of {} gave a wrong answer: {error}", variant.name);
    Ok(variant.runner.check().map_err(wrong)?)
}

/// An error that shows both, unless the two are as close as `relative` asks.
pub fn near(got: f64, want: f64, relative: f64) -> Outcome<()> {
    if (got - want).abs() <= relative * want.abs() {
        return Ok(());
    }
    Err(format!("{got} instead of {want}").into())
}

/// An error that names the first difference, unless the two are equal.
pub fn same<T: PartialEq + std::fmt::Debug>(got: &[T], want: impl Fn(usize) -> T) -> Outcome<()> {
    match got.iter().enumerate().find(|(index, got)| **got != want(*index)) {
        None => Ok(()),
        Some((index, got)) => Err(format!("element {index} is {got:?} instead of {:?}", want(index)).into()),
    }
}
