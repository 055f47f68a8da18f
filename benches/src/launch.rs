//! Launches, barriers, start and respawn.

use crate::bench::Bench;
use crate::harness::{self, Contender, Outcome, Race, Sampler, Setup};
use crate::launch_observed;
use crate::launch_spread;
use crate::noise::Noise;
use crate::peers::{Peer, forkunion, rayon as rayon_peer, spin};
use crate::report::{Goal, Report, Target};
use crate::sizing::chart;
use clap::Args;
use phalanx::{Backend, Pool, Schedule};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const PROCESSES: &str = "phalanx-processes";
const SEAT: &str = "phalanx-caller-seat";
const THREADS: &str = "phalanx-threads";
const BROADCAST: &str = "rayon-broadcast";

/// How long workers have to fall asleep before we measure anyway.
const SLEEP_LIMIT: Duration = Duration::from_millis(100);
/// How long peers that do not count their sleeps are left idle.
const SLEEP_PAUSE: Duration = Duration::from_millis(5);

/// Stated for two workers on two cores.
const TARGETS: &[Target] = &[
    Target { bench: "launch_empty", variant: PROCESSES, goal: Goal::BelowPeer(0.5, BROADCAST) },
    Target { bench: "launch_empty", variant: SEAT, goal: Goal::BelowPeer(1.0, "forkunion") },
    Target { bench: "launch_after_sleep", variant: PROCESSES, goal: Goal::Below(60_000.0) },
    Target { bench: "phase_barrier", variant: PROCESSES, goal: Goal::Below(300.0) },
    Target { bench: "phase_step", variant: PROCESSES, goal: Goal::Below(300.0) },
    Target { bench: "pool_start", variant: PROCESSES, goal: Goal::Below(10e6) },
    Target { bench: "respawn", variant: PROCESSES, goal: Goal::Below(10e6) },
];

const RACES: &[Race<Launch>] = &[
    ("launch_empty", launch_empty),
    ("launch_chunks", launch_chunks),
    ("launch_after_sleep", launch_after_sleep),
    ("phase_barrier", phase_barrier),
    ("phase_step", phase_step),
    ("pool_start", pool_start),
    ("pool_drop", pool_drop),
    ("respawn", respawn),
];

/// Launches, barriers, start and respawn.
#[derive(Debug, Args)]
pub struct Launch {
    /// Runtimes to compare with
    #[arg(long, value_name = "PEERS", value_delimiter = ',', default_value = "rayon,forkunion")]
    vs: Vec<Peer>,

    #[arg(long, value_name = "BENCHES", value_delimiter = ',', help = harness::only_these(RACES))]
    only: Vec<String>,

    /// Barriers or phases per region of phase_barrier and phase_step
    #[arg(long, value_name = "N", default_value = "100000", value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,

    /// Measure phase_noise too, with this many busy processes [default: one per worker]
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "0")]
    noise: Option<u32>,

    /// Also show how the cost of empty launches is distributed, and how it grows with the workers
    #[arg(long)]
    spread: bool,

    /// Also measure what it costs to be looked at, by top or with figures of each launch
    #[arg(long)]
    observed: bool,

    /// Also draw the spread into this file
    #[arg(long, value_name = "FILE.svg", requires = "spread")]
    svg: Option<PathBuf>,
}

impl Bench for Launch {
    const NAME: &'static str = "launch";

    fn measures() -> Vec<&'static str> {
        let mut names = harness::names(RACES);
        names.extend([launch_spread::BENCH, launch_observed::BENCH]);
        names
    }

    fn run(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        chart::check(self.svg.as_deref())?;
        harness::run(RACES, &self.only, setup, self, TARGETS, report)?;
        if self.spread {
            launch_spread::run(setup, self.svg.as_deref(), report)?;
        }
        if self.observed {
            launch_observed::run(setup, report)?;
        }
        match self.noise {
            Some(hogs) => Noise::beside(hogs).run(setup, report),
            None => Ok(()),
        }
    }
}

impl Launch {
    fn has(&self, peer: Peer) -> bool {
        self.vs.contains(&peer)
    }
}

