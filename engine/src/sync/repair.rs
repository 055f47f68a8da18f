//! The driver's list of live objects, and the repair of each when a member has died.
//!
//! # Safety
//! A registered pointer leads to live words until its `Registration` is dropped: the dropper takes the list's
//! mutex, which `repair` holds for its whole walk, so no walk can meet returned memory.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::base::member::MemberId;
use crate::sys::fork;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ptr::NonNull;

/// Takes back what a dead member held of one object and wakes all its waiters. Never blocks, may run twice.
pub(crate) type RepairFn<W> = fn(&W, MemberId);

#[derive(Clone, Copy)]
struct Entry {
    words: NonNull<()>,
    /// Always the function registered with `words`, its parameter's type erased.
    repair: fn(),
    call: unsafe fn(NonNull<()>, fn(), MemberId),
}

// SAFETY: the words are atomics in shared memory, valid from any thread by the module's argument.
unsafe impl Send for Entry {}

static OBJECTS: Mutex<(u64, BTreeMap<u64, Entry>)> = Mutex::new((0, BTreeMap::new()));

/// An object's line in the list; dropping it takes the line out.
pub(crate) struct Registration(u64);

impl Registration {
    /// Lists `words`.
    ///
    /// # Safety
    /// `words` is valid for `&W` until the registration is dropped.
    pub(crate) unsafe fn new<W>(words: NonNull<W>, repair: RepairFn<W>) -> Registration {
        unsafe fn call<W>(words: NonNull<()>, repair: fn(), dead: MemberId) {
            // SAFETY: `new` made this entry from a `RepairFn<W>`; a function pointer survives the round trip.
            let repair = unsafe { std::mem::transmute::<fn(), RepairFn<W>>(repair) };
            // SAFETY: registered, hence valid for `&W`.
            repair(unsafe { words.cast::<W>().as_ref() }, dead);
        }
        // SAFETY: only `call::<W>` uses it, after turning it back.
        let erased = unsafe { std::mem::transmute::<RepairFn<W>, fn()>(repair) };
        let mut objects = OBJECTS.lock();
        objects.0 = objects.0.wrapping_add(1);
        let key = objects.0;
        objects.1.insert(key, Entry { words: words.cast(), repair: erased, call: call::<W> });
        Registration(key)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if fork::is_foreign() {
            return;
        }
        OBJECTS.lock().1.remove(&self.0);
    }
}

/// Restores every live object after the death, or the orderly end, of `dead`: locks it held are poisoned and
/// handed on, its reader marks and permits taken back, barriers it took part in broken, and **all** waiters
/// woken.
///
/// Only after the kernel confirmed that the process is gone. Safe to call twice and from several threads;
/// never blocks on a protocol, so it may run while other members are dead and not yet repaired.
#[allow(dead_code, reason = "the team's death watch calls it")]
pub(crate) fn repair(dead: MemberId) {
    if dead == MemberId::NOBODY {
        return;
    }
    let objects = OBJECTS.lock();
    for entry in objects.1.values() {
        // SAFETY: listed, and the list is locked, so the words are alive; `call` belongs to the entry's
        // types.
        unsafe { (entry.call)(entry.words, entry.repair, dead) };
    }
    drop(objects);
    crate::handle::kept::ended(dead);
}
