//! Processes: what their functions return, how they end, and that nothing of them stays.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, send, state_of, within};
use ndarray::Ix1;
use phalanx::channel::Queue;
use phalanx::sync::{Counter, Event, Lock, LockError};
use phalanx::{
    ExitCause, FrozenArray, JoinError, Pool, Process, ProcessKind, SpawnError, StartMethod, active_children,
    current_process,
};
use serde::{Deserialize, Serialize};
use std::os::fd::AsRawFd;
use std::time::Duration;

const METHODS: [StartMethod; 2] = [StartMethod::ForkServer, StartMethod::Spawn];

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Parcel {
    words: Vec<String>,
    weight: Option<f64>,
}

#[test]
fn arguments_and_results_of_any_serde_type_come_through() {
    for method in METHODS {
        let parcel = Parcel { words: vec!["a".into(), "ü".into()], weight: Some(0.5) };
        let process = Process::builder()
            .start_method(method)
            .spawn(
                |mut parcel: Parcel| {
                    parcel.words.reverse();
                    (parcel, std::process::id())
                },
                parcel,
            )
            .unwrap();
        let (parcel, pid) = process.join().unwrap();
        assert_eq!(parcel, Parcel { words: vec!["ü".into(), "a".into()], weight: Some(0.5) });
        assert_eq!(pid, process.pid());
        assert_ne!(pid, std::process::id());
        assert_eq!((process.exitcode(), process.is_alive()), (Some(0), false));
        // The result stays where it is.
        assert_eq!(process.join().unwrap().1, pid);
    }
}

#[test]
fn long_arguments_and_results_come_through_whole() {
    let words: Vec<u64> = (0..500_000).map(|i| i * i).collect();
    let process = Process::spawn(
        |mut words: Vec<u64>| {
            words.iter_mut().for_each(|word| *word += 1);
            words
        },
        words,
    )
    .unwrap();
    let words = process.join().unwrap();
    assert!(words.len() == 500_000 && words.iter().zip(0u64..).all(|(word, i)| *word == i * i + 1));
}

#[test]
fn a_panic_is_exit_code_1_with_message_and_place() {
    let process =
        Process::builder().name("clumsy").spawn(|n: u32| -> u32 { panic!("no luck with {n}") }, 13).unwrap();
    let error = process.join().unwrap_err();
    assert_eq!(process.exitcode(), Some(1));
    match &error {
        JoinError::Panicked { name, pid, message, location, .. } => {
            assert_eq!((name.as_str(), *pid), ("clumsy", process.pid()));
            assert_eq!(message, "no luck with 13");
            assert!(location.contains("process.rs:"), "{location}");
        }
        other => panic!("{other}"),
    }
    assert!(error.to_string().contains("process 'clumsy'"), "{error}");
}

