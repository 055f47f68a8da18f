//! The command line, which is made from the list of benches.

use crate::all;
use crate::bench::{Listed, ListedInspection};
use crate::benches::{BENCHES, INSPECTIONS};
use crate::cluster::driver::Driver;
use crate::harness::Options;
use crate::noise::Hog;
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser};
use std::ffi::OsString;

/// Options before and after the subcommand.
#[derive(Debug, Parser)]
#[command(
    name = "phalanx-bench",
    about = "Measures Phalanx beside other runtimes on this machine",
    long_about = "Measures Phalanx beside other runtimes on this machine. Variants take turns in one run, each with \
        a team of its own that exists only while it is measured (idle teams of some runtimes spin), pinned to the \
        same cores. \
        Figures are medians with 5th and 95th percentiles; n is the number of samples.",
    after_help = "Examples:\n  \
        phalanx-bench doctor\n  \
        phalanx-bench launch --vs rayon,forkunion\n  \
        phalanx-bench launch --only launch_empty,phase_barrier --seconds 0.2\n  \
        phalanx-bench stream --vs rayon --json\n  \
        phalanx-bench kernels sum,dot --vs rayon\n  \
        phalanx-bench npb cg --class A --runtime phalanx,rayon,serial --repeat 3\n  \
        phalanx-bench pool-size --svg speedup.svg -- make -B -j{}\n  \
        phalanx-bench --check all\n\n\
        JSON is one object per line: bench, variant, workers, n, median, p5, p95, unit; \
        of npb: bench, class, runtime, workers, seconds, mops, verified.\n\
        Exit codes: 0 done; 1 a result was wrong, a launch failed or hung, or with --check a target was missed, or \
        doctor found something that costs more than a tenth of the machine; \
        2 bad options, or a profile of tune that cannot be read or written.",
    arg_required_else_help = true,
    // Behind the options of the subcommands.
    next_display_order = 100
)]
pub struct Cli {
    #[command(flatten)]
    pub options: Options,

    /// Print one JSON object per line instead of tables
    #[arg(long, global = true)]
    pub json: bool,

    /// Exit with 1 when a stated target is missed
    #[arg(long, global = true)]
    pub check: bool,

    /// Show what each of the commands measures, and run nothing
    #[arg(long)]
    list: bool,
}

/// What the command line asks for.
pub enum Request {
    /// The list of benches.
    List,
    /// A busy process.
    Hog(Hog),
    /// One driver of a cluster.
    Driver(Driver),
    /// This inspection, with its options.
    Inspect(&'static ListedInspection, ArgMatches),
    /// These benches, each with its options.
    Run(Vec<(&'static Listed, ArgMatches)>),
}

/// Reads a command line, the program's name first.
pub fn read(
    line: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<(Cli, Request), clap::Error> {
    let matches = command().try_get_matches_from(line)?;
    let cli = Cli::from_arg_matches(&matches)?;
    let request = match matches.subcommand() {
        _ if cli.list => Request::List,
        Some((Hog::NAME, options)) => Request::Hog(Hog::from_arg_matches(options)?),
        Some((Driver::NAME, options)) => Request::Driver(Driver::from_arg_matches(options)?),
        Some((all::NAME, options)) => Request::Run(all::benches(options)?),
        Some((name, options)) if let Some(named) = INSPECTIONS.iter().find(|own| own.name == name) => {
            Request::Inspect(named, options.clone())
        }
        Some((name, options)) => {
            let named = BENCHES.iter().filter(|bench| bench.name == name);
            Request::Run(named.map(|bench| (bench, options.clone())).collect())
        }
        None => {
            return Err(command().error(
                ErrorKind::MissingSubcommand,
                "name what to measure; --list and --help show what there is",
            ));
        }
    };
    Ok((cli, request))
}

/// Returns the text of `--list`: what each subcommand does, and the names of its records.
pub fn list() -> String {
    let row = |bench: &Listed| {
        format!("{:<9} {}\n          {}\n", bench.name, bench.about(), (bench.measures)().join(" "))
    };
    let inspections = INSPECTIONS.iter().map(|own| format!("{:<9} {}\n", own.name, own.about()));
    inspections.chain(BENCHES.iter().map(row)).collect()
}

fn command() -> Command {
    Cli::command()
        .subcommands(INSPECTIONS.iter().map(ListedInspection::command))
        .subcommands(BENCHES.iter().map(Listed::command))
        .subcommand(all::command())
        .subcommand(Hog::augment_args(Command::new(Hog::NAME)).hide(true))
        .subcommand(Driver::augment_args(Command::new(Driver::NAME)).hide(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> (Cli, Request) {
        read(line.split(' ')).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn options_are_taken_before_and_after_the_subcommand() {
        let (cli, request) = parsed("b --json launch --vs rayon --seconds 2");
        assert!(cli.json && cli.options.seconds == 2.0);
        assert!(
            matches!(request, Request::Run(benches) if benches.len() == 1 && benches[0].0.name == "launch")
        );
        assert!(matches!(parsed("b --list").1, Request::List));
        assert!(matches!(parsed("b hog 0").1, Request::Hog(_)));
        assert!(matches!(parsed("b cluster-driver heat 5 100 --team 2").1, Request::Driver(_)));
        assert!(matches!(parsed("b doctor --json").1, Request::Inspect(own, _) if own.name == "doctor"));
    }

    #[test]
    fn pool_sizes_are_of_a_workload_or_of_a_command() {
        for line in
            ["b pool-size", "b pool-size heat --sizes 1,2 --quick", "b pool-size -- make -j{}", "b chunk sum"]
        {
            assert!(matches!(parsed(line).1, Request::Run(benches) if benches.len() == 1), "{line}");
        }
        let bad =
            ["pool-size heat -- make", "pool-size hot", "pool-size --sizes 0", "pool-size --elements 0"];
        let other = ["chunk --chunks 0", "chunk --schedules none", "chunk -- make", "scale --sizes x"];
        for line in bad.iter().chain(&other) {
            assert!(read(std::iter::once("b").chain(line.split(' '))).is_err(), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for bad in ["0", "-1", "nan", "x", "1e9"] {
            assert!(read(["b", "launch", "--seconds", bad]).is_err(), "{bad}");
        }
        assert!(read(["b", "--json"]).is_err());
        assert!(read(["b", "npb"]).is_err());
    }
}
