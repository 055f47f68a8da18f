//! Starting worker processes: by executing this program again, or by forking from a clean process that was.
//!
//! See README.md beside this file for the protocol.

mod constructor;
mod error;
mod executable;
mod fork_server;
mod handshake;
pub(crate) mod overflow;
mod process;
mod setup;
#[cfg(test)]
mod tests;

pub use error::StartError;
pub use process::ExitCause;
pub(crate) use process::{Starting, WorkerProcess};
pub(crate) use setup::{OUTSIDE_TEAMS, is_worker, worker_name};

use crate::sys::process as sys;
use crate::team::text;
use executable::Executable;
use fork_server::ForkServer;
use handshake::Role;
use std::time::{Duration, Instant};

/// How worker processes come into being.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartMethod {
    /// Executes this program anew for every worker. Works in every program, whatever threads it has; every worker pays for
    /// loading the program.
    Spawn,
    /// Executes this program anew once; that clean process, which has a single thread, forks the workers. A `preload`
    /// function runs there once, and the workers inherit what it prepared, sharing the memory until they write to it. It may launch,
    /// which runs inline there, but keep no shared object: that would be [`StartError::SharedBeforeFork`].
    ///
    /// The default, since it replaces a dead worker five times faster. Where that process turns out to have more than one
    /// thread (a library's start-up code made them), workers are started as by `Spawn`, unless there is a `preload`.
    #[default]
    ForkServer,
    /// Forks the calling process when the pool is made, and forks the workers from that copy. They inherit everything
    /// that the caller has prepared. Refused when the caller has more than one thread, since locks that another thread
    /// holds at that moment would stay locked in the workers for ever; and while it has handles of shared objects (arrays, locks,
    /// queues ...), whose memory a fork does not have: [`StartError::SharedBeforeFork`]. Make those afterwards.
    Fork,
}

/// How long [`Starter::start`] waits for a started process to answer.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Starts the workers of one pool.
///
/// All starts come from one thread, which lives as long as the pool: the kernel kills a worker when the *thread* that
/// started it ends. [`StartMethod::Fork`] forks in [`Starter::new`] already.
#[derive(Debug)]
pub(crate) struct Starter {
    executable: Executable,
    server: Option<ForkServer>,
    method: StartMethod,
    preload: Option<fn()>,
}

/// The build that a starter starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Build(executable::Fingerprint);

impl Build {
    /// As [`Starter::finish`], on any thread.
    pub(crate) fn finish(self, starting: Starting, deadline: Instant) -> Result<WorkerProcess, StartError> {
        starting.finish(deadline, &self.0)
    }
}

impl Starter {
    /// Prepares to start workers; makes the fork server's process where the method has one.
    pub(crate) fn new(method: StartMethod, preload: Option<fn()>) -> Result<Starter, StartError> {
        Starter::with_native_threads(method, preload, None)
    }

    /// As [`Self::new`]; native libraries in what is executed are told to use so many threads, where the environment does not
    /// tell them already.
    pub(crate) fn with_native_threads(
        method: StartMethod,
        preload: Option<fn()>,
        native_threads: Option<usize>,
    ) -> Result<Starter, StartError> {
        if is_worker() || constructor::is_stray() {
            return Err(StartError::Recursive);
        }
        if !text::is_in_executable() || !constructor::is_linked() {
            return Err(StartError::NoEntry);
        }
        if method != StartMethod::Fork && sys::is_secure() {
            return Err(StartError::Insecure);
        }
        let mut executable = Executable::open()?;
        executable.native_threads = native_threads;
        let mut starter = Starter { executable, server: None, method, preload };
        starter.server = match method {
            StartMethod::Spawn => None,
            StartMethod::ForkServer => Some(ForkServer::spawn(&starter.executable, preload)?),
            StartMethod::Fork => Some(ForkServer::fork(&starter.executable, preload)?),
        };
        Ok(starter)
    }

    /// Starts a worker and waits until it has answered. `name` is shown by `ps`, as in `PROGRAM [phalanx worker 3]`.
    #[cfg(test)]
    pub(crate) fn start(&mut self, name: &str) -> Result<WorkerProcess, StartError> {
        let starting = self.launch(name)?;
        self.finish(starting, Instant::now() + ANSWER_WITHIN)
    }

    /// Waits for the answer of a launched worker, which is killed if it has not come by `deadline`.
    pub(crate) fn finish(&self, starting: Starting, deadline: Instant) -> Result<WorkerProcess, StartError> {
        self.build().finish(starting, deadline)
    }

    /// What started processes must be, for a thread that waits for them in this one's stead.
    pub(crate) fn build(&self) -> Build {
        Build(self.executable.fingerprint)
    }

    /// Sets a worker's start going. Launching all workers first and finishing them after lets them load in parallel.
    pub(crate) fn launch(&mut self, name: &str) -> Result<Starting, StartError> {
        let Some(server) = &mut self.server else {
            return self.executable.spawn(Role::Worker, name, 0);
        };
        match server.launch(name) {
            // A server that was killed is replaced where that is possible; a fork of the caller is not.
            Err(StartError::ServerDied { .. }) if self.method == StartMethod::ForkServer => {
                *server = ForkServer::spawn(&self.executable, self.preload)?;
                server.launch(name)
            }
            // Nothing was prepared in it, so nothing is lost without it.
            Err(StartError::ServerHasThreads)
                if self.method == StartMethod::ForkServer && self.preload.is_none() =>
            {
                self.server = None;
                self.executable.spawn(Role::Worker, name, 0)
            }
            other => other,
        }
    }
}
