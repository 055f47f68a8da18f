//! What was shared before workers are forked: refused, since they would not have it. Each part is a program
//! of its own with one thread, hence no test harness.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::shared::SharedList;
use phalanx::sync::{Barrier, Condition, Counter, Event, Lock, RLock, RwLock, Semaphore};
use phalanx::{
    Backend, ExitCause, FrozenArray, LaunchError, MappedArray, Pool, PoolError, Process, Queue, SharedArray,
    SharedValue, SpawnError, StartError, StartMethod,
};
use std::any::Any;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

const PART: &str = "PHALANX_TEST_PART";

static KEPT: OnceLock<SharedArray<u64>> = OnceLock::new();
static FROZEN: OnceLock<FrozenArray<u64>> = OnceLock::new();

fn forked() -> Result<Pool, PoolError> {
    Pool::builder().workers(2).start_method(StartMethod::Fork).build()
}

fn is_refused<T>(outcome: Result<T, PoolError>) -> bool {
    matches!(outcome, Err(PoolError::Start(StartError::SharedBeforeFork { objects: 1.. })))
}

fn an_array_in_a_static_is_refused() {
    KEPT.set(SharedArray::from_fn(1 << 18, |i| i as u64).unwrap()).unwrap();
    assert!(is_refused(forked()));
    let process = Process::builder().start_method(StartMethod::Fork).spawn(|()| (), ());
    let Err(SpawnError::Start { source, .. }) = process else { panic!("it was started") };
    assert!(matches!(source, StartError::SharedBeforeFork { .. }), "{source}");
    assert_eq!(KEPT.get().unwrap().as_slice()[7], 7);
}

fn every_kind_of_object_is_refused_while_it_lives() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.npy");
    SharedArray::from_slice(&[1u64]).unwrap().save_npy(&file).unwrap();
    type Make<'a> = Box<dyn Fn() -> Box<dyn Any> + 'a>;
    let kinds: Vec<(&str, Make<'_>)> = vec![
        ("small array", Box::new(|| Box::new(SharedArray::<u64>::zeros(10).unwrap()))),
        ("large array", Box::new(|| Box::new(SharedArray::<u64>::zeros(1 << 18).unwrap()))),
        ("frozen array", Box::new(|| Box::new(SharedArray::<u64>::zeros(10).unwrap().freeze().unwrap()))),
        ("value", Box::new(|| Box::new(SharedValue::new(1u64).unwrap()))),
        ("lock", Box::new(|| Box::new(Lock::new(1u64).unwrap()))),
        ("rlock", Box::new(|| Box::new(RLock::new(1u64).unwrap()))),
        ("rwlock", Box::new(|| Box::new(RwLock::new(1u64).unwrap()))),
        ("semaphore", Box::new(|| Box::new(Semaphore::new(1).unwrap()))),
        ("barrier", Box::new(|| Box::new(Barrier::new(1).unwrap()))),
        ("condition", Box::new(|| Box::new(Condition::new().unwrap()))),
        ("event", Box::new(|| Box::new(Event::new().unwrap()))),
        ("counter", Box::new(|| Box::new(Counter::new(1).unwrap()))),
        ("queue", Box::new(|| Box::new(Queue::<u64>::new().unwrap()))),
        ("list", Box::new(|| Box::new(SharedList::<u64>::new(1, 8).unwrap()))),
        #[allow(unsafe_code)]
        // SAFETY: the file is this test's alone.
        ("mapped array", Box::new(|| Box::new(unsafe { MappedArray::<u64>::map_npy(&file) }.unwrap()))),
        (
            "traced pool",
            Box::new(|| Box::new(Pool::builder().backend(Backend::Inline).trace(true).build().unwrap())),
        ),
    ];
    for (name, make) in kinds {
        let object = make();
        assert!(is_refused(forked()), "{name}");
        drop(object);
    }
    forked().unwrap();
}

/// Where an array lay that is gone.
static GONE: AtomicUsize = AtomicUsize::new(0);

fn what_is_gone_is_no_hindrance_and_its_place_is_covered() {
    let gone = SharedArray::<u64>::zeros(100).unwrap();
    GONE.store(gone.as_slice().as_ptr().addr(), Ordering::Relaxed);
    drop(gone);
    let pool = forked().unwrap();
    // Workers have an arena of their own.
    let sum =
        pool.map(|n: u64| SharedArray::from_slice(&[n; 10]).unwrap().as_slice().iter().sum::<u64>(), 0..4);
    assert_eq!(sum.unwrap(), [0, 10, 20, 30]);
    let touched = pool.launch().chunk(1).for_each(0..1, |_| {
        let place = std::ptr::with_exposed_provenance::<u64>(GONE.load(Ordering::Relaxed));
        #[allow(unsafe_code)]
        // SAFETY: none: this shows that the kernel answers with a signal.
        std::hint::black_box(unsafe { place.read_volatile() });
    });
    let Err(LaunchError::WorkerDied { deaths, .. }) = touched else { panic!("{touched:?}") };
    assert!(matches!(deaths[0].cause, ExitCause::Signal { number: libc::SIGSEGV, .. }), "{deaths:?}");
    pool.for_each(0..10, |_| ()).unwrap();
}

