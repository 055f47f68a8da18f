//! Functions under names that mean the same in every process of one build.
//!
//! The loader puts the executable at a different address in every process, so a function travels as its
//! distance from an **anchor**, a function of this crate. Both ends check that what is named lies in the
//! executable segment of the object that holds the anchor.
//!
//! # Safety
//! A distance that passed the check points into the code of the object that this crate is part of, which is
//! there for as long as the crate runs: the executable, or, where workers are threads or forks of the
//! program, perhaps a library. That a function *starts* there follows from equal builds (see `Fingerprint` in
//! `spawn`), not from the check. A value of a function's type is created from nothing where that type has no
//! size, which is checked when the program is built.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::sys::object::{self, Object, PF_X, PT_LOAD};
use rustc_hash::FxHasher;
use std::any::TypeId;
use std::fmt::Pointer;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::OnceLock;

/// Where distances are counted from. Never called.
#[inline(never)]
fn anchor() -> u32 {
    std::hint::black_box(0x5048_4c58)
}

pub(crate) fn anchor_addr() -> usize {
    anchor as fn() -> u32 as usize
}

/// The borders of the object that holds the anchor, looked up once.
#[derive(Debug)]
struct Bounds {
    anchor: usize,
    is_main: bool,
    text_lo: usize,
    text_len: usize,
}

/// The object (executable or library) that this copy of the crate is part of.
pub(crate) fn own_object() -> Option<&'static Object> {
    static OBJECT: OnceLock<Option<Object>> = OnceLock::new();
    OBJECT.get_or_init(|| object::object_holding(anchor_addr())).as_ref()
}

fn bounds() -> &'static Bounds {
    static BOUNDS: OnceLock<Bounds> = OnceLock::new();
    BOUNDS.get_or_init(|| {
        let anchor = anchor_addr();
        let mut bounds = Bounds { anchor, is_main: false, text_lo: 0, text_len: 0 };
        let Some(object) = own_object() else { return bounds };
        bounds.is_main = object.is_main;
        let loads = || object.segments.iter().filter(|segment| segment.kind == PT_LOAD);
        if let Some(text) = loads().find(|load| load.flags & PF_X != 0 && load.holds(anchor)) {
            (bounds.text_lo, bounds.text_len) = (text.lo, text.len_bytes);
        }
        bounds
    })
}

/// Whether this copy of the crate is part of the main executable, which worker processes execute again.
pub(crate) fn is_in_executable() -> bool {
    bounds().is_main
}

/// The function is not part of the main executable (a plugin, a program that loaded this crate as a library):
/// another process could not find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoEntry;

/// The distance of a function from the anchor.
///
/// # Errors
/// [`NoEntry`]: see there.
#[inline]
pub(crate) fn offset_of(addr: usize) -> Result<u64, NoEntry> {
    let bounds = bounds();
    if addr.wrapping_sub(bounds.text_lo) < bounds.text_len && addr != bounds.anchor {
        Ok(addr.wrapping_sub(bounds.anchor) as u64)
    } else {
        Err(NoEntry)
    }
}

/// The address of the function at this distance; None if no function of the executable can be there, and for
/// 0, which names no function: so words that were never written lead to no code.
#[inline]
pub(crate) fn address_of(offset: u64) -> Option<usize> {
    let bounds = bounds();
    let addr = bounds.anchor.wrapping_add(offset as usize);
    (addr.wrapping_sub(bounds.text_lo) < bounds.text_len && offset != 0).then_some(addr)
}

/// The function at this distance, if it lies in the executable; `None` for 0.
///
/// # Safety
/// `offset` came of [`offset_of`] for an `F`, in a process of this same build.
#[inline]
pub(crate) unsafe fn function_at<F: Copy + Pointer>(offset: u64) -> Option<F> {
    // SAFETY: the caller's word.
    address_of(offset).map(|address| unsafe { function_of(address) })
}

/// The function at this address.
///
/// # Safety
/// It is the address of an `F`, which is a function pointer.
#[inline]
pub(crate) unsafe fn function_of<F: Copy + Pointer>(address: usize) -> F {
    const { assert!(size_of::<F>() == size_of::<usize>(), "a function pointer is an address") };
    // SAFETY: as long as an address, and by the caller's word the address of such a function.
    unsafe { std::mem::transmute_copy::<usize, F>(&address) }
}

