//! A worker process of a team: how it takes its place, and its life.
//!
//! # Safety
//! The control segments are mapped with the lengths that this build computes from the team's size, or the
//! driver names (it runs the same build, which is checked at start, before the welcome); the mappings live
//! until the process exits.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::code;
use crate::memory::{MapAccess, MapOptions, Mapping};
use crate::spawn::mail::{self, FromWorker};
use crate::spawn::segments::Mapped;
use crate::spawn::worker::{Given, fail};
use crate::spawn::{exit, log, panic_note};
use crate::team::board::{Board, BoardLayout, MAX_MEMBERS};
use crate::team::current;
use crate::team::exit_function::ExitWire;
use crate::team::idle_work::{IdleWorkPlace, OpenIdleWork};
use crate::team::member::{IdleWork, Member, SpinBudget};
use crate::team::orders::{ORDERS_BYTES, Orders};
use crate::team::state::States;
use crate::team::threads;
use crate::team::trace::{self, Tracer};
use crate::team::welcome::Welcome;
use crate::topology::{CpuSet, bind_to};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The life of a process that is a team's worker.
pub(crate) fn main(given: Given) -> ! {
    let socket = given.socket.clone();
    let enrolled = given.read().and_then(|welcome: Welcome| {
        Ok((enrol(&socket, &welcome, given.fds, given.segments)?, welcome.exit))
    });
    match enrolled {
        Ok(((mut member, refused, initializing), exit)) => {
            let mut last = member.board.fork_join(&member.orders).last_seen(member.rank);
            if mail::send(&*socket, &FromWorker::Ready { refused, initializing }, &[]).is_ok() {
                member.serve_from(&mut last);
                // A driver that is gone has nobody who asks for the result.
                let _gone = exit.map(|exit| run_exit_function(exit, &mut member, &socket));
            }
            // States may own things that want an orderly end (files of a library, say), and handles. Nothing
            // else is dropped: threads that tasks left running may use what is mapped until the very end.
            member.states.let_go(member.rank);
            std::mem::forget(member);
            exit::flush_and_exit(0)
        }
        Err(why) => fail(&socket, why),
    }
}

/// Runs the pool's exit function and sends the driver what came of it.
fn run_exit_function(exit: ExitWire, member: &mut Member, socket: &OwnedFd) -> io::Result<()> {
    let send = |part, is_last| mail::send(socket, &FromWorker::Exit { part, is_last }, &[]).map(drop);
    // From here on the driver counts the time limit.
    send(Vec::new(), false)?;
    exit.run(member).send(send)
}

/// Takes the place that the driver's welcome gives.
fn enrol(
    socket: &Arc<OwnedFd>,
    welcome: &Welcome,
    fds: Vec<OwnedFd>,
    mut segments: Mapped,
) -> Result<(Member, Vec<String>, Duration), String> {
    let mut fds = fds.into_iter();
    let mut next_fd = || fds.next().ok_or("the welcome came without its descriptors");
    let (orders, board, arena) = (next_fd()?, next_fd()?, next_fd()?);
    let (rank, size) = (welcome.rank as usize, welcome.size as usize);
    if rank >= size || size > MAX_MEMBERS {
        return Err(format!("rank {rank} of {size} makes no sense"));
    }
    let layout = BoardLayout::new(size);
    let orders = map_for_ever(&orders, ORDERS_BYTES, MapAccess::ReadOnly)?;
    let board = map_for_ever(&board, layout.len_bytes, MapAccess::ReadWrite)?;
    let tracer = match welcome.trace_len as usize {
        0 => None,
        len => Some(open_trace(&next_fd()?, len, rank, size)?),
    };
    current::forget_in_children();
    panic_note::install_hook();
    log::install(socket.clone(), welcome.log_level);
    crate::base::member::set_current_member(crate::base::MemberId(welcome.member));
    let refused = bind(welcome);
    let idle_work = match welcome.idle_work {
        (0, _) => None,
        (len, open) => Some(open_idle_work(&next_fd()?, len as usize, open, rank, size)?),
    };
    segments.map(welcome.arena, welcome.arena_len as usize, &arena)?;
    let mut initializing = Duration::ZERO;
    if let Some(initializer) = &welcome.initializer {
        let began = Instant::now();
        initializer.run(welcome.arena, &mut segments)?;
        initializing = began.elapsed();
    }
    let threads = threads::rayon_pool(welcome)?;
    let member = Member {
        register: None,
        rank,
        // SAFETY: mapped just now, for ever.
        orders: unsafe { Orders::new(orders.base()) },
        // SAFETY: mapped just now, for ever, with the layout's length.
        board: unsafe { Board::new(board.base(), layout) },
        segments: Box::new(segments),
        victims: welcome.victims.clone(),
        states: States::default(),
        threads,
        patience: SpinBudget::new(welcome.crowded, welcome.spin),
        tracer,
        mail_seen: 0,
        idle_work,
        is_retiring: false,
        deadline: None,
    };
    Ok((member, refused, initializing))
}

/// Maps the trace's segment and opens it for this rank.
fn open_trace(fd: &OwnedFd, len_bytes: usize, rank: usize, size: usize) -> Result<Tracer, String> {
    if len_bytes != trace::trace_bytes(size) || rank >= size {
        return Err("the trace has another length than this build's".into());
    }
    let rings = map_for_ever(fd, len_bytes, MapAccess::ReadWrite)?;
    // SAFETY: mapped just now, for ever, with this length, and `rank` is below `size`.
    Ok(unsafe { Tracer::new(rings.base(), rank) })
}

/// Maps the tasks' segment and opens it.
fn open_idle_work(
    fd: &OwnedFd,
    len_bytes: usize,
    open: u64,
    rank: usize,
    size: usize,
) -> Result<Box<dyn IdleWork>, String> {
    let base = map_for_ever(fd, len_bytes, MapAccess::ReadWrite)?.base();
    // SAFETY: the driver wrote the offset of an `OpenIdleWork` of the same build.
    let open = unsafe { code::function_at::<OpenIdleWork>(open) };
    let open = open.ok_or("the welcome names a function outside this program's code")?;
    Ok(open(IdleWorkPlace { base, len_bytes, rank, size }))
}

fn map_for_ever(fd: &OwnedFd, len_bytes: usize, access: MapAccess) -> Result<&'static Mapping, String> {
    Mapping::map(fd.as_fd(), len_bytes, access, MapOptions { leave_out_of_dumps: true })
        .map(|mapping| &*Box::leak(Box::new(mapping)))
        .map_err(|error| format!("cannot map a control segment: {error}"))
}

/// Binds this worker to its place; says what the machine refused.
fn bind(welcome: &Welcome) -> Vec<String> {
    let cpus: CpuSet = welcome.cpus.iter().copied().collect();
    bind_to((!cpus.is_empty()).then_some(&cpus), welcome.node)
}