#[test]
fn a_long_panic_message_is_cut_and_told() {
    let process = Process::spawn(|()| -> () { panic!("{}", "é".repeat(100_000)) }, ()).unwrap();
    match process.join() {
        Err(JoinError::Panicked { message, .. }) => assert!(message.starts_with("éééé"), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn exit_in_the_function_is_an_end_without_a_result() {
    for status in [0, 7] {
        let process = Process::spawn(|status: i32| -> () { std::process::exit(status) }, status).unwrap();
        match process.join() {
            Err(JoinError::Died { cause: ExitCause::Exit(code), .. }) => assert_eq!(code, status),
            other => panic!("{other:?}"),
        }
        assert_eq!(process.exitcode(), Some(status));
    }
}

fn park() {
    loop {
        std::thread::park();
    }
}

#[test]
fn terminate_and_kill_end_it_by_their_signals() {
    for method in METHODS {
        for code in [-15, -9] {
            let end = if code == -15 { Process::terminate } else { Process::kill };
            let process = Process::builder().start_method(method).spawn(|()| park(), ()).unwrap();
            assert!(process.is_alive());
            assert_eq!((process.exitcode(), process.exit_cause()), (None, None));
            end(&process);
            assert!(matches!(process.join(), Err(JoinError::Died { .. })));
            assert_eq!(process.exitcode(), Some(code));
            // Again, on one that is gone.
            end(&process);
            assert_eq!(process.exitcode(), Some(code));
        }
    }
}

#[test]
fn a_stopped_process_can_be_killed() {
    let process = Process::spawn(|()| park(), ()).unwrap();
    send(process.pid(), rustix::process::Signal::STOP);
    process.kill();
    process.wait().unwrap();
    assert_eq!(process.exitcode(), Some(-9));
}

#[test]
fn a_death_from_outside_is_told_with_its_signal() {
    let process = Process::spawn(|()| park(), ()).unwrap();
    send(process.pid(), rustix::process::Signal::SEGV);
    match process.join() {
        Err(error @ JoinError::Died { cause: ExitCause::Signal { number, .. }, .. }) => {
            assert_eq!(number, 11);
            assert!(error.to_string().contains("SIGSEGV"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[allow(unconditional_recursion, reason = "on purpose")]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box(recurse(std::hint::black_box(depth + 1))) + 1
}

#[test]
fn a_stack_overflow_is_a_death_by_its_signal() {
    let process = Process::spawn(recurse, 0).unwrap();
    assert!(matches!(process.join(), Err(JoinError::Died { .. })));
    assert_eq!(process.exitcode(), Some(-11));
}

#[test]
fn join_with_a_limit_gives_up_and_the_process_goes_on() {
    let process = Process::spawn(|()| park(), ()).unwrap();
    let error = process.join_timeout(Duration::from_millis(20)).unwrap_err();
    assert!(error.is_timeout() && process.is_alive(), "{error}");
    assert!(process.join_timeout(Duration::ZERO).unwrap_err().is_timeout());
    process.kill();
    assert!(!process.join_timeout(LONG).unwrap_err().is_timeout());
}

#[test]
fn dropping_a_daemon_kills_it_and_dropping_another_waits() {
    let daemon: Process = Process::builder().daemon(true).spawn(|()| park(), ()).unwrap();
    let pid = daemon.pid();
    within(LONG, || drop(daemon));
    assert_eq!(state_of(pid), None);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("done");
    drop(
        Process::spawn(|file: std::path::PathBuf| std::fs::write(file, "done").unwrap(), file.clone())
            .unwrap(),
    );
    assert_eq!(std::fs::read_to_string(file).unwrap(), "done");
}

#[test]
fn a_panicking_owner_does_not_wait_for_its_process() {
    let (tell, told) = std::sync::mpsc::channel();
    let owner = std::thread::spawn(move || {
        let process: Process = Process::spawn(|()| park(), ()).unwrap();
        tell.send(process.pid()).unwrap();
        panic!("on purpose");
    });
    let pid = told.recv_timeout(LONG).unwrap();
    assert!(within(LONG, || owner.join()).is_err());
    assert_eq!(state_of(pid), None);
}

#[test]
fn a_detached_process_runs_on() {
    let process: Process = Process::spawn(|()| park(), ()).unwrap();
    let pid = process.pid();
    process.detach();
    assert!(active_children().iter().any(|child| child.pid == pid));
    send(pid, rustix::process::Signal::KILL);
}

#[test]
fn processes_outlive_the_thread_that_started_them() {
    let process =
        std::thread::spawn(|| Process::spawn(|()| std::thread::park(), ()).unwrap()).join().unwrap();
    assert!(process.join_timeout(Duration::from_millis(50)).unwrap_err().is_timeout());
    process.kill();
}

#[test]
fn a_process_knows_its_name_and_kind() {
    let main = current_process();
    assert_eq!((main.name.as_str(), main.kind), ("MainProcess", ProcessKind::Main));
    let look = |()| {
        let me = current_process();
        let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
        (me.name, me.kind == ProcessKind::Process, me.is_daemon, me.parent_pid, comm)
    };
    let process = Process::builder().name("writer of lines").daemon(true).spawn(look, ()).unwrap();
    let (name, is_process, is_daemon, parent, comm) = process.join().unwrap();
    assert_eq!((name.as_str(), comm.trim()), ("writer of lines", "writer of lines"));
    assert!(is_process && is_daemon);
    assert_eq!(parent, std::process::id());
}

#[test]
fn unnamed_processes_have_names_of_their_own() {
    let (a, b) = (Process::spawn(|()| (), ()).unwrap(), Process::spawn(|()| (), ()).unwrap());
    assert!(a.name().starts_with("Process-") && b.name().starts_with("Process-") && a.name() != b.name());
}

#[test]
fn workers_and_processes_start_no_processes() {
    let inside = Process::spawn(
        |()| match Process::spawn(|()| (), ()) {
            Err(error @ SpawnError::Nested { .. }) => error.to_string(),
            other => format!("{other:?}"),
        },
        (),
    )
    .unwrap();
    let told = inside.join().unwrap();
    assert!(
        told.contains("only the main process starts processes") && told.contains(inside.name()),
        "{told}"
    );

    // A pool made there works in that process.
    let pools = Process::spawn(
        |()| {
            let pool = Pool::builder().workers(2).build().unwrap();
            let inside = pool.reduce(0..1usize, 0, |_| std::process::id(), |a, b| a.max(b)).unwrap();
            (inside, std::process::id())
        },
        (),
    )
    .unwrap();
    let (inside, own) = pools.join().unwrap();
    assert_eq!(inside, own);

    let pool = common::processes(1);
    pool.for_each(0..1usize, |_| {
        assert!(matches!(Process::spawn(|()| (), ()), Err(SpawnError::Nested { .. })));
        assert_eq!(current_process().kind, ProcessKind::Worker);
    })
    .unwrap();
}

#[test]
fn many_at_once_from_many_threads() {
    let sum = std::thread::scope(|scope| {
        let hands: Vec<_> = (0..4u64)
            .map(|thread| {
                scope.spawn(move || {
                    let processes: Vec<_> = (0..10u64)
                        .map(|i| Process::spawn(|(a, b)| a * 10 + b, (thread, i)).unwrap())
                        .collect();
                    processes.iter().map(|process| process.join().unwrap()).sum::<u64>()
                })
            })
            .collect();
        hands.into_iter().map(|hand| hand.join().unwrap()).sum::<u64>()
    });
    assert_eq!(sum, (0..40).sum::<u64>());
}

#[test]
fn arguments_that_cannot_be_read_are_told() {
    #[derive(Serialize)]
    struct Lopsided;
    impl<'de> Deserialize<'de> for Lopsided {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(serde::de::Error::custom("never"))
        }
    }
    let process = Process::spawn(|_: Lopsided| (), Lopsided).unwrap();
    assert!(matches!(process.join(), Err(JoinError::Arguments { .. })));
    assert_eq!(process.exitcode(), Some(1));
    let process = Process::spawn(|()| Lopsided, ()).unwrap();
    assert!(matches!(process.join(), Err(JoinError::Value { .. })));
}

#[test]
fn what_it_printed_without_a_line_end_is_not_lost() {
    // The function prints where this test program prints, so it prints into a file instead, through the same
    // buffer.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out");
    let process = Process::spawn(
        |file: std::path::PathBuf| {
            let file = std::fs::File::create(file).unwrap();
            // SAFETY: both descriptors are open.
            #[allow(unsafe_code)]
            unsafe {
                libc::dup2(file.as_raw_fd(), 1)
            };
            print!("no line end");
        },
        file.clone(),
    )
    .unwrap();
    process.join().unwrap();
    assert_eq!(std::fs::read_to_string(file).unwrap(), "no line end");
}

#[test]
fn a_function_that_closes_every_descriptor_ends_in_good_order() {
    let process = Process::spawn(
        |()| {
            // SAFETY: the process has nothing to lose.
            #[allow(unsafe_code)]
            unsafe {
                libc::close_range(3, u32::MAX, 0)
            };
            42
        },
        (),
    )
    .unwrap();
    assert_eq!(process.join().unwrap(), 42);
}

#[test]
fn shared_objects_travel_as_arguments() {
    for method in METHODS {
        let (total, lock) = (Counter::new(0).unwrap(), Lock::new([0u64; 4]).unwrap());
        let processes: Vec<Process> = (0..4usize)
            .map(|i| {
                Process::builder()
                    .start_method(method)
                    .spawn(
                        |(lock, total, i): (Lock<[u64; 4]>, Counter, usize)| {
                            for _ in 0..100 {
                                lock.lock().unwrap()[i] += 1;
                                total.add(1);
                            }
                        },
                        (lock.clone(), total.clone(), i),
                    )
                    .unwrap()
            })
            .collect();
        processes.iter().for_each(|process| process.join().unwrap());
        assert_eq!((total.get(), *lock.lock().unwrap()), (400, [100; 4]));
    }
}

#[test]
fn objects_live_as_long_as_the_process_that_got_them_and_may_come_back() {
    let process = Process::spawn(
        |lock: Lock<u32>| {
            *lock.lock().unwrap() += 1;
            lock
        },
        // No other handle of it is left here.
        Lock::new(41u32).unwrap(),
    )
    .unwrap();
    let lock = process.join().unwrap();
    drop(process);
    assert_eq!(*lock.lock().unwrap(), 42);
}

#[test]
fn a_lock_that_a_killed_process_held_is_handed_on_as_owner_died() {
    let lock = Lock::new(1u32).unwrap();
    let held = Event::new().unwrap();
    let process: Process = Process::spawn(
        |(lock, held): (Lock<u32>, Event)| {
            let mut guard = lock.lock().unwrap();
            *guard = 7;
            held.set();
            park();
        },
        (lock.clone(), held.clone()),
    )
    .unwrap();
    assert!(held.wait_timeout(LONG));
    // Waits while the owner dies.
    let waiter = lock.clone();
    let hand = std::thread::spawn(move || match waiter.lock() {
        Err(LockError::OwnerDied(mut guard)) => {
            let value = *guard;
            guard.clear_poison();
            Some(value)
        }
        _ => None,
    });
    process.kill();
    assert_eq!(within(LONG, || hand.join().unwrap()), Some(7));
    assert_eq!(*lock.lock().unwrap(), 7);
}

#[test]
fn large_frozen_arrays_travel_as_a_few_numbers() {
    let pool = Pool::new().unwrap();
    let array = pool.from_fn(1 << 20, |i| i as u64).unwrap().freeze().unwrap();
    let process =
        Process::spawn(|array: FrozenArray<u64, Ix1>| array.as_slice().iter().sum::<u64>(), array.clone())
            .unwrap();
    assert_eq!(process.join().unwrap(), (1u64 << 19) * ((1 << 20) - 1));
}

#[test]
fn queues_connect_processes() {
    let (questions, answers) = (Queue::<u64>::new().unwrap(), Queue::<u64>::bounded(2).unwrap());
    let square = |(questions, answers): (Queue<u64>, Queue<u64>)| {
        while let Ok(n @ 1..) = questions.get_timeout(LONG) {
            answers.put(&(n * n)).unwrap();
        }
    };
    let processes: Vec<Process> =
        (0..2).map(|_| Process::spawn(square, (questions.clone(), answers.clone())).unwrap()).collect();
    (1..=20).for_each(|n| questions.put(&n).unwrap());
    let mut got: Vec<u64> = (0..20).map(|_| answers.get_timeout(LONG).unwrap()).collect();
    got.sort();
    assert_eq!(got, (1..=20).map(|n| n * n).collect::<Vec<_>>());
    (0..2).for_each(|_| questions.put(&0).unwrap());
    processes.iter().for_each(|process| process.join().unwrap());
}

#[test]
fn a_killed_writer_leaves_its_queue_to_the_others() {
    let queue = Queue::<Vec<u8>>::bounded(4).unwrap();
    let write = |queue: Queue<Vec<u8>>| {
        loop {
            queue.put(&vec![7; 100_000]).unwrap();
        }
    };
    for _ in 0..10 {
        let process: Process = Process::spawn(write, queue.clone()).unwrap();
        assert_eq!(queue.get_timeout(LONG).unwrap(), [7; 100_000]);
        process.kill();
        process.wait().unwrap();
        // Whole items may be left, half ones never.
        while let Ok(item) = queue.get_timeout(Duration::ZERO) {
            assert_eq!(item, [7; 100_000]);
        }
        queue.put_timeout(&vec![1], LONG).unwrap();
        assert_eq!(queue.get_timeout(LONG).unwrap(), [1]);
    }
}