/// Whether a function's type has no size. Every public method that takes a function asks first, so that the
/// compiler names the user's own line.
pub(crate) struct NoCapture<K>(PhantomData<K>);

impl<K> NoCapture<K> {
    pub(crate) const OK: () = assert!(
        size_of::<K>() == 0,
        "this runs in another process, so it must be a function or a closure that captures nothing. \
         Pass what it needs beside the data: as an operand of a launch, `(y.split_mut(), a)`, with \
         `pool.with(a)` where elements are computed one by one, or as part of a task's argument. \
         (A fn pointer has a size, too: name the function itself.)"
    );
}

/// Creates a value of the type of a function, or of a closure that captures nothing: the type alone names the
/// code. The public methods refuse other types when the program is built ([`NoCapture`]).
///
/// Callers take such a value from the user, so the type has one. A type with a lifetime is for calls that end
/// before their caller goes on: launches. What may run later, or be abandoned, asks for `'static`.
#[inline]
pub(crate) fn conjure<K: Copy + Send + Sync>() -> K {
    assert!(size_of::<K>() == 0, "refused when the program is built");
    // SAFETY: a function or closure without size, and inhabited, since the caller's user had one; `Copy`.
    // What it captured without size means the same here, by P8.
    unsafe { std::ptr::read(std::ptr::dangling()) }
}

/// A function that its type names, as a pointer, whose address can travel.
pub(crate) fn pointer_to<F, A, R>(_function: F) -> fn(A) -> R
where
    F: Fn(A) -> R + Copy + Send + Sync + 'static,
{
    const { NoCapture::<F>::OK };
    |argument| conjure::<F>()(argument)
}

/// A number for a type: equal in every process of one build, another for other types, never 0.
#[inline]
pub(crate) fn type_key<T: ?Sized + 'static>() -> u64 {
    let mut hasher = FxHasher::default();
    TypeId::of::<T>().hash(&mut hasher);
    hasher.finish() | 1
}

/// Mixed from words that lead to code, and written beside them: who finds them overwritten finds that the
/// seal is another.
pub(crate) fn seal_of(words: &[u64]) -> u64 {
    let mix = |seal: u64, word: &u64| (seal ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    words.iter().fold(0x5048_4c58, mix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_function() {}

    #[test]
    fn functions_of_the_executable_have_names() {
        let addr = a_function as fn() as usize;
        let offset = offset_of(addr).unwrap();
        assert_eq!(address_of(offset), Some(addr));
        // SAFETY: made from a function of this type just now.
        let found = unsafe { function_at::<fn()>(offset) };
        assert_eq!(found.map(|found| found as usize), Some(addr));
    }

    #[test]
    fn types_have_keys_of_their_own() {
        let keys = [
            type_key::<fn(u64) -> f64>(),
            type_key::<fn(f64) -> u64>(),
            type_key::<fn(u64) -> u64>(),
            type_key::<str>(),
            type_key::<()>(),
        ];
        assert!((1..keys.len()).all(|i| keys[i] != 0 && !keys[..i].contains(&keys[i])), "{keys:x?}");
        assert_eq!(keys[3], type_key::<str>());
    }

    #[test]
    fn words_that_were_never_written_lead_to_no_code() {
        assert_eq!(address_of(0), None);
        assert!(matches!(offset_of(anchor_addr()), Err(NoEntry)));
    }

    #[test]
    fn what_is_no_code_of_the_executable_has_none() {
        let local = 0u8;
        // In a static executable the C library is part of it.
        let library =
            if cfg!(target_feature = "crt-static") { 0 } else { libc::getpid as *const () as usize };
        for stranger in [0, 1, usize::MAX, &raw const local as usize, library] {
            assert!(matches!(offset_of(stranger), Err(NoEntry)), "{stranger:#x}");
            assert_eq!(address_of(stranger.wrapping_sub(anchor_addr()) as u64), None);
        }
    }
}
