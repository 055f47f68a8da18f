//! The words of a team, copied out of its segments and checked.
//!
//! They are copied with `pread`, so that neither a segment that shrinks nor a write at the same time can harm
//! the observer: a copy may be out of date or half written, and is shown as it is.

use super::process::ProcessView;
use super::{DeathView, LaunchProgress, ObserveError, Observer, WorkerState, WorkerView};
use crate::base::Line;
use crate::launch::done_units;
use crate::task::board as task_board;
use crate::team::board::{BoardLayout, MAX_CHUNKS, MemberStatus};
use crate::team::fork_join::RANKS_PER_WORD;
use crate::team::orders::{FLAG_RANK_BOUND, Order, OrdersMemory};
use crate::team::plate::{self, Row};
use crate::team::roster::MemberStage;
use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::os::unix::fs::FileExt;

/// Words of a line.
const LINE: usize = size_of::<Line<u64>>() / size_of::<u64>();

/// All that is read for one view.
pub(super) struct Words {
    rows: Vec<Row>,
    attendance: Vec<u64>,
    pending: Vec<u64>,
    asleep: Vec<u64>,
    statuses: Vec<u64>,
    order: [u64; ORDER_WORDS],
    serving: u32,
    /// Done units of the present launch, and how many it has.
    progress: (u64, u64),
    pub(super) queued: u64,
    pub(super) has_backlog: bool,
}

const ORDER_WORDS: usize = size_of::<Order>() / size_of::<u64>();

/// The number of the word at that offset.
const fn word_at(offset: usize) -> usize {
    offset / size_of::<u64>()
}

impl Observer {
    pub(super) fn words(&self) -> Result<Words, ObserveError> {
        let io = |source| ObserveError::Io { pid: self.pid, source };
        let at = BoardLayout::new(self.size);
        let groups = self.size.div_ceil(RANKS_PER_WORD);
        let lines =
            |offset, count: usize| read_words(&self.board, offset, count.saturating_mul(LINE)).map_err(io);
        let mut rows = vec![Row::default(); self.size];
        self.plate.read_exact_at(bytemuck::cast_slice_mut(&mut rows), plate::row_at(0)).map_err(io)?;
        let mut order = [0; ORDER_WORDS];
        let order_at = offset_of!(OrdersMemory, order) as u64;
        self.orders.read_exact_at(bytemuck::bytes_of_mut(&mut order), order_at).map_err(io)?;
        let mut serving = 0u32;
        let serving_at = offset_of!(OrdersMemory, serving) as u64;
        self.orders.read_exact_at(bytemuck::bytes_of_mut(&mut serving), serving_at).map_err(io)?;
        let (queued, has_backlog) = self.tasks.as_ref().map_or(Ok((0, false)), tasks).map_err(io)?;
        let mut words = Words {
            rows,
            attendance: lines(at.attendance, self.size)?,
            pending: lines(at.pending, groups)?,
            asleep: lines(at.asleep, groups)?,
            statuses: lines(at.statuses, self.size)?,
            order,
            serving,
            progress: (0, 0),
            queued,
            has_backlog,
        };
        words.progress = words.progress_in(&self.board, at.bitmap).map_err(io)?;
        Ok(words)
    }
}

/// Copies that many words.
fn read_words(file: &File, offset: usize, count: usize) -> io::Result<Vec<u64>> {
    let mut words = vec![0; count];
    file.read_exact_at(bytemuck::cast_slice_mut(&mut words), offset as u64)?;
    Ok(words)
}

/// Tasks that wait on the board, and whether more wait elsewhere.
fn tasks(board: &File) -> io::Result<(u64, bool)> {
    let word = |offset| read_words(board, offset, 1).map(|words| words.first().copied().unwrap_or(0));
    let (tail, head) = (word(offset_of!(task_board::Head, tail))?, word(offset_of!(task_board::Head, head))?);
    let backlog = word(offset_of!(task_board::Head, backlog))?;
    let queued = tail.saturating_sub(head).min(task_board::SLOTS as u64);
    Ok((queued, backlog as u32 != 0))
}

