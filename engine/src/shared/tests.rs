//! Shared objects in one process: what they hold, what they refuse, and that they travel.

use super::*;
use crate::handle::travel::{decode, encode};
use crate::sync::LockError;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

fn here() -> impl FnMut(u64, bool) -> Result<(NonNull<u8>, usize), String> {
    |segment, _| Err(format!("segment {segment} was asked for in the process that made it"))
}

/// Sends a handle and drops the sender's, so that the received one alone keeps the object.
fn sent<T: serde::Serialize + serde::de::DeserializeOwned>(handle: T) -> T {
    let (bytes, keep_alive) = encode(&handle).unwrap();
    let (got, _) = decode(&bytes, &mut here()).unwrap();
    drop((handle, keep_alive));
    got
}

#[test]
fn all_objects_travel_with_what_they_hold() {
    assert_eq!(sent(Value::new([1u16, 2]).unwrap()).get().unwrap(), [1, 2]);
    assert_eq!(sent(Array::from_elements(0..5i64).unwrap()).to_vec().unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(sent(RawValue::new(2.5f32).unwrap()).get(), 2.5);
    assert_eq!(sent(RawArray::from_slice(&[[1u8; 3], [2; 3]]).unwrap()).to_vec(), [[1; 3], [2; 3]]);
    assert_eq!(sent(Atomic::new(-3i16).unwrap()).fetch_add(1, Relaxed), -3);
    assert_eq!(sent(AtomicArray::from_slice(&[1.5f64, 2.0]).unwrap())[1].swap(0.0, Relaxed), 2.0);
    let list = sent(SharedList::from_items(&["a".to_owned(), "bc".to_owned()], 0).unwrap());
    assert_eq!((list.to_vec().unwrap(), list.capacity()), (vec!["a".into(), "bc".into()], 2));
    assert!(sent(Array::<u8>::zeros(0).unwrap()).is_empty());
    // Alike in memory, but of another type.
    let (bytes, _keep_alive) = encode(&RawArray::<u64>::zeros(3).unwrap()).unwrap();
    assert!(decode::<AtomicArray<u64>>(&bytes, &mut here()).is_err());
    assert!(decode::<RawArray<i64>>(&bytes, &mut here()).is_err());
}

#[test]
fn a_value_says_what_keeps_it_from_being_used() {
    let value = Value::new(1u64).unwrap();
    let guard = value.lock().unwrap();
    assert!(matches!(value.get(), Err(LockError::WouldDeadlock)));
    assert_eq!(value.get_lock().holder(), Some(crate::base::member::current()));
    let other = value.clone();
    let waited = std::thread::spawn(move || other.lock_timeout(Duration::from_millis(1)).map(drop).is_err());
    assert!(waited.join().unwrap());
    drop(guard);
    let other = value.clone();
    let panicked = std::thread::spawn(move || {
        let _guard = other.lock().unwrap();
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert!(matches!(value.get(), Err(LockError::OwnerDied(()))));
    value.set(5).unwrap();
    assert_eq!(value.update(|x| x + 1).unwrap(), 6);
}

#[test]
fn arrays_are_locked_as_a_whole() {
    let array = Array::<u32>::zeros(8).unwrap();
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for _ in 0..500 {
                    let mut all = array.lock().unwrap();
                    let next = all[7] + 1;
                    all.fill(next);
                }
            });
        }
    });
    assert_eq!(array.to_vec().unwrap(), [2000; 8]);
    let held = array.lock().unwrap();
    assert!(matches!(array.set(0, 1), Err(LockError::WouldDeadlock)));
    assert!(matches!(array.try_lock(), Err(LockError::WouldDeadlock)));
    assert_eq!(array.holder(), Some(crate::base::member::current()));
    drop(held);
    array.set(1, 7).unwrap();
    assert_eq!((array.get(1).unwrap(), array.get(0).unwrap()), (7, 2000));
    let outside = std::panic::catch_unwind(|| array.get(8));
    assert!(outside.is_err() && !array.is_poisoned(), "a bad index makes nothing suspect");
    assert!(Array::<u64>::zeros(usize::MAX / 2).is_err());
}

