//! The last words of a worker that dies of a stack overflow, or aborts after a panic: rank, and what it was
//! working on. Then it dies of the signal.
//!
//! std's own report of an overflow comes from its start-up code, which does not run in a worker. A panic ends
//! in an abort where the program is built with `panic = "abort"`, in a destructor that runs because of
//! another panic, and in a function of the C calling convention.
//!
//! # Safety
//! The handlers call `write`, `sigaction`, `getpid`, `gettid`, `tgkill` and nothing else, read atomics, and
//! format into their own stack: they are async-signal-safe. They run on an alternate stack that is never
//! unmapped, or, in a thread that has none, on the thread's own stack, where an overflow ends the process
//! without a report.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::sys::process;
use std::ffi::{c_int, c_void};
use std::panic::Location;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// What the worker is working on. Words of this process alone, read only by its own signal handler.
struct Note {
    /// 1 + rank; 0 before the first chunk.
    rank: AtomicU64,
    lo: AtomicU64,
    hi: AtomicU64,
    /// Place and message of the last panic, up to the first zero.
    panic: [AtomicU8; PANIC_BYTES],
}

const PANIC_BYTES: usize = 1024;

static NOTE: Note = Note {
    rank: AtomicU64::new(0),
    lo: AtomicU64::new(0),
    hi: AtomicU64::new(0),
    panic: [const { AtomicU8::new(0) }; PANIC_BYTES],
};

/// The end of a chunk that stands for a task.
const TASK: u64 = u64::MAX;

/// Notes the current chunk: three plain stores. An empty one is a launch without chunks.
#[inline]
pub(crate) fn set_chunk(rank: u32, chunk_lo: u64, chunk_hi: u64) {
    NOTE.rank.store(u64::from(rank) + 1, Ordering::Relaxed);
    NOTE.lo.store(chunk_lo, Ordering::Relaxed);
    NOTE.hi.store(chunk_hi, Ordering::Relaxed);
}

/// Notes that the worker runs a task.
pub(crate) fn set_task(rank: u32) {
    set_chunk(rank, 0, TASK);
}

/// Notes a panic.
pub(super) fn set_panic(location: Option<&Location<'_>>, message: &str) {
    let mut line = Line { bytes: [0; PANIC_BYTES], len: 0 };
    if let Some(location) = location {
        line.text(location.file());
        line.text(":");
        line.number(location.line().into());
        line.text(": ");
    }
    line.text(message);
    for (word, byte) in NOTE.panic.iter().zip(line.bytes) {
        word.store(byte, Ordering::Relaxed);
    }
}

/// Forgets the panic: the driver hears of it.
pub(super) fn clear_panic() {
    NOTE.panic[0].store(0, Ordering::Relaxed);
}

/// Bytes of signal stack beyond what the kernel itself needs.
const STACK_BYTES: usize = 32 << 10;

/// Installs the report in this worker process, for the calling thread.
pub(super) fn install() {
    guard_this_thread();
    // SAFETY: see the module's Safety paragraph.
    unsafe { process::handle_fault(libc::SIGSEGV, on_fault) };
    // SAFETY: as above.
    unsafe { process::handle_fault(libc::SIGBUS, on_fault) };
    // SAFETY: as above.
    unsafe { process::handle_fault(libc::SIGABRT, on_abort) };
}

/// Gives another thread of a worker the stack needed to report an overflow of its own.
pub(crate) fn guard_this_thread() {
    let len_bytes = STACK_BYTES.saturating_add(process::min_signal_stack_bytes());
    let _report_missing_at_worst = process::add_signal_stack(len_bytes);
}

extern "C" fn on_fault(number: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid siginfo to a SA_SIGINFO handler.
    let code = unsafe { (*info).si_code };
    // SAFETY: as above; for a fault it holds the address.
    let addr = unsafe { (*info).si_addr() } as usize;
    let is_fault = code > 0;
    if is_fault && is_near_stack_pointer(addr, stack_pointer(context)) {
        report("overflowed its stack", false);
    }
    // The faulting instruction runs again after the return, and the default action ends the process by this
    // signal.
    process::default_signal(number);
    if !is_fault {
        process::signal_own_thread(number);
    }
}

extern "C" fn on_abort(number: c_int, _info: *mut libc::siginfo_t, _context: *mut c_void) {
    if NOTE.panic[0].load(Ordering::Relaxed) != 0 {
        report("aborts", true);
    }
    // `abort` raises the signal again after the return; sent by others, it is sent again here.
    process::default_signal(number);
    process::signal_own_thread(number);
}

/// A push, a call or a stack probe faults just below the stack pointer; a large frame of C code, without
/// probes, faults further away, above or below.
fn is_near_stack_pointer(addr: usize, pointer: usize) -> bool {
    const BELOW: usize = 256 << 10;
    const ABOVE: usize = 64 << 10;
    addr.wrapping_add(BELOW).wrapping_sub(pointer) < BELOW + ABOVE
}

#[cfg(target_arch = "x86_64")]
fn stack_pointer(context: *mut c_void) -> usize {
    // SAFETY: the kernel passes a valid ucontext to a SA_SIGINFO handler.
    unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RSP as usize] as usize }
}

#[cfg(target_arch = "aarch64")]
fn stack_pointer(context: *mut c_void) -> usize {
    // SAFETY: the kernel passes a valid ucontext to a SA_SIGINFO handler.
    unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.sp as usize }
}

fn report(what: &str, with_panic: bool) {
    let mut line = Line { bytes: [0; PANIC_BYTES + 160], len: 0 };
    line.text("\nphalanx: worker ");
    match NOTE.rank.load(Ordering::Relaxed) {
        0 => line.text("process"),
        rank => line.number(rank.wrapping_sub(1)),
    }
    line.text(" ");
    line.text(what);
    let (lo, hi) = (NOTE.lo.load(Ordering::Relaxed), NOTE.hi.load(Ordering::Relaxed));
    if hi == TASK {
        line.text(" in a task");
    } else if hi > lo {
        line.text(" in chunk ");
        line.number(lo);
        line.text("..");
        line.number(hi);
    }
    if with_panic {
        line.text("; its last panic was at ");
        let bytes = NOTE.panic.iter().map(|byte| byte.load(Ordering::Relaxed));
        bytes.take_while(|byte| *byte != 0).for_each(|byte| line.byte(byte));
    }
    line.text("\n");
    process::write_stderr(&line.bytes[..line.len]);
}

/// A line put together without allocation.
struct Line<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Line<N> {
    fn byte(&mut self, byte: u8) {
        if let Some(room) = self.bytes.get_mut(self.len) {
            *room = byte;
            self.len = self.len.saturating_add(1);
        }
    }

    fn text(&mut self, text: &str) {
        let room = &mut self.bytes[self.len..];
        let len = room.len().min(text.len());
        room[..len].copy_from_slice(&text.as_bytes()[..len]);
        self.len = self.len.saturating_add(len);
    }

    #[expect(clippy::arithmetic_side_effects, reason = "twenty digits hold every number")]
    fn number(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.text(std::str::from_utf8(&digits[at..]).unwrap_or_default());
    }
}
