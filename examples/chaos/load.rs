//! The calls, each with the sequential model that its result is compared with.

use crate::tally::Tally;
use crate::trouble::{Kind, Trouble};
use crate::watchdog::Watchdog;
use crate::{objects, tasks};
use common::Dice;
use phalanx::{Backend, CancelToken, Edge, Launch, LaunchError, Pool, Schedule, SharedArray};
use std::time::Duration;

type Array<T> = SharedArray<T, ndarray::Ix1>;

/// Elements of the arrays: enough for some 60 chunks.
const N: usize = 50_000;
const CHUNK: usize = 800;
/// Sweeps of a region.
const SWEEPS: usize = 12;

/// Arrays kept through the whole run, and the right answers.
pub struct Load {
    x: Array<f64>,
    y: Array<f64>,
    sum: f64,
    scan: Vec<f64>,
    smooth: Vec<f64>,
}

fn value(i: usize) -> f64 {
    1.0 / (i as f64 + 1.0)
}

/// A call: its name in messages, and how it is made.
type Call = (&'static str, fn(&mut Load, &Pool, &mut Dice, &mut Tally) -> Result<(), Trouble>);

const CALLS: [Call; 10] = [
    ("for_each with retry", Load::repeatable),
    ("for_each in place", Load::in_place),
    ("reduce", Load::reduce),
    ("reduce with retry", Load::reduce_with_retry),
    ("scan", Load::scan),
    ("region", Load::region),
    ("a new array", Load::new_array),
    ("an endless kernel", Load::endless),
    ("a cancelled kernel", Load::cancelled),
    ("a panicking kernel", Load::panicking),
];

impl Load {
    pub fn new() -> Result<Load, phalanx::Error> {
        let x = SharedArray::from_fn(N, value)?;
        let calm = Pool::builder().backend(Backend::Inline).build()?;
        let sum =
            calm.launch().chunk(CHUNK).reduce(x.split(), 0.0, |x| x.iter().sum::<f64>(), |a, b| a + b)?;
        let mut scanned = SharedArray::zeros(N)?;
        calm.launch().chunk(CHUNK).scan(scanned.split_out(), x.split(), 0.0, |a, b| a + b)?;
        let mut smooth = x.to_vec();
        for _ in 0..SWEEPS {
            let at = |i: isize| smooth[i.clamp(0, N as isize - 1) as usize];
            smooth = (0..N as isize).map(|i| (at(i - 1) + at(i) + at(i + 1)) / 3.0).collect();
        }
        Ok(Load { y: SharedArray::zeros(N)?, sum, scan: scanned.to_vec(), smooth, x })
    }

    /// Makes one call. Returns whether the pool can go on.
    pub fn step(&mut self, pool: &Pool, dice: &mut Dice, tally: &mut Tally, dog: &Watchdog) -> bool {
        let others = tasks::CALLS.iter().chain(&objects::CALLS);
        let which = dice.below((CALLS.len() + others.clone().count()) as u64) as usize;
        let further = |pool: &Pool| pool.stats().rounds.saturating_sub(pool.stats().launches);
        let before = further(pool);
        let (name, outcome) = match (CALLS.get(which), others.clone().nth(which.saturating_sub(CALLS.len())))
        {
            (Some((name, call)), _) => (name, dog.watched(name, || call(self, pool, dice, tally))),
            (None, Some((name, call))) => (name, dog.watched(name, || call(pool, dice, tally))),
            (None, None) => return true,
        };
        tally.calls += 1;
        match outcome {
            Ok(()) => tally.retried += u64::from(further(pool) > before),
            Err(trouble) => {
                tally.error(name, &trouble);
                return trouble.kind != Kind::PoolBroken;
            }
        }
        true
    }

    /// A call after the last kill. The pool may still be replacing workers.
    pub fn calm(&mut self, pool: &Pool, tally: &mut Tally) {
        let outcome = self.reduce(pool, &mut Dice::new(0), tally).or_else(|_| {
            // A worker that was killed just now may die in the first.
            self.reduce(pool, &mut Dice::new(0), tally)
        });
        if let Err(trouble) = outcome {
            tally.wrong("a last call", &trouble.text);
        }
    }

    fn launch<'p>(pool: &'p Pool, dice: &mut Dice) -> Launch<'p> {
        let schedules = [Schedule::Static, Schedule::Dynamic(2), Schedule::Guided, Schedule::Stealing];
        pool.launch().chunk(CHUNK).schedule(schedules[dice.below(4) as usize])
    }

    fn repeatable(&mut self, pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
        let factor = dice.below(1000) as f64;
        let launch = Load::launch(pool, dice).retry(8);
        launch.for_each((self.y.split_out(), self.x.split(), factor), |(y, x, a)| {
            for (y, x) in y.iter_mut().zip(x) {
                *y = a * x
            }
        })?;
        if (0..N).any(|i| self.y.as_slice()[i] != factor * value(i)) {
            tally.wrong("for_each with retry", "an element is wrong");
        }
        Ok(())
    }

    /// Without a retry every chunk is run at most once, and the error names those that are not right.
    fn in_place(&mut self, pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
        self.y.fill(1.0);
        let outcome = Load::launch(pool, dice).for_each((self.y.split_mut(), self.x.split()), |(y, x)| {
            for (y, x) in y.iter_mut().zip(x) {
                *y += x
            }
        });
        let lost: Vec<_> = match &outcome {
            Ok(()) => Vec::new(),
            Err(LaunchError::WorkerDied { lost, .. }) => lost.iter().map(|span| span.range()).collect(),
            Err(_) => return Ok(outcome?),
        };
        let is_lost = |i: usize| lost.iter().any(|span| span.contains(&i));
        if (0..N).any(|i| self.y.as_slice()[i] != 1.0 + value(i) && !is_lost(i)) {
            tally.wrong("for_each in place", "an element outside the lost chunks is wrong");
        }
        Ok(outcome?)
    }

    fn check_sum(&self, sum: f64, call: &'static str, tally: &mut Tally) {
        if sum.to_bits() != self.sum.to_bits() {
            tally.wrong(call, &format!("{sum} instead of {}", self.sum));
        }
    }

    fn reduce(&mut self, pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
        let launch = Load::launch(pool, dice);
        let sum = launch.reduce(self.x.split(), 0.0, |x| x.iter().sum::<f64>(), |a, b| a + b)?;
        self.check_sum(sum, "reduce", tally);
        Ok(())
    }

    fn reduce_with_retry(&mut self, pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
        let launch = Load::launch(pool, dice).retry(8);
        let sum = launch.reduce(
            self.x.split(),
            0.0,
            // Long enough for a kill in the middle.
            |x| (0..20).map(|_| std::hint::black_box(x).iter().sum::<f64>()).fold(0.0, |_, sum| sum),
            |a, b| a + b,
        )?;
        self.check_sum(sum, "reduce with retry", tally);
        Ok(())
    }

    fn scan(&mut self, pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
        let launch = Load::launch(pool, dice).retry(8);
        launch.scan(self.y.split_out(), self.x.split(), 0.0, |a, b| a + b)?;
        if self.y.as_slice() != self.scan {
            tally.wrong("scan", "an element is wrong");
        }
        Ok(())
    }

    fn region(&mut self, pool: &Pool, _: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
        let mut u = self.x.to_vec();
        let mut scratch = SharedArray::from_slice(&u)?;
        let ranks = pool.region((&mut scratch, &mut self.y), |team, (mut u, mut v)| {
            for _ in 0..SWEEPS {
                team.for_each((v.split_mut(), u.halo(1, Edge::Clamp)), |(v, u)| {
                    for (i, v) in v.iter_mut().enumerate() {
                        *v = (u[i] + u[i + 1] + u[i + 2]) / 3.0;
                    }
                })?;
                std::mem::swap(&mut u, &mut v);
            }
            team.all_reduce(1_u64, |a, b| a + b)
        })?;
        u.copy_from_slice(scratch.as_slice());
        if u != self.smooth || ranks as usize != pool.workers() {
            tally.wrong("region", "an element is wrong");
        }
        Ok(())
    }

    fn new_array(&mut self, pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
        let len = 1 << (14 + dice.below(5));
        let mut fresh = Array::<u64>::zeros(len)?;
        Load::launch(pool, dice).for_each((fresh.split_mut(), 0..len), |(fresh, i)| {
            for (fresh, i) in fresh.iter_mut().zip(i) {
                *fresh += i as u64
            }
        })?;
        if fresh.as_slice().iter().enumerate().any(|(i, fresh)| *fresh != i as u64) {
            tally.wrong("a new array", "an element is wrong");
        }
        Ok(())
    }

    fn endless(&mut self, pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
        let limit = Duration::from_micros(dice.below(8000));
        let launch = pool.launch().timeout(limit).grace(Duration::from_millis(dice.below(3))).chunk(1);
        let outcome = launch.for_each(0..8, |i| {
            while i.start == 3 || (i.start == 4 && !phalanx::is_cancelled()) {
                std::hint::spin_loop();
            }
        });
        match outcome {
            Err(LaunchError::TimedOut { .. }) => tally.expected(Kind::TimedOut),
            Err(error) => return Err(error.into()),
            Ok(()) => tally.wrong("an endless kernel", "it ended"),
        }
        Ok(())
    }

    fn cancelled(&mut self, pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
        let (token, wait) = (CancelToken::new(), Duration::from_micros(dice.below(4000)));
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(wait);
                token.cancel();
            });
            let launch = pool.launch().cancel(&token).chunk(1);
            launch.for_each(0..8, |_| while !phalanx::is_cancelled() {})
        });
        match outcome {
            Err(LaunchError::Cancelled { .. }) => tally.expected(Kind::Cancelled),
            Err(error) => return Err(error.into()),
            Ok(()) => tally.wrong("a cancelled kernel", "it ended"),
        }
        Ok(())
    }

    fn panicking(&mut self, pool: &Pool, dice: &mut Dice, tally: &mut Tally) -> Result<(), Trouble> {
        match Load::launch(pool, dice).for_each(self.x.split(), |x| assert!(x[0] < 0.5, "too large")) {
            Err(LaunchError::Panicked { .. }) => tally.expected(Kind::Panicked),
            Err(error) => return Err(error.into()),
            Ok(()) => tally.wrong("a panicking kernel", "it succeeded"),
        }
        Ok(())
    }
}
