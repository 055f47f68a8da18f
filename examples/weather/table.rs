//! The scan: sums up lines in an open-addressing table, eight bytes at a time.
//!
//! A line whose name has at most 16 bytes and which ends with a plain newline is read without branches that
//! depend on its contents: the bytes up to the semicolon are the key, masked out of two words, and the
//! temperature is checked and computed within one. Every other line goes by `line::read`. Four places of a
//! part are scanned in turn, so that the processor works on four lines at once: each needs the length of the
//! one before it.

use crate::line::{self, BadLine, Fault};
use crate::totals::{Summary, Totals};
use crate::word::{self, KEY_LEN, Key, WINDOW, bytes_of, key_of};
use rustc_hash::FxHashMap;

/// Lines scanned in turn.
const LANES: usize = 4;

/// No name: after the first semicolon, a key has zeros only.
const VACANT: Key = [u64::from_le_bytes(*b";;;;;;;;"), 0];

/// A station in a cell of its own, half a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Cell {
    key: Key,
    sum: i64,
    count: u32,
    min: i16,
    max: i16,
}

impl Cell {
    const EMPTY: Cell = Cell { key: VACANT, sum: 0, count: 0, min: i16::MAX, max: i16::MIN };

    #[inline(always)]
    fn add(&mut self, tenths: i16) {
        self.sum += i64::from(tenths);
        self.count += 1;
        self.min = self.min.min(tenths);
        self.max = self.max.max(tenths);
    }
}

/// Most bytes of lines that a table may take in: a cell counts up to 2^32 lines of at least 6 bytes.
pub const LARGEST_PART: usize = 6 << 32;

/// Sums of the stations of some lines.
pub struct Table {
    /// A power of two of cells, at most a quarter of them occupied.
    cells: Vec<Cell>,
    occupied: usize,
    /// Stations with names longer than a key.
    long: FxHashMap<Vec<u8>, Summary>,
}

impl Table {
    /// Without any station.
    pub fn new() -> Table {
        Table { cells: vec![Cell::EMPTY; 16384], occupied: 0, long: FxHashMap::default() }
    }

    /// Adds the lines of a text, which begins and ends with whole lines. Its last newline may be missing.
    ///
    /// # Errors
    /// The first bad line. The table then holds some of the others.
    pub fn scan(&mut self, text: &[u8]) -> Result<(), BadLine> {
        let outcome = self.scan_lanes(text);
        // The lane that met a bad line first need not have met the first one.
        outcome.map_err(|bad| line::first_bad(text).unwrap_or(bad))
    }

    fn scan_lanes(&mut self, text: &[u8]) -> Result<(), BadLine> {
        let cuts = cuts(text, LANES);
        let mut at: [usize; LANES] = std::array::from_fn(|lane| cuts[lane]);
        let ends: [usize; LANES] = std::array::from_fn(|lane| cuts[lane + 1]);
        while (0..LANES).all(|lane| at[lane] < ends[lane]) {
            // One by one rather than in a loop, so that the places stay in registers.
            at[0] += self.line(text, at[0])?;
            at[1] += self.line(text, at[1])?;
            at[2] += self.line(text, at[2])?;
            at[3] += self.line(text, at[3])?;
        }
        for (mut at, end) in at.into_iter().zip(ends) {
            while at < end {
                at += self.line(text, at)?;
            }
        }
        Ok(())
    }

    /// Adds the line that begins at `at` and returns its length.
    #[inline(always)]
    fn line(&mut self, text: &[u8], at: usize) -> Result<usize, BadLine> {
        if let Some((key, name_len, number)) =
            text.get(at..).and_then(|rest| rest.first_chunk::<WINDOW>()).and_then(word::name)
            && let Some((tenths, len)) = word::temperature(number)
        {
            let mut place = self.home(&key);
            if self.cells[place].key != key {
                place = self.find_cold(&key, name_len, place).map_err(|fault| BadLine { at, fault })?;
            }
            self.cells[place].add(tenths);
            return Ok(name_len + 1 + len);
        }
        self.line_cold(&text[at..]).map_err(|fault| BadLine { at, fault })
    }

