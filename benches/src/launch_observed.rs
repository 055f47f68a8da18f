//! What it costs to be looked at: empty launches and triads while `top` looks on, and with figures of each launch.

use crate::harness::{Outcome, Setup};
use crate::report::{Record, Report};
use crate::sizing::bootstrap::{Bootstrap, Interval};
use crate::sizing::foreign::{self, Foreign};
use crate::sizing::line::{Line, seconds};
use crate::sizing::turns::{Taken, Turn, Turns};
use phalanx::{Pool, SharedArray};
use phalanx_kernels::stream;
use serde_json::json;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The name of its records.
pub const BENCH: &str = "launch_observed";
/// Looks of `top` are so far apart here: twenty times as many as it takes by default, to have some in each turn.
const INTERVAL: &str = "0.05";
/// Empty launches of a sample.
const LAUNCHES: u32 = 1000;
/// Elements of each array of a triad: 16 MiB.
const LEN: usize = 2 << 20;

/// What is launched, and the most that being looked at may cost.
const WORK: [(&str, f64); 2] = [("an empty launch", 0.03), ("a triad", 0.01)];
/// How it is looked at.
const WAYS: [&str; 3] = ["by nobody", "by top, 20 times a second", "with stats(true)"];

/// Measures all ways in turns, and says what each costs.
pub fn run(setup: &Setup, report: &Report) -> Outcome<()> {
    let (foreign, turns) = (Foreign::watch(), Turns::over(setup.budget, setup.rounds, report)?);
    let variants: Vec<String> =
        WORK.iter().flat_map(|(work, _)| WAYS.map(|way| format!("{work}, looked at {way}"))).collect();
    let Taken { samples, is_cut } = turns.take(&variants, |at, turn| match at / WAYS.len() {
        0 => time(setup, at, turn, empty),
        _ => time(setup, at - WAYS.len(), turn, triad),
    })?;
    let medians = Bootstrap { samples: &samples, resamples: 500, seed: 1 }.medians();
    if report.is_json() {
        for ((variant, samples), median) in variants.iter().zip(&samples).zip(medians) {
            let record = Record::of(BENCH, variant, setup.workers(), samples.clone(), "s");
            report.object(&Line::of(record, json!({"interval_s": INTERVAL}), median));
        }
        report.object(&foreign::json(BENCH, foreign.shares()));
    } else {
        let each = samples.chunks(WAYS.len()).zip(medians.chunks(WAYS.len()));
        for ((work, most), (samples, medians)) in WORK.iter().zip(each) {
            print!("{}", text(work, *most, samples, medians));
        }
    }
    report.remark(&foreign::text(foreign.shares()));
    if is_cut {
        return Err("interrupted: the figures above are of the turns until then".into());
    }
    Ok(())
}

/// The turn of one way to be looked at.
fn time(
    setup: &Setup,
    way: usize,
    turn: &mut Turn<'_>,
    work: impl FnOnce(&Pool, &mut Turn<'_>) -> Outcome<()>,
) -> Outcome<()> {
    let pool = Pool::builder().workers(setup.workers()).stats(way == 2).build()?;
    let _observer = (way == 1).then(Observer::start).transpose()?;
    work(&pool, turn)
}

fn empty(pool: &Pool, turn: &mut Turn<'_>) -> Outcome<()> {
    let launches = || -> Outcome<Duration> {
        let began = Instant::now();
        for _ in 0..LAUNCHES {
            pool.broadcast((), |_rank, ()| ())?;
        }
        Ok(began.elapsed() / LAUNCHES)
    };
    launches()?;
    turn.take(launches)
}

fn triad(pool: &Pool, turn: &mut Turn<'_>) -> Outcome<()> {
    let (x, y) = (pool.from_fn(LEN, |i| i as f64)?, pool.from_fn(LEN, |_| 1.0)?);
    let mut out: SharedArray<f64> = pool.zeros(LEN)?;
    let mut step = || -> Outcome<Duration> {
        let began = Instant::now();
        stream::triad(pool, &mut out, &x, 2.0, &y)?;
        Ok(began.elapsed())
    };
    step()?;
    turn.take(step)?;
    match out.as_slice().iter().zip(0..).all(|(got, i)| *got == f64::from(i) + 2.0) {
        true => Ok(()),
        false => Err("a wrong triad".into()),
    }
}

/// `top`, looking at this program until it is dropped.
struct Observer(Child);

impl Observer {
    fn start() -> Outcome<Observer> {
        let pid = std::process::id().to_string();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["top", &pid, "--json", "--interval", INTERVAL]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut observer = Observer(child);
        let mut first = String::new();
        if let Some(told) = observer.0.stdout.as_mut() {
            // What it tells later fits the pipe.
            BufReader::new(told).read_line(&mut first)?;
        }
        match first.is_empty() {
            true => Err("top cannot look at this program".into()),
            false => Ok(observer),
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// What one kind of work takes, and what looking costs it.
fn text(work: &str, most: f64, samples: &[Vec<f64>], medians: &[Interval]) -> String {
    let mut text = format!("\n{work}, looked at\n");
    for (at, (way, median)) in WAYS.iter().zip(medians).enumerate() {
        let _ = write!(text, "  {way:<26}{:>10}", seconds(median.value));
        let two = [samples[0].clone(), samples[at].clone()];
        let cost = Bootstrap { samples: &two, resamples: 500, seed: 1 };
        if let Some([cost]) = cost.of(|own| Some([own[1] / own[0] - 1.0])).filter(|_| at > 0) {
            let _ = write!(text, "   {}", verdict(&cost, most));
        }
        text.push('\n');
    }
    text
}

fn verdict(cost: &Interval, most: f64) -> String {
    let [value, low, high] = [cost.value, cost.low, cost.high].map(|share| share * 100.0);
    let said = match cost {
        cost if cost.high < most => "yes",
        cost if cost.low > most => "NO",
        _ => "cannot be told",
    };
    format!("{value:+.1} % ({low:+.1} to {high:+.1} %); below {:.0} %: {said}", most * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_judged_by_its_whole_interval() {
        let of = |low: f64, high: f64| verdict(&Interval { value: (low + high) / 2.0, low, high }, 0.03);
        assert_eq!(of(0.0, 0.02), "+1.0 % (+0.0 to +2.0 %); below 3 %: yes");
        assert!(of(0.0, 0.04).ends_with("cannot be told") && of(0.031, 0.04).ends_with("NO"));
        let samples = [vec![1e-6; 9], vec![1.01e-6; 9], vec![1.1e-6; 9]];
        let medians = Bootstrap { samples: &samples, resamples: 20, seed: 1 }.medians();
        let told = text("an empty launch", 0.03, &samples, &medians);
        assert!(
            told.contains("+1.0 %")
                && told.contains("yes")
                && told.contains("+10.0 %")
                && told.contains("NO")
        );
    }
}
