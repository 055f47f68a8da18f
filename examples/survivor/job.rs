//! What one item does: count the steps of Collatz's sequence, unless something is planted at its index.

use common::{limit_memory, random};
use rustix::process::{Signal, getpid, kill_process};
use std::sync::OnceLock;

/// What can go wrong with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Dies of SIGSEGV, as a library does that follows a wild pointer.
    Crash,
    /// Never returns.
    Endless,
    /// Allocates until its process may not have more.
    Glutton,
    /// Returns an error.
    Failure,
    /// Panics.
    Panic,
}

impl Trouble {
    pub const ALL: [Trouble; 5] =
        [Trouble::Crash, Trouble::Endless, Trouble::Glutton, Trouble::Failure, Trouble::Panic];

    pub fn name(self) -> &'static str {
        match self {
            Trouble::Crash => "crash",
            Trouble::Endless => "endless",
            Trouble::Glutton => "glutton",
            Trouble::Failure => "failure",
            Trouble::Panic => "panic",
        }
    }

    /// Whether it costs the worker.
    pub fn is_fatal(self) -> bool {
        matches!(self, Trouble::Crash | Trouble::Endless | Trouble::Glutton)
    }
}

/// Where trouble is planted, and how much memory a worker may have.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Field {
    /// One item in so many is bad.
    pub one_in: u64,
    /// Bytes that a worker may allocate.
    pub memory: u64,
}

impl Field {
    /// The trouble planted at this index: some of each kind, at places without a pattern.
    pub fn trouble(self, item: u64) -> Option<Trouble> {
        let bits = random(0, item);
        bits.is_multiple_of(self.one_in).then(|| Trouble::ALL[(bits >> 32) as usize % Trouble::ALL.len()])
    }
}

/// Set in every worker before it serves, also in those that replace the dead.
static FIELD: OnceLock<Field> = OnceLock::new();

/// Prepares a worker: the system refuses it memory beyond the limit, and writes no core dumps.
///
/// # Errors
/// If the system does not accept a limit.
pub fn prepare(field: Field) -> Result<(), String> {
    limit_memory(field.memory)?;
    FIELD.get_or_init(|| field);
    Ok(())
}

/// What the pool maps over the indices.
///
/// # Errors
/// Where a failure is planted.
///
/// # Panics
/// Where a panic is planted.
pub fn work(item: u64) -> Result<u64, String> {
    match FIELD.get().and_then(|field| field.trouble(item)) {
        None => Ok(steps(item)),
        // The first of these signals that is not due to an instruction restores the default action.
        Some(Trouble::Crash) => loop {
            let _until_it_works = kill_process(getpid(), Signal::SEGV);
        },
        Some(Trouble::Endless) => loop {
            std::hint::spin_loop();
        },
        // The limit counts what is asked for, so it is reached before the machine's memory is touched.
        Some(Trouble::Glutton) => loop {
            std::hint::black_box(vec![0u8; 1 << 20].leak());
        },
        Some(Trouble::Failure) => Err(format!("no answer for {item}")),
        Some(Trouble::Panic) => panic!("{item} is a bad number"),
    }
}

/// Steps of Collatz's sequence from `item` + 1 to 1.
pub fn steps(item: u64) -> u64 {
    let (mut n, mut steps) = (item + 1, 0);
    while n != 1 {
        n = if n.is_multiple_of(2) { n / 2 } else { 3 * n + 1 };
        steps += 1;
    }
    steps
}
