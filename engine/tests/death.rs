//! Workers that fail while they run a kernel, in every way: the launch ends, says what happened, and the next
//! one is right. Names carry the row of the fault catalogue.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, assert_right, deaths, processes, send, signal, state_of, within};
use phalanx::{ExitCause, LaunchError, Pool, Schedule};
use rustix::process::Signal;
use std::time::{Duration, Instant};

fn die(signal: Signal) {
    let _never = rustix::process::kill_process(rustix::process::getpid(), signal);
    loop {
        std::hint::spin_loop();
    }
}

/// Runs one launch of 16 chunks in which chunk 5 does `what`; gives its outcome and the number of chunks that
/// were done.
fn launch_with(pool: &Pool, what: fn()) -> (Result<(), LaunchError>, usize) {
    let mut done = pool.zeros::<u64>(16).unwrap();
    // The kernel reaches the function through its offset in the program, as kernels themselves travel.
    let outcome = pool.launch().chunk(1).for_each((done.split_mut(), 0..16, at(what)), |(done, i, what)| {
        if i.start == 5 {
            function(what)();
        }
        done[0] += 1;
    });
    assert!(done.as_slice().iter().all(|count| *count <= 1), "a chunk ran twice");
    (outcome, done.as_slice().iter().sum::<u64>() as usize)
}

/// The place of a function of this program, as a number that travels.
fn at(function: fn()) -> u64 {
    (function as usize).wrapping_sub(at as fn(fn()) -> u64 as usize) as u64
}

#[allow(unsafe_code)]
fn function(place: u64) -> fn() {
    let address = (place as usize).wrapping_add(at as fn(fn()) -> u64 as usize);
    // SAFETY: made by `at` from a `fn()` of this same program.
    unsafe { std::mem::transmute::<usize, fn()>(address) }
}

/// One death in chunk 5: everything else is done, and the pool goes on.
#[track_caller]
fn assert_costs_one_chunk(what: fn(), cause: impl Fn(ExitCause) -> bool) -> String {
    let pool = processes(3);
    let (outcome, done) = launch_with(&pool, what);
    let (deaths, lost, text) = deaths(outcome);
    assert!(lost.len() == 1 && lost[0] == (5..6), "{text}");
    assert_eq!(deaths.len(), 1, "{text}");
    assert!(cause(deaths[0].cause), "{text}");
    assert_eq!(deaths[0].span.map(|span| span.range()), Some(5..6));
    assert!(
        deaths[0].pid > 0 && text.contains(&format!("worker {} (pid {})", deaths[0].rank, deaths[0].pid))
    );
    assert_eq!(done, 15);
    assert_right(&pool);
    assert_eq!(pool.stats().respawns, 1);
    text
}

#[test]
fn a1_a_killed_worker_costs_one_chunk() {
    let text = assert_costs_one_chunk(|| die(Signal::KILL), |cause| signal(cause) == libc::SIGKILL);
    assert!(text.contains("SIGKILL") && text.contains("death.rs"), "{text}");
}

#[test]
fn a1_kills_from_outside_at_random_instants_never_give_a_wrong_result() {
    within(LONG, || {
        let pool = std::sync::Arc::new(processes(2));
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let killer = std::thread::spawn({
            let (pool, stop) = (pool.clone(), stop.clone());
            move || {
                let (mut seed, mut kills) = (0x9e37_79b9_u64, 0);
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    std::thread::sleep(Duration::from_micros(3000 + (seed >> 33) % 6000));
                    let pids = pool.worker_pids();
                    send(pids[(seed >> 40) as usize % pids.len()], Signal::KILL);
                    kills += 1;
                }
                kills
            }
        });
        let mut y = pool.zeros::<u64>(40_000).unwrap();
        let (began, mut failed, mut broken) = (Instant::now(), 0, 0);
        while began.elapsed() < Duration::from_millis(1500) {
            let outcome =
                pool.launch().retry(1).chunk(1000).for_each((y.split_out(), 0..40_000), |(y, i)| {
                    for (y, i) in y.iter_mut().zip(i) {
                        *y = i as u64 * 3
                    }
                });
            match outcome {
                Ok(()) => assert!(y.as_slice().iter().enumerate().all(|(i, y)| *y == i as u64 * 3)),
                Err(LaunchError::WorkerDied { .. }) => failed += 1,
                // Three kills of one rank before it had served anything.
                Err(LaunchError::PoolBroken { .. }) => {
                    broken += 1;
                    break;
                }
                Err(other) => panic!("{other}"),
            }
            y.fill(0);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let kills = killer.join().unwrap();
        assert!(kills > 0);
        if broken == 0 {
            assert_right(&pool);
        }
        println!("{kills} kills, {failed} failed launches, {:?}", pool.stats().respawns);
    });
}

