//! Arrays over a cluster: ghost rows are what an array of one machine would show, on any number of drivers;
//! they are never stale.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod cluster_plays;
mod common;

use cluster_plays::{INTERFACES, PART, bracketed, play_all, text, wheels};
use ndarray::{Array2, ArrayView2, Ix2};
use phalanx::cluster::{self, Cluster, ClusterArray, ClusterError};
use phalanx::{Backend, Edge, LaunchError, Pool, Schedule};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The part of a driver, played under a launcher. Run by hand it is no test.
#[test]
fn driver() {
    let Ok(part) = std::env::var(PART) else { return };
    if let Err(error) = cluster::run(|cluster| play(&part, cluster)) {
        println!("ended: {error}");
        std::process::exit(3);
    }
}

fn play(part: &str, cluster: &Cluster) -> Outcome<()> {
    // Another number of workers on each driver.
    let pool = cluster.pool_builder().workers(1 + cluster.me() % 2).backend(Backend::Processes).build()?;
    let last = cluster.me() + 1 == cluster.size();
    match part {
        "halos" => println!("[{}]", halos(cluster, &pool)?),
        "heat" => println!("[{}]", heat(cluster, &pool)?),
        "region" => println!("[{}]", in_region(cluster, &pool)?),
        "killed" => println!("[{}]", region_with_a_death(cluster, &pool)?),
        "wide" => println!("[{}]", too_wide(cluster, &pool)?),
        "disagree" => {
            let mut u = cluster.zeros::<f64, _>(&pool, (100, 50), 1)?;
            if last {
                cluster.barrier()?;
            } else {
                cluster.exchange(&mut u, Edge::Clamp)?;
            }
        }
        "shapes" => {
            let columns = if last { 60 } else { 50 };
            let mut u = cluster.zeros::<f64, _>(&pool, (100, columns), 1)?;
            cluster.exchange(&mut u, Edge::Clamp)?;
        }
        "stop" => {
            let mut u = cluster.zeros::<f64, _>(&pool, 1000, 1)?;
            cluster.exchange(&mut u, Edge::Clamp)?;
            if last {
                common::send(std::process::id(), rustix::process::Signal::STOP);
                loop {
                    std::thread::park();
                }
            }
            cluster.exchange(&mut u, Edge::Clamp)?;
        }
        "panic" => {
            let mut u = cluster.zeros::<f64, _>(&pool, 1000, 1)?;
            cluster.exchange_while(&mut u, Edge::Clamp, |_| assert!(!last, "out of ink"))?;
            cluster.barrier()?;
        }
        _ => return Err(format!("there is no part {part}").into()),
    }
    Ok(())
}

fn value(i: usize, j: usize) -> f64 {
    ((i * 31 + j * 7) as f64).sin()
}

/// Lengths with fewer rows than drivers, and around those at which leaves grow.
const LENGTHS: [usize; 7] = [0, 1, 2, 3, 5, 64, 4097];

/// Checks what kernels see of arrays of all lengths, with all edges. Returns a line that is the same everywhere.
fn halos(cluster: &Cluster, pool: &Pool) -> Outcome<String> {
    let mut seen = 0;
    for len in LENGTHS {
        for edge in [Edge::Shrink, Edge::Clamp, Edge::Wrap, Edge::Fill(7.5)] {
            for width in [1, 2, 3] {
                let Ok(mut u) = cluster.from_fn(pool, (len, 3), width, |(i, j)| value(i, j)) else {
                    continue;
                };
                let mut v = cluster.full(pool, len, width, 0.5)?;
                cluster.exchange((&mut u,), edge)?;
                cluster.exchange(&mut v, edge)?;
                let whole = Array2::from_shape_fn((len, 3), |(i, j)| value(i, j));
                for k in 0..=width {
                    seen += check_halo(pool, &u, u.my_rows(), &whole, (k, edge))?;
                    for rows in u.outer_rows(k).into_iter().chain([u.inner_rows(k)]) {
                        check_halo(pool, &u, rows, &whole, (k, edge))?;
                    }
                }
                let sum: f64 = pool.reduce(v.halo(width), 0.0, |v| v.iter().sum(), |a, b| a + b)?;
                assert!(sum >= 0.5 * v.my_rows().len() as f64);
            }
        }
    }
    Ok(format!("{}", cluster.all_reduce(&seen, |a, b| a + b)?))
}

