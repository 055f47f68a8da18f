//! Reductions, prefix sums and accumulators over a cluster have the same bits on any number of drivers, each with
//! any number of workers: those of a cluster of one.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod cluster_plays;
mod common;

use cluster_plays::{INTERFACES, PART, Place, Play, bracketed, nodes, play_all, text, wheels};
use phalanx::cluster::{self, Cluster, ClusterError};
use phalanx::{Backend, LaunchError, Pool};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The part of a driver, played under a launcher. Run by hand it is no test.
#[test]
fn driver() {
    let Ok(part) = std::env::var(PART) else { return };
    let result = cluster::run(|cluster| play(&part, cluster));
    if let Err(error) = result {
        println!("ended: {error}");
        std::process::exit(3);
    }
}

fn play(part: &str, cluster: &Cluster) -> Outcome<()> {
    // Another number of workers on each driver.
    let workers = 1 + cluster.me() % 3;
    let pool = cluster.pool_builder().workers(workers).backend(Backend::Processes).build()?;
    match part {
        "bits" => println!("[{}]", bits(cluster, &pool)?),
        "failed" => println!("[{}]", after_a_failure(cluster, &pool)?),
        "dealt" => println!("[{}]", dealt_out_wrongly(cluster, &pool)?),
        _ => {}
    }
    Ok(())
}

/// Lengths around those at which leaves grow, and those with fewer leaves than drivers.
const LENGTHS: [usize; 9] = [0, 1, 2, 5, 100, 4096, 4097, 10_007, 100_000];

/// Values whose sum depends on the order of additions.
fn value(i: usize) -> f64 {
    (i as f64).sin() * 10f64.powi((i % 17) as i32 - 8)
}

/// All results' bits, in one line that must be the same on every driver.
fn bits(cluster: &Cluster, pool: &Pool) -> Outcome<String> {
    let mut line = String::new();
    for len in LENGTHS {
        let rows = cluster.part(len);
        let add = |a: f64, b: f64| a + b;
        let of_span = cluster.reduce(pool, rows.clone(), 0.0, |span| span.map(value).sum(), add)?;
        let x = pool.from_fn_with(rows.len(), rows.start, |i, start| value(start + i))?;
        let of_array =
            cluster.reduce(pool, (x.split(), 1.0), 0.0, |(x, one)| x.iter().sum::<f64>() * one, add)?;
        // An array of so many rows, each of them long.
        let mut wide = pool.zeros_nd::<f64, _>((rows.len(), 3))?;
        for ((i, j), place) in wide.view_mut().indexed_iter_mut() {
            *place = value(3 * (rows.start + i) + j);
        }
        let of_rows = cluster.reduce(pool, wide.split(), 0.0, |rows| rows.sum(), add)?;
        let mut scanned = pool.zeros::<f64>(rows.len())?;
        cluster.scan(pool, scanned.split_out(), x.split(), 0.0, add)?;
        let inclusive = digest(cluster, scanned.as_slice())?;
        cluster.scan_exclusive(pool, scanned.split_out(), x.split(), 0.0, add)?;
        let exclusive = digest(cluster, scanned.as_slice())?;
        let mut bins = pool.from_fn(5, |_| 0.25)?;
        let kernel = |((rows, x), bins): ((std::ops::Range<usize>, &[f64]), &mut [f64])| {
            rows.zip(x).for_each(|(row, x)| bins[row % 5] += x)
        };
        cluster.accumulate(pool, (rows.clone(), x.split()), &mut bins, 0.0, kernel, add)?;
        let bins = bins.as_slice().iter().fold(0, |hash, bin| mix(hash, *bin));
        let floats = [of_span, of_array, of_rows].map(f64::to_bits);
        line += &format!("{len}: {floats:x?} {inclusive:x} {exclusive:x} {bins:x}; ").replace(['[', ']'], "");
    }
    Ok(line)
}

