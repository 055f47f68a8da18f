//! Starts processes, and never waits for one: requests go in, started processes and errors come out. In
//! between, the owner of the starter polls what it names and lets it look again.

use super::constructor;
use super::error::StartError;
use super::executable::Executable;
use super::fork_server::{self, Answer, Asked, ForkServer, Preparation, Unannounced, Unasked};
use super::handshake::Role;
use super::method::StartMethod;
use super::process::{ExitCause, WorkerProcess};
use super::setup::is_worker;
use super::starting::{ANSWER_WITHIN, ENDS_WITHIN, Starting, Wish};
use crate::code;
use crate::sys::process as sys;
use crate::sys::socket;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How many fork servers in a row may be killed before one has forked a worker.
const MAX_SERVER_DEATHS: u32 = 3;
/// When to try a full socket again, if there is no answer to wait for.
const TRY_AGAIN: Duration = Duration::from_millis(10);
/// How long dropping a starter waits for the ends of what it killed.
const REAPED_WITHIN: Duration = Duration::from_secs(5);

/// The outcome of a request, by its tag.
pub(crate) type Started = (u64, Result<WorkerProcess, StartError>);

/// The process from which workers are forked, in the stages of its life.
#[derive(Debug)]
enum Server {
    Starting(Starting),
    /// It runs `preload`.
    Preparing(WorkerProcess),
    Serving(ForkServer),
    /// It was killed, or its socket is closed; how it ended is not known yet.
    Ending {
        process: WorkerProcess,
        had_served: bool,
        since: Instant,
    },
}

/// Starts processes by one method.
///
/// All starts come from one thread, which lives as long as the processes: the kernel kills one when the
/// *thread* that started it ends. [`StartMethod::Fork`] forks in [`Starter::new`] already.
#[derive(Debug)]
pub(crate) struct Starter {
    pub(super) executable: Executable,
    method: StartMethod,
    preload: Option<fn()>,
    server: Option<Server>,
    /// What happened to the one server that cannot be made again.
    lost: Option<StartError>,
    server_deaths: u32,
    wishes: VecDeque<Wish>,
    starting: Vec<(Wish, Starting)>,
    unannounced: Vec<(Unannounced, Instant)>,
    /// Killed, and not reaped yet.
    dying: Vec<WorkerProcess>,
    started: Vec<Started>,
}

impl Starter {
    /// Prepares to start processes.
    pub(crate) fn new(method: StartMethod, preload: Option<fn()>) -> Result<Starter, StartError> {
        Starter::with_native_threads(method, preload, None)
    }

    /// As [`Self::new`]; native libraries in executed processes are told to use this many threads, unless the
    /// environment already sets a number.
    pub(crate) fn with_native_threads(
        method: StartMethod,
        preload: Option<fn()>,
        native_threads: Option<usize>,
    ) -> Result<Starter, StartError> {
        if is_worker() || constructor::is_stray() {
            return Err(StartError::Recursive);
        }
        if !code::is_in_executable() || !constructor::is_linked() {
            return Err(StartError::NoEntry);
        }
        if method != StartMethod::Fork && sys::is_secure() {
            return Err(StartError::Insecure);
        }
        let mut executable = Executable::open()?;
        executable.native_threads = native_threads;
        let server = match method {
            StartMethod::Fork => Some(Server::Starting(fork_server::fork(preload)?)),
            StartMethod::Spawn | StartMethod::ForkServer => None,
        };
        Ok(Starter {
            executable,
            method,
            preload,
            server,
            lost: None,
            server_deaths: 0,
            wishes: VecDeque::new(),
            starting: Vec::new(),
            unannounced: Vec::new(),
            dying: Vec::new(),
            started: Vec::new(),
        })
    }

    /// Requests a process. [`Self::advance`] starts it, and returns the outcome some time later.
    pub(crate) fn wish(&mut self, wish: Wish) {
        self.wishes.push_back(wish);
    }

    /// Kills a process that came too late to be of use, and reaps it later.
    pub(crate) fn discard(&mut self, process: WorkerProcess) {
        process.kill();
        self.dying.push(process);
    }

