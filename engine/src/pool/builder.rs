//! The configuration of a pool, and its construction.
#![deny(clippy::arithmetic_side_effects)]

use super::{Core, Pool, PoolError, cores};
use crate::base::Output;
use crate::code::{self, NoCapture};
use crate::launch::PerWorker;
use crate::launch::driver::launcher::Launcher;
use crate::spawn::{StartError, StartMethod, is_worker};
use crate::sys::clock::TickRate;
use crate::sys::fork;
use crate::task::Argument;
use crate::task::queue::{BoardSegment, Lifespan, TaskQueue};
use crate::team::crew::{CrewError, CrewKind, CrewPlan, READY_WITHIN};
use crate::team::current;
use crate::team::exit_function::{EXIT_WITHIN, ExitFunction, Exits};
use crate::team::in_process::InProcess;
use crate::team::initializer::{Initializer, InitializerError, Opened};
use crate::topology::{self, CpuSet, Limits, Machine, Placement, Request, plan};
use crate::tuning::{Profile, Tuning};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What workers are: processes, threads, or the calling thread. All backends run the same code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// Processes. Workers are isolated and have their own statics. They can be killed, and the pool survives
    /// their deaths.
    #[default]
    Processes,
    /// Threads of this process, without isolation. A crash ends the program, statics are shared, and a time
    /// limit takes effect only at the next chunk or where the kernel checks
    /// [`is_cancelled`](crate::is_cancelled).
    Threads,
    /// No workers: launches run on the calling thread, which suits debuggers. Otherwise like `Threads`;
    /// `workers()` returns 1.
    Inline,
}

impl FromStr for Backend {
    type Err = String;
    fn from_str(text: &str) -> Result<Backend, String> {
        match text {
            "processes" => Ok(Backend::Processes),
            "threads" => Ok(Backend::Threads),
            "inline" => Ok(Backend::Inline),
            other => Err(format!("'{other}' is not a backend; use processes, threads or inline")),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::Processes => "processes",
            Backend::Threads => "threads",
            Backend::Inline => "inline",
        })
    }
}

/// Configures and builds a [`Pool`]. Created by [`Pool::builder`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder makes no pool until build() is called"]
pub struct PoolBuilder {
    workers: Option<usize>,
    max_workers: Option<usize>,
    threads_per_worker: Option<usize>,
    backend: Backend,
    method: Option<StartMethod>,
    placement: Placement,
    preload: Option<fn()>,
    name: String,
    machine: Option<Machine>,
    stats: bool,
    trace: bool,
    lifespan: Lifespan,
    initializer: Option<Result<Arc<Initializer>, InitializerError>>,
    native_threads: Option<usize>,
    start_timeout: Option<Duration>,
    exit_function: Option<ExitFunction>,
    exit_timeout: Option<Duration>,
    /// The PUs that it stays within, and among how many the CPU quota is divided.
    share: Option<(CpuSet, usize)>,
    reserve: bool,
    tuning: Option<Tuning>,
}

impl PoolBuilder {
    /// Sets the number of workers. The default is one per place that the placement offers, within the CPU
    /// quota. If there are more workers than places, they share them.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Uses one worker more than there are cores, for work that waits for disks or networks.
    pub fn io_bound(mut self) -> Self {
        self.workers = Some(super::sizing::usable_cores(&Limits::detect()).saturating_add(1));
        self
    }

    /// Uses as many workers as the machine has room for now, as
    /// [`recommended_workers`](crate::recommended_workers) reports: fewer if it is busy, or if it has less
    /// than `bytes_each` of free memory per worker. Blocks for a tenth of a second to measure the load.
    pub fn adaptive(mut self, bytes_each: u64) -> Self {
        self.workers = Some(super::recommended_workers(bytes_each));
        self
    }

    /// Sets the largest number of workers that [`Pool::resize`] can reach. The default is the initial number.
    /// A larger one costs only address space for control words.
    pub fn max_workers(mut self, workers: usize) -> Self {
        self.max_workers = Some(workers);
        self
    }

    /// Sets the number of threads per worker. Each worker then has a pinned rayon pool, in which its kernels
    /// run, so that the parallel methods of rayon and ndarray use exactly the worker's cores. The default is
    /// 1, without such a pool.
    pub fn threads_per_worker(mut self, threads: usize) -> Self {
        self.threads_per_worker = Some(threads);
        self
    }

    /// Sets what workers are.
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// Sets how worker processes are started.
    pub fn start_method(mut self, method: StartMethod) -> Self {
        self.method = Some(method);
        self
    }

