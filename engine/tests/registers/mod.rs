//! Registers of a stopped process that is traced by the calling thread, as each architecture has them: where
//! it is, and where the processor stops it.
//!
//! # Safety
//! Plain `ptrace` calls, which write to no memory of this process but the values named in them.

/// Whether a process can be stepped through every loop. The pair of instructions by which processors without
/// atomic ones change a word never succeeds under a tracer that stops between them: it would go round
/// forever.
pub fn can_be_stepped() -> bool {
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("lse");
    #[cfg(not(target_arch = "aarch64"))]
    true
}

#[cfg(target_arch = "x86_64")]
mod here {
    use std::mem::offset_of;

    /// A process goes on from where the processor stopped it.
    pub const STOPS_AGAIN: bool = false;

    pub fn program_counter(pid: i32) -> u64 {
        let at = offset_of!(libc::user, regs) + offset_of!(libc::user_regs_struct, rip);
        // SAFETY: see the module.
        unsafe { libc::ptrace(libc::PTRACE_PEEKUSER, pid, at, 0) as u64 }
    }

    pub fn stop_at(pid: i32, address: Option<u64>) -> bool {
        let register = |n: usize| offset_of!(libc::user, u_debugreg) + n * 8;
        let values = [(register(0), address.unwrap_or(0)), (register(7), u64::from(address.is_some()))];
        // SAFETY: see the module.
        let set =
            |(at, value): (usize, u64)| unsafe { libc::ptrace(libc::PTRACE_POKEUSER, pid, at, value) } == 0;
        // Off first: an address in use is not to be changed.
        set((register(7), 0)) && values.into_iter().all(set)
    }
}

#[cfg(target_arch = "aarch64")]
mod here {
    use libc::{c_int, iovec};

    /// A process that goes on where the processor stopped it is stopped there again.
    pub const STOPS_AGAIN: bool = true;

    /// `NT_ARM_HW_BREAK` of `linux/elf.h`.
    const BREAKPOINTS: c_int = 0x402;
    /// All four bytes of an instruction, in user space, on.
    const ON: u32 = 0xf << 5 | 2 << 1 | 1;

    /// The head and the first register of `struct user_hwdebug_state`.
    #[repr(C)]
    struct Breakpoint {
        info: [u32; 2],
        address: u64,
        control: u32,
        pad: u32,
    }

    fn set_of<T>(value: &mut T) -> iovec {
        iovec { iov_base: std::ptr::from_mut(value).cast(), iov_len: size_of::<T>() }
    }

    pub fn program_counter(pid: i32) -> u64 {
        let mut registers = libc::user_regs_struct { regs: [0; 31], sp: 0, pc: 0, pstate: 0 };
        let mut set = set_of(&mut registers);
        // SAFETY: see the module.
        unsafe { libc::ptrace(libc::PTRACE_GETREGSET, pid, libc::NT_PRSTATUS, &raw mut set) };
        registers.pc
    }

    pub fn stop_at(pid: i32, address: Option<u64>) -> bool {
        let control = if address.is_some() { ON } else { 0 };
        // Off first: an address in use is not to be changed.
        [(0, 0), (address.unwrap_or(0), control)].into_iter().all(|(address, control)| {
            let mut breakpoint = Breakpoint { info: [0; 2], address, control, pad: 0 };
            let mut set = set_of(&mut breakpoint);
            // SAFETY: see the module.
            unsafe { libc::ptrace(libc::PTRACE_SETREGSET, pid, BREAKPOINTS, &raw mut set) == 0 }
        })
    }
}

pub use here::{STOPS_AGAIN, program_counter, stop_at};
