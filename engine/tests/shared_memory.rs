//! The door to the `shared_memory` crate: one segment, seen through both.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![allow(unsafe_code)]

use ndarray::{Ix1, Ix2};
use phalanx::{AttachError, SharedArray};
use shared_memory::ShmemConf;

#[test]
fn both_see_the_same_bytes() {
    let shmem = ShmemConf::new().size(100_000).create().unwrap();
    // SAFETY: the test alone uses the segment, and takes turns with itself.
    let mut a = unsafe { SharedArray::<f64, Ix2>::attach_shmem(&shmem, 64, (10, 100)) }.unwrap();
    a.view_mut()[[1, 0]] = 2.5;
    // SAFETY: inside the segment, aligned, and nobody writes now.
    let seen = unsafe { shmem.as_ptr().add(64).cast::<f64>().add(100).read() };
    assert_eq!(seen, 2.5);
    // SAFETY: as above, and no reference from the array exists.
    unsafe { shmem.as_ptr().add(64).cast::<f64>().write(-1.0) };
    assert_eq!(a.as_slice()[0], -1.0);
    drop(shmem);
    a.fill(7.0);
    assert_eq!(a.as_slice()[999], 7.0, "the array outlives the other crate's handle");
}

#[test]
fn what_does_not_fit_is_refused() {
    let shmem = ShmemConf::new().size(800).create().unwrap();
    // SAFETY: the test alone uses the segment.
    let attach = |offset, len| unsafe { SharedArray::<f64, Ix1>::attach_shmem(&shmem, offset, Ix1(len)) };
    assert_eq!(attach(0, 100).unwrap().len(), 100);
    assert!(matches!(attach(8, 100), Err(AttachError::TooShort { need: 808, have: 800, .. })));
    assert!(matches!(attach(4, 10), Err(AttachError::Misaligned { .. })));
    assert!(matches!(attach(usize::MAX, 1), Err(AttachError::TooShort { .. })));

    // The same name, another object.
    let path = std::path::Path::new("/dev/shm").join(shmem.get_os_id().trim_start_matches('/'));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, [0u8; 800]).unwrap();
    let error = attach(0, 1).unwrap_err();
    assert!(error.to_string().contains("another segment"), "{error}");
}
