//! Objects that one server hosts, and proxies to call them from every process.
//!
//! A [`Manager`] is for what cannot lie in shared memory: maps of strings, handles of libraries, anything
//! with methods. [`DictProxy`], [`ListProxy`] and others are ready; [`Hosted`] runs any function where an
//! object of yours is. For plain numbers and structs, [`crate::shared`] is far cheaper.

// README.md beside this file describes the protocol.

#[cfg(all(test, not(loom)))]
mod adversary_tests;
mod error;
mod hosted;
mod mailbox;
mod proxy;
mod server;
#[cfg(all(test, not(loom)))]
mod tests;

pub use error::{CallError, ManagerError};
pub use hosted::Hosted;
pub use proxy::{CounterProxy, DictProxy, ListProxy, NamespaceProxy, ValueProxy};

use crate::code::{self, NoCapture};
use crate::handle::kept;
use crate::process::Process;
use crate::sys::fork;
use mailbox::Mailbox;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the end of a manager waits for the call at work in its process.
const GRACE: Duration = Duration::from_secs(1);

/// A host for objects of any type that processes, workers and threads use together: Python's `Manager`.
///
/// The objects live in one place, either a thread of this process ([`Manager::new`]) or a process of their
/// own ([`Manager::in_process`]). Everyone else has [`Hosted`] handles and calls functions on the objects,
/// one at a time. This is slower than objects in shared memory ([`SharedArray`](crate::SharedArray),
/// [`Lock`](crate::sync::Lock), [`Counter`](crate::sync::Counter)), and meant for types that cannot be there:
/// maps, strings, open files, connections.
///
/// A caller that dies does not hold up the others. If the manager's process dies, all callers get
/// [`CallError::ServerDied`], including those that wait. Dropping the manager ends it; every later call
/// returns [`CallError::Closed`].
///
/// ```
/// use phalanx::{Manager, Process};
///
/// let manager = Manager::new()?;
/// let squares = manager.list::<u64>()?;
/// let processes: Vec<_> = (1..=4u64)
///     .map(|n| {
///         let args = (squares.clone(), n);
///         Process::spawn(|(squares, n)| phalanx::ListProxy::push(&squares, n * n).unwrap(), args)
///     })
///     .collect::<Result<_, _>>()?;
/// for process in processes {
///     process.join()?;
/// }
/// let mut squares = squares.to_vec()?;
/// squares.sort();
/// assert_eq!(squares, [1, 4, 9, 16]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Manager {
    mailbox: Mailbox,
    server: Server,
}

enum Server {
    Thread {
        hand: Option<JoinHandle<()>>,
        /// Tells the server to end even if the mailbox's words were overwritten.
        is_over: Arc<AtomicBool>,
    },
    Process(Process),
}

impl Manager {
    /// Starts a manager on a thread of this process. Hosted objects may hold resources of this process, such
    /// as open files.
    ///
    /// # Errors
    /// See [`ManagerError`].
    pub fn new() -> Result<Manager, ManagerError> {
        let mailbox = Mailbox::new()?;
        mailbox.set_server(crate::base::member::current_member());
        let served = mailbox.clone();
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = is_over.clone();
        let hand = std::thread::Builder::new()
            .name("phalanx manager".into())
            .spawn(move || server::serve(&served, &ends))
            .map_err(ManagerError::Thread)?;
        Ok(Manager { mailbox, server: Server::Thread { hand: Some(hand), is_over } })
    }

    /// Starts a manager in a process of its own. Hosted objects can then use up memory or crash without
    /// taking this process down.
    ///
    /// # Errors
    /// See [`ManagerError`].
    pub fn in_process() -> Result<Manager, ManagerError> {
        let mailbox = Mailbox::new()?;
        let process = Process::builder()
            .name("manager")
            .daemon(true)
            .spawn(|mailbox: Mailbox| server::serve(&mailbox, &AtomicBool::new(false)), mailbox.clone())?;
        mailbox.set_server(process.member());
        if !process.is_alive() {
            // It died before repair knew whose death to look for.
            mailbox.mark_dead();
        }
        Ok(Manager { mailbox, server: Server::Process(process) })
    }

    /// Returns the ID of the process that hosts the objects: this process, or the manager's own.
    pub fn pid(&self) -> u32 {
        match &self.server {
            Server::Thread { .. } => std::process::id(),
            Server::Process(process) => process.pid(),
        }
    }

    /// Hosts a value. The value is transferred in the same way as an argument.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn host<T: Serialize + DeserializeOwned + 'static>(&self, value: T) -> Result<Hosted<T>, CallError> {
        Hosted::make(&self.mailbox, |value: T| value, &value)
    }

    /// Hosts what `make(args)` returns. `make` runs where the object is to live, so the object may be of any
    /// type, including types that cannot be sent or serialised.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn host_with<T, A, F>(&self, make: F, args: A) -> Result<Hosted<T>, CallError>
    where
        T: 'static,
        A: Serialize + DeserializeOwned + 'static,
        F: Fn(A) -> T + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<F>::OK };
        Hosted::make(&self.mailbox, code::pointer_to(make), &args)
    }

    /// Hosts an empty list.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn list<E: 'static>(&self) -> Result<ListProxy<E>, CallError> {
        self.host_with(|()| Vec::new(), ()).map(ListProxy::of)
    }

    /// Hosts an empty dict, whose keys are kept sorted.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn dict<K: Ord + 'static, V: 'static>(&self) -> Result<DictProxy<K, V>, CallError> {
        self.host_with(|()| std::collections::BTreeMap::new(), ()).map(DictProxy::of)
    }

    /// Hosts an empty namespace, which maps names to values of any type.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn namespace(&self) -> Result<NamespaceProxy, CallError> {
        self.host_with(|()| proxy::Names::new(), ()).map(NamespaceProxy::of)
    }

    /// Hosts a counter. [`sync::Counter`](crate::sync::Counter) does the same a hundred times faster.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn counter(&self, start: i64) -> Result<CounterProxy, CallError> {
        self.host(start).map(CounterProxy::of)
    }

    /// Hosts a single value.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn value<V: Serialize + DeserializeOwned + 'static>(
        &self,
        value: V,
    ) -> Result<ValueProxy<V>, CallError> {
        self.host(value).map(ValueProxy::of)
    }
}

impl Drop for Manager {
    /// Ends the manager. Waits for the call in progress, unless that call is what drops the manager. If the
    /// manager has its own process, waits at most a second, then kills the process.
    fn drop(&mut self) {
        if fork::is_foreign() {
            // Its thread and process are the parent's.
            if let Server::Thread { hand, .. } = &mut self.server {
                std::mem::forget(hand.take());
            }
            return;
        }
        if let Server::Thread { is_over, .. } = &self.server {
            is_over.store(true, Ordering::Release);
        }
        self.mailbox.close();
        match &mut self.server {
            Server::Thread { hand, .. } => {
                if let Some(hand) = hand.take_if(|hand| hand.thread().id() != std::thread::current().id()) {
                    let _panicked = hand.join();
                }
            }
            Server::Process(process) => {
                let _ended = process.join_timeout(GRACE);
                process.kill();
                let _forked = process.wait();
            }
        }
        // What the server had of messages.
        kept::sweep_all();
    }
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager").field("pid", &self.pid()).finish()
    }
}