#[test]
fn raw_elements_of_up_to_eight_bytes_are_whole() {
    fn race<T: crate::Element + PartialEq + std::fmt::Debug>(a: T, b: T) {
        let array = RawArray::from_slice(&[a; 3]).unwrap();
        std::thread::scope(|s| {
            let writer = s.spawn(|| (0..20_000).for_each(|i| array.set(1, if i % 2 == 0 { a } else { b })));
            while !writer.is_finished() {
                let seen = array.get(1);
                assert!(seen == a || seen == b, "{seen:?} is half of each");
            }
        });
        assert_eq!((array.get(0), array.get(2)), (a, a));
    }
    race(0u16, u16::MAX);
    race(0.0f32, f32::from_bits(0x7f7f_7f7f));
    race([0u8; 8], [255; 8]);
    race([0u16; 2], [u16::MAX; 2]);
}

#[test]
fn raw_arrays_move_parts_of_any_place() {
    let array = RawArray::<[u8; 6]>::zeros(5).unwrap();
    array.write(1, &[[1, 2, 3, 4, 5, 6], [7; 6], [8; 6]]);
    let mut two = [[0; 6]; 2];
    array.read(1, &mut two);
    assert_eq!(two, [[1, 2, 3, 4, 5, 6], [7; 6]]);
    array.fill([9; 6]);
    assert!(array.iter().all(|element| element == [9; 6]));
    assert!(std::panic::catch_unwind(|| array.write(4, &[[0; 6]; 2])).is_err());
    assert!(std::panic::catch_unwind(|| array.get(5)).is_err());
    assert!(RawArray::<u64>::zeros(usize::MAX).is_err());
}

#[test]
fn floats_are_added_to_without_losing_any() {
    let sums = AtomicArray::<f64>::zeros(2).unwrap();
    let single = Atomic::new(0.0f32).unwrap();
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for _ in 0..1000 {
                    sums[1].fetch_add(0.5, Relaxed);
                    single.fetch_add(1.0, Relaxed);
                }
            });
        }
    });
    assert_eq!((sums[0].load(Relaxed), sums[1].load(Relaxed), single.load(Relaxed)), (0.0, 2000.0, 4000.0));
    assert_eq!((single.fetch_min(-1.0, Relaxed), single.fetch_max(f32::NAN, Relaxed)), (4000.0, -1.0));
    assert_eq!(single.load(Relaxed), -1.0);
}

#[test]
fn lists_keep_to_their_room() {
    let list = SharedList::<Vec<u8>>::new(2, 10).unwrap();
    assert_eq!((list.capacity(), list.item_bytes(), list.len().unwrap()), (2, 16, 0));
    assert_eq!((list.push(&vec![1; 13]).unwrap(), list.push(&vec![]).unwrap()), (0, 1));
    assert!(matches!(list.push(&vec![]), Err(ListError::Full { capacity: 2 })));
    assert!(matches!(list.set(0, &vec![0; 14]), Err(ListError::TooLarge { needed: 17, room: 16 })));
    assert!(matches!(list.get(2), Err(ListError::OutOfRange { index: 2, len: 2 })));
    assert_eq!(list.get(0).unwrap(), [1; 13], "refused, so unchanged");
    list.set(0, &vec![2]).unwrap();
    assert_eq!(list.update(0, |item| item.pop()).unwrap(), Some(2));
    assert_eq!(list.pop().unwrap(), Some(vec![]));
    assert_eq!((list.pop().unwrap(), list.pop().unwrap()), (Some(vec![]), None));
    assert!(list.is_empty().unwrap());
    // A handle cannot be an item: nobody would keep it alive.
    let handles = SharedList::new(1, 100).unwrap();
    let refused = handles.push(&Value::new(1u8).unwrap()).unwrap_err();
    assert!(refused.to_string().contains("travels only"), "{refused}");
    assert!(SharedList::<u8>::new(usize::MAX / 4, 1 << 20).is_err());
}

#[test]
fn a_panic_inside_a_change_leaves_the_list_as_it_was() {
    let list = SharedList::from_items(&[5u32, 6], 0).unwrap();
    let change = std::panic::AssertUnwindSafe(|| {
        list.update(1, |item| {
            *item = 9;
            panic!("on purpose")
        })
    });
    assert!(std::panic::catch_unwind(change).is_err());
    assert_eq!(list.to_vec().unwrap(), [5, 6]);
    let nested = list.update(0, |_| list.get(1).unwrap_err()).unwrap();
    assert!(matches!(nested, ListError::Lock(LockError::WouldDeadlock)));
}

