//! Why a call returned no result, for calls of all kinds.

use phalanx::channel::QueueError;
use phalanx::manager::CallError;
use phalanx::memory::AllocError;
use phalanx::pool::PoolError;
use phalanx::process::{JoinError, SpawnError};
use phalanx::sync::CreateError;
use phalanx::{LaunchError, StartError, TaskError};

/// An error of a call, sorted by what explains it.
#[derive(Debug)]
pub struct Trouble {
    pub kind: Kind,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A process was killed: the only kind that a hunt explains in any call.
    Died,
    TimedOut,
    Cancelled,
    Panicked,
    /// No kill explains this: pools heal.
    PoolBroken,
    Other,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Died => "died",
            Kind::TimedOut => "timed out",
            Kind::Cancelled => "cancelled",
            Kind::Panicked => "panicked",
            Kind::PoolBroken => "pool broken",
            Kind::Other => "other",
        }
    }
}

macro_rules! troubles {
    ($($error:ty { $($pattern:pat => $kind:ident),* $(,)? })*) => {
        $(impl From<$error> for Trouble {
            fn from(error: $error) -> Trouble {
                #[allow(unreachable_patterns, reason = "some kinds of call have no kind of trouble that is sorted")]
                let kind = match &error {
                    $($pattern => Kind::$kind,)*
                    _ => Kind::Other,
                };
                Trouble { kind, text: error.to_string() }
            }
        })*
    };
}

troubles! {
    LaunchError {
        LaunchError::WorkerDied { .. } => Died,
        LaunchError::TimedOut { .. } => TimedOut,
        LaunchError::Cancelled { .. } => Cancelled,
        LaunchError::Panicked { .. } => Panicked,
        LaunchError::PoolBroken { .. } => PoolBroken,
    }
    TaskError {
        TaskError::WorkerDied { .. } => Died,
        TaskError::TimedOut { .. } => TimedOut,
        TaskError::Cancelled { .. } => Cancelled,
        TaskError::Panicked { .. } => Panicked,
        TaskError::PoolBroken { .. } => PoolBroken,
    }
    JoinError {
        JoinError::Died { .. } => Died,
        JoinError::Panicked { .. } => Panicked,
    }
    CallError { CallError::ServerDied => Died }
    QueueError {}
    SpawnError {}
    PoolError { PoolError::Start(StartError::DiedAtStart { .. }) => Died }
    CreateError {}
    AllocError {}
}