#[test]
fn a2_an_idle_worker_that_is_killed_is_replaced_silently() {
    let pool = processes(2);
    assert_right(&pool);
    let before = pool.worker_pids();
    send(before[0], Signal::KILL);
    within(LONG, move || {
        while pool.stats().respawns == 0 {
            std::thread::yield_now();
        }
        assert_right(&pool);
        let after = pool.worker_pids();
        assert!(after[0] != before[0] && after[1] == before[1], "{before:?} {after:?}");
        assert_eq!(pool.stats().respawns, 1);
        assert_eq!(state_of(before[0]), None, "a zombie is left");
    });
}

#[test]
fn a3_all_workers_killed_at_once() {
    within(LONG, || {
        let pool = processes(3);
        let outcome = pool.launch().schedule(Schedule::Static).chunk(1).for_each(0..3, |_| die(Signal::KILL));
        let (deaths, mut lost, _) = deaths(outcome);
        lost.sort_by_key(|span| span.start);
        assert_eq!(lost, [0..1, 1..2, 2..3]);
        assert!(deaths.len() >= 3);
        assert_right(&pool);
        // From outside, while idle.
        pool.worker_pids().into_iter().for_each(|pid| send(pid, Signal::KILL));
        assert_right(&pool);
    });
}

#[test]
fn a3_a_kernel_that_always_kills_its_worker_ends_soon_and_the_pool_goes_on() {
    within(LONG, || {
        let pool = processes(2);
        let outcome = pool.launch().chunk(1).for_each(0..10_000, |_| die(Signal::KILL));
        let (deaths, lost, _) = deaths(outcome);
        assert!(deaths.len() < 20, "{} deaths: a respawn storm", deaths.len());
        assert_eq!(lost.iter().map(|span| span.len()).sum::<usize>(), 10_000);
        assert_right(&pool);
    });
}

/// The initializer of a worker that cannot start while the file is there.
fn abort_where_marked(mark: String) {
    if std::fs::exists(mark).unwrap() {
        std::process::abort()
    }
}

#[test]
fn a3_three_deaths_before_any_launch_break_the_pool_with_a_reason() {
    within(LONG, || {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let name = mark.to_str().unwrap().to_owned();
        let pool = Pool::builder().workers(2).initializer(abort_where_marked, name).build().unwrap();
        std::fs::write(&mark, "").unwrap();
        send(pool.worker_pids()[1], Signal::KILL);
        let began = Instant::now();
        loop {
            match pool.for_each(0..8, |_| ()) {
                Err(error @ LaunchError::PoolBroken { .. }) => {
                    let text = error.to_string();
                    assert!(text.contains("worker 1 died 3 times") && text.contains("SIGABRT"), "{text}");
                    break;
                }
                // The first death is not known yet.
                _ => assert!(began.elapsed() < LONG),
            }
        }
        assert_eq!(pool.stats().respawns, 3);
    });
}

/// A panic in chunk 5 of a pool that goes on with the same workers.
#[track_caller]
fn assert_panics(what: fn(), message: &str) {
    let pool = processes(2);
    let before = pool.worker_pids();
    let (outcome, done) = launch_with(&pool, what);
    match outcome {
        Err(LaunchError::Panicked { message: seen, span, location, .. }) => {
            assert_eq!(seen, message);
            assert_eq!(span.range(), 5..6);
            assert!(location.contains("death.rs") || location.contains("/library/"), "{location}");
        }
        other => panic!("{other:?}"),
    }
    assert!(done <= 15);
    assert_right(&pool);
    assert_eq!(pool.worker_pids(), before, "a panic costs no worker");
}

#[test]
fn a5_a_panic_is_told_with_message_place_and_span() {
    assert_panics(|| panic!("number {}", 7), "number 7");
}

#[test]
fn a6_payloads_that_are_no_strings_or_panic_when_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a second panic, from the payload");
        }
    }
    assert_panics(|| std::panic::panic_any(7_u8), "a panic whose payload is not a string");
    assert_panics(|| std::panic::panic_any(Bomb), "a panic whose payload is not a string");
}

#[test]
fn a7_a_panic_while_panicking_aborts_the_worker_only() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("while unwinding");
        }
    }
    assert_costs_one_chunk(
        || {
            let _bomb = Bomb;
            panic!("the first");
        },
        |cause| signal(cause) == libc::SIGABRT,
    );
}