/// Our three variants, each with a pool of its own in each turn.
fn ours<'a>(
    setup: &'a Setup,
    body: impl Fn(&mut Sampler, &Pool) -> Outcome<()> + Copy + 'a,
) -> Vec<Contender<'a>> {
    let seated = move |sampler: &mut Sampler| {
        let pool = setup.pool(Backend::Processes)?;
        let _seat = pool.join_here()?;
        body(sampler, &pool)
    };
    vec![
        Contender::new(PROCESSES, move |sampler| body(sampler, &setup.pool(Backend::Processes)?)),
        Contender::new(SEAT, seated),
        Contender::new(THREADS, move |sampler| body(sampler, &setup.pool(Backend::Threads)?)),
    ]
}

/// One empty launch in which every member takes part.
fn launch(pool: &Pool) -> Outcome<()> {
    Ok(pool.broadcast((), |_rank, ()| ())?)
}

/// An empty body on every member, while all are awake.
fn launch_empty<'a>(setup: &'a Setup, options: &Launch) -> Outcome<Vec<Contender<'a>>> {
    let mut all = ours(setup, |sampler, pool| sampler.chain(|| launch(pool)));
    if options.has(Peer::Rayon) {
        all.push(Contender::new(BROADCAST, |sampler| {
            let team = rayon_peer::team(&setup.places)?;
            sampler.chain(|| {
                team.broadcast(|_| ());
                Ok(())
            })
        }));
    }
    if options.has(Peer::ForkUnion) {
        all.push(Contender::new("forkunion", |sampler| {
            let (mut team, _unpin) = forkunion::team(&setup.places)?;
            sampler.chain(|| {
                team.for_threads(|_, _| {}).join();
                Ok(())
            })
        }));
    }
    Ok(all)
}

/// As many empty chunks as members, one claim each.
fn launch_chunks<'a>(setup: &'a Setup, options: &Launch) -> Outcome<Vec<Contender<'a>>> {
    let workers = setup.workers();
    let mut all = ours(setup, move |sampler, pool| {
        let launch = pool.launch().chunk(1).schedule(Schedule::Static);
        sampler.chain(|| Ok(launch.for_each(0..workers, |_| {})?))
    });
    if options.has(Peer::Rayon) {
        all.push(Contender::new("rayon", move |sampler| {
            let team = rayon_peer::team(&setup.places)?;
            sampler.chain(|| {
                team.install(|| (0..workers).into_par_iter().for_each(|_| {}));
                Ok(())
            })
        }));
    }
    if options.has(Peer::ForkUnion) {
        all.push(Contender::new("forkunion", move |sampler| {
            let (mut team, _unpin) = forkunion::team(&setup.places)?;
            sampler.chain(|| {
                drop(team.for_n(workers, |_| {}));
                Ok(())
            })
        }));
    }
    Ok(all)
}

/// An empty launch after every worker has gone to sleep. ForkUnion's threads never sleep on their own.
fn launch_after_sleep<'a>(setup: &'a Setup, options: &Launch) -> Outcome<Vec<Contender<'a>>> {
    let mut all = ours(setup, |sampler, pool| {
        launch(pool)?;
        let mut before = sleeps(pool).iter().map(|_| 0).collect::<Vec<u64>>();
        sampler.each(
            || {
                let began = Instant::now();
                while began.elapsed() < SLEEP_LIMIT {
                    std::thread::sleep(Duration::from_millis(1));
                    let now = sleeps(pool);
                    // Under a seat, worker 0 stays asleep throughout and counts no more sleeps.
                    if now.iter().zip(&before).skip(1).all(|(now, before)| now > before) {
                        break;
                    }
                }
                before = sleeps(pool);
                Ok(())
            },
            |()| launch(pool),
        )
    });
    if options.has(Peer::Rayon) {
        all.push(Contender::new(BROADCAST, |sampler| {
            let team = rayon_peer::team(&setup.places)?;
            team.broadcast(|_| ());
            let pause = || {
                std::thread::sleep(SLEEP_PAUSE);
                Ok(())
            };
            sampler.each(pause, |()| {
                team.broadcast(|_| ());
                Ok(())
            })
        }));
    }
    Ok(all)
}

fn sleeps(pool: &Pool) -> Vec<u64> {
    pool.stats().workers.iter().map(|worker| worker.sleeps).collect()
}

/// One barrier of a region, out of many in a row.
fn phase_barrier<'a>(setup: &'a Setup, options: &Launch) -> Outcome<Vec<Contender<'a>>> {
    let steps = options.steps;
    let mut all = ours(setup, move |sampler, pool| {
        sampler.parts(steps, || {
            Ok(pool.region(steps, |team, steps| {
                for _ in 0..steps {
                    team.barrier()?;
                }
                Ok(())
            })?)
        })
    });
    all.push(spinning(setup, steps));
    Ok(all)
}