/// What an array of one machine shows around these rows.
fn around(whole: &Array2<f64>, rows: Range<usize>, (k, edge): (usize, Edge<f64>)) -> Vec<f64> {
    let have = whole.nrows() as isize;
    let beyond = rows.start as isize - k as isize..(rows.end + k) as isize;
    let row = |i: isize| -> Vec<f64> {
        if (0..have).contains(&i) {
            return whole.row(i as usize).to_vec();
        }
        match edge {
            Edge::Shrink => vec![],
            Edge::Clamp => whole.row(i.clamp(0, have - 1) as usize).to_vec(),
            Edge::Wrap => whole.row(i.rem_euclid(have) as usize).to_vec(),
            Edge::Fill(value) => vec![value; whole.ncols()],
        }
    };
    beyond.flat_map(row).collect()
}

/// Compares what kernels see of each row with what they should. Returns how many rows were seen.
fn check_halo(
    pool: &Pool,
    u: &ClusterArray<f64, Ix2>,
    rows: Range<usize>,
    whole: &Array2<f64>,
    (k, edge): (usize, Edge<f64>),
) -> Outcome<usize> {
    type Seen = Vec<(Range<usize>, Vec<f64>)>;
    let chunk = rows.len().div_ceil(5).max(1);
    let found: Seen = pool.launch().chunk(chunk).fold(
        (rows.clone(), u.halo_range(rows, k)),
        Vec::new,
        |seen, (at, u)| seen.push((at, u.iter().copied().collect())),
        |all, more| all.extend(more),
    )?;
    for (at, found) in &found {
        assert_eq!(
            *found,
            around(whole, at.clone(), (k, edge)),
            "rows {at:?} of {}, {k}, {edge:?}",
            whole.nrows()
        );
    }
    Ok(found.iter().map(|(at, _)| at.len()).sum())
}

const SIDE: usize = 61;

fn sweep((mut next, now, rows): (ndarray::ArrayViewMut2<'_, f64>, ArrayView2<'_, f64>, Range<usize>)) {
    for (n, (i, mut next)) in rows.zip(next.rows_mut()).enumerate() {
        for j in 0..SIDE {
            let at = |i: usize, j: usize| now[[i, j.min(SIDE - 1)]];
            let around = at(n, j) + at(n + 2, j) + at(n + 1, j.saturating_sub(1)) + at(n + 1, j + 1);
            next[j] = at(n + 1, j) + 0.1 * (around - 4.0 * at(n + 1, j)) + i as f64 * 1e-9;
        }
    }
}

/// Steps of the heat equation, every other one with rows under way. Returns a digest of all rows.
fn heat(cluster: &Cluster, pool: &Pool) -> Outcome<String> {
    let mut now = cluster.from_fn(pool, (SIDE, SIDE), 1, |(i, j)| value(i, j))?;
    let mut next = cluster.zeros::<f64, _>(pool, (SIDE, SIDE), 1)?;
    for step in 0..20 {
        let rows = now.my_rows();
        if step % 2 == 0 {
            cluster.exchange((&mut now, &mut next), Edge::Clamp)?;
            pool.launch()
                .schedule(Schedule::Static)
                .for_each((next.split_out(), now.halo(1), rows), sweep)?;
        } else {
            let (inner, outer) = (now.inner_rows(1), now.outer_rows(1));
            cluster.exchange_while(&mut now, Edge::Clamp, |now| {
                let next = next.range_mut(inner.clone()).split_out();
                pool.for_each((next, now.halo_range(inner.clone(), 1), inner), sweep)
            })??;
            for outer in outer {
                let next = next.range_mut(outer.clone()).split_out();
                pool.for_each((next, now.halo_range(outer.clone(), 1), outer), sweep)?;
            }
        }
        std::mem::swap(&mut now, &mut next);
    }
    digest(cluster, &now)
}

/// The same steps, all in one region.
fn in_region(cluster: &Cluster, pool: &Pool) -> Outcome<String> {
    let mut now = cluster.from_fn(pool, (SIDE, SIDE), 1, |(i, j)| value(i, j))?;
    let mut next = cluster.zeros::<f64, _>(pool, (SIDE, SIDE), 1)?;
    let all = cluster.region(pool, (&mut now, &mut next, 20), |team, (mut now, mut next, steps)| {
        for step in 0..steps {
            if step % 2 == 0 {
                team.exchange((&mut now, &mut next), Edge::Clamp)?;
            } else {
                team.exchange(&mut now, Edge::Clamp)?;
            }
            let rows = now.my_rows();
            team.phase((next.split_mut(), now.halo(1), rows), sweep)?;
            std::mem::swap(&mut now, &mut next);
        }
        team.all_reduce(1u64, |a, b| a + b)
    })?;
    assert_eq!(all as usize, pool.workers());
    // What the region may have written is stale.
    assert!(pool.for_each(now.halo(1), |_| {}).is_err());
    digest(cluster, &now)
}

