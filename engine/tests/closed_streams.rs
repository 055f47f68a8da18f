//! A program whose standard streams are closed, as a daemon's may be: what it prints goes nowhere, and never
//! into what is shared. It closes them itself, since the start of every Rust program opens closed ones; hence
//! no test harness.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::sync::Counter;
use phalanx::{Backend, Manager, MappedArray, Pool, Process, Queue, Schedule, SharedArray, StartMethod};
use std::process::Command;

const ROLE: &str = "PHALANX_TEST_CLOSED";

/// The standard streams that this process has open, with what they are.
fn standard() -> Vec<String> {
    let name = |number: i32| std::fs::read_link(format!("/proc/self/fd/{number}")).ok();
    (0..3).filter_map(name).map(|path| path.display().to_string()).collect()
}

/// Prints more than any buffer holds.
fn print_much() {
    for line in 0..10_000 {
        println!("line {line} of many");
        eprintln!("error {line} of many");
    }
}

fn close_standard() {
    for number in 0..3 {
        #[allow(unsafe_code)]
        // SAFETY: this test has nothing there that it uses.
        unsafe {
            libc::close(number)
        };
    }
}

fn pools() -> Vec<Pool> {
    let processes = |method| {
        let builder = Pool::builder().workers(2).backend(Backend::Processes).start_method(method);
        builder.build().unwrap()
    };
    let threads = Pool::builder().workers(2).backend(Backend::Threads).build().unwrap();
    vec![processes(StartMethod::ForkServer), processes(StartMethod::Spawn), threads]
}

/// Runs with its streams closed.
fn daemon() {
    close_standard();
    // Before any thread: forked from this very process.
    let forked = Pool::builder().workers(1).start_method(StartMethod::Fork).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.npy");
    let saved = SharedArray::<u64>::zeros(5000).unwrap();
    saved.save_npy(&file).unwrap();
    #[allow(unsafe_code)]
    // SAFETY: the file is this test's alone.
    let mapped = unsafe { MappedArray::<u64>::map_npy(&file) }.unwrap();
    let (small, large) =
        (SharedArray::<u64>::zeros(100).unwrap(), SharedArray::<u64>::zeros(1 << 18).unwrap());
    let (count, queue) = (Counter::new(0).unwrap(), Queue::<String>::new().unwrap());
    let manager = Manager::new().unwrap();
    let list = manager.list::<u64>().unwrap();
    for pool in pools().into_iter().chain([forked]) {
        let is_process = !pool.worker_pids().is_empty();
        let all = pool.launch().chunk(1).schedule(Schedule::Static);
        all.for_each((0..pool.workers(), &count), |(_, count)| {
            print_much();
            count.add(1);
        })
        .unwrap();
        let streams = pool.apply(|()| standard(), ()).unwrap();
        let expected = if is_process { vec!["/dev/null"; 3] } else { vec![] };
        assert_eq!(streams, expected, "{pool:?}");
        print_much();
        assert_eq!(standard(), [""; 0], "{pool:?}");
    }
    let process = Process::spawn(
        |queue: Queue<String>| {
            print_much();
            queue.put(&"done".to_string()).unwrap();
            standard()
        },
        queue.clone(),
    );
    assert_eq!(process.unwrap().join().unwrap(), ["/dev/null"; 3]);
    assert_eq!(queue.get().unwrap(), "done");
    list.push(7).unwrap();
    print_much();
    assert_eq!(standard(), [""; 0]);
    assert_eq!(list.to_vec().unwrap(), [7]);
    for array in [small.as_slice(), large.as_slice(), mapped.as_slice(), saved.as_slice()] {
        assert!(array.iter().all(|word| *word == 0), "text came into an array of {}", array.len());
    }
    assert_eq!(count.get(), 2 + 2 + 2 + 1);
}

fn main() {
    if std::env::var_os(ROLE).is_some() {
        // Nobody would read a panic's message.
        let outcome = std::panic::catch_unwind(daemon);
        let text = outcome.err().map(|panic| match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => panic.downcast_ref::<&str>().map_or("?".into(), |text| text.to_string()),
        });
        std::fs::write(std::env::var(ROLE).unwrap(), text.unwrap_or_else(|| "fine".into())).unwrap();
        return;
    }
    let report = tempfile::NamedTempFile::new().unwrap();
    let status = Command::new(std::env::current_exe().unwrap()).env(ROLE, report.path()).status().unwrap();
    let text = std::fs::read_to_string(report.path()).unwrap();
    assert!(status.success() && text == "fine", "{status}: {text}");
    println!("a program without standard streams: 1 test ok");
}