    /// Sets where workers run.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Keeps the cores of this pool for itself among the pools of this user that are built so, in all
    /// programs. Off by default.
    ///
    /// Cores that such a pool holds are not taken: without [`Self::workers`], the pool has fewer workers. If
    /// no core is free, or fewer than the workers that were asked for, the pool uses the cores of others too,
    /// after all free ones. [`Pool::reason`] says what was left out, what is shared and what is reserved.
    ///
    /// A pool holds whole cores, for all the workers that [`Self::max_workers`] allows, from here until its
    /// workers have ended; [`Placement::Unbound`] pools and inline ones hold none. If the program is killed,
    /// its cores are free at once. Listed CPUs ([`Placement::Cpus`]) are used as listed, free or not.
    ///
    /// It is an arrangement between programs that keep to it: pools that do not reserve, and all other
    /// programs, run where they like. The arrangement is a file with locks, `phalanx-cores` in
    /// `XDG_RUNTIME_DIR` or `/run/user`, or else in the folder for temporary files. Programs that see
    /// different files, as in different containers, do not see each other. Where the file cannot be used, the
    /// pool is built without, and its reason says why. Takes a system call per PU, and a few more.
    ///
    /// ```
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(1).reserve(true).build()?;
    /// println!("{}", pool.reason());
    /// assert_eq!(pool.map(|n: u64| n + 1, 0..3)?, [1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reserve(mut self, reserve: bool) -> Self {
        self.reserve = reserve;
        self
    }

    /// Sets what depends on the machine, in place of what `phalanx-bench tune` has stored for it. Values are
    /// [clamped](Tuning::clamped). See [`tuning`](crate::tuning) for an example.
    pub fn tuning(mut self, tuning: Tuning) -> Self {
        self.tuning = Some(tuning.clamped());
        self
    }

    /// Sets a function that the fork server runs once, before it forks workers. Workers inherit what it
    /// prepared. Implies [`StartMethod::ForkServer`] unless a start method is set.
    pub fn preload<F: Fn() + Copy + Send + Sync + 'static>(mut self, _preload: F) -> Self {
        const { NoCapture::<F>::OK };
        self.preload = Some(|| code::conjure::<F>()());
        self
    }

    /// Sets a prefix for the names of workers, as `ps` and debuggers show them. The rank follows it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Places workers according to this description of the machine instead of detecting the machine.
    pub fn machine(mut self, machine: Machine) -> Self {
        self.machine = Some(machine);
        self
    }

    /// Records figures of each launch for [`Pool::last_launch`]. Off by default: reading every worker's
    /// counters before and after each launch costs tens of nanoseconds per worker.
    pub fn stats(mut self, stats: bool) -> Self {
        self.stats = stats;
        self
    }

    /// Sets a function that every worker runs with these arguments before it serves, including workers that
    /// replace dead ones. If the function panics or returns an error, [`Self::build`] fails with its message.
    ///
    /// ```
    /// use std::sync::OnceLock;
    /// static FACTOR: OnceLock<u64> = OnceLock::new();
    ///
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder()
    ///     .workers(2)
    ///     .initializer(|factor| { let _set_before = FACTOR.set(factor); }, 10)
    ///     .build()?;
    /// assert_eq!(pool.map(|n: u64| n * FACTOR.get().unwrap_or(&0), 1..4)?, [10, 20, 30]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn initializer<A, O, F>(mut self, function: F, arguments: A) -> Self
    where
        A: Argument,
        O: Opened + 'static,
        F: Fn(A) -> O + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<F>::OK };
        self.initializer = Some(Initializer::new(code::pointer_to(function), &arguments).map(Arc::new));
        self
    }

    /// Sets how long a worker process may take from its start until it serves, which includes the
    /// [initializer](Self::initializer). The default is 10 seconds; a worker that is not ready by then is
    /// killed, and [`Self::build`] returns [`StartError::StartTimeout`].
    pub fn start_timeout(mut self, limit: Duration) -> Self {
        self.start_timeout = Some(limit);
        self
    }

    /// Sets a function that every worker runs once at its end, after its last launch and task, and whose
    /// result it hands to the caller. [`Pool::exit_results`] returns these results after the pool's
    /// [`join`](Pool::join).
    ///
    /// The function reaches what the worker's tasks reach: its statics and thread-locals, and its rank by
    /// [`current_rank`](crate::current_rank). For state of launches, see [`Self::at_exit_with`]. It may log,
    /// and a launch that it makes runs inline, as in a task. Its result is any serde type, of any size, but
    /// holds no handles.
    ///
    /// | a worker that | |
    /// |---|---|
    /// | ends with the pool, by [`join`](Pool::join) or drop | runs it |
    /// | leaves by [`resize`](Pool::resize), or [retires](Self::max_tasks_per_worker) | runs it; launches and resizes that need its rank wait until it is done |
    /// | dies, or is killed for exceeding a time limit | does not; the results hold the reason in its place, and its successor has a result of its own |
    /// | is ended by [`terminate`](Pool::terminate), or by the drop of the pool in a panic | does not, or is killed in it |
    /// | was ready when another could not be started, so that [`build`](Self::build) fails | runs it; the result is dropped |
    ///
    /// `Threads` run it on their own thread; statics are shared, and each of them sees what all have done.
    /// `Inline` runs it on the thread that ends the pool, at that moment. A caller's [seat](Pool::join_here)
    /// runs it when it is dropped, since it took part as rank 0. With
    /// [`threads_per_worker`](Self::threads_per_worker), tasks and the exit function run on any thread of the
    /// worker, which have thread-locals of their own.
    ///
    /// Without an exit function none of this costs anything. With one, a worker that ends sends a packet for
    /// each 32 KiB of its result, the program keeps the results until the pool is dropped, and no map runs in
    /// the caller, however short it is.
    ///
    /// ```
    /// use std::cell::Cell;
    /// thread_local!(static LINES: Cell<u64> = const { Cell::new(0) });
    ///
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let pool = phalanx::Pool::builder().workers(2).at_exit(|| LINES.get()).build()?;
    /// let count = |text: String| LINES.set(LINES.get() + text.lines().count() as u64);
    /// pool.map(count, ["a\nb", "c", "d\ne\nf"].map(String::from))?;
    /// pool.join();
    /// assert_eq!(pool.exit_results::<u64>()?.iter().sum::<u64>(), 6);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "worker_exit")]
    pub fn at_exit<R, F>(mut self, _function: F) -> Self
    where
        R: Output,
        F: Fn() -> R + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<F>::OK };
        self.exit_function = Some(ExitFunction::new::<R, F>());
        self
    }

    /// Like [`Self::at_exit`], with a function that receives the worker's [`PerWorker`] state, which its
    /// launches have filled. It receives `None` in a worker in which no launch used the state.
    ///
    /// The pool keeps the states until its workers end, even if the handle is dropped before. Launches still
    /// report the states of workers that leave early as lost. A pool has one exit function: the last one that
    /// was set. With `Inline`, the state is that of the thread that ends the pool, which pools without
    /// workers share.
    ///
    /// ```
    /// use phalanx::{PerWorker, Pool};
    ///
    /// # fn main() -> Result<(), phalanx::Error> {
    /// let seen = PerWorker::new(|_rank| Vec::new());
    /// let builder = Pool::builder().workers(2).at_exit_with(&seen, |seen| seen.unwrap_or_default());
    /// let pool = builder.build()?;
    /// pool.for_each((0..1000, &seen), |(span, seen)| seen.extend(span.filter(|i| i % 100 == 7)))?;
    /// pool.join();
    /// let mut all = pool.exit_results::<Vec<usize>>()?.concat();
    /// all.sort();
    /// assert_eq!(all, [7, 107, 207, 307, 407, 507, 607, 707, 807, 907]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn at_exit_with<T, R, F>(mut self, state: &PerWorker<T>, _function: F) -> Self
    where
        T: Send + 'static,
        R: Output,
        F: Fn(Option<T>) -> R + Copy + Send + Sync + 'static,
    {
        const { NoCapture::<F>::OK };
        self.exit_function = Some(ExitFunction::with_state::<T, R, F>(state.id()));
        self
    }

    /// Sets how long the function of [`Self::at_exit`] may take in each worker. The default is 60 seconds. A
    /// worker process that takes longer is killed. `Threads` and `Inline` see it by
    /// [`is_cancelled`](crate::is_cancelled), and are waited for. Either way the worker has no result but
    /// [`ExitError::TimedOut`](crate::ExitError::TimedOut). Has no effect without an exit function.
    #[doc(alias = "worker_exit_timeout")]
    pub fn exit_timeout(mut self, limit: Duration) -> Self {
        self.exit_timeout = Some(limit);
        self
    }

    /// Sets how many threads native libraries in worker processes use (OpenMP, OpenBLAS, MKL, BLIS, numexpr,
    /// rayon). For workers, this sets `OMP_NUM_THREADS` and similar variables that the environment does not
    /// set already. The default is [`Self::threads_per_worker`]. Has no effect with [`StartMethod::Fork`],
    /// whose workers do not start as new programs.
    pub fn native_threads(mut self, threads: usize) -> Self {
        self.native_threads = Some(threads.max(1));
        self
    }

    /// Sets how many tasks a worker runs before a fresh one replaces it. The default is no limit. The
    /// replacement happens between tasks and launches; a chunk of a map counts as one task. This bounds slow
    /// leaks. No task is lost. Thread workers are never replaced.
    #[doc(alias = "maxtasksperchild")]
    pub fn max_tasks_per_worker(mut self, tasks: u64) -> Self {
        self.lifespan.tasks = tasks.max(1);
        self
    }

    /// Sets the age at which a worker is replaced, as with [`Self::max_tasks_per_worker`].
    pub fn max_worker_age(mut self, age: Duration) -> Self {
        // Beyond what the words hold there is no difference.
        self.lifespan.age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX).max(1);
        self
    }

    /// Sets by how many bytes a worker's own memory may grow after its first task before the worker is
    /// replaced, as with [`Self::max_tasks_per_worker`]. Shared arrays do not count.
    pub fn max_worker_growth(mut self, bytes: u64) -> Self {
        self.lifespan.growth_bytes = bytes.max(1);
        self
    }

    /// Records what every worker does, chunk by chunk, for [`Pool::write_trace`]. Implies [`Self::stats`].
    /// Off by default.
    ///
    /// Takes 1.25 MiB of shared memory per worker, which holds each worker's newest 32 767 events. A chunk
    /// costs a few tens of nanoseconds more.
    pub fn trace(mut self, trace: bool) -> Self {
        self.trace = trace;
        self
    }

    /// Stays within these PUs, and takes one of `parts` equal parts of the CPU quota.
    pub(crate) fn within(mut self, cpus: CpuSet, parts: usize) -> Self {
        self.share = Some((cpus, parts));
        self
    }

    /// What of the machine the pool may use.
    fn limits(&self) -> Limits {
        let mut limits = Limits::detect();
        if let Some((cpus, parts)) = &self.share {
            limits.allowed = limits.allowed.intersection(cpus);
            limits.quota_cpus = limits.quota_cpus.map(|quota| quota / (*parts).max(1) as f64);
        }
        limits
    }

    /// Starts the workers and waits until all are ready.
    ///
    /// # Errors
    /// See [`PoolError`].
    pub fn build(self) -> Result<Pool, PoolError> {
        if fork::is_foreign() {
            return Err(crate::AllocError::Forked.into());
        }
        let kind = self.kind();
        let machine = match &self.machine {
            Some(machine) => machine.clone(),
            None => Machine::detect()?,
        };
        let mut limits = self.limits();
        let request = self.request(kind);
        let reserve = self.reserve && kind != CrewKind::Inline;
        let (workers, layout, reservation) =
            cores::take(reserve, &machine, &mut limits, |limits| self.placed(&machine, limits, &request))?;
        let hands = workers.saturating_mul(request.threads_per_worker);
        let usable = super::sizing::usable_cores(&limits);
        let shares = cores::shares(&layout, &limits);
        let reason = match kind {
            CrewKind::Inline if is_inside() => "runs inline: a worker never starts workers".into(),
            CrewKind::Inline => "runs inline, in the calling thread".into(),
            _ => layout.reason.clone(),
        };
        let (tuning, told) = self.tuned(kind, &machine);
        let reason = reason + &told;
        let initializer = self.ready_initializer(kind)?;
        let limit = self.exit_timeout.unwrap_or(EXIT_WITHIN);
        let exits = self.exit_function.clone().map(|function| Exits::new(function, limit));
        let board = self.board(kind, layout.workers.len())?;
        let crew = CrewPlan {
            kind,
            active: workers,
            places: layout.workers,
            is_bound: layout.is_bound,
            reservation,
            crowded: shares || hands > usable,
            spare_core: !shares && hands < usable,
            tuning,
            threads: request.threads_per_worker,
            label: if self.name.is_empty() { String::new() } else { format!("{} ", self.name) },
            preload: self.preload,
            is_watched: self.stats,
            trace: self.trace,
            idle_work: board.as_ref().map(BoardSegment::plan),
            initializer,
            exits,
            native_threads: Some(self.native_threads.unwrap_or(request.threads_per_worker)),
            ready_within: self.start_timeout.unwrap_or(READY_WITHIN),
        };
        let launcher = Launcher::new(crew).map_err(|error| match error {
            CrewError::Start(error) => PoolError::Start(error),
            CrewError::Alloc(error) => PoolError::Alloc(error),
            CrewError::Os(error) => PoolError::Os(error),
        })?;
        let queue = board.map(|board| TaskQueue::new(&launcher.crew, board, self.prepares_workers()));
        let core =
            Core { launcher, queue, reason, rate: TickRate::start(), is_handed_over: AtomicBool::new(false) };
        Ok(Pool { core: Arc::new(core) })
    }

    /// The settings, and what the reason says of where they come from.
    fn tuned(&self, kind: CrewKind, machine: &Machine) -> (Tuning, String) {
        let stored = || Profile::in_use(machine).filter(|_| kind != CrewKind::Inline);
        match self.tuning.map_or_else(stored, |_| None) {
            Some(stored) => (stored, format!("; by the stored profile, {}", stored.changes())),
            None => (self.tuning.unwrap_or_default(), String::new()),
        }
    }

    /// What members are.
    fn kind(&self) -> CrewKind {
        match self.backend {
            _ if is_inside() => CrewKind::Inline,
            Backend::Inline => CrewKind::Inline,
            Backend::Threads => CrewKind::Threads,
            Backend::Processes => CrewKind::Processes(self.method()),
        }
    }

    /// The places that are asked for.
    fn request(&self, kind: CrewKind) -> Request {
        let threads_per_worker = self.threads_per_worker.unwrap_or(1);
        let (placement, workers) = match kind {
            CrewKind::Inline => (Placement::Unbound, Some(self.workers.map_or(1, |workers| workers.min(1)))),
            _ => (self.placement.clone(), self.workers),
        };
        Request { placement, workers, threads_per_worker }
    }

    /// The initializer. On an inline pool it has already run, as there is no worker to run it.
    fn ready_initializer(&self, kind: CrewKind) -> Result<Option<Arc<Initializer>>, PoolError> {
        let initializer = self.initializer.clone().transpose()?;
        if let (CrewKind::Inline, Some(initializer)) = (kind, &initializer) {
            let failed = |why| PoolError::Start(StartError::CannotServe { why });
            initializer.run_here(&mut InProcess).map_err(failed)?;
        }
        Ok(initializer)
    }

    /// The memory of the task queue, if the pool has workers that take tasks.
    fn board(&self, kind: CrewKind, most_workers: usize) -> Result<Option<BoardSegment>, PoolError> {
        Ok(match kind {
            CrewKind::Inline => None,
            // Threads stay: what they leak is the program's own.
            CrewKind::Threads => Some(BoardSegment::new(most_workers, Lifespan::default())?),
            CrewKind::Processes(_) => Some(BoardSegment::new(most_workers, self.lifespan)?),
        })
    }

    /// The initial number of workers, and the places for the largest number there may be.
    fn placed(
        &self,
        machine: &Machine,
        limits: &Limits,
        request: &Request,
    ) -> Result<(usize, topology::Plan), PoolError> {
        let layout = plan(machine, limits, request)?;
        let workers = layout.workers.len();
        let most = self.max_workers.filter(|most| *most > workers && self.backend != Backend::Inline);
        match most {
            Some(most) if !is_inside() => {
                let larger = plan(machine, limits, &Request { workers: Some(most), ..request.clone() })?;
                Ok((workers, topology::Plan { reason: layout.reason, ..larger }))
            }
            _ => Ok((workers, layout)),
        }
    }

    /// Whether workers differ from the caller, so that no task may run on the calling thread instead.
    fn prepares_workers(&self) -> bool {
        self.initializer.is_some()
            || self.exit_function.is_some()
            || self.preload.is_some()
            || self.native_threads.is_some()
            || self.threads_per_worker.is_some_and(|threads| threads > 1)
            || self.lifespan != Lifespan::default()
    }

    fn method(&self) -> StartMethod {
        match (self.method, self.preload) {
            (Some(method), _) => method,
            (None, Some(_)) => StartMethod::ForkServer,
            (None, None) => StartMethod::default(),
        }
    }
}

/// Whether a pool made here runs everything inline: a worker never starts workers.
fn is_inside() -> bool {
    is_worker() || current::is_inside()
}
