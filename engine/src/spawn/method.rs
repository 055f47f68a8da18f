//! The ways in which worker processes are started.

/// How worker processes are started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StartMethod {
    /// Executes this program again for every worker. Works in every program, whatever threads it has. Every
    /// worker pays for loading the program.
    Spawn,
    /// Executes this program again once; that clean, single-threaded process forks the workers. A `preload`
    /// function runs there once, and the workers inherit what it prepared, sharing the memory until they
    /// write to it. `preload` may launch, which runs inline there, but must not keep shared objects: that is
    /// [`StartError::SharedBeforeFork`](crate::StartError::SharedBeforeFork).
    ///
    /// The default, since it replaces a dead worker five times faster. If that process turns out to have more
    /// than one thread (made by a library's start-up code), workers are started as with `Spawn`, unless there
    /// is a `preload`.
    #[default]
    ForkServer,
    /// Forks the calling process when the pool is made, and forks the workers from that copy. They inherit
    /// everything that the caller has prepared. Fails if the caller has more than one thread, since locks
    /// held by another thread at that moment would stay locked in the workers forever. Also fails if the
    /// caller holds shared objects (arrays, locks, queues ...), whose memory a fork does not have:
    /// [`StartError::SharedBeforeFork`](crate::StartError::SharedBeforeFork). Make those afterwards.
    Fork,
}