#[test]
fn a7_aborts() {
    assert_costs_one_chunk(|| std::process::abort(), |cause| signal(cause) == libc::SIGABRT);
}

#[allow(unconditional_recursion)]
fn overflow(depth: u64) -> u64 {
    let big = std::hint::black_box([depth; 512]);
    overflow(depth + 1) + big[depth as usize % 512]
}

#[test]
fn a9_a_stack_overflow_names_its_signal() {
    let what = || {
        std::hint::black_box(overflow(0));
    };
    let is_overflow = |cause| [libc::SIGSEGV, libc::SIGABRT].contains(&signal(cause));
    let text = assert_costs_one_chunk(what, is_overflow);
    assert!(text.contains("SIGSEGV") || text.contains("SIGABRT"), "{text}");
}

#[test]
fn a9_a_stack_overflow_is_reported_with_rank_and_chunk() {
    let test = "a9_a_stack_overflow_names_its_signal";
    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stderr);
    let line =
        text.lines().find(|line| line.contains("stack")).unwrap_or_else(|| panic!("no report in: {text}"));
    assert!(line.contains("worker") && line.contains("5..6"), "{line}");
}

#[test]
#[allow(unsafe_code)]
fn a10_faults_of_the_processor_name_their_signal() {
    let write_nowhere = || {
        // SAFETY: none; the fault is the point, and it hits a worker process only.
        unsafe { std::ptr::write_volatile(std::hint::black_box(8 as *mut u8), 1) }
    };
    let text = assert_costs_one_chunk(write_nowhere, |cause| signal(cause) == libc::SIGSEGV);
    assert!(text.contains("SIGSEGV"), "{text}");
    assert_costs_one_chunk(|| die(Signal::ILL), |cause| signal(cause) == libc::SIGILL);
    assert_costs_one_chunk(|| die(Signal::FPE), |cause| signal(cause) == libc::SIGFPE);
}

#[test]
fn a11_exit_0_is_no_success() {
    let text = assert_costs_one_chunk(|| std::process::exit(0), |cause| cause == ExitCause::Exit(0));
    assert!(text.contains("exited with status 0"), "{text}");
    assert_costs_one_chunk(
        || {
            std::thread::spawn(|| std::process::exit(3));
            loop {
                std::thread::park();
            }
        },
        |cause| cause == ExitCause::Exit(3),
    );
}

