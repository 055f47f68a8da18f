//! `tune`: measures what depends on the machine, and stores what gains in this host's profile, from which pools start.

mod choice;
mod knob;
mod show;

use crate::bench::Bench;
use crate::harness::{Outcome, Setup};
use crate::report::Report;
use crate::saturation;
use crate::sizing::foreign::{self, Foreign};
use crate::sizing::turns::{Taken, Turns};
use choice::{Draws, First};
use clap::Args;
use clap::builder::PossibleValuesParser;
use knob::{KNOBS, Knob};
use phalanx::Machine;
use phalanx::tuning::{Profile, ProfileError, Tuning};
use serde_json::json;
use show::Found;
use std::path::Path;

/// How much longer the second pass takes, which compares two settings alone.
const SURE: u32 = 2;
/// MiB of each array of the saturation at the end.
const SATURATION_MIB: u64 = 64;

/// Measures what depends on the machine, and stores what gains in a profile, from which pools start
#[derive(Debug, Args)]
pub struct Tune {
    /// Tune only these
    #[arg(long, value_name = "SETTINGS", value_delimiter = ',', value_parser = PossibleValuesParser::new(KNOBS.map(|knob| knob.name)))]
    only: Vec<String>,

    /// Measure, but store nothing
    #[arg(long, conflicts_with = "force")]
    dry_run: bool,

    /// Store what seems to gain even if the machine is noisy
    #[arg(long)]
    force: bool,

    /// Show the stored profile, and measure nothing
    #[arg(long, conflicts_with_all = ["dry_run", "force", "forget", "only", "quick"])]
    show: bool,

    /// Remove the stored profile, and measure nothing
    #[arg(long, conflicts_with_all = ["dry_run", "force", "only", "quick"])]
    forget: bool,

    /// A fifth of the time, and no saturation: a look, no result
    #[arg(long)]
    quick: bool,

    /// Seed of the resampling that intervals come from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

impl Bench for Tune {
    const NAME: &'static str = "tune";
    // It changes what pools do from then on.
    const IN_ALL: bool = false;
    const HAS_ONE_TEAM: bool = false;

    fn measures() -> Vec<&'static str> {
        KNOBS.iter().map(|knob| knob.bench).collect()
    }

    fn run(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        let machine = Machine::detect()?;
        let path = Profile::path(&machine)?;
        if self.show {
            show::stored(&path, Profile::load(&machine)?.as_ref(), report);
            return Ok(());
        }
        if self.forget {
            show::forgotten(&path, Profile::forget(&machine)?, report);
            return Ok(());
        }
        if !self.dry_run {
            try_to_write(&path)?;
        }
        self.measure(setup, report, &machine)
    }
}

impl Tune {
    fn measure(&self, setup: &Setup, report: &Report, machine: &Machine) -> Outcome<()> {
        report.remark(&format!("tune on {}, {} workers", Report::machine(), setup.workers()));
        let foreign = Foreign::watch();
        let part = if self.quick { 5 } else { 1 };
        let passes = [
            Turns::over(setup.budget / part, setup.rounds, report)?,
            Turns::over(setup.budget * SURE / part, setup.rounds * SURE, report)?,
        ];
        let (mut tuning, mut notes) = self.others(machine);
        let mut noises = Vec::new();
        for knob in self.knobs() {
            let Some(found) = self.tune(knob, tuning, &passes, setup)? else {
                return Err("interrupted: nothing is stored".into());
            };
            show::found(&found, setup.workers(), report)?;
            noises.push(found.noise);
            if let Some((value, gain)) = found.gained() {
                (knob.set)(&mut tuning, value);
                notes.push(show::note(knob, value, &gain));
            }
        }
        let shares = foreign.shares();
        if !self.quick && self.only.is_empty() {
            report.remark("workers that saturate a node's memory, which is only told, as no pool knows what its launches wait for:");
            let places = ["local".parse()?];
            let options = saturation::Options { places: &places, huge: false, mib: SATURATION_MIB };
            saturation::run(&options, setup, report)?;
        }
        report.remark(&foreign::text(shares));
        let noisy = noises.iter().find_map(|noise| choice::noisy(noise, shares));
        self.store(Profile::new(tuning, notes), noisy, machine, report)
    }

