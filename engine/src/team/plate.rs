//! The plate: what a team shows an observer in another program ([`crate::observe`]).
//!
//! A memfd of the driver named `phalanx-plate`, which nobody maps: the driver writes it, an observer finds it
//! among the driver's descriptors and reads it. It says where orders, board and tasks lie, and has a row for
//! each rank. A row is written when a worker starts, is ready, leaves or dies, and never by launches or
//! tasks. docs/segment-layout.md lists the bytes. Magic and version come first and never move.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Line;
use crate::spawn::ExitCause;
use crate::sys::fork::OwnFile;
use crate::sys::memory;
use crate::team::board::MemberStatus;
use crate::team::fault::FaultNote;
use crate::team::orders::ORDERS_BYTES;
use crate::team::step_state::{Payload, StepState};
use bytemuck::Zeroable;
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::time::SystemTime;

pub(crate) const NAME: &str = "phalanx-plate";
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"phxplate");

/// Goes up whenever the meaning of a word changes that an observer reads; [`LAYOUT`] changes with their
/// places.
pub(crate) const VERSION: u32 = 1;

/// Of the places that an observer reads, and of this crate's version.
pub(crate) const LAYOUT: u64 = {
    let numbers = [
        size_of::<Header>(),
        size_of::<Row>(),
        ORDERS_BYTES,
        size_of::<Line<MemberStatus>>(),
        offset_of!(MemberStatus, chunks),
        offset_of!(MemberStatus, idle_work),
        offset_of!(MemberStatus, idle_work_over),
        size_of::<Line<FaultNote>>(),
        size_of::<Line<StepState>>(),
        size_of::<Line<Payload>>(),
    ];
    let (mut hash, mut at) = (0xcbf2_9ce4_8422_2325_u64, 0);
    while at < numbers.len() {
        hash = (hash ^ numbers[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at = at.wrapping_add(1);
    }
    let (version, mut at) = (env!("CARGO_PKG_VERSION").as_bytes(), 0);
    while at < version.len() {
        hash = (hash ^ version[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at = at.wrapping_add(1);
    }
    hash
};

/// A descriptor of the driver, and the object that it leads to: 0 and no number if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Place {
    pub(crate) inode: u64,
    pub(crate) number: i32,
    padding: u32,
}

impl Place {
    fn of(fd: BorrowedFd<'_>) -> io::Result<Place> {
        let inode = rustix::fs::fstat(fd)?.st_ino;
        Ok(Place { inode, number: fd.as_raw_fd(), padding: 0 })
    }
}

/// The plate's first bytes.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) magic: u64,
    pub(crate) version: u32,
    /// Ranks, and so rows.
    pub(crate) size: u32,
    pub(crate) layout: u64,
    /// Of the crate, as text.
    pub(crate) crate_version: [u8; 16],
    /// The pool's name, as text.
    pub(crate) label: [u8; 32],
    /// Whether members are threads of the driver.
    pub(crate) threads: u32,
    /// The driver's number, as it sees itself.
    pub(crate) pid: u32,
    pub(crate) orders: Place,
    pub(crate) board: Place,
    pub(crate) tasks: Place,
}

/// What the plate shows of a rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Row {
    /// The process of the present worker; 0 if there is none.
    pub(crate) pid: u32,
    /// See `MemberStage::code`.
    pub(crate) stage: u32,
    /// Workers of this rank that have died.
    pub(crate) deaths: u32,
    /// How the last of them ended, see [`cause_code`].
    pub(crate) cause: u32,
    pub(crate) cause_number: i32,
    padding: u32,
    /// When, in seconds since 1970.
    pub(crate) died_at: u64,
}

/// Bytes of the plate of a team of that size.
pub(crate) fn plate_bytes(size: usize) -> usize {
    size_of::<Header>().saturating_add(size.saturating_mul(size_of::<Row>()))
}

/// Where the row of a rank lies.
pub(crate) fn row_at(rank: usize) -> u64 {
    plate_bytes(rank) as u64
}

fn cause_code(cause: ExitCause) -> (u32, i32) {
    match cause {
        ExitCause::Exit(status) => (1, status),
        ExitCause::Signal { number, core_dumped: false } => (2, number),
        ExitCause::Signal { number, core_dumped: true } => (3, number),
        ExitCause::Unknown => (4, 0),
    }
}

/// The cause of a death, if the row records one.
pub(crate) fn cause_of(row: &Row) -> Option<ExitCause> {
    match (row.cause, row.cause_number) {
        (1, status) => Some(ExitCause::Exit(status)),
        (code @ (2 | 3), number) => Some(ExitCause::Signal { number, core_dumped: code == 3 }),
        (4, _) => Some(ExitCause::Unknown),
        _ => None,
    }
}

/// A death, as rows tell it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastDeath {
    cause: ExitCause,
    at: SystemTime,
}

