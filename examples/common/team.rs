//! The options that say who works.

use clap::{Args, ValueEnum};
use phalanx::pool::PoolError;
use phalanx::{Backend, Pool, PoolBuilder};

/// Who works, for `#[command(flatten)]`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Team {
    /// Number of workers [default: one per physical core this process may use]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub workers: Option<u32>,

    /// What the workers are
    #[arg(long, value_name = "KIND", default_value = "processes")]
    pub backend: Kind,
}

/// What the workers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Worker processes, one per core
    Processes,
    /// Threads of this process
    Threads,
    /// The calling thread alone
    Inline,
}

impl From<Kind> for Backend {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Processes => Self::Processes,
            Kind::Threads => Self::Threads,
            Kind::Inline => Self::Inline,
        }
    }
}

impl Team {
    /// Starts the pool that the options ask for.
    ///
    /// # Errors
    /// As [`PoolBuilder::build`].
    pub fn pool(&self, name: &str) -> Result<Pool, PoolError> {
        self.builder(name).build()
    }

    /// Starts a pool of `workers`, whatever the options say of their number: one to compare with, for
    /// instance.
    ///
    /// # Errors
    /// As [`PoolBuilder::build`].
    pub fn pool_of(&self, name: &str, workers: u32) -> Result<Pool, PoolError> {
        self.builder(name).workers(workers as usize).build()
    }

    /// The pool that the options ask for, for more settings.
    pub fn builder(&self, name: &str) -> PoolBuilder {
        self.of(Pool::builder(), name)
    }

    /// The same, within what another builder says, such as a driver's share of its machine.
    pub fn of(&self, builder: PoolBuilder, name: &str) -> PoolBuilder {
        let builder = builder.backend(self.backend.into()).name(name);
        self.workers.iter().fold(builder, |builder, &workers| builder.workers(workers as usize))
    }
}
