//! The start-up function that turns an executed copy of the program into a worker before `main` runs.
//!
//! # Safety
//! [`at_load`] runs in every program that links this crate, before `main`, with one thread unless an earlier
//! start-up function has made more; in a library that is loaded later it runs then, in whatever there is. It
//! does nothing but look for one environment variable unless the process is a worker. The table of start-up
//! functions is read where the loader reads it, between our own entry, whose address we know to be in it, and
//! its end.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::handshake::{Role, SHOWN};
use super::{fork_server, setup};
use crate::code;
use crate::sys::{process, socket};
use std::ffi::{CStr, CString, c_char, c_int};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};

/// [`MARKER`](super::handshake::MARKER) as the C library wants it.
const MARKER_C: &CStr = c"PHALANX_WORKER";

type StartUp = extern "C" fn(c_int, *const *const c_char, *const *const c_char);

/// The linker collects this into the table of functions that run before `main`.
// Miri calls such functions without arguments.
#[used]
#[cfg_attr(not(miri), unsafe(link_section = ".init_array"))]
static ENTRY: StartUp = at_load;

/// Whether the entry really is in the program's table. The reference here also makes the linker include this
/// file.
pub(super) fn is_linked() -> bool {
    code::own_object().is_some_and(|object| match object.init_array() {
        Some((table, len)) => entry_index(table, len).is_some(),
        None => true,
    })
}

fn entry_index(table: usize, len: usize) -> Option<usize> {
    const EACH: usize = size_of::<StartUp>();
    let distance = (&raw const ENTRY as usize).wrapping_sub(table);
    let index = distance / EACH;
    (distance.is_multiple_of(EACH) && index < len).then_some(index)
}

/// This process was started as a worker of another build, or of another copy of this crate.
// A flag of this process alone, no word of a protocol: it needs no model checking.
static IS_STRAY: AtomicBool = AtomicBool::new(false);

/// Whether this process was started as a worker, but by a process whose worker it cannot be. A variable that
/// only happens to be set makes no worker: a real starter also passes a packet socket.
pub(super) fn is_stray() -> bool {
    IS_STRAY.load(Ordering::Relaxed)
}

extern "C" fn at_load(argc: c_int, argv: *const *const c_char, envp: *const *const c_char) {
    // SAFETY: before `main`, with one thread, nobody changes the environment meanwhile. Where there are more
    // (a library loaded later), whoever loads it, or made them so early, answers for that: its start-up
    // functions run beside them.
    let value = unsafe { libc::getenv(MARKER_C.as_ptr()) };
    if value.is_null() {
        return;
    }
    // SAFETY: getenv returns a NUL-terminated string, copied before the environment changes.
    let value = unsafe { CStr::from_ptr(value) }.to_owned();
    // SAFETY: descriptor 0 is only asked what it is, and a closed one answers with an error.
    let stdin = unsafe { BorrowedFd::borrow_raw(0) };
    let has_socket = socket::is_packet_socket(stdin);
    let is = |role: Role| value.to_bytes() == role.marker().as_bytes();
    let Some(role) = [Role::Worker, Role::Server].into_iter().find(|&role| is(role)) else {
        return IS_STRAY.store(has_socket, Ordering::Relaxed);
    };
    // Programs that this one executes must not take themselves for workers.
    // SAFETY: as above; the name is a valid string.
    unsafe { libc::unsetenv(MARKER_C.as_ptr()) };
    if process::is_secure() || !code::is_in_executable() || !has_socket {
        return;
    }
    setup::become_worker();
    restore_name(argc, argv);
    run_remaining(argc, argv, envp);
    match role {
        Role::Worker => setup::run_worker(setup::take_stdin()),
        Role::Server => fork_server::serve_executed(setup::take_stdin()),
    }
}

/// Makes `std::env::args` of a worker begin with the program's name again. What `ps` shows is the first
/// argument's old text, which stays where it is.
fn restore_name(argc: c_int, argv: *const *const c_char) {
    if argc < 1 || argv.is_null() || !cfg!(target_env = "gnu") {
        return;
    }
    // SAFETY: the C library passes an array of `argc` pointers to strings.
    let shown = unsafe { argv.read() };
    if shown.is_null() {
        return;
    }
    // SAFETY: as above.
    let shown = unsafe { CStr::from_ptr(shown) }.to_bytes();
    let len = shown.windows(SHOWN.len()).rposition(|part| part == SHOWN.as_bytes());
    if let Some(Ok(program)) = len.map(|len| CString::new(&shown[..len])) {
        // SAFETY: the array lies on this process's stack, and no other thread is there to read it. The string
        // is never freed.
        unsafe { argv.cast_mut().write(program.into_raw()) };
    }
}

/// Runs the start-up functions that would have come after ours: statics of C++ code, registrations of other
/// crates.
fn run_remaining(argc: c_int, argv: *const *const c_char, envp: *const *const c_char) {
    let Some((table, len)) = code::own_object().and_then(|object| object.init_array()) else { return };
    let Some(own) = entry_index(table, len) else { return };
    // musl passes no arguments to these functions, so ours hold nothing then.
    let passed = cfg!(target_env = "gnu");
    let (argc, argv, envp) =
        if passed { (argc, argv, envp) } else { (0, std::ptr::null(), std::ptr::null()) };
    for index in own.saturating_add(1)..len {
        let slot = (table as *const usize).wrapping_add(index);
        // SAFETY: an entry of the loader's table, relocated by now.
        let addr = unsafe { slot.read() };
        if addr == 0 || addr == usize::MAX {
            continue; // Both mean "none" in tables that old tools made.
        }
        // SAFETY: the loader would call it with these arguments, at this moment and in this order.
        let function: StartUp = unsafe { std::mem::transmute::<usize, StartUp>(addr) };
        function(argc, argv, envp);
    }
}