    /// The same for a line of any kind.
    #[cold]
    #[inline(never)]
    fn line_cold(&mut self, text: &[u8]) -> Result<usize, Fault> {
        let line = line::read(text)?;
        if line.name.len() <= KEY_LEN {
            let key = key_of(line.name);
            let place = self.find_cold(&key, line.name.len(), self.home(&key))?;
            self.cells[place].add(line.tenths);
        } else if let Some(summary) = self.long.get_mut(line.name) {
            summary.add(&Summary::of(line.tenths));
        } else {
            line::checked_name(line.name)?;
            self.long.insert(line.name.to_vec(), Summary::of(line.tenths));
        }
        Ok(line.len)
    }

    /// Where the search for a key begins.
    #[inline(always)]
    fn home(&self, key: &Key) -> usize {
        let mixed = (key[0] ^ key[1].rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize & (self.cells.len() - 1)
    }

    /// The cell of a key whose search begins at `place`; a new station gets one if its name is valid.
    #[cold]
    #[inline(never)]
    fn find_cold(&mut self, key: &Key, name_len: usize, mut place: usize) -> Result<usize, Fault> {
        let last = self.cells.len() - 1;
        while self.cells[place].key != *key {
            if self.cells[place].key == VACANT {
                return self.occupy(key, name_len, place);
            }
            place = (place + 1) & last;
        }
        Ok(place)
    }

    fn occupy(&mut self, key: &Key, name_len: usize, place: usize) -> Result<usize, Fault> {
        let bytes = bytes_of(key);
        let name = &bytes[..name_len];
        if name.is_empty() {
            return Err(Fault::NoName);
        } else if name.contains(&b'\n') {
            // The semicolon is that of a later line.
            return Err(Fault::NoSemicolon);
        }
        line::checked_name(name)?;
        self.cells[place].key = *key;
        self.occupied += 1;
        if 4 * self.occupied <= self.cells.len() {
            return Ok(place);
        }
        self.grow();
        self.find_cold(key, name_len, self.home(key))
    }

    fn grow(&mut self) {
        let empty = vec![Cell::EMPTY; 4 * self.cells.len()];
        let old = std::mem::replace(&mut self.cells, empty);
        for cell in old.into_iter().filter(|cell| cell.key != VACANT) {
            let mut place = self.home(&cell.key);
            while self.cells[place].key != VACANT {
                place = (place + 1) & (self.cells.len() - 1);
            }
            self.cells[place] = cell;
        }
    }

    /// Adds all stations to `totals`.
    pub fn add_to(self, totals: &mut Totals) {
        for cell in self.cells.iter().filter(|cell| cell.count > 0) {
            let bytes = bytes_of(&cell.key);
            let name = bytes.split(|&byte| byte == b';').next().unwrap_or(&bytes);
            let summary = Summary { min: cell.min, max: cell.max, sum: cell.sum, count: cell.count.into() };
            totals.add(&String::from_utf8_lossy(name), &summary);
        }
        for (name, summary) in &self.long {
            totals.add(&String::from_utf8_lossy(name), summary);
        }
    }
}

/// Offsets of about equal parts of a text: each begins and ends with whole lines. Some may be empty.
pub fn cuts(text: &[u8], parts: usize) -> Vec<usize> {
    let mut cuts = vec![0];
    for part in 1..parts {
        let near = (text.len() as u128 * part as u128 / parts as u128) as usize;
        let near = near.max(cuts[part - 1]);
        // Cutting after the newline at or behind this place; a line that begins right here may be cut off too.
        let cut = match near {
            0 => 0,
            _ => text[near - 1..].iter().position(|&byte| byte == b'\n').map_or(text.len(), |end| near + end),
        };
        cuts.push(cut);
    }
    cuts.push(text.len());
    cuts
}