#[test]
fn named_blocks_are_found_by_name_and_go_with_it() {
    let name = format!("phalanx-test-{}-blocks", std::process::id());
    let block = NamedBlock::create(&name, 100).unwrap().unlink_on_drop();
    assert!(matches!(NamedBlock::create(&name, 100), Err(BlockError::Alloc(_))));
    block.write(3, &[7; 90]);
    let same = NamedBlock::open(&name).unwrap();
    let mut all = [1; 100];
    same.read(0, &mut all);
    assert_eq!((&all[..3], &all[3..93], &all[93..]), (&[0; 3][..], &[7; 90][..], &[0; 7][..]));
    same.store(91, 0x0102_0304u32);
    assert_eq!(block.load::<u32>(91), 0x0102_0304);
    assert!(std::panic::catch_unwind(|| block.load::<u64>(93)).is_err());

    let (bytes, keep_alive) = encode(&block).unwrap();
    assert!(keep_alive.is_empty(), "it is kept by its name");
    let (third, _): (NamedBlock, _) = decode(&bytes, &mut here()).unwrap();
    assert_eq!(third.load::<u8>(50), 7);
    let path = block.path().to_owned();
    drop(block);
    assert!(!path.exists());
    assert_eq!(third.load::<u8>(50), 7, "who has it open goes on");
    let gone = decode::<NamedBlock>(&bytes, &mut here()).unwrap_err();
    assert!(gone.to_string().contains(&name), "{gone}");
    assert!(NamedBlock::unlink(&name).is_err());
    assert!(matches!(NamedBlock::open("/dev/null"), Err(BlockError::NotOurs { .. })));
}

#[test]
fn bytes_of_a_named_block_are_each_ones_own() {
    let name = format!("phalanx-test-bytes-{}", std::process::id());
    let block = NamedBlock::create(&name, 61).unwrap().unlink_on_drop();
    // Any run of bytes, against a plain twin.
    let mut twin = [0u8; 61];
    for (offset, len) in (0..61).flat_map(|offset| (0..=61 - offset).map(move |len| (offset, len))) {
        let new: Vec<u8> = (0..len).map(|i| (offset * 7 + len * 3 + i) as u8).collect();
        block.write(offset, &new);
        twin[offset..offset + len].copy_from_slice(&new);
        let mut seen = vec![1; len];
        block.read(offset, &mut seen);
        assert_eq!(seen, new);
    }
    let mut all = [1; 61];
    block.read(0, &mut all);
    assert_eq!(all, twin);
    // Neighbours in one word, from two threads.
    std::thread::scope(|scope| {
        for at in 0..2 {
            let block = &block;
            scope.spawn(move || {
                for round in 0..1000u32 {
                    block.store(at, round as u8);
                    assert_eq!(block.load::<u8>(at), round as u8);
                }
            });
        }
    });
}

#[test]
fn a_named_block_whose_file_was_made_shorter_panics_and_ends_no_process() {
    let name = format!("phalanx-test-short-{}", std::process::id());
    let block = NamedBlock::create(&name, 3 << 12).unwrap().unlink_on_drop();
    block.store(2 << 12, 5u64);
    let file = std::fs::OpenOptions::new().write(true).open(block.path()).unwrap();
    file.set_len(1 << 12).unwrap();
    assert!(std::panic::catch_unwind(|| block.load::<u64>(2 << 12)).is_err());
    assert!(std::panic::catch_unwind(|| block.store(2 << 12, 1u64)).is_err());
    assert_eq!(block.load::<u64>(0), 0);
}

#[test]
fn sizes_beyond_all_memory_are_refused() {
    assert!(RawArray::<u64>::zeros(usize::MAX).is_err() && RawArray::<u8>::zeros(usize::MAX).is_err());
    assert!(Array::<u64>::zeros(usize::MAX).is_err() && Array::<u8>::zeros(usize::MAX).is_err());
    assert!(AtomicArray::<u64>::zeros(usize::MAX).is_err() && AtomicArray::<u8>::zeros(usize::MAX).is_err());
    for (capacity, item_bytes) in
        [(usize::MAX, 1), (1, usize::MAX), (usize::MAX, usize::MAX), (1 << 60, 8), (1 << 32, 1 << 31)]
    {
        assert!(SharedList::<u64>::new(capacity, item_bytes).is_err(), "{capacity} {item_bytes}");
    }
    let name = format!("phalanx-test-huge-{}", std::process::id());
    assert!(NamedBlock::create(&name, usize::MAX).is_err());
    let block = NamedBlock::create(&name, 8).unwrap().unlink_on_drop();
    assert!(std::panic::catch_unwind(|| block.load::<u64>(usize::MAX - 3)).is_err());
}
