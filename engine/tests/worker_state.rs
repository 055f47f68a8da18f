//! State that workers keep: made once in each, dropped with its handle, never lent twice at a time.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::{Backend, LaunchError, PerWorker, Pool, Schedule};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Writes a line to the file it was told of when it is dropped; the file is the only thing that outlives a
/// worker.
struct Witness {
    rank: usize,
    path: String,
}

impl Witness {
    fn make(rank: usize) -> Witness {
        Witness { rank, path: String::new() }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let mut file = std::fs::OpenOptions::new().append(true).open(&self.path).unwrap();
        // One write, so that lines of two workers do not mix.
        file.write_all(format!("{}\n", self.rank).as_bytes()).unwrap();
    }
}

fn as_bytes(path: &str) -> [u8; 256] {
    let mut bytes = [0; 256];
    bytes[..path.len()].copy_from_slice(path.as_bytes());
    bytes
}

/// Runs on every rank.
fn tell(pool: &Pool, state: &PerWorker<Witness>, path: &str) {
    pool.launch()
        .chunk(1)
        .schedule(Schedule::Static)
        .for_each((0..pool.workers(), state, as_bytes(path)), |(_, state, path)| {
            state.path = String::from_utf8_lossy(&path).trim_end_matches('\0').to_string();
        })
        .unwrap();
}

/// A launch that every rank takes part in and that has nothing to do with the state.
fn pass(pool: &Pool) {
    pool.launch().chunk(1).schedule(Schedule::Static).for_each(0..pool.workers(), |_| ()).unwrap();
}

fn lines(path: &str) -> Vec<String> {
    let mut lines: Vec<String> = std::fs::read_to_string(path).unwrap().lines().map(str::to_string).collect();
    lines.sort();
    lines
}

#[test]
fn workers_drop_the_state_of_a_dropped_handle_at_the_next_launch() {
    for backend in [Backend::Processes, Backend::Threads] {
        let pool = Pool::builder().workers(3).backend(backend).build().unwrap();
        let (first, second) =
            (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
        let path = |file: &tempfile::NamedTempFile| file.path().to_str().unwrap().to_string();
        let (first, second) = ((path(&first), first), (path(&second), second));
        let (short, long) = (PerWorker::new(Witness::make), PerWorker::new(Witness::make));
        tell(&pool, &short, &first.0);
        tell(&pool, &long, &second.0);
        pass(&pool);
        assert!(lines(&first.0).is_empty());
        drop(short);
        pass(&pool);
        assert_eq!(lines(&first.0), ["0", "1", "2"], "{backend}");
        assert!(lines(&second.0).is_empty());
        // The other lives until its workers end, and its handle may outlive them.
        drop(pool);
        assert_eq!(lines(&second.0), ["0", "1", "2"], "{backend}");
        assert_eq!(lines(&first.0).len(), 3);
    }
}

#[test]
fn the_seat_drops_its_state_as_well() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let state = PerWorker::new(Witness::make);
    let seat = pool.join_here().unwrap();
    tell(&pool, &state, path);
    drop(state);
    pass(&pool);
    assert_eq!(lines(path), ["0", "1"]);
    drop(seat);
}

#[test]
fn a_handle_named_twice_is_refused() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let pool = Pool::builder().workers(2).backend(Backend::Threads).build().unwrap();
    let (state, other) = (PerWorker::new(|_| 0u64), PerWorker::new(|_| 0u64));
    let twice = pool.for_each((0..10, &state, &state), |(_, a, b)| {
        CALLS.fetch_add(1, Ordering::Relaxed);
        std::mem::swap(a, b);
    });
    assert!(matches!(twice, Err(LaunchError::BadGrant { .. })), "{twice:?}");
    let nested = pool.for_each((0..10, &state, (&other, (&state,))), |_| {
        CALLS.fetch_add(1, Ordering::Relaxed);
    });
    assert!(matches!(nested, Err(LaunchError::BadGrant { .. })), "{nested:?}");
    let region = pool.region((&state, &state), |_, (a, b)| {
        CALLS.fetch_add(1, Ordering::Relaxed);
        std::mem::swap(a, b);
        Ok(0u64)
    });
    assert!(matches!(region, Err(LaunchError::BadGrant { .. })), "{region:?}");
    assert_eq!(CALLS.load(Ordering::Relaxed), 0);
    pool.for_each((0..10, &state, &other), |(_, a, b)| std::mem::swap(a, b)).unwrap();
}

#[test]
fn a_launch_inside_a_kernel_has_state_of_its_own() {
    static STATE: std::sync::LazyLock<PerWorker<Vec<u32>>> =
        std::sync::LazyLock::new(|| PerWorker::new(|_| Vec::new()));
    static POOL: std::sync::LazyLock<Pool> =
        std::sync::LazyLock::new(|| Pool::builder().workers(2).backend(Backend::Threads).build().unwrap());
    POOL.launch()
        .chunk(1)
        .for_each((0..8, &*STATE), |(_, outer)| {
            outer.push(1);
            let before = outer.len();
            POOL.for_each((0..8, &*STATE), |(range, inner)| inner.extend(range.map(|_| 7))).unwrap();
            assert_eq!(outer.len(), before);
            assert!(outer.iter().all(|item| *item == 1));
        })
        .unwrap();
}