/// One phase of a region with an array to write, out of many in a row.
fn phase_step<'a>(setup: &'a Setup, options: &Launch) -> Outcome<Vec<Contender<'a>>> {
    let (steps, workers) = (options.steps, setup.workers());
    let mut all = ours(setup, move |sampler, pool| {
        // 64 elements a rank, of which it writes one, so that no line is shared.
        let mut counts = pool.zeros::<u64>(64 * workers)?;
        let mut regions = 0;
        sampler.parts(steps, || {
            regions += 1;
            Ok(pool.region((&mut counts, steps), |team, (mut counts, steps)| {
                for _ in 0..steps {
                    team.phase(counts.split_mut(), |own| own[0] += 1)?;
                }
                Ok(())
            })?)
        })?;
        let right = (0..workers).all(|rank| counts.as_slice()[64 * rank] == regions * steps);
        if right { Ok(()) } else { Err("phases were lost: the counts are wrong".into()) }
    });
    all.push(spinning(setup, steps));
    Ok(all)
}

/// The bare spinning barrier of threads: what a barrier costs that knows nothing of sleep, death or
/// disagreement.
fn spinning(setup: &Setup, steps: u64) -> Contender<'_> {
    Contender::new("spin-threads", move |sampler| {
        let began = Instant::now();
        while began.elapsed() < sampler.budget {
            let (made, time) = spin::steps(&setup.places, steps, Duration::from_secs(20), |_| {}, 0);
            sampler.samples.push(time.as_nanos() as f64 / made.max(1) as f64);
        }
        Ok(())
    })
}

/// Until all workers are ready.
fn pool_start<'a>(setup: &'a Setup, options: &Launch) -> Outcome<Vec<Contender<'a>>> {
    let mut all = vec![
        Contender::new(PROCESSES, |sampler| sampler.makes(|| setup.pool(Backend::Processes))),
        Contender::new(THREADS, |sampler| sampler.makes(|| setup.pool(Backend::Threads))),
    ];
    if options.has(Peer::Rayon) {
        let make = || {
            let team = rayon_peer::team(&setup.places)?;
            team.broadcast(|_| ());
            Ok(team)
        };
        all.push(Contender::new("rayon", move |sampler| sampler.makes(make)));
    }
    if options.has(Peer::ForkUnion) {
        all.push(Contender::new("forkunion", |sampler| sampler.makes(|| forkunion::start(setup.workers()))));
    }
    Ok(all)
}

/// Until all workers are gone. Rayon's threads end after its `drop` has returned, so it takes no part.
fn pool_drop<'a>(setup: &'a Setup, _options: &Launch) -> Outcome<Vec<Contender<'a>>> {
    let variant = |variant, backend| {
        Contender::new(variant, move |sampler: &mut Sampler| {
            sampler.each(
                || setup.pool(backend),
                |pool| {
                    drop(pool);
                    Ok(())
                },
            )
        })
    };
    Ok(vec![variant(PROCESSES, Backend::Processes), variant(THREADS, Backend::Threads)])
}

/// From the kill of one worker until a launch has run on the whole team again.
fn respawn<'a>(setup: &'a Setup, _options: &Launch) -> Outcome<Vec<Contender<'a>>> {
    Ok(vec![Contender::new(PROCESSES, |sampler| {
        let pool = setup.pool(Backend::Processes)?;
        let mut rank = 0;
        sampler.each(
            || {
                launch(&pool)?;
                rank = (rank + 1) % setup.workers();
                Ok((rank, pool.worker_pids()[rank]))
            },
            |(rank, pid)| {
                let victim = Pid::from_raw(pid as i32).ok_or("the pool names no pid for a worker")?;
                kill_process(victim, Signal::KILL)?;
                // The first launches may fail with the death, or run before it is noticed.
                for _ in 0..1000 {
                    let launched = launch(&pool).is_ok();
                    if launched && !matches!(pool.worker_pids()[rank], now if now == pid || now == 0) {
                        return Ok(());
                    }
                }
                Err(format!("worker {rank} was not replaced after 1000 launches").into())
            },
        )
    })])
}
