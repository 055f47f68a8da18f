//! Arrays over files: what is refused, and that nothing is left behind.
#![allow(unsafe_code)]

use super::*;
use crate::memory::AllocError;
use ndarray::{Ix1, Ix2, IxDyn};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Creates in a test, where nobody else uses the file.
fn create<T: npy::NpyElement>(path: &Path, len: usize) -> Result<SharedArray<T>, AllocError> {
    // SAFETY: the tests' files are theirs alone.
    unsafe { SharedArray::create_npy(path, len) }
}

fn attach<T: npy::NpyElement, D: Shape>(path: &Path) -> Result<SharedArray<T, D>, AttachError> {
    // SAFETY: the tests' files are theirs alone.
    unsafe { SharedArray::attach_npy(path) }
}

#[test]
fn impossible_names_are_refused_before_any_system_call() {
    let long = format!("/dev/shm/{}", "n".repeat(256));
    let deep = format!("/dev/shm/{}", "d/".repeat(2100)) + "x";
    let names: [&[u8]; 7] =
        [b"", b"/dev/shm/", b"/dev/shm/a\0b", long.as_bytes(), deep.as_bytes(), b".", b"/tmp/.."];
    for name in names {
        let path = Path::new(std::ffi::OsStr::from_bytes(name));
        let error = create::<f64>(path, 1).unwrap_err();
        assert!(matches!(error, AllocError::Name { .. }), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("grün 数 '\"\n.npy");
    drop(create::<u8>(&name, 3).unwrap());
    assert_eq!(SharedArray::<u8>::load_npy(&name).unwrap().len(), 3);
    let missing = create::<u8>(&dir.path().join("no/such/folder.npy"), 1).unwrap_err();
    assert!(matches!(missing, AllocError::Name { .. }), "{missing}");
}

#[test]
fn an_existing_file_is_never_overwritten_and_a_failed_one_never_left() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    drop(create::<f32>(&path, 10).unwrap());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(create::<f32>(&path, 1), Err(AllocError::Exists { .. })));
    assert_eq!(SharedArray::<f32>::load_npy(&path).unwrap().len(), 10);

    let link = dir.path().join("link.npy");
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), &link).unwrap();
    assert!(matches!(create::<f32>(&link, 1), Err(AllocError::Exists { .. })));

    let huge = dir.path().join("huge.npy");
    let error = create::<u8>(&huge, 1 << 55).unwrap_err();
    assert!(matches!(error, AllocError::NoSpace { .. } | AllocError::Limit { .. }), "{error}");
    assert!(!huge.exists());
}

#[test]
fn attach_refuses_other_types_shapes_and_links() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    drop(create::<f64>(&path, 6).unwrap());
    assert!(matches!(attach::<f32, Ix1>(&path), Err(AttachError::ElementType { .. })));
    assert!(matches!(attach::<u64, Ix1>(&path), Err(AttachError::ElementType { .. })));
    assert!(matches!(attach::<f64, Ix2>(&path), Err(AttachError::Axes { wanted: 2, found: 1, .. })));
    assert_eq!(attach::<f64, IxDyn>(&path).unwrap().shape(), [6]);
    let link = dir.path().join("link.npy");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(attach::<f64, Ix1>(&link), Err(AttachError::SymbolicLink { .. })));

    // Cut off, and with a shape that needs more than there is.
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let error = attach::<f64, Ix1>(&path).unwrap_err();
    assert!(matches!(error, AttachError::Npy(npy::NpyError::Truncated { .. })), "{error}");
}

#[test]
fn attach_gives_the_holes_of_a_sparse_file_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sparse.npy");
    let header = npy::header_bytes(&npy::DType::of::<f64>(), &[1 << 20]);
    let file = std::fs::File::create(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &header, 0).unwrap();
    file.set_len(header.len() as u64 + (8 << 20)).unwrap();
    let mut a = attach::<f64, Ix1>(&path).unwrap();
    let (size, allocated) = crate::sys::memory::file_size(a.segment().fd()).unwrap();
    assert!(allocated >= size, "{allocated} of {size} bytes have a place");
    a.as_mut_slice()[(1 << 20) - 1] = 1.0;
}

#[test]
fn raw_files_map_at_any_aligned_offset() {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("raw.bin");
    let numbers: Vec<u32> = (0..1000).collect();
    std::fs::write(&path, bytemuck::cast_slice(&numbers)).unwrap();
    // SAFETY: nobody changes the file.
    let map = |offset, len: usize| unsafe { MappedArray::<u32>::map_raw(&path, offset, len) };
    assert_eq!(map(0, 1000).unwrap().as_slice(), numbers);
    assert_eq!(map(40, 3).unwrap().as_slice(), [10, 11, 12]);
    assert!(map(4000, 0).unwrap().is_empty());
    assert!(matches!(map(2, 3), Err(AttachError::Misaligned { .. })));
    assert!(matches!(map(4, 1000), Err(AttachError::TooShort { need: 4004, have: 4000, .. })));
    assert!(matches!(map(usize::MAX - 3, 4), Err(AttachError::TooShort { .. })));
    assert!(matches!(map(0, usize::MAX), Err(AttachError::Alloc(AllocError::TooBig { .. }))));
    // SAFETY: nobody changes the file.
    let private = unsafe { PrivateArray::<u32, Ix2>::map_raw(&path, 400, (2, 2)) }.unwrap();
    assert_eq!(private.as_slice(), [100, 101, 102, 103]);

    let empty = dir.path().join("empty.bin");
    std::fs::write(&empty, b"").unwrap();
    // SAFETY: nobody changes the file.
    assert!(unsafe { MappedArray::<f64>::map_raw(&empty, 0, 0) }.unwrap().as_slice().is_empty());
}

