//! The worker's side: what runs in a worker process after it has been started.
//!
//! # Safety
//! The control segments are mapped with the lengths that this build computes from the team's size, or the
//! driver names (it runs the same build, which is checked at start, before the welcome); the mappings live
//! until the process exits.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use crate::memory::{MapAccess, MapOptions, Mapping};
use crate::sys::{process, socket};
use crate::team::board::{Board, BoardLayout, MAX_MEMBERS, ORDERS_BYTES, Orders};
use crate::team::crew::bind_to;
use crate::team::errand::{ErrandPlace, Errands, OpenErrands};
use crate::team::mail::{self, FromWorker, ToWorker, Welcome};
use crate::team::member::{Extent, Member, Patience, Segments};
use crate::team::start::overflow;
use crate::team::state::States;
use crate::team::trace::{self, Tracer};
use crate::team::{assignment, current, farewell, log, panic_note, text};
use crate::topology::CpuSet;
use rustc_hash::FxHashMap;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a segment may be on its way to a worker that has begun to need it.
const SENT_WITHIN: Duration = Duration::from_secs(5);

/// The worker's whole life. `socket` is its end of the packet socket to the driver; end of file there means that the
/// driver is gone.
pub(crate) fn main(socket: OwnedFd) -> ! {
    let socket = Arc::new(socket);
    let mut segments = Mapped::new(socket.clone());
    let enrolled = match segments.first_mail() {
        Ok((ToWorker::Assignment(assignment), fds)) => assignment::run(&socket, *assignment, fds, segments),
        Ok((ToWorker::Welcome(welcome), fds)) => enrol(&socket, &welcome, fds, segments),
        Ok(_) => Err("the first packet is no welcome".into()),
        Err(why) => Err(why),
    };
    match enrolled {
        Ok((mut member, refused)) => {
            let mut last = member.board.muster(&member.orders).last_seen(member.rank);
            if mail::send(&*socket, &FromWorker::Ready { refused }, &[]).is_ok() {
                member.serve_from(&mut last);
            }
            // States may own things that want an orderly end (files of a library, say), and handles. Nothing else is
            // dropped: threads that tasks left running may use what is mapped until the very end.
            member.states.let_go(member.rank);
            std::mem::forget(member);
            farewell::end(0)
        }
        Err(why) => {
            let _gone = mail::send(&*socket, &FromWorker::Failed { why }, &[]);
            process::exit_now(1)
        }
    }
}

/// Takes the place that the driver's welcome gives.
fn enrol(
    socket: &Arc<OwnedFd>,
    welcome: &Welcome,
    fds: Vec<OwnedFd>,
    mut segments: Mapped,
) -> Result<(Member, Vec<String>), String> {
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
        len if len == trace::trace_bytes(size) => {
            let rings = map_for_ever(&next_fd()?, len, MapAccess::ReadWrite)?;
            // SAFETY: mapped just now, for ever, with this length, and `rank` is below `size`.
            Some(unsafe { Tracer::new(rings.base(), rank) })
        }
        _ => return Err("the trace has another length than this build's".into()),
    };
    current::forget_in_children();
    panic_note::install_hook();
    log::install(socket.clone(), welcome.log_level);
    crate::base::member::set_current_member(crate::base::MemberId(welcome.member));
    let refused = bind(welcome);
    let errands = match welcome.errands {
        (0, _) => None,
        (len, open) => Some(open_errands(&next_fd()?, len as usize, open, rank, size)?),
    };
    segments.map(welcome.arena, welcome.arena_len as usize, &arena)?;
    if let Some(opening) = &welcome.opening {
        opening.run(welcome.arena, &mut segments)?;
    }
    let threads = rayon_pool(welcome)?;
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
        patience: Patience::new(welcome.crowded),
        tracer,
        mail_seen: 0,
        errands,
        is_retiring: false,
        deadline: None,
    };
    Ok((member, refused))
}