fn assert_refused_after(preload: impl Fn() + Copy + Send + Sync + 'static) {
    let build = || Pool::builder().workers(2).preload(preload);
    assert!(is_refused(build().build()));
    assert!(is_refused(build().start_method(StartMethod::Fork).build()));
}

fn what_preload_keeps_is_refused() {
    assert_refused_after(|| drop(KEPT.set(SharedArray::<u64>::zeros(1 << 18).unwrap())));
    assert_refused_after(|| drop(FROZEN.set(SharedArray::<u64>::zeros(8).unwrap().freeze().unwrap())));
    assert_refused_after(|| std::mem::forget(Counter::new(1).unwrap()));
    assert!(KEPT.get().is_none());
}

/// Used in `preload` first, where it runs inline, and then in kernels.
static POOL: OnceLock<Pool> = OnceLock::new();

fn sum_of_squares(pool: &Pool) -> f64 {
    let x = pool.from_fn(1000, |i| i as f64).unwrap();
    pool.reduce(x.split(), 0.0, |x| x.iter().map(|x| x * x).sum(), |a, b| a + b).unwrap()
}

const SQUARES: f64 = 999.0 * 1000.0 * 1999.0 / 6.0;

fn warm_up() {
    let pool = POOL.get_or_init(|| Pool::builder().stats(true).build().unwrap());
    assert_eq!(sum_of_squares(pool), SQUARES);
    assert_eq!(sum_of_squares(&Pool::new().unwrap()), SQUARES);
    print!("<preload>");
}

fn launches_in_preload_do_not_hinder_those_in_kernels() {
    print!("<before>");
    for method in [StartMethod::Fork, StartMethod::ForkServer] {
        let pool = Pool::builder().workers(2).start_method(method).preload(warm_up).build().unwrap();
        let mut sums = pool.zeros::<f64>(8).unwrap();
        for _ in 0..3 {
            pool.launch()
                .chunk(1)
                .for_each(sums.split_mut(), |sums| {
                    let pool = POOL.get().unwrap();
                    sums.fill(sum_of_squares(pool) + sum_of_squares(&Pool::new().unwrap()));
                    assert_eq!(pool.map(|n: u64| n + 1, 0..3).unwrap(), [1, 2, 3]);
                    assert!(!pool.stats().workers.is_empty());
                    assert!(pool.last_launch().is_none());
                })
                .unwrap();
            assert_eq!(sums.as_slice(), [2.0 * SQUARES; 8]);
        }
        if method == StartMethod::Fork {
            // The next method's copy must not have it.
            drop(pool);
        }
    }
    println!();
}

type Part = (&'static str, fn());
const PARTS: [Part; 5] = [
    ("an_array_in_a_static_is_refused", an_array_in_a_static_is_refused),
    ("every_kind_of_object_is_refused_while_it_lives", every_kind_of_object_is_refused_while_it_lives),
    (
        "what_is_gone_is_no_hindrance_and_its_place_is_covered",
        what_is_gone_is_no_hindrance_and_its_place_is_covered,
    ),
    ("what_preload_keeps_is_refused", what_preload_keeps_is_refused),
    (
        "launches_in_preload_do_not_hinder_those_in_kernels",
        launches_in_preload_do_not_hinder_those_in_kernels,
    ),
];

fn main() {
    if let Ok(part) = std::env::var(PART) {
        let (_, run) = PARTS.iter().find(|(name, _)| *name == part).unwrap();
        return run();
    }
    for (name, _) in PARTS {
        let run = Command::new(std::env::current_exe().unwrap()).env(PART, name).output().unwrap();
        let text = String::from_utf8_lossy(&run.stdout);
        assert!(
            run.status.success(),
            "{name}: {}\n{text}\n{}",
            run.status,
            String::from_utf8_lossy(&run.stderr)
        );
        if name.starts_with("launches") {
            assert_eq!(
                (text.matches("<before>").count(), text.matches("<preload>").count()),
                (1, 2),
                "{text}"
            );
        }
        println!("{name} ... ok");
    }
}
