//! The file of a journal: a head that says what it is of, then one record for each item that is done.
//!
//! | bytes | head | record |
//! |---|---|---|
//! | 0 to 8 | `MAGIC` | checksum of what follows in the record, seeded with the head's |
//! | 8 to 16 | checksum of what follows in the head | item |
//! | 16 to 24 | its length in bytes | bytes of the result |
//! | 24 .. | build, digest of the items (16 each), how many, place of the code, the function's name | the result (`base::notation`) |
//!
//! Numbers are little-endian. Records come in the order in which items end. A record that was cut off, or
//! whose checksum is wrong, counts as not written: its item runs again.
#![deny(clippy::arithmetic_side_effects)]

use super::error::JournalError;
use crate::sys::descriptor;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use twox_hash::{XxHash3_64, XxHash3_128};

const MAGIC: [u8; 8] = *b"phxjrnl1";
/// Bytes of a head before its variable part, and of a record before the result.
const FIXED: usize = 24;
/// Records are gathered up to this many bytes,
const GATHERED_BYTES: usize = 64 << 10;
/// and no longer than this.
const GATHERED_FOR: Duration = Duration::from_millis(10);

/// What a journal is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Digest of the program's build.
    pub(super) build: u128,
    /// Where the function's code is in that file, from a fixed place on.
    pub(super) code: u64,
    /// Digest of the items as they are written, in order.
    pub(super) items: u128,
    pub(super) count: u64,
    pub(super) function: String,
}

impl Identity {
    fn head(&self) -> Vec<u8> {
        let mut bytes = vec![0; FIXED];
        bytes.extend(self.build.to_le_bytes());
        bytes.extend(self.items.to_le_bytes());
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.code.to_le_bytes());
        bytes.extend(self.function.as_bytes());
        let len = bytes.len() as u64;
        bytes[16..FIXED].copy_from_slice(&len.to_le_bytes());
        let checksum = XxHash3_64::oneshot(&bytes[16..]);
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a head at the start of `bytes`, and its length.
    fn read(bytes: &[u8]) -> Option<(Identity, usize)> {
        let len = usize::try_from(word(bytes, 16)?).ok()?;
        let head = bytes.get(..len)?;
        let is_whole = head.starts_with(&MAGIC) && word(head, 8)? == XxHash3_64::oneshot(&head[16..]);
        let digest = |at: usize| Some(u128::from_le_bytes(*head.get(at..)?.first_chunk()?));
        let (build, items, count, code) = (digest(24)?, digest(40)?, word(head, 56)?, word(head, 64)?);
        let function = String::from_utf8(head.get(72..)?.to_vec()).ok()?;
        is_whole.then_some((Identity { build, code, items, count, function }, len))
    }
}

/// The 8 bytes at a place, as a number.
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// An open journal, locked against other calls.
#[derive(Debug)]
pub(super) struct JournalFile {
    file: LockedFile,
    path: PathBuf,
    /// Checksum of the head, with which those of records begin.
    seed: u64,
    gathered: Vec<u8>,
    gathered_since: Instant,
    synced: Instant,
    is_synced: bool,
    sync_every: Duration,
}

/// A result that a journal holds: its item, and the result's bytes.
pub(super) type Recorded = (u64, Vec<u8>);

