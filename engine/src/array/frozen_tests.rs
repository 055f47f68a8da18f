//! Frozen arrays: who shares what, and when writing is possible again.

use super::{FrozenArray, FrozenValue, SharedArray, SharedValue};
use crate::handle::travel::{decode, encode, without_hold};
use ndarray::Ix2;
use std::ptr::NonNull;

fn here() -> impl FnMut(u64, bool) -> Result<(NonNull<u8>, usize), String> {
    |segment, _| Err(format!("segment {segment} was asked for in the process that made it"))
}

#[test]
fn an_array_is_written_again_only_by_its_last_handle() {
    for len in [4, 1 << 18] {
        let frozen = SharedArray::from_fn(len, |i| i as f64).unwrap().freeze().unwrap();
        let (bytes, keep_alive) = encode(&frozen).unwrap();
        let frozen = frozen.thaw().unwrap_err();
        let (same, leases): (FrozenArray<f64>, _) = decode(&bytes, &mut here()).unwrap();
        assert_eq!((same[3], same.len(), leases.alive()), (3.0, len, 0));
        assert_eq!(same.as_ptr(), frozen.as_ptr());
        drop((leases, frozen, keep_alive));
        let mut array = same.thaw().unwrap();
        array.as_mut_slice()[3] = 9.0;
        assert_eq!(array.as_slice()[2..4], [2.0, 9.0]);
        assert!(decode::<FrozenArray<f64>>(&without_hold(&bytes), &mut here()).is_err(), "thawed is gone");
    }
}

#[test]
fn large_arrays_bring_their_segment_along_for_reading() {
    let large = SharedArray::<u8>::zeros(2 << 20).unwrap();
    let own = large.segment().id();
    let (_bytes, keep_alive) = encode(&large.freeze().unwrap()).unwrap();
    let access: Vec<bool> = keep_alive.segments().filter(|(s, _)| s.id() == own).map(|(_, w)| w).collect();
    assert_eq!(access, [false]);
}

#[test]
fn shape_and_type_are_checked() {
    let frozen = SharedArray::from_shape_fn((2, 3), |(i, j)| (10 * i + j) as u32).unwrap().freeze().unwrap();
    let (bytes, _keep_alive) = encode(&frozen).unwrap();
    let (same, _): (FrozenArray<u32, Ix2>, _) = decode(&bytes, &mut here()).unwrap();
    assert_eq!((same.view()[(1, 2)], same.shape()), (12, &[2, 3][..]));
    assert!(decode::<FrozenArray<u32>>(&bytes, &mut here()).is_err());
    assert!(decode::<FrozenArray<i32, Ix2>>(&bytes, &mut here()).is_err());
}

#[test]
fn values_freeze_too() {
    let frozen = SharedValue::new([1u8, 2]).unwrap().freeze().unwrap();
    let (bytes, keep_alive) = encode(&vec![frozen.clone(), frozen.clone()]).unwrap();
    let (same, _): (Vec<FrozenValue<[u8; 2]>>, _) = decode(&bytes, &mut here()).unwrap();
    assert_eq!(*same[1], [1, 2]);
    drop((keep_alive, same));
    assert_eq!(frozen.thaw().unwrap().get(), [1, 2]);
}