/// The bit of a rank in words of a line each.
fn has_bit(words: &[u64], rank: usize) -> bool {
    let word = words.get((rank / RANKS_PER_WORD).saturating_mul(LINE));
    word.is_some_and(|word| word >> (rank % RANKS_PER_WORD) & 1 == 1)
}

impl Words {
    fn status(&self, rank: usize, offset: usize) -> u64 {
        let at = rank.saturating_mul(LINE).saturating_add(word_at(offset));
        self.statuses.get(at).copied().unwrap_or(0)
    }

    fn attendance(&self, rank: usize) -> u64 {
        self.attendance.get(rank.saturating_mul(LINE)).copied().unwrap_or(0)
    }

    /// Rounds of launches so far.
    pub(super) fn launches(&self) -> u64 {
        // Above two bits of state.
        (0..self.rows.len()).map(|rank| self.attendance(rank) >> 2).max().unwrap_or(0)
    }

    fn is_running(&self) -> bool {
        (0..self.rows.len()).any(|rank| self.is_in_launch(rank))
    }

    fn is_in_launch(&self, rank: usize) -> bool {
        has_bit(&self.pending, rank) || self.status(rank, offset_of!(MemberStatus, current)) != 0
    }

    pub(super) fn present(&self) -> Option<LaunchProgress> {
        let (done, units) = self.progress;
        self.is_running().then(|| LaunchProgress { launch: self.launches(), done, units })
    }

    /// How much of the present launch is done, and what it is.
    fn progress_in(&self, board: &File, bitmap_at: usize) -> io::Result<(u64, u64)> {
        let word = |offset| self.order.get(word_at(offset)).copied().unwrap_or(0);
        // Two halves of a word each: size and flags.
        let last = word(offset_of!(Order, size)).to_ne_bytes();
        let [size, flags] = bytemuck::cast::<[u8; 8], [u32; 2]>(last);
        let chunks = word(offset_of!(Order, chunks));
        let units = chunks.div_ceil(word(offset_of!(Order, unit)).max(1));
        let is_counted = self.is_running()
            && flags & FLAG_RANK_BOUND == 0
            && (1..=MAX_CHUNKS as u64).contains(&units)
            && (1..=self.rows.len()).contains(&(size as usize));
        if !is_counted {
            return Ok((0, 0));
        }
        let words = done_units::words(units as usize, size as usize);
        let bits = read_words(board, bitmap_at, words)?;
        Ok((done_units::count(&bits, units as usize, size as usize), units))
    }

    /// The worker of that rank, if the rank is in use.
    pub(super) fn worker(&self, rank: usize, is_threads: bool) -> Option<WorkerView> {
        let row = self.rows.get(rank)?;
        let count = |offset| self.status(rank, offset);
        let stage = |stage: MemberStage| row.stage == stage.code();
        if stage(MemberStage::Absent) {
            return None;
        }
        let process = (row.pid != 0).then(|| ProcessView::of(row.pid)).flatten();
        let state = match &process {
            _ if stage(MemberStage::Starting) => WorkerState::Starting,
            None if !is_threads => WorkerState::Dead,
            Some(process) if process.is_stopped => WorkerState::Stopped,
            _ if stage(MemberStage::Leaving) => WorkerState::Leaving,
            _ if stage(MemberStage::Dead) => WorkerState::Dead,
            _ if self.is_in_launch(rank) => WorkerState::Kernel,
            _ if count(offset_of!(MemberStatus, idle_work))
                != count(offset_of!(MemberStatus, idle_work_over)) =>
            {
                WorkerState::Task
            }
            _ if rank >= self.serving as usize => WorkerState::Parked,
            _ if has_bit(&self.asleep, rank) => WorkerState::Asleep,
            _ => WorkerState::Idle,
        };
        Some(WorkerView {
            rank,
            state,
            process,
            launches: count(offset_of!(MemberStatus, launches)),
            chunks: count(offset_of!(MemberStatus, chunks)),
            steals: count(offset_of!(MemberStatus, steals)),
            tasks: count(offset_of!(MemberStatus, idle_work_over)),
            faults: count(offset_of!(MemberStatus, faults)),
            sleeps: count(offset_of!(MemberStatus, sleeps)),
            deaths: row.deaths.into(),
            last_death: plate::cause_of(row).map(|cause| DeathView { cause, at: row.died_at }),
        })
    }
}
