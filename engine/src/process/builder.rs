//! How a process is started.

use super::call_block::{HEAD_BYTES, ProcessCall, ROOM_BYTES, View};
use super::child::{Child, ProcessJob};
use super::entry::enter;
use super::error::SpawnError;
use super::handle::Process;
use super::worker::{self, Assignment, ProcessEntry};
use super::{current, watch};
use crate::base::member;
use crate::code::{self, NoCapture};
use crate::handle::travel::{self, KeepAlive};
use crate::memory::{AllocError, Segment, arena};
use crate::spawn::log;
use crate::spawn::mail::{self, ToWorker};
use crate::spawn::worker::Main;
use crate::spawn::{StartError, StartMethod, is_worker};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;
// A plain atomic on purpose: a count of this process alone.
use std::sync::atomic::{AtomicU64, Ordering};

/// The options of a process; made by [`Process::builder`].
///
/// ```
/// use phalanx::{Process, StartMethod};
///
/// let builder = Process::builder().name("mapper").start_method(StartMethod::Spawn);
/// let mapper = builder.spawn(|n: u32| n + 1, 41)?;
/// assert_eq!(mapper.name(), "mapper");
/// assert_eq!(mapper.join()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `spawn`"]
pub struct ProcessBuilder {
    name: Option<String>,
    is_daemon: bool,
    method: StartMethod,
}

/// Number of processes so far that were given a generated name.
static UNNAMED: AtomicU64 = AtomicU64::new(0);

impl ProcessBuilder {
    /// Sets the name of the process, used in errors, logs, `ps` (the first 15 bytes) and
    /// [`current_process`](crate::current_process).
    ///
    /// Names need not be unique. Default: `Process-1`, `Process-2` and so on.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets whether dropping the handle kills the process (`true`) or waits for its end (`false`, the
    /// default).
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.is_daemon = daemon;
        self
    }

    /// Sets how the process is started. Default: [`StartMethod::ForkServer`].
    ///
    /// Its working directory is the caller's. With [`StartMethod::ForkServer`], its environment, standard
    /// output and standard error are those that the program had when the fork server was made: at the first
    /// start, or at the first start after two seconds without a process.
    ///
    /// With [`StartMethod::Fork`], processes are forked from a copy of the caller as it was at the *first*
    /// such start. That start must come before the program has any other thread, including those of this
    /// crate, and before it holds shared objects ([`StartError::SharedBeforeFork`](crate::StartError)). So
    /// start a first process early, then make the objects that later ones receive as arguments.
    pub fn start_method(mut self, method: StartMethod) -> Self {
        self.method = method;
        self
    }

    /// Starts a process that calls `f(args)`; see [`Process::spawn`].
    ///
    /// # Errors
    /// As [`Process::spawn`].
    pub fn spawn<A, R, F>(self, f: F, args: A) -> Result<Process<R>, SpawnError>
    where
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + 'static,
        F: Fn(A) -> R + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<F>::OK };
        let name: Arc<str> = match self.name {
            Some(name) => name.into(),
            None => format!("Process-{}", UNNAMED.fetch_add(1, Ordering::Relaxed) + 1).into(),
        };
        let owned = || name.to_string();
        if is_worker() {
            let inside = current::current_process().name;
            return Err(SpawnError::Nested { name: owned(), inside });
        }
        let start = |source| SpawnError::Start { name: name.to_string(), source };
        let no_entry = |error: code::NoEntry| start(error.into());
        let entry: ProcessEntry = enter::<A, R>;
        let entry = code::offset_of(entry as usize).map_err(no_entry)?;
        let call = ProcessCall {
            layout: code::type_key::<fn(A) -> R>(),
            function: code::offset_of(code::pointer_to(f) as usize).map_err(no_entry)?,
        };
        let (bytes, keep_alive) = travel::encode(&args)
            .map_err(|error| SpawnError::Arguments { name: owned(), why: error.to_string() })?;
        let job = write_down(call, &bytes, keep_alive)
            .map_err(|source| SpawnError::Memory { name: owned(), source })?;
        let order =
            StartRequest { name: name.clone(), is_daemon: self.is_daemon, method: self.method, entry };
        order.carry_out(job).map(Process::of).map_err(start)
    }
}

/// Writes the call and its arguments into a block of the arena.
fn write_down(call: ProcessCall, args: &[u8], keep_alive: KeepAlive) -> Result<ProcessJob, AllocError> {
    let block = arena::allocate(HEAD_BYTES + args.len().max(ROOM_BYTES), HEAD_BYTES)?;
    let job = ProcessJob { block, keep_alive };
    let _fits = View::fill(&job.view(), call, args);
    Ok(job)
}

/// A process to be started, stripped of its types.
struct StartRequest {
    name: Arc<str>,
    is_daemon: bool,
    method: StartMethod,
    entry: u64,
}

impl StartRequest {
    fn carry_out(self, job: ProcessJob) -> Result<Arc<Child>, StartError> {
        let watch = watch::for_start(self.method)?;
        let process = watch.start(self.method, &self.name)?;
        let member = member::next_member().ok_or(StartError::Recursive)?;
        let segment = job.block.segment().clone();
        let assignment = Assignment {
            member: member.get(),
            name: self.name.to_string(),
            is_daemon: self.is_daemon,
            folder: std::env::current_dir()
                .map(|folder| folder.into_os_string().into_vec())
                .unwrap_or_default(),
            arena: segment.id().0,
            arena_len: segment.len_bytes() as u64,
            log_level: log::level_code(),
            entry: self.entry,
            offset: job.block.offset() as u64,
            len_bytes: job.block.len() as u64,
        };
        let main: Main = worker::main;
        let first = ToWorker::begin(code::offset_of(main as usize)?, &assignment)
            .map_err(|source| StartError::System { call: "writing an assignment", source })?;
        // The arena comes with the assignment itself.
        let mut segments: Vec<Arc<Segment>> = Vec::new();
        for (other, _) in job.keep_alive.segments().filter(|(other, _)| other.id() != segment.id()) {
            if !segments.iter().any(|known| known.id() == other.id()) {
                segments.push(other.clone());
            }
        }
        let child = Arc::new(Child::new(self.name, self.is_daemon, member, process, job));
        // Watched before it can do anything that a death would have to undo.
        watch.adopt(child.clone());
        let socket = &child.process.socket;
        let announce = |segment: &Arc<Segment>| {
            let mail = ToWorker::Segment { id: segment.id().0, len_bytes: segment.len_bytes() as u64 };
            mail::send(socket, &mail, &[segment.fd()])
        };
        // Before the assignment: the process reads packets until that comes, so they never wait for room.
        let sent = segments.iter().try_for_each(|segment| announce(segment).map(drop));
        match sent.and_then(|()| mail::send(socket, &first, &[segment.fd()])) {
            Ok(_) => Ok(child),
            // It has already ended, which the watch finds out and its handle reports.
            Err(error) if mail::is_closed(&error) => Ok(child),
            Err(source) => {
                child.process.kill();
                Err(StartError::System { call: "sending a process its assignment", source })
            }
        }
    }
}