    /// What to poll for reading before the next [`Self::advance`].
    pub(crate) fn sources(&self) -> Vec<BorrowedFd<'_>> {
        let server = self.server.as_ref().map(|server| match server {
            Server::Starting(starting) => starting.news(),
            Server::Preparing(process) => process.socket.as_fd(),
            Server::Serving(server) => server.process.socket.as_fd(),
            Server::Ending { process, .. } => process.death(),
        });
        let starting = self.starting.iter().map(|(_, starting)| starting.news());
        let unannounced = self.unannounced.iter().map(|(process, _)| process.socket.as_fd());
        let dying = self.dying.iter().map(WorkerProcess::death);
        server.into_iter().chain(starting).chain(unannounced).chain(dying).collect()
    }

    /// When to advance even if nothing became readable.
    pub(crate) fn due(&self) -> Option<Instant> {
        let server = self.server.as_ref().and_then(|server| match server {
            Server::Starting(starting) => Some(starting.due()),
            Server::Preparing(_) => None,
            Server::Serving(server) if server.asked.is_empty() && !self.wishes.is_empty() => {
                Some(Instant::now() + TRY_AGAIN)
            }
            Server::Serving(server) => server.due(),
            Server::Ending { since, process, .. } => {
                let due = *since + ENDS_WITHIN;
                Some(process.due().map_or(due, |other| other.min(due)))
            }
        });
        let starting = self.starting.iter().map(|(_, starting)| starting.due());
        let unannounced = self.unannounced.iter().map(|(_, until)| *until);
        let dying = self.dying.iter().filter_map(WorkerProcess::due);
        server.into_iter().chain(starting).chain(unannounced).chain(dying).min()
    }

    /// Takes every step that can be taken now. Returns the outcomes.
    pub(crate) fn advance(&mut self) -> Vec<Started> {
        self.reap_dead();
        self.look_at_server();
        self.look_at_wishes();
        self.look_at_starting();
        std::mem::take(&mut self.started)
    }

    fn reap_dead(&mut self) {
        let unannounced = std::mem::take(&mut self.unannounced);
        for (process, until) in unannounced {
            match process.look() {
                Some(Ok(pid)) => {
                    // One that is not our child ends with the server that is its parent.
                    if let Ok(starting) = Starting::adopt(pid, process.socket) {
                        self.discard(starting.process);
                    }
                }
                Some(Err(())) => {}
                None if Instant::now() >= until => {}
                None => self.unannounced.push((process, until)),
            }
        }
        self.dying.retain(|process| process.try_reap().is_none());
    }

    // ------------------------------------------------------------------------------------------- the server

    fn look_at_server(&mut self) {
        self.server = match self.server.take() {
            None => None,
            Some(Server::Starting(mut starting)) => match starting.look(&self.executable.fingerprint) {
                None => Some(Server::Starting(starting)),
                Some(Ok(())) => Some(Server::Preparing(starting.process)),
                Some(Err(error)) => {
                    self.discard(starting.process);
                    self.server_has_failed(error);
                    None
                }
            },
            Some(Server::Preparing(process)) => match fork_server::preparation(&process) {
                Preparation::UnderWay => Some(Server::Preparing(process)),
                Preparation::Done => Some(Server::Serving(ForkServer::of(process))),
                Preparation::Gone => Some(ending(process, false)),
                Preparation::Refused(error) => {
                    self.discard(process);
                    self.server_has_failed(error);
                    None
                }
            },
            Some(Server::Serving(server)) => self.hear(server),
            Some(Server::Ending { process, had_served, since }) => match process.try_reap() {
                Some(cause) => {
                    self.server_has_ended(cause, had_served);
                    None
                }
                None if since.elapsed() >= ENDS_WITHIN => {
                    self.dying.push(process);
                    self.server_has_ended(ExitCause::Unknown, had_served);
                    None
                }
                None => Some(Server::Ending { process, had_served, since }),
            },
        };
    }

    /// Takes the server's answers.
    fn hear(&mut self, mut server: ForkServer) -> Option<Server> {
        loop {
            match server.hear() {
                Answer::Nothing => return Some(Server::Serving(server)),
                Answer::Forked(wish, Ok(starting)) => {
                    self.server_deaths = 0;
                    self.starting.push((wish, starting));
                }
                Answer::Forked(wish, Err(error)) => self.started.push((wish.tag, Err(error))),
                // Nothing was prepared in it, so nothing is lost without it.
                Answer::HasThreads(wish)
                    if self.method == StartMethod::ForkServer && self.preload.is_none() =>
                {
                    self.method = StartMethod::Spawn;
                    let waiting = server.asked.drain(..).map(|asked| asked.wish).rev();
                    waiting.chain([wish]).for_each(|wish| self.wishes.push_front(wish));
                    self.discard(server.process);
                    return None;
                }
                Answer::HasThreads(wish) => {
                    self.started.push((wish.tag, Err(StartError::ServerHasThreads)));
                }
                Answer::Gone => return Some(self.part_with(server)),
            }
        }
    }

    /// Handles a server that does not answer: it is killed, if it has not ended, so that two never serve. Its
    /// open requests are made again, and workers it may have forked meanwhile are killed too.
    fn part_with(&mut self, server: ForkServer) -> Server {
        let until = Instant::now() + ANSWER_WITHIN;
        // One that takes no request twice in a row may die of them.
        self.server_deaths += u32::from(!server.asked.is_empty());
        for Asked { wish, ours } in server.asked.into_iter().rev() {
            self.wishes.push_front(wish);
            self.unannounced.push((Unannounced::greet(ours), until));
        }
        ending(server.process, true)
    }

    fn server_has_ended(&mut self, cause: ExitCause, had_served: bool) {
        if had_served && self.method == StartMethod::Fork {
            self.lost = Some(StartError::ServerDied { cause });
        } else if !had_served || self.server_deaths >= MAX_SERVER_DEATHS {
            self.server_has_failed(StartError::DiedAtStart { cause });
        }
    }

    /// Handles a failed server. Another is tried if it was killed; one that ended by itself would do so
    /// again.
    fn server_has_failed(&mut self, error: StartError) {
        if self.method == StartMethod::Fork {
            self.lost = Some(error);
            return;
        }
        self.server_deaths += 1;
        let was_killed = matches!(error, StartError::DiedAtStart { cause: ExitCause::Signal { .. } });
        if !was_killed || self.server_deaths >= MAX_SERVER_DEATHS {
            self.server_deaths = 0;
            self.refuse_all(&error);
        }
    }

    fn refuse_all(&mut self, error: &StartError) {
        let waiting = self.wishes.drain(..).map(|wish| (wish.tag, Err(error.again())));
        self.started.extend(waiting);
    }

    // ------------------------------------------------------------------------------------------- wishes

    fn look_at_wishes(&mut self) {
        while let Some(wish) = self.wishes.pop_front() {
            if self.method == StartMethod::Spawn {
                match self.executable.spawn(Role::Worker, &wish.name, 0) {
                    Ok(starting) => self.starting.push((wish, starting)),
                    Err(error) => self.started.push((wish.tag, Err(error))),
                }
            } else if !self.ask(wish) {
                return;
            }
        }
    }

    /// Asks the server for a worker, or makes a server. Returns false if the only thing left is to wait.
    fn ask(&mut self, wish: Wish) -> bool {
        match self.server.take() {
            Some(Server::Serving(mut server)) => {
                let asked = server.ask(wish);
                let is_gone = matches!(asked, Err((_, Unasked::Gone)));
                self.server = Some(if is_gone { self.part_with(server) } else { Server::Serving(server) });
                match asked {
                    Ok(()) => return true,
                    Err((wish, Unasked::Refused(error))) => {
                        self.started.push((wish.tag, Err(error)));
                        return true;
                    }
                    // Behind those that were asked for before.
                    Err((wish, Unasked::Gone)) => self.wishes.push_back(wish),
                    Err((wish, Unasked::Full)) => self.wishes.push_front(wish),
                }
            }
            Some(other) => {
                self.server = Some(other);
                self.wishes.push_front(wish);
            }
            None => {
                self.wishes.push_front(wish);
                match self.lost.take() {
                    Some(error) => {
                        self.refuse_all(&error);
                        self.lost = Some(error);
                    }
                    None => match fork_server::spawn(&self.executable, self.preload) {
                        Ok(starting) => self.server = Some(Server::Starting(starting)),
                        Err(error) => self.refuse_all(&error),
                    },
                }
            }
        }
        false
    }

    fn look_at_starting(&mut self) {
        for (wish, mut starting) in std::mem::take(&mut self.starting) {
            match starting.look(&self.executable.fingerprint) {
                None => self.starting.push((wish, starting)),
                Some(Ok(())) => self.started.push((wish.tag, Ok(starting.process))),
                Some(Err(error)) => {
                    self.discard(starting.process);
                    self.started.push((wish.tag, Err(error)));
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn kill_server_for_test(&self) {
        if let Some(Server::Serving(server)) = &self.server {
            server.process.kill();
            server.process.reap();
        }
    }
}

fn ending(process: WorkerProcess, had_served: bool) -> Server {
    process.kill();
    Server::Ending { process, had_served, since: Instant::now() }
}

impl Drop for Starter {
    fn drop(&mut self) {
        let deadline = Instant::now() + REAPED_WITHIN;
        if let Some(Server::Serving(server)) = &mut self.server {
            let asked = std::mem::take(&mut server.asked);
            let greeted = asked.into_iter().map(|asked| (Unannounced::greet(asked.ours), deadline));
            self.unannounced.extend(greeted);
        }
        let server = self.server.take().map(|server| match server {
            Server::Starting(starting) => starting.process,
            Server::Preparing(process) | Server::Ending { process, .. } => process,
            Server::Serving(server) => server.process,
        });
        let starting = std::mem::take(&mut self.starting).into_iter().map(|(_, starting)| starting.process);
        let started = std::mem::take(&mut self.started).into_iter().filter_map(|(_, process)| process.ok());
        starting.chain(started).chain(server).collect::<Vec<_>>().into_iter().for_each(|it| self.discard(it));
        while !self.unannounced.is_empty() && Instant::now() < deadline {
            let sockets: Vec<_> =
                self.unannounced.iter().map(|(process, _)| process.socket.as_fd()).collect();
            let _readable = socket::wait_readable(sockets[0], Some(deadline));
            self.reap_dead();
        }
        for process in &self.dying {
            process.reap_by(deadline);
        }
    }
}
