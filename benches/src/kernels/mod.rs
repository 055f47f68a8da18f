//! Kernels of `phalanx-kernels` beside the same work on rayon and in one thread.
//!
//! Each family has a file with its entries; an entry prepares its data, names its variants, and says how each
//! answer is checked. A rate is printed only after every variant gave the right answer, before and after it
//! was timed; a wrong answer ends the program with an error. Variants take turns, so that a busy machine is
//! busy for all of them.
//!
//! To add a family: a file with `pub const ENTRIES: &[Entry]` (see `case`), and a line in [`families`].

mod case;
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

use crate::bench::Bench;
use crate::harness::{Outcome, Setup};
use crate::peers::{Peer, rayon as rayon_peer};
use crate::report::{Record, Report};
use crate::watchdog;
use case::{Case, Context, Entry, Variant};
use clap::Args;
use phalanx::Backend;
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

/// Numeric kernels over shared arrays.
#[derive(Debug, Args)]
pub struct Kernels {
    /// Run only these kernels
    #[arg(value_name = "NAME", value_delimiter = ',')]
    names: Vec<String>,

    /// Runtimes to compare with
    #[arg(long, value_name = "PEERS", value_delimiter = ',', default_value = "rayon")]
    vs: Vec<Peer>,

    /// MiB of each long array
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..))]
    mib: u64,

    /// List the kernels, and run nothing
    #[arg(long)]
    list: bool,
}

impl Bench for Kernels {
    const NAME: &'static str = "kernels";

    fn measures() -> Vec<&'static str> {
        // `kernels --list` has the names.
        vec!["kernels/NAME"]
    }

    fn run(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        let all = || families().into_iter().flatten();
        if self.list {
            all().for_each(|entry| println!("{:<20} {}", entry.name, entry.about));
            return Ok(());
        }
        let wanted =
            |entry: &&Entry| self.names.is_empty() || self.names.iter().any(|name| name == entry.name);
        if let Some(unknown) = self.names.iter().find(|name| !all().any(|entry| entry.name == **name)) {
            return Err(format!("there is no kernel {unknown:?}; --list shows them").into());
        }
        let context = Context {
            pool: setup.pool(Backend::Processes)?,
            team: self.vs.contains(&Peer::Rayon).then(|| rayon_peer::team(&setup.places)).transpose()?,
            mib: self.mib as usize,
        };
        for entry in all().filter(wanted) {
            watchdog::note(format!("making the data of kernels/{}", entry.name));
            let case =
                (entry.prepare)(&context).map_err(|error| format!("kernels/{}: {error}", entry.name))?;
            let records = measure(setup, entry, case)?;
            report.group(&records, entry.targets);
        }
        Ok(())
    }
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