#[test]
fn an_array_may_be_saved_over_the_file_that_it_lies_in() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let mut attached = create::<f64>(&path, 1000).unwrap();
    attached.fill(2.5);
    attached.save_npy(&path).unwrap();
    assert_eq!(SharedArray::<f64>::load_npy(&path).unwrap().as_slice(), [2.5; 1000]);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "as it was");
    attached.fill(3.5);
    assert_eq!(attached.as_slice()[999], 3.5, "the array has its old file still");
    assert_eq!(SharedArray::<f64>::load_npy(&path).unwrap().as_slice(), [2.5; 1000]);

    // SAFETY: what is changed below is another file.
    let mapped = unsafe { MappedArray::<f64>::map_npy(&path) }.unwrap();
    SharedArray::from_slice(&[1.0f64; 3]).unwrap().save_npy(&path).unwrap();
    assert_eq!(mapped.as_slice(), [2.5; 1000], "a shorter file in its place takes no pages away");
    mapped.save_npy(&path).unwrap();
    assert_eq!(SharedArray::<f64>::load_npy(&path).unwrap().as_slice(), [2.5; 1000]);
    // SAFETY: as above.
    let private = unsafe { PrivateArray::<f64>::map_npy(&path) }.unwrap();
    SharedArray::<f64>::zeros(0).unwrap().save_npy(&path).unwrap();
    assert_eq!(private.as_slice()[999], 2.5);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_file_that_may_not_be_written_is_not_replaced_and_a_failed_one_stays() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let a = SharedArray::from_slice(&[7u8]).unwrap();
    a.save_npy(&path).unwrap();
    assert!(a.save_npy(dir.path()).is_err(), "a folder");
    assert!(a.save_npy(dir.path().join("no/folder/a.npy")).is_err());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
    if std::fs::OpenOptions::new().write(true).open(&path).is_ok() {
        return println!("SKIPPED: this user may write every file");
    }
    let error = a.save_npy(&path).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{error}");
}

#[test]
fn a_type_that_is_no_element_comes_with_advice_that_can_be_followed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    for (descr, advice) in [
        ("<f4", "ask for that type"),
        ("|b1", "a.view('u1')"),
        ("<c16", "a.real"),
        ("<M8[ns]", "a.view('i8')"),
        ("<U3", "numpy.unique"),
        ("|S3", "numpy.unique"),
        ("<f16", "a.astype('f8')"),
        ("|V8", "a['x']"),
        ("|O", "pickled"),
    ] {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,)}}");
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((text.len() as u16).to_le_bytes());
        file.extend(text.bytes().chain([0; 64]));
        std::fs::write(&path, file).unwrap();
        let error = SharedArray::<f64>::load_npy(&path).unwrap_err().to_string();
        assert!(error.contains(advice), "{descr}: {error}");
        assert_eq!(error.contains("ask for"), descr == "<f4", "{error}");
    }
}

#[test]
fn a_mapped_file_is_read_only_in_the_kernel_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    SharedArray::from_slice(&[1u8, 2]).unwrap().save_npy(&path).unwrap();
    // SAFETY: nobody changes the file.
    let a = unsafe { MappedArray::<u8>::map_npy(&path) }.unwrap();
    assert_eq!(a.segment().access(), crate::memory::Access::ReadOnly);
    let flags = rustix::fs::fcntl_getfl(a.segment().fd()).unwrap();
    assert!(!flags.intersects(rustix::fs::OFlags::RDWR | rustix::fs::OFlags::WRONLY));
}

#[test]
fn a_file_larger_than_memory_maps_and_reads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sparse.bin");
    let file = std::fs::File::create(&path).unwrap();
    let len = 1usize << 38;
    if let Err(error) = file.set_len(len as u64) {
        return println!("SKIPPED: no sparse file of {len} bytes here: {error}");
    }
    std::os::unix::fs::FileExt::write_all_at(&file, &[7], len as u64 - 1).unwrap();
    // SAFETY: nobody changes the file.
    let a = unsafe { MappedArray::<u8>::map_raw(&path, 0, len) }.unwrap();
    assert_eq!((a.as_slice()[0], a.as_slice()[len - 1]), (0, 7));
}

#[cfg(feature = "half")]
#[test]
fn half_floats_are_elements() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let numbers = [half::f16::from_f32(1.5), half::f16::from_f32(-2.0)];
    SharedArray::from_slice(&numbers).unwrap().save_npy(&path).unwrap();
    assert_eq!(npy::Header::read(&path).unwrap().dtype().to_string(), "float16");
    assert_eq!(SharedArray::<half::f16>::load_npy(&path).unwrap().as_slice(), numbers);
}
