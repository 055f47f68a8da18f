//! Processes: pidfds, waiting, death signals, signal actions, forking.
//!
//! # Safety
//! Calls that rustix wraps are used from there. The rest is libc with pointers to locals that outlive the
//! call. The two ways to fork have a precondition on the whole process; they are unsafe functions that name
//! it, as is the one that installs a handler. [`close_inherited`] is for a worker's start alone, before it
//! has descriptors by other means.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::sys::descriptor;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use std::ffi::{CStr, c_int, c_ulong, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// How a process ended, in the kernel's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It called exit with this status.
    Exit(i32),
    /// This signal ended it.
    Signal { number: i32, core_dumped: bool },
}

/// What asking for the end of a process said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It has not ended.
    Running,
    /// It ended; a child is reaped by having been told so.
    Ended(Ended),
    /// It is no child of ours (any more): somebody else reaped it, or SIGCHLD is ignored here.
    NotOurs,
}

/// A descriptor that stands for the process `pid`, which must be an unreaped child for this to be no
/// stranger.
pub(crate) fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    descriptor::kept(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

/// Sends a signal to exactly this process; ESRCH when it has been reaped. Where a sandbox refuses the call
/// for pidfds, a child is sent it by its number, which nobody else can have taken while the child is not
/// reaped.
pub(crate) fn signal(pidfd: impl AsFd, pid: u32, number: i32) -> io::Result<()> {
    let pidfd = pidfd.as_fd();
    match pidfd_send_signal(pidfd, number) {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => match try_wait(pidfd, true) {
            Ok(Wait::Running) => {
                let pid = i32::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
                // SAFETY: plain numbers; our own child, not reaped.
                check(unsafe { libc::kill(pid, number) }.into())
            }
            _ => Err(error),
        },
        sent => sent,
    }
}

/// The call alone.
fn pidfd_send_signal(pidfd: impl AsFd, number: i32) -> io::Result<()> {
    // SAFETY: a null siginfo asks for the default one; the descriptor is open.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_fd().as_raw_fd(),
            number,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    check(rc)
}

/// Asks, without blocking, whether the child has ended, and reaps it if so (or leaves it, with `peek`).
#[doc(alias = "waitid")]
pub(crate) fn try_wait(pidfd: impl AsFd, peek: bool) -> io::Result<Wait> {
    let mut options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    options.set(WaitIdOptions::NOWAIT, peek);
    let pidfd = pidfd.as_fd();
    match rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::PidFd(pidfd), options)) {
        Ok(None) => Ok(Wait::Running),
        Ok(Some(status)) => Ok(Wait::Ended(match (status.terminating_signal(), status.exit_status()) {
            (Some(number), _) => Ended::Signal { number, core_dumped: status.dumped() },
            (None, code) => Ended::Exit(code.unwrap_or(-1)),
        })),
        Err(rustix::io::Errno::CHILD) => Ok(Wait::NotOurs),
        Err(error) => Err(error.into()),
    }
}

/// Kills and reaps a child of this process by its number, which nobody else can have taken while it is
/// unreaped. Does nothing if it is no child (any more).
pub(crate) fn end_child(pid: u32) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    if rustix::process::waitid(WaitId::Pid(pid), peek).is_ok() {
        let _ended_already = rustix::process::kill_process(pid, Signal::KILL);
        let _reaped =
            rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED));
    }
}

/// `struct pidfd_info` of linux/pidfd.h, as far as its first published size (64 bytes).
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup_id: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// How a process ended that somebody else has reaped, where the kernel still knows (Linux 6.15 and later; the
/// pidfd must have been opened before the reaping).
#[doc(alias = "PIDFD_GET_INFO")]
pub(crate) fn pidfd_exit_info(pidfd: impl AsFd) -> Option<Ended> {
    const PIDFD_INFO_EXIT: u64 = 1 << 3;
    // _IOWR(0xFF, 11, struct pidfd_info)
    const PIDFD_GET_INFO: u32 = (3 << 30) | ((size_of::<PidfdInfo>() as u32) << 16) | (0xFF << 8) | 11;
    const { assert!(size_of::<PidfdInfo>() == 64) };
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the kernel writes at most the size that the request number carries, which is that of `info`.
    let rc = unsafe { libc::ioctl(pidfd.as_fd().as_raw_fd(), PIDFD_GET_INFO as _, &raw mut info) };
    (rc == 0 && info.mask & PIDFD_INFO_EXIT != 0).then(|| ended(info.exit_code))
}

/// Reads a status word as `wait` returns it.
fn ended(status: c_int) -> Ended {
    if libc::WIFSIGNALED(status) {
        Ended::Signal { number: libc::WTERMSIG(status), core_dumped: libc::WCOREDUMP(status) }
    } else {
        Ended::Exit(libc::WEXITSTATUS(status))
    }
}

/// The caller's process id.
pub(crate) fn own_pid() -> u32 {
    std::process::id()
}