fn timed_out(outcome: Result<(), LaunchError>) -> Vec<usize> {
    match outcome {
        Err(LaunchError::TimedOut { killed, .. }) => killed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a13_an_endless_kernel_is_killed_at_the_time_limit() {
    within(LONG, || {
        let pool = processes(2);
        let launch =
            pool.launch().timeout(Duration::from_millis(200)).grace(Duration::from_millis(10)).chunk(1);
        let outcome = launch.for_each(0..2, |i| {
            if i.start == 0 {
                loop {
                    std::hint::spin_loop();
                }
            }
        });
        // On a busy machine the other may not have heard of the end in time either.
        assert!((1..=2).contains(&timed_out(outcome).len()));
        assert_right(&pool);
        // A kernel that asks stops by itself, and costs no worker.
        let before = pool.worker_pids();
        let launch = pool.launch().timeout(Duration::from_millis(30)).grace(LONG).chunk(1);
        let outcome = launch.for_each(0..2, |_| while !phalanx::is_cancelled() {});
        assert_eq!(timed_out(outcome), Vec::<usize>::new());
        assert_right(&pool);
        assert_eq!(pool.worker_pids(), before);
    });
}

#[test]
fn a13_cancelled_from_another_thread() {
    within(LONG, || {
        let pool = processes(2);
        let token = phalanx::CancelToken::new();
        let canceller = std::thread::spawn({
            let token = token.clone();
            move || token.cancel()
        });
        let launch = pool.launch().cancel(&token).grace(Duration::from_millis(5)).chunk(1);
        let outcome = launch.for_each(0..4, |_| {
            loop {
                std::hint::spin_loop();
            }
        });
        assert!(matches!(outcome, Err(LaunchError::Cancelled { .. })), "{outcome:?}");
        canceller.join().unwrap();
        assert_right(&pool);
        // A token stays cancelled: nothing is run.
        let mut y = pool.zeros::<u8>(8).unwrap();
        let outcome = pool.launch().cancel(&token).for_each(y.split_mut(), |y| y.fill(1));
        assert!(matches!(outcome, Err(LaunchError::Cancelled { .. })));
        assert_eq!(y.as_slice(), [0; 8]);
    });
}

#[test]
fn a14_a_stopped_worker_is_waited_for_or_killed_at_the_time_limit() {
    within(LONG, || {
        let pool = std::sync::Arc::new(processes(2));
        let waker = std::thread::spawn({
            let pool = pool.clone();
            move || loop {
                let stopped = pool.worker_pids().into_iter().find(|pid| state_of(*pid) == Some('T'));
                if let Some(pid) = stopped {
                    return send(pid, Signal::CONT);
                }
                std::thread::yield_now();
            }
        });
        let (outcome, done) = launch_with(&pool, || {
            let _stopped = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
        });
        outcome.unwrap();
        assert_eq!(done, 16);
        waker.join().unwrap();
        assert_eq!(pool.stats().respawns, 0);

        let launch =
            pool.launch().timeout(Duration::from_millis(200)).grace(Duration::from_millis(5)).chunk(1);
        let outcome = launch.for_each(0..2, |i| {
            if i.start == 1 {
                let _stopped = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
            }
        });
        assert!((1..=2).contains(&timed_out(outcome).len()));
        assert_right(&pool);
    });
}

#[test]
fn a14_launches_go_on_beside_a_stopped_idle_worker_whatever_they_bring() {
    within(LONG, || {
        let pool = processes(2);
        assert_right(&pool);
        let pid = pool.worker_pids()[1];
        send(pid, Signal::STOP);
        while state_of(pid) != Some('T') {
            std::thread::yield_now();
        }
        // Each brings a segment of its own: more packets than the stopped worker's socket holds.
        for round in 0..400_u64 {
            let mut y = phalanx::SharedArray::<u64, _>::zeros(1 << 17).unwrap();
            pool.launch().chunk(1 << 16).for_each((y.split_out(), round), |(y, round)| y[0] = round).unwrap();
            assert_eq!(y.as_slice()[1 << 16], round);
        }
        // One that needs every rank waits for its time limit, and then has the worker killed.
        let mut y = phalanx::SharedArray::<u64, _>::zeros(1 << 17).unwrap();
        let launch = pool.launch().schedule(Schedule::Static).timeout(Duration::from_millis(30));
        let outcome = launch.for_each(y.split_mut(), |y| y.fill(1));
        assert_eq!(timed_out(outcome), [1]);
        assert_right(&pool);
    });
}

#[test]
fn a15_allocation_failures() {
    let too_much = || {
        std::hint::black_box(Vec::<u8>::with_capacity(1 << 62));
    };
    assert_costs_one_chunk(too_much, |cause| signal(cause) == libc::SIGABRT);
    let absurd = || {
        std::hint::black_box(Vec::<u8>::with_capacity(std::hint::black_box(usize::MAX)));
    };
    assert_panics(absurd, "capacity overflow");
}

#[test]
fn a18_what_a_kernel_changes_of_its_process_stays_in_that_worker() {
    let pool = processes(2);
    let here = std::env::current_dir().unwrap();
    pool.for_each(0..64, |_| {
        std::env::set_current_dir("/").unwrap();
        rustix::process::umask(rustix::fs::Mode::RWXO);
    })
    .unwrap();
    assert_eq!(std::env::current_dir().unwrap(), here);
    assert_right(&pool);
}

#[test]
fn a20_children_of_kernels_inherit_nothing_and_keep_no_launch_waiting() {
    within(LONG, || {
        let pool = processes(2);
        let what = || {
            let mut child = std::process::Command::new("sleep").arg("3").spawn().unwrap();
            let fds = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
            let open: Vec<_> = fds.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            if open.iter().any(|number| number.parse::<u32>().unwrap() > 2) {
                panic!("inherited {open:?}");
            }
            let _ended_at_once = child.kill().and_then(|()| child.wait().map(drop));
            #[allow(clippy::zombie_processes, reason = "its parent dies first, which is the point")]
            let _orphan = std::process::Command::new("sleep").arg("30").spawn().unwrap();
            die(Signal::KILL)
        };
        let began = Instant::now();
        let (outcome, _) = launch_with(&pool, what);
        deaths(outcome);
        assert!(began.elapsed() < Duration::from_secs(20), "waited for the child");
        assert_right(&pool);
    });
}

#[test]
fn c7_workers_offer_themselves_first_when_memory_runs_out() {
    let pool = processes(2);
    for pid in pool.worker_pids() {
        let score = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        assert_eq!(score.trim(), "1000");
    }
}
