//! What distinguishes one build of this program from another.

use crate::code;
use crate::sys::object::{Object, PT_LOAD, PT_NOTE};
use rustc_hash::FxHasher;
use std::hash::Hasher;
use std::os::unix::fs::MetadataExt;

/// The running program's file.
pub(super) const EXE: &str = "/proc/self/exe";

/// What distinguishes one build, and one file, from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Fingerprint {
    device: u64,
    inode: u64,
    size_bytes: u64,
    /// Time of the last change of contents. Not the ctime, which removing or renaming the file changes too.
    mtime_ns: u64,
    /// Hash of the load segments' extents and of the build-id, if the linker wrote one.
    image: u64,
    /// The anchor's place in the file's address space.
    anchor: u64,
}

impl Fingerprint {
    /// Of the running program. The file's part is zero where /proc is missing.
    pub(super) fn of_this_process() -> Fingerprint {
        let file = std::fs::metadata(EXE).ok();
        let file = file.as_ref();
        let object = code::own_object();
        Fingerprint {
            device: file.map_or(0, MetadataExt::dev),
            inode: file.map_or(0, MetadataExt::ino),
            size_bytes: file.map_or(0, MetadataExt::size),
            mtime_ns: file.map_or(0, |file| {
                file.mtime().wrapping_mul(1_000_000_000).wrapping_add(file.mtime_nsec()) as u64
            }),
            image: object.map_or(0, image_hash),
            anchor: object.map_or(0, |object| code::anchor_addr().wrapping_sub(object.bias) as u64),
        }
    }
}

/// The part of the fingerprint that is the same wherever the same file lies.
pub(crate) fn build_id() -> (u64, u64) {
    let Fingerprint { image, anchor, .. } = Fingerprint::of_this_process();
    (image, anchor)
}

fn image_hash(object: &Object) -> u64 {
    let mut hasher = FxHasher::default();
    for segment in &object.segments {
        match segment.kind {
            PT_LOAD => {
                hasher.write_usize(segment.lo.wrapping_sub(object.bias));
                hasher.write_usize(segment.len_bytes);
                hasher.write_usize(segment.file_len_bytes);
                hasher.write_u32(segment.flags);
            }
            // The build-id is one of the notes; the others are constant for a build as well.
            PT_NOTE => hasher.write(object.constant_bytes(segment).unwrap_or_default()),
            _ => {}
        }
    }
    hasher.finish()
}
