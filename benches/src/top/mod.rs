//! `top`: what the workers of a running program do, seen from another terminal.

mod rates;
mod screen;
mod show;

use crate::bench::Inspection;
use crate::harness::{Options, Outcome};
use clap::Args;
use phalanx::observe::{self, ObserveError, Observer, PoolView};
use rates::PoolRates;
use screen::{Key, Screen};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// What the workers of a running program do; without a PID, all running pools of this user and their cores
#[derive(Debug, Args)]
pub struct Top {
    /// The program: its process number
    pid: Option<u32>,

    /// Show one interval, and end
    #[arg(long)]
    once: bool,

    /// Seconds between two updates, over which rates are computed
    #[arg(long, default_value = "1", value_parser = seconds)]
    interval: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    if !(0.05..=3600.0).contains(&seconds) {
        return Err("from 0.05 to 3600 seconds".into());
    }
    Ok(Duration::from_secs_f64(seconds))
}

impl Inspection for Top {
    const NAME: &'static str = "top";

    fn run(&self, _: &Options, json: bool) -> Outcome<usize> {
        match self.pid {
            None => list(json)?,
            Some(pid) => self.watch(pid, json)?,
        }
        Ok(0)
    }
}

/// Prints all pools of this user.
fn list(json: bool) -> Outcome<()> {
    let views: Vec<PoolView> = observe::pools().iter().filter_map(|pool| pool.look().ok()).collect();
    let mut out = std::io::stdout().lock();
    if json {
        for view in &views {
            writeln!(out, "{}", serde_json::to_string(&show::Listing::of(view))?)?;
        }
    } else {
        write!(out, "{}", show::list(&views))?;
    }
    Ok(())
}

impl Top {
    /// Shows a program until it ends, or the user has seen enough.
    fn watch(&self, pid: u32, json: bool) -> Outcome<()> {
        let mut pools: Vec<(Observer, Option<PoolView>)> =
            observe::pools_of(pid)?.into_iter().map(|pool| (pool, None)).collect();
        look(&mut pools)?;
        let is_on_screen = !json && !self.once && std::io::stdout().is_terminal();
        let screen = is_on_screen.then(Screen::open).transpose()?;
        loop {
            match &screen {
                Some(screen) => {
                    if screen.wait(self.interval)? == Some(Key::End) {
                        return Ok(());
                    }
                }
                None => std::thread::sleep(self.interval),
            }
            let rates = match look(&mut pools) {
                Ok(rates) => rates,
                // What it was asked for is over, which is no failure where one has watched until then.
                Err(error @ ObserveError::Ended { .. }) if !self.once => {
                    drop(screen);
                    eprintln!("{error}");
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            let mut out = std::io::stdout().lock();
            if json {
                for rates in &rates {
                    writeln!(out, "{}", serde_json::to_string(rates)?)?;
                }
            } else {
                let text: String = rates.iter().map(show::pool).collect();
                match &screen {
                    Some(screen) => screen.draw(&mut out, &text)?,
                    None => writeln!(out, "{text}")?,
                }
            }
            out.flush()?;
            if self.once {
                return Ok(());
            }
        }
    }
}

/// Looks at each pool, and gives what it did since the last look. Those that have ended are left out from
/// then on; the end of the last one is an error.
fn look(pools: &mut Vec<(Observer, Option<PoolView>)>) -> Result<Vec<PoolRates>, ObserveError> {
    let (mut rates, mut failed) = (Vec::new(), None);
    pools.retain_mut(|(pool, before)| match pool.look() {
        Ok(now) => {
            rates.extend(before.as_ref().map(|before| PoolRates::between(before, &now)));
            *before = Some(now);
            true
        }
        Err(error) => {
            failed = Some(error);
            false
        }
    });
    match failed {
        Some(error) if pools.is_empty() => Err(error),
        _ => Ok(rates),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx::Pool;

    #[test]
    fn a_running_pool_is_shown_with_what_it_did() {
        let pool = Pool::builder().workers(2).name("seen by top").build().unwrap();
        let own = || {
            let pools = observe::pools_of(std::process::id()).unwrap();
            let mut views = pools.iter().filter_map(|pool| pool.look().ok());
            views.find(|view| view.name == "seen by top").unwrap()
        };
        let before = own();
        pool.launch().chunk(1).for_each(0..50, |_| ()).unwrap();
        pool.launch().chunk(1).for_each(0..50, |_| ()).unwrap();
        // Counters of a launch may come after its end.
        let is_counted =
            |view: &PoolView| view.workers.iter().map(|worker| worker.chunks).sum::<u64>() == 100;
        let now = std::iter::repeat_with(own).find(is_counted).unwrap();
        let rates = PoolRates::between(&before, &now);
        let chunks: f64 = rates.workers.iter().map(|worker| worker.chunks_per_s).sum();
        assert!((chunks * rates.seconds - 100.0).abs() < 1e-6 * chunks, "{rates:?}");
        assert!((rates.launches_per_s * rates.seconds - 2.0).abs() < 1e-6, "{rates:?}");
        let text = show::pool(&rates);
        assert!(text.contains("seen by top") && text.contains("2 workers"), "{text}");
        let listed = show::list(&[now]);
        assert!(listed.contains("seen by top"), "{listed}");
        let object = serde_json::to_value(&rates).unwrap();
        assert_eq!(object["workers"][1]["rank"], 1);
        assert_eq!(object["bench"], "top");
    }

    #[test]
    fn intervals_are_positive_and_not_endless() {
        assert_eq!(seconds("0.5").unwrap(), Duration::from_millis(500));
        for bad in ["0", "-1", "nan", "inf", "x", "1e9"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