/// A digest of all rows.
fn digest(cluster: &Cluster, array: &ClusterArray<f64, Ix2>) -> Outcome<String> {
    let rows: Vec<u64> = array.view().iter().map(|cell| cell.to_bits()).collect();
    let all: Vec<u64> = cluster.all_gather(&rows)?.concat();
    assert_eq!(all.len(), SIDE * SIDE);
    let mut hasher = DefaultHasher::new();
    all.hash(&mut hasher);
    Ok(format!("{:x}", hasher.finish()))
}

/// A worker of one driver dies in a region between exchanges, which is that driver's error.
fn region_with_a_death(cluster: &Cluster, pool: &Pool) -> Outcome<String> {
    let mut u = cluster.zeros::<f64, _>(pool, 100, 1)?;
    let dies = cluster.me() + 1 == cluster.size();
    let died = cluster.region(pool, (&mut u, dies), |team, (mut u, dies)| {
        team.exchange(&mut u, Edge::Wrap)?;
        if dies && team.rank() + 1 == team.size() {
            std::process::abort();
        }
        team.phase(u.halo(1), |_| ())?;
        Ok(0)
    });
    assert_eq!(died.is_err(), dies, "{died:?}");
    cluster.barrier()?;
    // The pool has healed, and the drivers are in step.
    cluster.region(pool, &mut u, |team, mut u| {
        team.exchange(&mut u, Edge::Wrap)?;
        team.phase(u.halo(1), |_| ())?;
        Ok(0)
    })?;
    Ok("healed".into())
}

/// More ghost rows than the driver with the fewest rows has.
fn too_wide(cluster: &Cluster, pool: &Pool) -> Outcome<String> {
    let fewest = 7 / cluster.size();
    assert!(cluster.zeros::<f64, _>(pool, 7, fewest).is_ok());
    let error = cluster.zeros::<f64, _>(pool, 7, fewest + 1).unwrap_err();
    assert!(matches!(error, phalanx::Error::Cluster(ClusterError::Ghosts { .. })), "{error}");
    Ok(error.to_string())
}

fn alone<T>(body: impl FnOnce(&Cluster, &Pool) -> Outcome<T>) -> T {
    cluster::run(|cluster| -> Outcome<T> { body(cluster, &Pool::builder().workers(2).build()?) }).unwrap()
}

#[test]
fn one_driver_sees_what_an_array_of_one_machine_shows() {
    let rows = alone(halos);
    assert!(rows.parse::<usize>().unwrap() > 100_000, "{rows}");
    assert_eq!(
        alone(too_wide),
        "8 ghost rows are more than the 7 rows of driver 0; use fewer drivers, or fewer ghost rows"
    );
}

#[test]
fn stale_ghosts_are_refused_and_never_read() {
    alone(|cluster, pool| {
        let mut u = cluster.zeros::<f64, _>(pool, (30, 4), 1)?;
        let refused = |u: &ClusterArray<f64, Ix2>| match pool.for_each(u.halo(1), |_| {}) {
            Err(LaunchError::StaleGhosts { written }) => written,
            other => panic!("{other:?}"),
        };
        assert!(refused(&u).contains("cluster_arrays.rs:"), "new ones were never filled");
        cluster.exchange(&mut u, Edge::Fill(0.0))?;
        pool.for_each(u.halo(1), |_| {})?;
        // Reading leaves them fresh.
        assert_eq!(u.view().sum() + u.mine().view()[[0, 0]], 0.0);
        pool.for_each((u.split(), u.halo(1), u.my_rows()), |_| {})?;
        let line = line!() + 1;
        pool.for_each(u.split_mut(), |mut rows| rows.fill(1.0))?;
        let written = refused(&u);
        assert!(written.contains(&format!("cluster_arrays.rs:{line}:")), "{written}");
        // Without neighbours there is nothing stale.
        pool.for_each(u.halo(0), |_| {})?;
        let writes: [fn(&mut ClusterArray<f64, Ix2>); 4] = [
            |u| {
                let _grant = u.split_out();
            },
            |u| u.view_mut().fill(0.0),
            |u| {
                let _grant = u.mine_mut();
            },
            |u| {
                let _grant = u.range_mut(3..4);
            },
        ];
        for write in writes {
            cluster.exchange(&mut u, Edge::Wrap)?;
            pool.for_each(u.halo_range(3..5, 1), |_| {})?;
            write(&mut u);
            refused(&u);
        }
        // They go with their array.
        let mut v = cluster.zeros::<f64, _>(pool, (30, 4), 1)?;
        cluster.exchange(&mut u, Edge::Clamp)?;
        std::mem::swap(&mut u, &mut v);
        refused(&u);
        pool.for_each(v.halo(1), |_| {})?;
        let error = pool.for_each(v.halo(2), |_| {}).unwrap_err().to_string();
        assert!(
            error.contains("it shows 2 rows on each side, but the array was made with 1 ghost row"),
            "{error}"
        );
        Ok(())
    });
}