    /// What is stored of the settings that are not measured now.
    fn others(&self, machine: &Machine) -> (Tuning, Vec<String>) {
        let stored = Profile::load(machine).ok().flatten().filter(|_| !self.only.is_empty());
        let Some(stored) = stored else { return (Tuning::default(), Vec::new()) };
        let (mut tuning, mut notes) = (stored.tuning(), stored.notes().to_vec());
        for knob in self.knobs() {
            (knob.set)(&mut tuning, knob.default);
            notes.retain(|note| !note.starts_with(&format!("{}:", knob.name)));
        }
        (tuning, notes)
    }

    fn knobs(&self) -> impl Iterator<Item = &'static Knob> {
        let wanted = |knob: &&Knob| self.only.is_empty() || self.only.iter().any(|name| name == knob.name);
        KNOBS.iter().filter(|knob| knob.matters).filter(wanted)
    }

    /// Measures one setting's candidates, and then the fastest beside the default again. `None` if Ctrl-C was
    /// pressed.
    fn tune(
        &self,
        knob: &'static Knob,
        tuning: Tuning,
        [first, second]: &[Turns; 2],
        setup: &Setup,
    ) -> Outcome<Option<Found>> {
        let with = |value: u64| {
            let mut own = tuning;
            (knob.set)(&mut own, value);
            own
        };
        let candidates: Vec<Tuning> = knob.values.iter().map(|value| with(*value)).collect();
        let all: Vec<Tuning> = [tuning].into_iter().chain(candidates).chain([tuning]).collect();
        let name = |value: String| format!("{} of {value}", knob.name);
        let values = knob.values.iter().map(|value| name((knob.shown)(*value)));
        let names: Vec<String> = [name("default".into())]
            .into_iter()
            .chain(values)
            .chain([name("default again".into())])
            .collect();
        let Taken { samples, is_cut: false } =
            first.take(&names, |at, turn| (knob.turn)(setup, all[at], turn))?
        else {
            return Ok(None);
        };
        let draws = Draws { resamples: if self.quick { 200 } else { 1000 }, seed: self.seed };
        let First { best, noise } = choice::first(&samples, draws).ok_or("no samples were taken")?;
        let mut found = Found { knob, samples, noise, again: None };
        if let Some(best) = best {
            let two = [0, best].map(|at| (names[at].clone(), all[at]));
            let named = two.clone().map(|(name, _)| name);
            let Taken { samples, is_cut: false } =
                second.take(&named, |at, turn| (knob.turn)(setup, two[at].1, turn))?
            else {
                return Ok(None);
            };
            let gain = choice::gain(&samples[0], &samples[1], draws).ok_or("no samples were taken")?;
            found.again = Some((knob.values[best - 1], gain));
        }
        Ok(Some(found))
    }

    /// Stores what gained, in place of what was stored before.
    fn store(
        &self,
        profile: Profile,
        noisy: Option<String>,
        machine: &Machine,
        report: &Report,
    ) -> Outcome<()> {
        let gains = profile.tuning() != Tuning::default();
        let told = |what: &str, is_stored: bool| match report.is_json() {
            true => report.object(
                &json!({"bench": "tune", "stored": is_stored, "notes": profile.notes(), "what": what}),
            ),
            false => report.remark(what),
        };
        match noisy {
            Some(why) if self.dry_run => {
                told(&format!("nothing would be stored without --force: {why}"), false)
            }
            Some(why) if !self.force => {
                let why =
                    format!("nothing is stored, this machine is too noisy now: {why}; --force stores it");
                if report.is_json() {
                    told(&why, false);
                }
                return Err(why.into());
            }
            _ => {}
        }
        if self.dry_run {
            let what = if gains {
                format!("settings that gain: {}", profile.tuning())
            } else {
                "nothing gains".into()
            };
            told(&what, false);
        } else if gains {
            let path = profile.store(machine)?;
            told(&format!("stored in {}: pools start from it from now on", path.display()), true);
        } else if Profile::forget(machine)? {
            told(
                "nothing gains: the profile that was stored is removed, pools have the default settings",
                false,
            );
        } else {
            told("nothing gains and nothing is stored: pools have the default settings", false);
        }
        Ok(())
    }
}

/// Fails now and not after minutes where nothing can be stored.
fn try_to_write(path: &Path) -> Result<(), ProfileError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let tried = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
    tried.map(drop).map_err(|error| ProfileError::Io { what: "write", path: folder.to_owned(), error })
}