/// The process id of the caller's parent now; 0 if it lives outside this pid namespace.
pub(crate) fn parent_pid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getppid() as u32 }
}

/// Asks the kernel to kill this process when the thread that started it ends.
#[doc(alias = "PR_SET_PDEATHSIG")]
pub(crate) fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Names the calling thread (15 bytes are kept), as `ps` and `top` show it.
#[doc(alias = "PR_SET_NAME")]
pub(crate) fn set_name(name: &CStr) {
    let _cut_or_kept = rustix::thread::set_name(name);
}

/// Ends the process at once: no destructors, no `atexit`, no flushing.
#[doc(alias = "_exit")]
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: never returns and touches no user memory.
    unsafe { libc::_exit(status) }
}

unsafe extern "C" {
    /// Standard output of the C library.
    static stdout: *mut libc::FILE;
}

/// Writes out what the program printed without ending the line, through std or through the C library. Waits
/// for whoever has locked the stream.
#[doc(alias = "fflush")]
pub(crate) fn flush_output() {
    // Where the stream is closed nobody waits for the text.
    let _closed = std::io::Write::flush(&mut std::io::stdout());
    // SAFETY: the C library has set the pointer before any of our code runs; programs that change it are
    // rare, and promise not to do so beside its use.
    let stream = unsafe { stdout };
    if !stream.is_null() {
        // SAFETY: an open stream; the C library locks it.
        let _closed = unsafe { libc::fflush(stream) };
    }
}

/// Whether the kernel runs this program with privileges its caller lacks (set-user-id, file capabilities).
#[doc(alias = "AT_SECURE")]
pub(crate) fn is_secure() -> bool {
    // SAFETY: reads a value of the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Bytes of signal stack that the kernel needs on this machine; 0 if it does not say.
#[doc(alias = "AT_MINSIGSTKSZ")]
pub(crate) fn min_signal_stack_bytes() -> usize {
    const AT_MINSIGSTKSZ: c_ulong = 51;
    // SAFETY: reads a value of the auxiliary vector.
    unsafe { libc::getauxval(AT_MINSIGSTKSZ) as usize }
}

/// Ignores a signal.
pub(crate) fn ignore_signal(number: c_int) {
    set_action(number, libc::SIG_IGN, 0);
}

/// Gives a signal back its default action.
pub(crate) fn default_signal(number: c_int) {
    set_action(number, libc::SIG_DFL, 0);
}

/// Takes a signal and does nothing with it. Unlike an ignored one it is back at its default in programs that
/// this process executes.
pub(crate) fn swallow_signal(number: c_int) {
    extern "C" fn nothing(_number: c_int) {}
    let handler: extern "C" fn(c_int) = nothing;
    set_action(number, handler as libc::sighandler_t, libc::SA_RESTART);
}

fn set_action(number: c_int, handler: libc::sighandler_t, flags: c_int) {
    // SAFETY: all-zero is a valid sigaction (empty mask, default action).
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: the action outlives the call; its handler is SIG_IGN, SIG_DFL or an async-signal-safe function.
    unsafe { libc::sigaction(number, &raw const action, std::ptr::null_mut()) };
}

/// A handler that also learns where the fault was.
pub(crate) type FaultHandler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// Installs a fault handler that runs on the alternate stack, unless the program has a handler of its own
/// already.
///
/// # Safety
/// The handler is async-signal-safe.
pub(crate) unsafe fn handle_fault(number: c_int, handler: FaultHandler) {
    // SAFETY: all-zero is a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks for the present action only.
    unsafe { libc::sigaction(number, std::ptr::null(), &raw mut action) };
    if action.sa_sigaction != libc::SIG_DFL {
        return;
    }
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the action outlives the call; the caller vouches for the handler.
    unsafe { libc::sigaction(number, &raw const action, std::ptr::null_mut()) };
}

/// Unblocks every signal for the calling thread.
#[doc(alias = "sigprocmask")]
pub(crate) fn unblock_all_signals() {
    // SAFETY: all-zero is the empty signal set.
    let none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set outlives the call.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) };
}

/// Gives the calling thread an alternate signal stack, above a guard page, for as long as the process lives.
#[doc(alias = "sigaltstack")]
pub(crate) fn add_signal_stack(len_bytes: usize) -> io::Result<()> {
    let page = rustix::param::page_size();
    let too_much = || io::Error::from(io::ErrorKind::OutOfMemory);
    let len = len_bytes.checked_next_multiple_of(page).ok_or_else(too_much)?;
    let taken = len.checked_add(page).ok_or_else(too_much)?;
    // SAFETY: a new private mapping at an address of the kernel's choice.
    let base = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            taken,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
            -1,
            0,
        )
    };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let low = base.wrapping_byte_add(page);
    // SAFETY: `low..low + len` is the upper part of the mapping just made.
    check(unsafe { libc::mprotect(low, len, libc::PROT_READ | libc::PROT_WRITE) }.into())?;
    let stack = libc::stack_t { ss_sp: low, ss_flags: 0, ss_size: len };
    // SAFETY: the stack is mapped, writable and never unmapped.
    check(unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) }.into())
}