/// Maps the errands' segment and opens it.
fn open_errands(
    fd: &OwnedFd,
    len_bytes: usize,
    open: u64,
    rank: usize,
    size: usize,
) -> Result<Box<dyn Errands>, String> {
    let base = map_for_ever(fd, len_bytes, MapAccess::ReadWrite)?.base();
    let address = text::address_of(open).ok_or("the welcome names a function outside this program's code")?;
    // SAFETY: the driver wrote the offset of an `OpenErrands` of the same build, and the address lies in our code.
    let open = unsafe { std::mem::transmute::<usize, OpenErrands>(address) };
    Ok(open(ErrandPlace { base, len_bytes, rank, size }))
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

/// The worker's own threads, where it has more than one: each on the worker's CPUs.
pub(crate) fn rayon_pool(welcome: &Welcome) -> Result<Option<rayon::ThreadPool>, String> {
    if welcome.threads < 2 {
        return Ok(None);
    }
    let (rank, cpus) = (welcome.rank, welcome.cpus.clone());
    rayon::ThreadPoolBuilder::new()
        .num_threads(welcome.threads as usize)
        .thread_name(move |index| format!("phalanx {rank}.{index}"))
        .start_handler(move |index| {
            current::become_member();
            overflow::guard_this_thread();
            if let Some(cpu) = index.checked_rem(cpus.len()).and_then(|index| cpus.get(index)) {
                // A refusal was reported by the worker already.
                let _refused = bind_to(Some(&CpuSet::single(*cpu)), None);
            }
        })
        .build()
        .map(Some)
        .map_err(|error| format!("cannot start {} threads: {error}", welcome.threads))
}

/// The segments mapped in this worker.
pub(crate) struct Mapped {
    socket: Arc<OwnedFd>,
    /// Never dropped: what is mapped stays until the driver says that it is gone (`Retire`), or the process ends.
    by_id: ManuallyDrop<FxHashMap<u64, Mapping>>,
    retired: Vec<u64>,
}

impl Mapped {
    fn new(socket: Arc<OwnedFd>) -> Mapped {
        Mapped { socket, by_id: ManuallyDrop::default(), retired: Vec::new() }
    }

    /// Waits for the driver to say what this process is for. Segments may come before that.
    fn first_mail(&mut self) -> Result<(ToWorker, Vec<OwnedFd>), String> {
        loop {
            let (mail, packet) = mail::recv::<ToWorker>(&*self.socket)
                .map_err(|error| format!("no welcome from the driver: {error}"))?;
            match mail {
                ToWorker::Segment { id, len_bytes } => match packet.fds.first() {
                    Some(fd) => self.map(id, len_bytes as usize, fd)?,
                    None => return Err(format!("segment {id} came without its descriptor")),
                },
                mail => return Ok((mail, packet.fds)),
            }
        }
    }

    pub(crate) fn map(&mut self, id: u64, len_bytes: usize, fd: &OwnedFd) -> Result<(), String> {
        let mapping =
            Mapping::map(fd.as_fd(), len_bytes, MapAccess::ReadOnly, MapOptions { leave_out_of_dumps: true })
                .map_err(|error| format!("cannot map segment {id} of {len_bytes} bytes: {error}"))?;
        self.by_id.insert(id, mapping);
        Ok(())
    }
}

impl Segments for Mapped {
    #[expect(clippy::arithmetic_side_effects, reason = "a constant moment from now")]
    fn attach(&mut self, id: u64, writable: bool) -> Result<Extent, String> {
        if !self.by_id.contains_key(&id) {
            // Sent with a launch that went on without this worker.
            self.read_mail();
        }
        let until = Instant::now() + SENT_WITHIN;
        while !self.by_id.contains_key(&id)
            && matches!(socket::wait_readable(&*self.socket, Some(until)), Ok(true))
            && !socket::is_at_end(&*self.socket)
        {
            // A task's argument leads to it, and this worker is new: it is on its way.
            self.read_mail();
        }
        let mapping =
            self.by_id.get_mut(&id).ok_or_else(|| format!("segment {id} was never sent to this worker"))?;
        if writable {
            mapping.make_writable().map_err(|error| format!("cannot make segment {id} writable: {error}"))?;
        }
        Ok(Extent { base: mapping.base().as_ptr(), len_bytes: mapping.len_bytes() })
    }

    fn read_mail(&mut self) {
        // A packet that cannot be used shows as a segment that was never sent, in the launch that needs it.
        while let Ok(Some((mail, packet))) = mail::try_recv::<ToWorker>(&*self.socket) {
            match mail {
                ToWorker::Segment { id, len_bytes } => {
                    if let Some(fd) = packet.fds.first()
                        && let Err(why) = self.map(id, len_bytes as usize, fd)
                    {
                        tracing::error!("{why}");
                    }
                }
                ToWorker::Retire(ids) => ids.iter().for_each(|id| {
                    self.by_id.remove(id);
                }),
                ToWorker::Forget(ids) => self.retired.extend(ids),
                ToWorker::Welcome(_) | ToWorker::Assignment(_) => {}
            }
        }
    }

    fn retired_states(&mut self, _held: &States) -> Vec<u64> {
        std::mem::take(&mut self.retired)
    }

    fn ask_leave(&mut self) {
        // A driver that is gone needs no telling.
        let _gone = mail::send(&*self.socket, &FromWorker::Retiring, &[]);
    }

    fn driver_is_gone(&self) -> bool {
        // Readable with nothing to read is end of file; mail that waits is left for the next launch.
        matches!(socket::wait_readable(&*self.socket, Some(Instant::now())), Ok(true))
            && socket::is_at_end(&*self.socket)
    }
}