#[test]
fn a_drop_that_panics_costs_no_launch() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("a bad drop")
        }
    }
    let pool = Pool::builder().workers(2).build().unwrap();
    let pids = pool.worker_pids();
    let state = PerWorker::new(|_| Bad);
    pool.launch().chunk(1).schedule(Schedule::Static).for_each((0..2, &state), |_| ()).unwrap();
    drop(state);
    pass(&pool);
    assert_eq!(pool.worker_pids(), pids);
}

#[test]
fn a_seat_sends_no_mail_to_the_worker_it_stands_for() {
    // More segments than a socket holds packets; the worker whose rank the driver has reads none of them.
    let pool = Pool::builder().workers(2).build().unwrap();
    let seat = pool.join_here().unwrap();
    for _ in 0..600 {
        let mut large = pool.zeros::<u8>(1 << 20).unwrap();
        pool.launch().schedule(Schedule::Static).for_each(large.split_mut(), |part| part[0] = 1).unwrap();
    }
    drop(seat);
    let mut large = pool.zeros::<u8>(1 << 21).unwrap();
    pool.launch().schedule(Schedule::Static).for_each(large.split_mut(), |part| part.fill(3)).unwrap();
    assert!(large.as_slice().iter().all(|byte| *byte == 3));
}

/// What all workers have gathered, or why that is not known.
fn gathered(pool: &Pool, sums: &PerWorker<u64>) -> Result<u64, LaunchError> {
    let mut all = pool.zeros::<u64>(pool.workers()).unwrap();
    pool.broadcast((all.split_mut(), sums), |_, (mine, sum)| mine[0] = *sum)?;
    Ok(all.as_slice().iter().sum())
}

#[test]
fn sums_that_a_worker_took_with_it_are_told_even_where_its_chunk_was_retried() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let sums = PerWorker::new(|_| 0u64);
    let mut died = pool.zeros::<u32>(1).unwrap();
    let launch = pool.launch().chunk(1).retry(1).retry_in_place();
    let outcome = launch.for_each((0..40, &sums, died.atomic()), |(i, sum, died)| {
        *sum += i.start as u64;
        if i.start == 30 && died[0].swap(1, Ordering::Relaxed) == 0 {
            std::process::abort();
        }
    });
    match outcome {
        Err(error @ LaunchError::StateLost { states, done: true, .. }) => {
            assert_eq!(states, 1);
            assert!(error.to_string().contains("worker_state.rs"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    // Told once; what is there now is what the other has.
    assert!(gathered(&pool, &sums).unwrap() < (0..40).sum());
    let scratch = PerWorker::scratch(|_| 0u64);
    died.fill(0);
    let launch = pool.launch().chunk(1).retry(1).retry_in_place();
    launch
        .for_each((0..40, &scratch, died.atomic()), |(i, _, died)| {
            if i.start == 30 && died[0].swap(1, Ordering::Relaxed) == 0 {
                std::process::abort();
            }
        })
        .unwrap();
}

#[test]
fn sums_that_went_with_an_idle_worker_are_told_before_less_is_gathered() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let (sums, other) = (PerWorker::new(|_| 0u64), PerWorker::new(|_| 0u64));
    let add = |sums: &PerWorker<u64>| pool.broadcast(sums, |_, sum| *sum += 1);
    add(&sums).unwrap();
    add(&sums).unwrap();
    assert_eq!(gathered(&pool, &sums).unwrap(), 4);
    let pid = rustix::process::Pid::from_raw(pool.worker_pids()[1] as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let mut told = 0;
    let less = loop {
        match gathered(&pool, &sums) {
            Ok(sum) => break sum,
            Err(LaunchError::StateLost { states, .. }) => told += states,
            // The death came between the launch's opening and its end.
            Err(LaunchError::WorkerDied { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!((told, less), (1, 2));
    // Nothing was in the states of another handle.
    assert_eq!(gathered(&pool, &other).unwrap(), 0);
}

#[test]
fn sums_of_a_seat_that_was_left_are_told() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let sums = PerWorker::new(|_| 0u64);
    let seat = pool.join_here().unwrap();
    pool.broadcast(&sums, |_, sum| *sum += 1).unwrap();
    assert_eq!(gathered(&pool, &sums).unwrap(), 2);
    drop(seat);
    assert!(matches!(gathered(&pool, &sums), Err(LaunchError::StateLost { states: 1, done: false, .. })));
    assert_eq!(gathered(&pool, &sums).unwrap(), 1);
}
