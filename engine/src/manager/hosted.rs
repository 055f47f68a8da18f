//! `Hosted<T>`: the handle of an object that a manager hosts.

use super::error::CallError;
use super::mailbox::{Mailbox, Stop};
use super::server::{self, AnswerKind, CallEntry, Head};
use crate::base::member;
use crate::code::{self, NoCapture};
use crate::handle::kept;
use crate::handle::travel::{self, KeepAlive};
use crate::process::worker;
use crate::spawn::StartError;
use crate::spawn::panic_note::ToldPanic;
use crate::sys::fork;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::time::{Duration, Instant};

/// The handle of an object that a [`Manager`](crate::Manager) hosts: Python's proxy.
///
/// Cheap to clone. It can be passed as an argument to any task or process, and works the same there.
/// Functions called through it run where the object is, one at a time, with `&mut` access to it.
///
/// The object lives until its manager is dropped, or until [`remove`](Hosted::remove).
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Hosted<T> {
    mailbox: Mailbox,
    object: u64,
    #[serde(skip)]
    kind: PhantomData<fn(T)>,
}

impl<T> Clone for Hosted<T> {
    fn clone(&self) -> Self {
        Hosted { mailbox: self.mailbox.clone(), object: self.object, kind: PhantomData }
    }
}

impl<T> std::fmt::Debug for Hosted<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hosted<{}>({})", std::any::type_name::<T>(), self.object)
    }
}

impl<T: 'static> Hosted<T> {
    pub(super) fn make<A>(mailbox: &Mailbox, make: fn(A) -> T, args: &A) -> Result<Hosted<T>, CallError>
    where
        A: Serialize + DeserializeOwned + 'static,
    {
        let head = Head {
            entry: offset(server::host::<T, A> as CallEntry as usize)?,
            function: offset(make as usize)?,
            layout: code::type_key::<fn(A) -> T>(),
            object: 0,
            seal: 0,
        };
        let object = ask(mailbox, head, args, None)?;
        Ok(Hosted { mailbox: mailbox.clone(), object, kind: PhantomData })
    }

    /// Calls `function(object, args)` where the object is, and returns its result.
    ///
    /// `function` is a function by name, or a closure that captures nothing. Blocks until the call is done.
    /// Calls from several threads and processes are carried out one at a time, in no particular order. If the
    /// calling process dies meanwhile, the call is either carried out completely or not at all.
    ///
    /// Costs two wake-ups (about 6 us in all on a 2-core virtual machine), and one copy of arguments and
    /// result on each side.
    ///
    /// ```
    /// use phalanx::Manager;
    ///
    /// let manager = Manager::new()?;
    /// let words = manager.host(vec!["a".to_string()])?;
    /// let more = vec!["b".into(), "c".into()];
    /// let count = words.call(|words, more: Vec<String>| { words.extend(more); words.len() }, more)?;
    /// assert_eq!(count, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn call<A, R, F>(&self, function: F, args: A) -> Result<R, CallError>
    where
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + 'static,
        F: Fn(&mut T, A) -> R + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<F>::OK };
        self.call_by(function, &args, None)
    }

    /// Like [`call`](Hosted::call), but waits at most `limit`.
    ///
    /// # Errors
    /// - [`CallError::TimedOut`] if there was no answer by then; the call may still be carried out.
    /// - Otherwise as [`call`](Hosted::call).
    pub fn call_timeout<A, R, F>(&self, function: F, args: A, limit: Duration) -> Result<R, CallError>
    where
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + 'static,
        F: Fn(&mut T, A) -> R + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<F>::OK };
        self.call_by(function, &args, Some(limit))
    }

    fn call_by<A, R, F>(&self, _function: F, args: &A, limit: Option<Duration>) -> Result<R, CallError>
    where
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + 'static,
        F: Fn(&mut T, A) -> R + Copy + Send + Sync + 'static,
    {
        let function: fn(&mut T, A) -> R = |object, args| code::conjure::<F>()(object, args);
        let head = Head {
            entry: offset(server::call::<T, A, R> as CallEntry as usize)?,
            function: offset(function as usize)?,
            layout: code::type_key::<fn(&mut T, A) -> R>(),
            object: self.object,
            seal: 0,
        };
        ask(&self.mailbox, head, args, limit)
    }

    /// Drops the object. From then on its other handles return [`CallError::Removed`]. Removing it again does
    /// nothing.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn remove(&self) -> Result<(), CallError> {
        let head = Head {
            entry: offset(server::remove as CallEntry as usize)?,
            function: 0,
            layout: 0,
            object: self.object,
            seal: 0,
        };
        ask(&self.mailbox, head, &(), None)
    }
}

