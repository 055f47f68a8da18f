//! What a bench is to the command line.

use crate::harness::{Options, Outcome, Setup};
use crate::report::Report;
use clap::{ArgMatches, Args, Command};

/// A bench: one subcommand, which measures one or more things. The type that implements this holds the
/// options; its doc comment is what the help says of the subcommand.
pub trait Bench: Args {
    /// Name of the subcommand.
    const NAME: &'static str;
    /// Whether `all` runs it, with default options. False where an argument is required.
    const IN_ALL: bool = true;
    /// Whether all its teams are pinned to the cores of [`Setup`], as the headline says.
    const HAS_ONE_TEAM: bool = true;

    /// Returns the names that its records have.
    fn measures() -> Vec<&'static str>;

    /// Measures, and reports what was found.
    fn run(&self, setup: &Setup, report: &mut Report) -> Outcome<()>;
}

/// A bench in the list of all.
pub struct Listed {
    /// [`Bench::NAME`].
    pub name: &'static str,
    /// [`Bench::IN_ALL`].
    pub in_all: bool,
    /// [`Bench::HAS_ONE_TEAM`].
    pub has_one_team: bool,
    /// [`Bench::measures`].
    pub measures: fn() -> Vec<&'static str>,
    add_options: fn(Command) -> Command,
    run: fn(&ArgMatches, &Setup, &mut Report) -> Outcome<()>,
}

impl Listed {
    /// Lists a bench.
    pub const fn of<B: Bench>() -> Listed {
        Listed {
            name: B::NAME,
            in_all: B::IN_ALL,
            has_one_team: B::HAS_ONE_TEAM,
            measures: B::measures,
            add_options: B::augment_args,
            run: |matches, setup, report| B::from_arg_matches(matches)?.run(setup, report),
        }
    }

    /// Returns its subcommand.
    pub fn command(&self) -> Command {
        (self.add_options)(Command::new(self.name))
    }

    /// Returns what the help says of it.
    pub fn about(&self) -> String {
        self.command().get_about().map(ToString::to_string).unwrap_or_default()
    }

    /// Runs it with the options that its subcommand was given.
    pub fn run(&self, matches: &ArgMatches, setup: &Setup, report: &mut Report) -> Outcome<()> {
        (self.run)(matches, setup, report)
    }
}

/// A command that looks at the machine instead of measuring teams on it. The type that implements this holds
/// the options; its doc comment is what the help says of the subcommand.
pub trait Inspection: Args {
    /// Name of the subcommand.
    const NAME: &'static str;

    /// Looks, prints what it finds, and returns how many of the findings make the program exit with 1.
    fn run(&self, options: &Options, json: bool) -> Outcome<usize>;
}

/// An inspection in the list of all.
pub struct ListedInspection {
    /// [`Inspection::NAME`].
    pub name: &'static str,
    add_options: fn(Command) -> Command,
    run: fn(&ArgMatches, &Options, bool) -> Outcome<usize>,
}

impl ListedInspection {
    /// Lists an inspection.
    pub const fn of<I: Inspection>() -> ListedInspection {
        ListedInspection {
            name: I::NAME,
            add_options: I::augment_args,
            run: |matches, options, json| I::from_arg_matches(matches)?.run(options, json),
        }
    }

    /// Returns its subcommand.
    pub fn command(&self) -> Command {
        (self.add_options)(Command::new(self.name))
    }

    /// Returns what the help says of it.
    pub fn about(&self) -> String {
        self.command().get_about().map(ToString::to_string).unwrap_or_default()
    }

    /// Runs it with the options that its subcommand was given.
    pub fn run(&self, matches: &ArgMatches, options: &Options, json: bool) -> Outcome<usize> {
        (self.run)(matches, options, json)
    }
}
