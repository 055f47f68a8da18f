//! The ways in which worker processes are started.

/// How worker processes come into being.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartMethod {
    /// Executes this program anew for every worker. Works in every program, whatever threads it has; every
    /// worker pays for loading the program.
    Spawn,
    /// Executes this program anew once; that clean process, which has a single thread, forks the workers. A
    /// `preload` function runs there once, and the workers inherit what it prepared, sharing the memory until
    /// they write to it. It may launch, which runs inline there, but keep no shared object: that would be
    /// [`StartError::SharedBeforeFork`](super::StartError::SharedBeforeFork).
    ///
    /// The default, since it replaces a dead worker five times faster. Where that process turns out to have
    /// more than one thread (a library's start-up code made them), workers are started as by `Spawn`, unless
    /// there is a `preload`.
    #[default]
    ForkServer,
    /// Forks the calling process when the pool is made, and forks the workers from that copy. They inherit
    /// everything that the caller has prepared. Refused when the caller has more than one thread, since locks
    /// that another thread holds at that moment would stay locked in the workers for ever; and while it has
    /// handles of shared objects (arrays, locks, queues ...), whose memory a fork does not have:
    /// [`StartError::SharedBeforeFork`](super::StartError::SharedBeforeFork). Make those afterwards.
    Fork,
}