fn offset(addr: usize) -> Result<u64, CallError> {
    code::offset_of(addr).map_err(|error| CallError::Arguments { why: StartError::from(error).to_string() })
}

/// Sends a request and reads its answer.
fn ask<A: Serialize, R: DeserializeOwned>(
    mailbox: &Mailbox,
    head: Head,
    args: &A,
    limit: Option<Duration>,
) -> Result<R, CallError> {
    if fork::is_foreign() {
        return Err(CallError::Forked);
    }
    if server::is_serving(mailbox) {
        return Err(CallError::WouldDeadlock);
    }
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let (bytes, keep_alive) =
        travel::encode(args).map_err(|error| CallError::Arguments { why: error.to_string() })?;
    let mut request = bytemuck::bytes_of(&head.sealed()).to_vec();
    request.extend_from_slice(&bytes);
    let _sent = Sent { mailbox, keep_alive };
    let mut had_handles = false;
    let read = |answer: &[u8]| {
        had_handles = answer.get(1..).is_some_and(travel::has_handles);
        read(answer)
    };
    let answer = mailbox.exchange(&request, deadline, read);
    if had_handles {
        // The server lets go of what it kept for us.
        mailbox.ring();
    }
    answer.unwrap_or_else(|stop| {
        Err(match stop {
            Stop::TimedOut => CallError::TimedOut { waited: limit.unwrap_or_default() },
            Stop::Closed => CallError::Closed,
            Stop::Died => CallError::ServerDied,
            Stop::Corrupt => CallError::Corrupt,
            Stop::Forked => CallError::Forked,
        })
    })
}

/// Keeps what the arguments refer to. However the call ends, the server may still have something of it, or
/// come to it later; kept until the server has released it.
struct Sent<'a> {
    mailbox: &'a Mailbox,
    keep_alive: KeepAlive,
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        if fork::is_foreign() {
            return;
        }
        let server = self.mailbox.server();
        // In the process that made them, handles are co-owners: there is nothing to wait for.
        if server != member::current_member() {
            kept::keep(server, &self.keep_alive);
        }
    }
}

fn read<R: DeserializeOwned>(answer: &[u8]) -> Result<R, CallError> {
    let (kind, bytes) = answer.split_first().ok_or(CallError::Corrupt)?;
    let text = || String::from_utf8_lossy(bytes).into_owned();
    match AnswerKind::of(*kind).ok_or(CallError::Corrupt)? {
        AnswerKind::Value => {
            let read = travel::decode(bytes, &mut worker::resolve);
            read.map(|(value, _)| value).map_err(|error| CallError::Value { why: error.to_string() })
        }
        AnswerKind::Panic => {
            let ToldPanic { message, location, backtrace } =
                ToldPanic::from_bytes(bytes).ok_or(CallError::Corrupt)?;
            Err(CallError::Panicked { message, location, backtrace: backtrace.into() })
        }
        AnswerKind::BadArguments => Err(CallError::Arguments { why: text() }),
        AnswerKind::BadValue => Err(CallError::Value { why: text() }),
        AnswerKind::Removed => Err(CallError::Removed),
        AnswerKind::Corrupt => Err(CallError::Corrupt),
    }
}