impl JournalFile {
    /// Opens the journal at `path`, or begins it, and reads what it holds. What follows the last whole record
    /// is cut off.
    pub(super) fn resume(
        path: &Path,
        identity: &Identity,
        any_build: bool,
        sync_every: Duration,
    ) -> Result<(JournalFile, Vec<Recorded>), JournalError> {
        let fails = |doing| move |source| JournalError::Io { path: path.to_owned(), doing, source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = descriptor::open(&options, path).map_err(fails("opened"))?;
        // A device may be endless.
        if !file.metadata().map_err(fails("opened"))?.is_file() {
            return Err(JournalError::NotAJournal { path: path.to_owned() });
        }
        let mut file = LockedFile::lock(file, path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(fails("read"))?;
        let mut head = identity.head();
        // A kill while the head was being written leaves its beginning, a power cut perhaps zeros.
        let is_new = head.starts_with(&bytes) || bytes.iter().all(|&byte| byte == 0);
        let (mut records, mut end) = (Vec::new(), head.len());
        if is_new {
            begin(&mut file, path, &head).map_err(fails("written"))?;
        } else {
            let Some((journal, len)) = Identity::read(&bytes) else {
                return Err(JournalError::NotAJournal { path: path.to_owned() });
            };
            accept(path, &journal, identity, any_build)?;
            head.clear();
            head.extend(&bytes[..len]);
            let seed = seed_of(&head);
            (records, end) = read_records(&bytes, len, seed);
        }
        file.set_len(end as u64).map_err(fails("written"))?;
        file.seek(SeekFrom::Start(end as u64)).map_err(fails("written"))?;
        let (seed, now) = (seed_of(&head), Instant::now());
        let (path, gathered) = (path.to_owned(), Vec::new());
        let journal = JournalFile {
            file,
            path,
            seed,
            gathered,
            gathered_since: now,
            synced: now,
            is_synced: true,
            sync_every,
        };
        Ok((journal, records))
    }

    /// Adds a record, which is written soon: see [`Self::flush`].
    pub(super) fn add(&mut self, item: u64, result: &[u8]) -> Result<(), JournalError> {
        if self.gathered.is_empty() {
            self.gathered_since = Instant::now();
        }
        append_record(&mut self.gathered, self.seed, item, result);
        if self.gathered.len() >= GATHERED_BYTES || self.gathered_since.elapsed() >= GATHERED_FOR {
            self.flush()?;
        }
        Ok(())
    }

    /// Gives the kernel what was added: from here on it outlives every process. Has it brought to the disk as
    /// often as was asked for.
    pub(super) fn flush(&mut self) -> Result<(), JournalError> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(&self.gathered);
        // Also where a part of it was written: the next reader cuts that off.
        self.gathered.clear();
        self.is_synced = false;
        written.map_err(|error| self.fails(error))?;
        if self.synced.elapsed() >= self.sync_every { self.sync() } else { Ok(()) }
    }

    /// Writes all that was added, and waits until it is on the disk.
    pub(super) fn finish(mut self) -> Result<(), JournalError> {
        self.finish_in_place()
    }

    fn finish_in_place(&mut self) -> Result<(), JournalError> {
        self.flush()?;
        if self.is_synced { Ok(()) } else { self.sync() }
    }

    /// Waits until what was flushed is on the disk.
    pub(super) fn sync(&mut self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(|error| self.fails(error))?;
        self.synced = Instant::now();
        self.is_synced = true;
        Ok(())
    }

    /// As a process that was forked at this moment has it.
    #[cfg(test)]
    pub(super) fn copy_of_descriptor(&self) -> File {
        self.file.try_clone().unwrap()
    }

    fn fails(&self, source: io::Error) -> JournalError {
        JournalError::Io { path: self.path.clone(), doing: "written", source }
    }
}

/// A call that ends with an error keeps what was done.
impl Drop for JournalFile {
    fn drop(&mut self) {
        if let Err(error) = self.finish_in_place() {
            tracing::warn!("{error}");
        }
    }
}

/// An open file that nobody else may lock meanwhile.
#[derive(Debug)]
struct LockedFile(File);

impl LockedFile {
    fn lock(file: File, path: &Path) -> Result<LockedFile, JournalError> {
        let path = path.to_owned();
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(LockedFile(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::InUse { path }),
            Err(errno) => Err(JournalError::Io { path, doing: "opened", source: errno.into() }),
        }
    }
}

/// Closing the file alone would leave it locked where a process that is being started, or was forked, still
/// has a copy of the descriptor.
impl Drop for LockedFile {
    fn drop(&mut self) {
        if let Err(errno) = flock(&self.0, FlockOperation::Unlock) {
            tracing::warn!("a journal was not unlocked: {errno}");
        }
    }
}

impl Deref for LockedFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl DerefMut for LockedFile {
    fn deref_mut(&mut self) -> &mut File {
        &mut self.0
    }
}

fn seed_of(head: &[u8]) -> u64 {
    word(head, 8).unwrap_or_default()
}

/// Writes the head of a new journal, and brings it and the file's name to the disk.
fn begin(file: &mut File, path: &Path, head: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(head)?;
    file.sync_data()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    descriptor::open_to_read(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Refuses a journal of something else.
fn accept(path: &Path, journal: &Identity, call: &Identity, any_build: bool) -> Result<(), JournalError> {
    let path = path.to_owned();
    let is_same_build = journal.build == call.build;
    if journal.function != call.function || (is_same_build && journal.code != call.code) {
        let (journal, call) = (journal.function.clone(), call.function.clone());
        return Err(JournalError::OtherFunction { path, journal, call });
    }
    if !is_same_build && !any_build {
        return Err(JournalError::OtherBuild { path });
    }
    if (journal.items, journal.count) != (call.items, call.count) {
        return Err(JournalError::OtherItems { path, journal: journal.count, call: call.count });
    }
    Ok(())
}

fn append_record(bytes: &mut Vec<u8>, seed: u64, item: u64, result: &[u8]) {
    let start = bytes.len();
    bytes.extend([0; 8]);
    bytes.extend(item.to_le_bytes());
    bytes.extend((result.len() as u64).to_le_bytes());
    bytes.extend(result);
    let body = start.saturating_add(8);
    let checksum = XxHash3_64::oneshot_with_seed(seed, &bytes[body..]);
    bytes[start..body].copy_from_slice(&checksum.to_le_bytes());
}

/// Reads the records from `at` on, and says where the last whole one ends. One that is damaged is passed over
/// if its length leads on to others.
fn read_records(bytes: &[u8], at: usize, seed: u64) -> (Vec<Recorded>, usize) {
    let (mut records, mut at, mut end) = (Vec::new(), at, at);
    while let Some(rest) = bytes.get(at..) {
        let Some(len) = word(rest, 16).and_then(|len| usize::try_from(len).ok()?.checked_add(FIXED)) else {
            break;
        };
        let Some(record) = rest.get(..len) else { break };
        at = at.saturating_add(len);
        if word(record, 0) == Some(XxHash3_64::oneshot_with_seed(seed, &record[8..])) {
            records.push((word(record, 8).unwrap_or(u64::MAX), record[FIXED..].to_vec()));
            end = at;
        }
    }
    (records, end)
}

/// A digest of values that are added one by one.
#[derive(Default)]
pub(super) struct Digest(XxHash3_128);

impl Digest {
    /// Adds a value's bytes; where one ends and the next begins counts.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.write(&(bytes.len() as u64).to_le_bytes());
        self.0.write(bytes);
    }

    pub(super) fn finish(&self) -> u128 {
        self.0.finish_128()
    }
}
