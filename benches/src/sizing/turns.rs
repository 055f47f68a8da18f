//! Samples of several variants in turns, as long as nobody presses Ctrl-C.

use super::options::Common;
use super::workload::{Cut, Job, Workload, timed};
use crate::harness::{Outcome, Setup};
use crate::report::Report;
use crate::watchdog;
use phalanx::{Backend, CancelToken, Pool};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Samples of one variant in one round: more make intervals slow to compute and no narrower than the rounds.
const MOST: usize = 80;

/// How turns are taken.
pub struct Turns {
    /// For the samples of one variant in one round.
    budget: Duration,
    rounds: usize,
    stop: CancelToken,
    shows_progress: bool,
}

/// What was taken.
pub struct Taken {
    /// In seconds, variant by variant.
    pub samples: Vec<Vec<f64>>,
    /// Whether Ctrl-C came before the end.
    pub is_cut: bool,
}

impl Turns {
    /// As the options say.
    pub fn new(setup: &Setup, common: &Common, report: &Report) -> Outcome<Turns> {
        let (budget, rounds) = common.time(setup);
        Turns::over(budget, rounds, report)
    }

    /// In so many rounds, with so much time for the samples of one variant.
    pub fn over(budget: Duration, rounds: u32, report: &Report) -> Outcome<Turns> {
        Ok(Turns {
            budget: budget / rounds,
            rounds: rounds as usize,
            stop: CancelToken::on_ctrl_c()?,
            shows_progress: std::io::stderr().is_terminal() && !report.is_json(),
        })
    }

    /// Takes samples of each variant in each round, which begins with another one each time. A variant's turn
    /// makes what it needs and passes its step to [`Turn::take`].
    pub fn take(
        &self,
        variants: &[String],
        mut turn: impl FnMut(usize, &mut Turn<'_>) -> Outcome<()>,
    ) -> Outcome<Taken> {
        let count = variants.len();
        let mut samples: Vec<Vec<f64>> = vec![Vec::new(); count];
        for round in 0..self.rounds {
            for index in (0..count).map(|place| (round + place) % count) {
                self.progress(&format!("round {} of {}: {}", round + 1, self.rounds, variants[index]));
                watchdog::note_long(variants[index].clone());
                let own = &mut samples[index];
                let taken = turn(index, &mut Turn { samples: own, budget: self.budget, stop: &self.stop });
                if self.stop.is_cancelled() {
                    // What the terminal's Ctrl-C did to a program that was running is no finding.
                    self.progress("");
                    return Ok(Taken { samples, is_cut: true });
                }
                if let Err(error) = taken {
                    self.progress("");
                    return Err(format!("{}: {error}", variants[index]).into());
                }
            }
        }
        self.progress("");
        Ok(Taken { samples, is_cut: false })
    }

    /// Whether Ctrl-C was pressed.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Says how far it is, where a person may be waiting.
    fn progress(&self, text: &str) {
        if self.shows_progress {
            let _ = write!(std::io::stderr(), "\r{text}\x1b[K\r");
        }
    }
}

/// One turn of one variant.
pub struct Turn<'t> {
    samples: &'t mut Vec<f64>,
    budget: Duration,
    stop: &'t CancelToken,
}

impl Turn<'_> {
    /// Whether the variant has no samples yet.
    pub fn is_first(&self) -> bool {
        self.samples.is_empty()
    }

    /// Adds samples that another program took.
    pub fn add(&mut self, times: impl IntoIterator<Item = Duration>) {
        self.samples.extend(times.into_iter().map(|time| time.as_secs_f64()));
    }

    /// Runs `step`, which returns its time, until the turn is over: at least once.
    pub fn take(&mut self, mut step: impl FnMut() -> Outcome<Duration>) -> Outcome<()> {
        let began = Instant::now();
        for _ in 0..MOST {
            if self.stop.is_cancelled() {
                break;
            }
            let time = step()?;
            self.samples.push(time.as_secs_f64());
            if began.elapsed() > self.budget {
                break;
            }
        }
        Ok(())
    }
}

/// The turn of a pool of this size: pool and data made anew, a first run untimed, the answers of the first and
/// of the last run checked.
pub fn time_pool(workload: &Workload, elements: usize, size: usize, turn: &mut Turn<'_>) -> Outcome<()> {
    let pool = Setup::pool_of(size, Backend::Processes)?;
    time_job(&mut *(workload.prepare)(&pool, elements)?, &pool, Cut::OWN, turn)
}

/// The turn of a job on a pool that is there.
pub fn time_job(job: &mut dyn Job, pool: &Pool, cut: Cut, turn: &mut Turn<'_>) -> Outcome<()> {
    timed(job, pool, cut)?;
    job.check()?;
    turn.take(|| timed(job, pool, cut))?;
    job.check()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(rounds: usize) -> Turns {
        Turns { budget: Duration::ZERO, rounds, stop: CancelToken::new(), shows_progress: false }
    }

    #[test]
    fn every_variant_has_a_sample_in_every_round() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let mut order = Vec::new();
        let taken = turns(3)
            .take(&names, |index, turn| {
                assert_eq!(turn.is_first(), order.len() < 3);
                order.push(index);
                turn.take(|| Ok(Duration::from_millis(index as u64)))
            })
            .unwrap();
        assert_eq!(order, [0, 1, 2, 1, 2, 0, 2, 0, 1]);
        assert_eq!(taken.samples, [vec![0.0; 3], vec![0.001; 3], vec![0.002; 3]]);
        assert!(!taken.is_cut);
    }

    #[test]
    fn what_there_is_stays_when_it_is_interrupted() {
        let turns = turns(5);
        let names = ["a", "b"].map(str::to_owned);
        let mut left = 3;
        let taken = turns.take(&names, |_, turn| {
            turn.take(|| Ok(Duration::from_millis(1)))?;
            left -= 1;
            if left == 0 {
                turns.stop.cancel();
                return Err("killed by the same signal".into());
            }
            Ok(())
        });
        let taken = taken.unwrap();
        assert!(taken.is_cut && turns.is_stopped());
        assert_eq!(taken.samples.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn an_error_names_its_variant() {
        let error = turns(1).take(&["2 workers".to_owned()], |_, _| Err("no".into())).err().unwrap();
        assert_eq!(error.to_string(), "2 workers: no");
    }
}
