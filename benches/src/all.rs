//! `all`: the benches that need no argument, one after the other.

use crate::bench::Listed;
use crate::benches::BENCHES;
use clap::{Arg, ArgMatches, Command};

/// Name of the subcommand.
pub const NAME: &str = "all";

/// Options of `all`: name, value and help. Each goes to every bench that has an option of this name.
const OPTIONS: [(&str, &str, &str); 3] = [
    ("vs", "PEERS", "Runtimes to compare with: rayon, forkunion, none"),
    ("steps", "N", "Barriers or phases per region of phase_barrier and phase_step"),
    ("mib", "MIB", "MiB of each long array"),
];

/// Returns the subcommand.
pub fn command() -> Command {
    let left_out: Vec<_> = BENCHES.iter().filter(|bench| !bench.in_all).map(|bench| bench.name).collect();
    let options = OPTIONS.map(|(name, value, help)| Arg::new(name).long(name).value_name(value).help(help));
    Command::new(NAME)
        .about(format!("All of these but {}, with their defaults", left_out.join(", ")))
        .args(options)
}

/// Returns the benches that `all` runs, each with those of its options that the bench has.
pub fn benches(options: &ArgMatches) -> Result<Vec<(&'static Listed, ArgMatches)>, clap::Error> {
    let with_options = |bench: &'static Listed| {
        let command = bench.command().no_binary_name(true);
        let takes = |name: &str| command.get_arguments().any(|argument| argument.get_id() == name);
        let taken = OPTIONS.iter().map(|(name, ..)| *name).filter(|name| takes(name));
        let line: Vec<_> =
            taken.filter_map(|name| Some(format!("--{name}={}", options.get_one::<String>(name)?))).collect();
        Ok((bench, command.try_get_matches_from(line)?))
    };
    BENCHES.iter().filter(|bench| bench.in_all).map(with_options).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(line: &str) -> Result<Vec<(&'static Listed, ArgMatches)>, clap::Error> {
        benches(&command().try_get_matches_from(line.split(' '))?)
    }

    #[test]
    fn every_bench_is_run_but_those_that_the_help_names() {
        let help = command().get_about().map(ToString::to_string).unwrap_or_default();
        let words: Vec<_> = help.split([',', ' ']).collect();
        let run: Vec<_> = given("all").unwrap().into_iter().map(|(bench, _)| bench.name).collect();
        for bench in BENCHES {
            assert_ne!(run.contains(&bench.name), words.contains(&bench.name), "{}", bench.name);
        }
        assert!(run.contains(&"tasks") && run.contains(&"kernels"));
    }

    #[test]
    fn options_go_to_the_benches_that_have_them() {
        for (bench, options) in given("all --mib 3").unwrap() {
            let takes = ["stream", "memory", "kernels"].contains(&bench.name);
            assert_eq!(options.ids().any(|id| id == "mib"), takes, "{}", bench.name);
            assert!(!takes || options.get_one::<u64>("mib") == Some(&3), "{}", bench.name);
        }
        assert!(given("all --mib 0").is_err());
        assert!(given("all --vs abc").is_err());
    }
}