#[test]
fn rows_under_way_cannot_be_read() {
    alone(|cluster, pool| {
        let mut u = cluster.from_fn(pool, (30, 4), 2, |(i, _)| i as f64)?;
        let error = cluster.exchange_while(&mut u, Edge::Clamp, |u| {
            assert_eq!((u.my_rows(), u.inner_rows(2)), (0..30, 2..28));
            pool.for_each(u.mine().split(), |_| {}).unwrap();
            pool.for_each(u.halo_range(2..28, 2), |_| {}).unwrap();
            pool.for_each(u.halo_range(0..0, 2), |_| {}).unwrap();
            pool.for_each(u.halo_range(1..28, 2), |_| {}).unwrap_err().to_string()
        })?;
        assert!(error.contains("rows 1..28 with 2 neighbours on each side need ghost rows"), "{error}");
        // It was exchanged all the same.
        pool.for_each(u.halo(2), |_| {})?;
        Ok(())
    });
}

#[test]
fn a_region_reads_no_stale_ghost_rows() {
    alone(|cluster, pool| {
        let mut u = cluster.zeros::<f64, _>(pool, (30, 4), 1)?;
        let mut v = cluster.zeros::<f64, _>(pool, (30, 4), 1)?;
        let stale =
            cluster.region(pool, &mut u, |team, u| team.phase(u.halo(1), |_| 0)).unwrap_err().to_string();
        assert!(
            stale.contains("the ghost rows of an array over a cluster are older than its rows"),
            "{stale}"
        );
        for shrinks in [0u64, 1] {
            let stale = cluster.region(pool, (&mut u, shrinks), |team, (mut u, shrinks)| {
                team.exchange(&mut u, if shrinks == 1 { Edge::Shrink } else { Edge::Wrap })?;
                team.phase(u.halo(1), |_| ())?;
                team.phase(u.split_mut(), |mut u| u.fill(1.0))?;
                team.phase(u.split(), |_| ())?;
                team.phase(u.halo(0), |_| ())?;
                team.phase(u.halo(1), |_| 0)
            });
            let stale = stale.unwrap_err().to_string();
            assert!(stale.contains("cluster_arrays.rs:"), "{stale}");
        }
        let wide =
            cluster.region(pool, &mut u, |team, u| team.phase(u.halo(2), |_| 0)).unwrap_err().to_string();
        assert!(wide.contains("made with 1 ghost row"), "{wide}");
        let twice = cluster.region(pool, (&mut u, &mut v), |team, (mut u, mut v)| {
            // Ranks that name different arrays.
            let mine = if team.rank() == 0 { &mut u } else { &mut v };
            team.exchange(mine, Edge::Wrap)?;
            Ok(0)
        });
        let twice = twice.unwrap_err().to_string();
        assert!(twice.contains("exchanges something else than rank 0"), "{twice}");
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            cluster.region(pool, &mut u, |_, _| -> Result<u8, _> { panic!("out of ink") })
        }));
        assert!(panicked.unwrap().unwrap_err().to_string().contains("out of ink"));
        Ok(())
    });
}

#[test]
fn a_region_makes_the_same_steps() {
    assert_eq!(alone(in_region), alone(heat));
    assert_eq!(alone(region_with_a_death), "healed");
    for backend in [Backend::Threads, Backend::Inline] {
        let pool = Pool::builder().workers(1).backend(backend).build().unwrap();
        assert_eq!(alone(|cluster, _| in_region(cluster, &pool)), alone(heat), "{backend:?}");
    }
}

