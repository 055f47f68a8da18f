//! Launches and tasks from threads that a kernel or a callback started, which waits for them.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::{Backend, Pool};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

fn pool_of(backend: Backend) -> Pool {
    Pool::builder().workers(2).backend(backend).build().unwrap()
}

static THREADS: LazyLock<Pool> = LazyLock::new(|| pool_of(Backend::Threads));
static PROCESSES: LazyLock<Pool> = LazyLock::new(|| pool_of(Backend::Processes));

/// Uses a pool in every way; what runs inline has a team of one.
fn use_up(pool: &Pool) {
    let mut array = pool.zeros::<u64>(1000).unwrap();
    pool.for_each(array.split_mut(), |array| array.fill(2)).unwrap();
    assert_eq!(pool.reduce(array.split(), 0, |array| array.iter().sum::<u64>(), |a, b| a + b).unwrap(), 2000);
    pool.broadcast(0..1, |_, _| assert_eq!(phalanx::current_team_size(), Some(1))).unwrap();
    assert_eq!(pool.map(|n: u64| n + 1, 0..3).unwrap(), [1, 2, 3]);
}

fn in_threads(pool: &'static Pool) {
    let grandchild = move || std::thread::spawn(move || use_up(pool)).join().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || use_up(pool));
        scope.spawn(grandchild);
    });
}

/// Runs `body` and waits for it, not forever.
fn ends(body: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let hand = std::thread::spawn(move || {
        body();
        done.send(()).unwrap();
    });
    match is_done.recv_timeout(LONG) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => hand.join().unwrap(),
    }
}

#[test]
fn threads_of_kernels_and_tasks_launch_inline() {
    ends(|| {
        THREADS.launch().chunk(1).for_each(0..4, |_| in_threads(&THREADS)).unwrap();
        PROCESSES.launch().chunk(1).for_each(0..4, |_| in_threads(&PROCESSES)).unwrap();
        THREADS.map(|_: u64| in_threads(&THREADS), 0..4).unwrap();
        PROCESSES.map(|_: u64| in_threads(&PROCESSES), 0..4).unwrap();
    });
}

#[test]
fn threads_of_a_progress_callback_launch_inline() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    ends(|| {
        let called = |_: phalanx::Progress| {
            CALLS.fetch_add(1, Ordering::Relaxed);
            in_threads(&PROCESSES);
        };
        PROCESSES
            .launch()
            .chunk(1)
            .progress(&called)
            .for_each(0..4, |_| std::thread::sleep(Duration::from_millis(150)))
            .unwrap();
        assert!(CALLS.load(Ordering::Relaxed) > 0);
        // The thread that drove it is none that a callback started.
        let sizes = PROCESSES.launch().chunk(1);
        sizes.for_each(0..4, |_| assert_eq!(phalanx::current_team_size(), Some(2))).unwrap();
    });
}

#[test]
fn a_pool_may_be_ended_by_a_thread_of_its_kernel() {
    static ENDED: LazyLock<Pool> = LazyLock::new(|| pool_of(Backend::Threads));
    ends(|| {
        ENDED.for_each(0..2, |_| std::thread::spawn(|| ENDED.join()).join().unwrap()).unwrap();
        ENDED.join();
        assert!(ENDED.for_each(0..2, |_| ()).is_err());
    });
}

#[test]
fn other_threads_launch_on_the_team() {
    let sizes = std::thread::spawn(|| {
        THREADS.launch().chunk(1).for_each(0..4, |_| assert_eq!(phalanx::current_team_size(), Some(2)))
    });
    sizes.join().unwrap().unwrap();
}
