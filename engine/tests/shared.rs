//! Shared values, arrays, atomics and lists as operands of launches on every backend, clones that outlive a
//! launch, and what becomes of the objects when a worker dies with them in its hands.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::shared::{Array, Atomic, AtomicArray, RawArray, RawValue, SharedList, Value};
use phalanx::sync::{Counter, LockError};
use phalanx::{Backend, Pool, Schedule};
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;

fn pools() -> Vec<Pool> {
    vec![
        Pool::builder().workers(2).build().unwrap(),
        Pool::builder().workers(2).backend(Backend::Threads).build().unwrap(),
        Pool::builder().backend(Backend::Inline).build().unwrap(),
    ]
}

#[test]
fn kernels_use_shared_objects_on_every_backend() {
    for pool in pools() {
        let sum = Value::new(0u64).unwrap();
        let squares = Array::<u64>::zeros(100).unwrap();
        let (flag, raw) = (RawValue::new(0u8).unwrap(), RawArray::<u32>::zeros(100).unwrap());
        let (energy, bins) = (Atomic::new(0.0f64).unwrap(), AtomicArray::<u32>::zeros(4).unwrap());
        let list = SharedList::<(u64, String)>::new(100, 40).unwrap();
        pool.launch()
            .chunk(10)
            .for_each((0..100, &sum, &squares, &flag, &raw), |(range, sum, squares, flag, raw)| {
                for i in range {
                    sum.update(|x| x + i as u64).unwrap();
                    squares.set(i, (i * i) as u64).unwrap();
                    raw.set(i, i as u32 + 1);
                }
                flag.set(1);
            })
            .unwrap();
        pool.launch()
            .chunk(10)
            .for_each((0..100, &energy, &bins, &list), |(range, energy, bins, list)| {
                for i in range {
                    energy.fetch_add(0.5, Relaxed);
                    bins[i % 4].fetch_add(1, Relaxed);
                    list.push(&(i as u64, format!("item {i}"))).unwrap();
                }
            })
            .unwrap();
        assert_eq!(sum.get().unwrap(), 4950, "{pool:?}");
        assert!(squares.lock().unwrap().iter().enumerate().all(|(i, square)| *square == (i * i) as u64));
        assert!(flag.get() == 1 && raw.iter().eq(1..=100));
        assert_eq!((energy.load(Relaxed), bins[3].load(Relaxed)), (50.0, 25));
        let mut items = list.to_vec().unwrap();
        items.sort();
        assert!(
            items.iter().enumerate().all(|(i, (n, text))| *n == i as u64 && *text == format!("item {i}"))
        );
    }
}

/// What a careless kernel keeps.
static KEPT: Mutex<Vec<Counter>> = Mutex::new(Vec::new());

#[test]
fn a_clone_that_outlives_its_launch_still_has_its_object() {
    for pool in pools() {
        let counter = Counter::new(0).unwrap();
        pool.launch()
            .schedule(Schedule::Static)
            .for_each((0..pool.workers(), &counter), |(_, counter)| {
                KEPT.lock().unwrap().push(counter.clone())
            })
            .unwrap();
        drop(counter);
        // Would take the counter's memory, had it been given back.
        let others: Vec<Counter> = (0..64).map(|i| Counter::new(1000 + i).unwrap()).collect();
        pool.launch()
            .schedule(Schedule::Static)
            .for_each((0..pool.workers(),), |(_,)| {
                for kept in KEPT.lock().unwrap().iter() {
                    kept.add(1);
                }
            })
            .unwrap();
        assert!(others.iter().enumerate().all(|(i, other)| other.get() == 1000 + i as u64), "{pool:?}");
        KEPT.lock().unwrap().clear();
    }
}

#[test]
fn what_a_dead_worker_had_in_its_hands() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let array = Array::from_elements([1u64; 4]).unwrap();
    let list = SharedList::from_items(&["old".to_owned()], 32).unwrap();
    let died = pool.launch().for_each((0..1, &array, &list), |(_, array, list)| {
        let mut guard = array.lock().unwrap();
        guard[..2].fill(7);
        let _ = list.update(0, |item| {
            item.push_str(" and new");
            std::process::abort()
        });
    });
    assert!(died.is_err());
    match array.lock() {
        Err(LockError::OwnerDied(mut half)) => {
            assert_eq!(*half, [7, 7, 1, 1]);
            half.fill(0);
            half.clear_poison();
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(array.to_vec().unwrap(), [0; 4]);
    assert_eq!(list.to_vec().unwrap(), ["old"], "half a change is none");
    list.push(&"x".to_owned()).unwrap_err();
    pool.for_each((0..2, &array), |(_, array)| array.set(0, 5).unwrap()).unwrap();
    assert_eq!(array.get(0).unwrap(), 5);
}