impl LastDeath {
    pub(crate) fn now(cause: ExitCause) -> LastDeath {
        LastDeath { cause, at: SystemTime::now() }
    }
}

/// The driver's own. Dropped, it is gone for observers.
#[derive(Debug)]
pub(crate) struct Plate {
    file: OwnFile,
    /// As they were written.
    rows: Vec<Row>,
}

/// What a plate shows of a team as a whole.
pub(crate) struct Team<'a> {
    pub(crate) size: usize,
    pub(crate) has_threads: bool,
    pub(crate) label: &'a str,
    pub(crate) orders: BorrowedFd<'a>,
    pub(crate) board: BorrowedFd<'a>,
    pub(crate) tasks: Option<BorrowedFd<'a>>,
}

impl Plate {
    /// Makes that of a team whose rows are empty so far.
    pub(crate) fn of(team: &Team<'_>) -> io::Result<Plate> {
        let file = OwnFile::made_by(|| Ok(memory::create_memfd(NAME, false)?.into()))?;
        memory::set_len(file.as_fd(), plate_bytes(team.size))?;
        let mut header = Header {
            magic: MAGIC,
            version: VERSION,
            size: team.size as u32,
            layout: LAYOUT,
            threads: team.has_threads.into(),
            pid: memory::process_id(),
            orders: Place::of(team.orders)?,
            board: Place::of(team.board)?,
            tasks: match team.tasks {
                Some(tasks) => Place::of(tasks)?,
                None => Place { number: -1, ..Place::default() },
            },
            ..Header::zeroed()
        };
        set_text(&mut header.crate_version, env!("CARGO_PKG_VERSION"));
        set_text(&mut header.label, team.label.trim_end());
        file.write_all_at(bytemuck::bytes_of(&header), 0)?;
        memory::seal_size(file.as_fd())?;
        Ok(Plate { file, rows: vec![Row::default(); team.size] })
    }

    /// Writes the rows that have changed.
    pub(crate) fn update(&mut self, rows: impl Iterator<Item = Row>) {
        for (rank, (row, written)) in rows.zip(&mut self.rows).enumerate() {
            if row != *written {
                *written = row;
                // An observer misses it, and nobody else reads it.
                let _no_memory = self.file.write_all_at(bytemuck::bytes_of(&row), row_at(rank));
            }
        }
    }
}

impl Row {
    /// Of a rank whose worker, if there is one, is that process, and of which so many have died.
    pub(crate) fn new(pid: u32, stage: u32, deaths: u32, last_death: Option<LastDeath>) -> Row {
        let (cause, cause_number) = last_death.map_or((0, 0), |death| cause_code(death.cause));
        let since_1970 = |death: LastDeath| death.at.duration_since(SystemTime::UNIX_EPOCH).ok();
        let died_at = last_death.and_then(since_1970).map_or(0, |time| time.as_secs());
        Row { pid, stage, deaths, cause, cause_number, died_at, ..Row::default() }
    }
}

/// Copies as much of the text as there is room for, up to the end of a character.
fn set_text(room: &mut [u8], text: &str) {
    let len = text.floor_char_boundary(room.len());
    room[..len].copy_from_slice(&text.as_bytes()[..len]);
}

/// The text in bytes that another program has written.
pub(crate) fn text_of(bytes: &[u8]) -> String {
    let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..len]).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

// The layout that docs/segment-layout.md lists.
const _: () = {
    assert!(size_of::<Header>() == 128 && size_of::<Row>() == 32 && size_of::<Place>() == 16);
    assert!(offset_of!(Header, label) == 40 && offset_of!(Header, orders) == 80);
};