fn mix(hash: u64, value: f64) -> u64 {
    (hash.rotate_left(5) ^ value.to_bits()).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// Of the values of all drivers, one after the other.
fn digest(cluster: &Cluster, own: &[f64]) -> Outcome<u64> {
    let all = cluster.all_gather(&own.to_vec())?;
    Ok(all.iter().flatten().fold(0, |hash, value| mix(hash, *value)))
}

fn alone() -> (String, f64) {
    let mut sum = 0.0;
    let line = cluster::run(|cluster| {
        let pool = cluster.pool_builder().workers(2).backend(Backend::Threads).build()?;
        sum = cluster.reduce(&pool, 0..100_000, 0.0, |span| span.map(value).sum(), |a, b| a + b)?;
        bits(cluster, &pool)
    });
    (line.unwrap(), sum)
}

#[test]
fn one_driver_adds_up_everything() {
    let (line, sum) = alone();
    let plain: f64 = (0..100_000).map(value).sum();
    assert!(((sum - plain) / plain).abs() < 1e-9, "{sum} {plain}");
    assert!(line.contains("100000: ") && line.contains(&format!("{:x}", sum.to_bits())), "{line}");
    // Zero rows give the identity, one row its value.
    assert!(line.starts_with("0: 0, 0, 0 "), "{line}");
    assert!(line.contains(&format!("; 2: {:x}, ", (value(0) + value(1)).to_bits())), "{line}");
    // Sums that do not depend on the order agree with those of a plain loop.
    let counted = cluster::run(|cluster| {
        let pool = cluster.pool_builder().workers(2).backend(Backend::Threads).build()?;
        let x = pool.from_fn(10_007, |i| i as u64 % 7)?;
        let mut prefix = pool.zeros::<u64>(10_007)?;
        cluster.scan_exclusive(&pool, prefix.split_out(), x.split(), 0, |a, b| a + b)?;
        let mut counts = pool.from_fn(7, |_| 1u64)?;
        let count = |(x, counts): (&[u64], &mut [u64])| x.iter().for_each(|x| counts[*x as usize] += 1);
        cluster.accumulate(&pool, x.split(), &mut counts, 0, count, |a, b| a + b)?;
        Outcome::Ok((prefix.as_slice().to_vec(), counts.as_slice().to_vec()))
    });
    let (prefix, counts) = counted.unwrap();
    let expected: Vec<u64> = (0..10_007)
        .scan(0, |sum, i| {
            let before = *sum;
            *sum += i % 7;
            Some(before)
        })
        .collect();
    assert_eq!(prefix, expected);
    assert_eq!(counts, (0..7).map(|bin| 1 + (bin..10_007).step_by(7).count() as u64).collect::<Vec<_>>());
}

#[test]
fn accumulators_that_are_too_large_are_refused() {
    let refused = cluster::run(|cluster| {
        let pool = cluster.pool_builder().workers(1).backend(Backend::Threads).build()?;
        let mut bins = pool.zeros::<u64>(100_000)?;
        let kernel = |(_, _): (std::ops::Range<usize>, &mut [u64])| ();
        Outcome::Ok(cluster.accumulate(&pool, 0..10_000, &mut bins, 0, kernel, |a, b| a + b))
    });
    let error = refused.unwrap().unwrap_err();
    assert!(matches!(error, ClusterError::Launch(LaunchError::BadGrant { .. })), "{error}");
    assert!(error.to_string().contains("more than 1 GiB"), "{error}");
}

#[test]
fn the_bits_are_those_of_one_driver() {
    let Some(wheels) = wheels() else { return };
    let (alone, _) = alone();
    for (interface, drivers) in [(0, 1), (0, 2), (1, 3), (2, 2), (2, 3), (0, 7)] {
        let output = play_all(&wheels, INTERFACES[interface], drivers, "bits");
        let text = text(&output);
        assert!(output.status.success(), "{interface} x {drivers}: {text}");
        assert_eq!(bracketed(&text), vec![alone.as_str(); drivers], "{interface} x {drivers}");
    }
}

#[test]
fn the_bits_are_the_same_on_two_machines() {
    let (Some(wheels), Some(_)) = (wheels(), nodes()) else { return };
    let (alone, _) = alone();
    for interface in INTERFACES {
        let output = Play::new(&wheels, Place::Nodes, interface, 2, "bits").run();
        assert_eq!(bracketed(&text(&output)), vec![alone.as_str(); 2], "{interface:?}");
    }
}

/// The last driver's worker dies in a reduction: every driver learns of it, and the next call succeeds.
fn after_a_failure(cluster: &Cluster, pool: &Pool) -> Outcome<String> {
    let last = cluster.size() - 1;
    let dies = cluster.me() == last;
    let kernel = |(span, dies): (std::ops::Range<usize>, bool)| {
        if dies && span.start % 4096 == 4095 {
            std::process::abort();
        }
        span.len() as u64
    };
    let rows = || (cluster.part(4096), dies);
    let add = |a: u64, b: u64| a + b;
    let error = cluster.reduce(pool, rows(), 0, kernel, add).err().ok_or("nobody died")?;
    let is_right = match &error {
        ClusterError::Launch(LaunchError::WorkerDied { .. }) => dies,
        ClusterError::Driver { driver, call, why, .. } => {
            !dies && *driver == last && *call == "reduce" && why.contains("SIGABRT")
        }
        _ => false,
    };
    let x = pool.from_fn(cluster.part(4096).len(), |_| 1u64)?;
    let mut out = pool.zeros::<u64>(x.len())?;
    cluster.scan(pool, out.split_out(), x.split(), 0, add)?;
    let total = cluster.reduce(pool, (cluster.part(4096), false), 0, kernel, add)?;
    Ok(format!("{is_right} {total}"))
}

#[test]
fn a_failed_launch_is_told_to_all_and_they_stay_in_step() {
    let Some(wheels) = wheels() else { return };
    for interface in [INTERFACES[0], INTERFACES[2]] {
        let output = play_all(&wheels, interface, 3, "failed");
        let text = text(&output);
        assert!(output.status.success(), "{text}");
        assert_eq!(bracketed(&text), vec!["true 4096"; 3], "{text}");
    }
}

/// Rows of which one driver has too few, and rows whose number differs.
fn dealt_out_wrongly(cluster: &Cluster, pool: &Pool) -> Outcome<String> {
    let me = cluster.me();
    let rows = if me == 0 { 0..3 } else { 3..10 };
    let error = cluster.reduce(pool, rows, 0, |span| span.sum::<usize>(), |a, b| a + b).err();
    let text = error.ok_or("it was reduced")?.to_string();
    // No operand has a length, on one driver.
    let nothing = cluster.reduce(pool, 1.0, 0.0, |one| one, |a, b| a + b).err().ok_or("it was reduced")?;
    Ok(format!("{text}; {}", matches!(nothing, ClusterError::Launch(LaunchError::NoLength { .. }))))
}

#[test]
fn rows_that_are_not_dealt_out_as_the_clusters_are_refused() {
    let Some(wheels) = wheels() else { return };
    let output = play_all(&wheels, INTERFACES[0], 2, "dealt");
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    for line in bracketed(&text) {
        assert!(line.starts_with("driver 0 on ") && line.ends_with("; true"), "{line}");
        assert!(
            line.contains("has 3 of 10 rows, but 5 are its own: deal them out with cluster.part(10)"),
            "{line}"
        );
    }
}