/// Forks through the C library.
///
/// # Safety
/// The process has one thread only: in the child, locks that other threads held stay locked forever.
pub(crate) unsafe fn fork() -> io::Result<u32> {
    // SAFETY: the caller vouches for a single thread.
    let pid = unsafe { libc::fork() };
    if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid as u32) }
}

/// Where the kernel writes this thread's id, if that word is the one in which the C library caches it.
#[doc(alias = "PR_GET_TID_ADDRESS")]
pub(crate) fn cached_tid_address() -> Option<*mut c_int> {
    const PR_GET_TID_ADDRESS: c_int = 40;
    let mut address: *mut c_int = std::ptr::null_mut();
    // SAFETY: the kernel writes one pointer into `address`.
    let rc = unsafe { libc::prctl(PR_GET_TID_ADDRESS, &raw mut address) };
    if rc != 0 || address.is_null() {
        return None;
    }
    // SAFETY: takes nothing.
    let tid = unsafe { libc::syscall(libc::SYS_gettid) };
    // SAFETY: the word was registered by the C library for the life of this thread. glibc keeps the thread id
    // in it; musl registers another word, which does not hold it.
    (i64::from(unsafe { address.read_volatile() }) == tid).then_some(address)
}

/// Forks a child that is not this process's child but its sibling: its parent is the parent of this process.
///
/// The child's C library sees its own thread id, and its robust mutexes are registered again. Handlers of
/// `pthread_atfork` do not run.
///
/// # Safety
/// As for [`fork`]; `cached_tid` comes from [`cached_tid_address`] of this thread.
#[doc(alias = "CLONE_PARENT")]
pub(crate) unsafe fn fork_sibling(cached_tid: *mut c_int) -> io::Result<u32> {
    let mut robust_head: *mut c_void = std::ptr::null_mut();
    let mut robust_len: usize = 0;
    // SAFETY: the kernel writes a pointer and a length into the two locals.
    unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut robust_head, &raw mut robust_len) };
    let flags = (libc::CLONE_PARENT | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD)
        as c_ulong;
    let no_stack = std::ptr::null_mut::<c_void>();
    let nothing = std::ptr::null_mut::<c_void>();
    // The last two arguments (child's tid word, TLS) stand in this order on x86-64 and in the other on
    // aarch64; TLS is read only with CLONE_SETTLS.
    #[cfg(target_arch = "x86_64")]
    let (fourth, fifth) = (cached_tid.cast::<c_void>(), nothing);
    #[cfg(not(target_arch = "x86_64"))]
    let (fourth, fifth) = (nothing, cached_tid.cast::<c_void>());
    // SAFETY: without CLONE_VM the child has its own copy of this address space and, with a null stack,
    // continues here on its copy of this stack. The caller vouches for a single thread and for the word.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, no_stack, nothing, fourth, fifth) };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    if pid == 0 && !robust_head.is_null() {
        // SAFETY: the child's copy of the list head that this very thread had registered.
        unsafe { libc::syscall(libc::SYS_set_robust_list, robust_head, robust_len) };
    }
    Ok(pid as u32)
}

fn check(rc: i64) -> io::Result<()> {
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether a descriptor is open and would stay open through exec.
pub(crate) fn survives_exec(number: c_int) -> bool {
    // SAFETY: asks for the flags of a number; a closed one gives an error.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC == 0
}

/// Closes a descriptor that came through exec and has no owner in this program. Descriptors that are
/// close-on-exec, or standard ones, are left alone: they did not come that way.
pub(crate) fn close_inherited(number: c_int) {
    if number > 2 && survives_exec(number) {
        // SAFETY: the driver has one at this number that survives exec, so this is taken for its copy. What
        // this program opened before, through std or the engine, is close-on-exec and was left alone.
        unsafe { libc::close(number) };
    }
}

/// Sends a signal to the calling thread; async-signal-safe.
pub(crate) fn signal_own_thread(number: c_int) {
    // SAFETY: plain numbers.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::syscall(libc::SYS_gettid), number) };
}

/// Writes to standard error by the system call alone; async-signal-safe.
pub(crate) fn write_stderr(bytes: &[u8]) {
    // SAFETY: the bytes outlive the call.
    unsafe { libc::write(2, bytes.as_ptr().cast(), bytes.len()) };
}

/// Bytes of this process's own memory, without files and shared memory; None where /proc does not tell.
pub(crate) fn private_bytes() -> Option<u64> {
    let statm = descriptor::read_text("/proc/self/statm").ok()?;
    let mut pages = statm.split(' ').skip(1).map_while(|field| field.parse::<u64>().ok());
    let (resident, shared) = (pages.next()?, pages.next()?);
    Some(resident.saturating_sub(shared).saturating_mul(crate::sys::memory::page_size() as u64))
}

/// Threads of this process; None where /proc does not tell.
pub(crate) fn thread_count() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}