#[test]
fn arrays_without_rows_columns_or_axes() {
    alone(|cluster, pool| {
        for shape in [(0, 5), (5, 0), (0, 0)] {
            let mut u = cluster.full(pool, shape, 1, 3u8)?;
            assert!(u.is_empty() && u.shape() == [shape.0, shape.1]);
            cluster.exchange(&mut u, Edge::Clamp)?;
            pool.for_each((u.halo(1), u.my_rows()), |_| {})?;
            assert_eq!(
                (u.inner_rows(9), u.outer_rows(9)),
                (shape.0..shape.0, [0..shape.0, shape.0..shape.0])
            );
        }
        let error = cluster.zeros::<u8, _>(pool, ndarray::IxDyn(&[]), 0).unwrap_err();
        assert!(matches!(error, phalanx::Error::Cluster(ClusterError::NoAxes)));
        let u = cluster.zeros::<u8, _>(pool, 10, 0)?;
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| u.range(3..11).len())).is_err());
        Ok(())
    });
}

#[test]
fn every_driver_sees_what_an_array_of_one_machine_shows() {
    let Some(wheels) = wheels() else { return };
    let heat = alone(heat);
    for interface in INTERFACES {
        for drivers in [1, 2, 3] {
            let output = play_all(&wheels, interface, drivers, "halos");
            let told = text(&output);
            assert!(
                output.status.success() && bracketed(&told).len() == drivers,
                "{interface:?} x {drivers}: {told}"
            );
            let output = play_all(&wheels, interface, drivers, "heat");
            let told = text(&output);
            assert!(output.status.success(), "{interface:?} x {drivers}: {told}");
            assert_eq!(bracketed(&told), vec![heat.as_str(); drivers], "{interface:?}: {told}");
            let output = play_all(&wheels, interface, drivers, "region");
            let told = text(&output);
            assert_eq!(bracketed(&told), vec![heat.as_str(); drivers], "{interface:?}: {told}");
        }
    }
}

#[test]
fn a_worker_that_dies_in_a_region_is_its_drivers_error() {
    let Some(wheels) = wheels() else { return };
    for interface in [INTERFACES[0], INTERFACES[2]] {
        let output = play_all(&wheels, interface, 2, "killed");
        let told = text(&output);
        assert!(output.status.success(), "{told}");
        assert_eq!(bracketed(&told).iter().filter(|told| **told == "healed").count(), 2, "{told}");
    }
}

#[test]
fn too_many_ghost_rows_are_the_same_error_everywhere() {
    let Some(wheels) = wheels() else { return };
    let output = play_all(&wheels, INTERFACES[0], 3, "wide");
    let told = text(&output);
    assert!(output.status.success(), "{told}");
    let expected =
        "3 ghost rows are more than the 2 rows of driver 0; use fewer drivers, or fewer ghost rows";
    assert_eq!(bracketed(&told), [expected; 3], "{told}");
}

#[test]
fn what_goes_wrong_in_an_exchange_ends_the_job_and_is_named() {
    let Some(wheels) = wheels() else { return };
    let file = "(engine/tests/cluster_arrays.rs:";
    let exchange = format!("calls exchange 1 of [100, 50] with 1 ghost row {file}");
    let cases = [
        ("disagree", vec![exchange.clone(), format!("calls barrier {file}")]),
        ("shapes", vec![exchange, format!("calls exchange 1 of [100, 60] with 1 ghost row {file}")]),
        (
            "stop",
            vec![
                "for driver 1 on ".into(),
                format!("in exchange 2 of [1000] with 1 ghost row {file}"),
                "the limit".into(),
            ],
        ),
        ("panic", vec!["out of ink".into(), "driver 1 of 2 on ".into(), "panicked, so the job ends".into()]),
    ];
    for interface in INTERFACES {
        for (part, expected) in &cases {
            let output = play_all(&wheels, interface, 2, part);
            let told = text(&output);
            assert!(!output.status.success(), "{interface:?} {part} succeeded: {told}");
            // Either driver may be the first to see that they disagree.
            let is_there = |expected: &String| told.contains(expected.as_str());
            assert!(expected.iter().all(is_there), "{interface:?} {part}: not all of {expected:?} in {told}");
        }
    }
}
