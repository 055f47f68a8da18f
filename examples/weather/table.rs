//! The scan: sums up lines in an open-addressing table.
//!
//! `word` reads a line whose name has at most 15 bytes and which ends with a plain newline. All other lines
//! take the long way, by `line::read` at the latest. Three places of a part are scanned in turn, so that the
//! processor works on three lines at once: where a line begins is known only when the one before it has been
//! read.

use crate::line::{self, BadLine, Fault};
use crate::totals::{Found, Summary};
use crate::word::{self, Key, WINDOW, key_of, name_in};
use rustc_hash::FxHashMap;

/// Places scanned in turn.
const LANES: usize = 3;

/// No name: behind the first semicolon, a key has zeros only.
const VACANT: Key = Key::from_le_bytes([b';'; 16]);

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
        // Branches, since both are rare soon.
        if tenths < self.min {
            self.min = tenths;
        }
        if tenths > self.max {
            self.max = tenths;
        }
    }
}

/// Most bytes of lines that a table may take in: a cell counts up to 2^32 lines of at least 6 bytes.
pub const LARGEST_PART: usize = 6 << 32;

/// Binary digits of the number of cells: 10,000 stations occupy a third of them.
const CELL_BITS: u32 = 15;
const CELLS: usize = 1 << CELL_BITS;

/// Sums of the stations of some lines.
pub struct Table {
    cells: Box<[Cell; CELLS]>,
    /// Cells that are not vacant: at most three quarters.
    occupied: usize,
    /// Stations with names longer than a key, and those that the cells have no room for.
    other: FxHashMap<Vec<u8>, Summary>,
}

impl Table {
    /// Without any station.
    pub fn new() -> Table {
        // A vector first: a megabyte has no place on the stack.
        let cells = vec![Cell::EMPTY; CELLS].try_into();
        let cells = cells.unwrap_or_else(|_| unreachable!("there are as many cells as were asked for"));
        Table { cells, occupied: 0, other: FxHashMap::default() }
    }

    /// Adds the lines of a text, which begins and ends with whole lines. Its last newline may be missing.
    ///
    /// # Errors
    /// The first bad line. The table then holds some of the others.
    pub fn scan(&mut self, text: &[u8]) -> Result<(), BadLine> {
        // The lane that met a bad line need not have met the first one.
        self.scan_lanes(text)
            .map_err(|fault| line::first_bad(text).unwrap_or(BadLine { at: text.len(), fault }))
    }

    fn scan_lanes(&mut self, text: &[u8]) -> Result<(), Fault> {
        let cuts = cuts(text, LANES);
        let [mut a, mut b, mut c]: [&[u8]; LANES] =
            std::array::from_fn(|lane| &text[cuts[lane]..cuts[lane + 1]]);
        while let (Some(in_a), Some(in_b), Some(in_c)) = (a.first_chunk(), b.first_chunk(), c.first_chunk()) {
            a = &a[self.line(in_a, a)?..];
            b = &b[self.line(in_b, b)?..];
            c = &c[self.line(in_c, c)?..];
        }
        for mut lane in [a, b, c] {
            while let Some(window) = lane.first_chunk() {
                lane = &lane[self.line(window, lane)?..];
            }
            while !lane.is_empty() {
                lane = &lane[self.line_cold(lane)?..];
            }
        }
        Ok(())
    }

    /// Adds the line at the beginning of `text`, whose first bytes are in `window`, and returns its length.
    #[inline(always)]
    fn line(&mut self, window: &[u8; WINDOW], text: &[u8]) -> Result<usize, Fault> {
        if let Some((key, name_len, number)) = word::name(window)
            && let Some((tenths, len)) = word::temperature(number)
        {
            let home = home(key);
            let cell = &mut self.cells[home];
            if cell.key == key {
                cell.add(tenths);
            } else {
                self.add_cold(key, tenths, home)?;
            }
            return Ok(name_len + 1 + len);
        }
        self.line_cold(text)
    }

    /// The same for a line of any kind.
    #[cold]
    #[inline(never)]
    fn line_cold(&mut self, text: &[u8]) -> Result<usize, Fault> {
        let line = word::line(text).map_or_else(|| line::read(text), Ok)?;
        if line.name.len() <= word::LONGEST {
            let key = key_of(line.name);
            self.add_cold(key, line.tenths, home(key))?;
        } else {
            self.add_other(line.name, line.tenths)?;
        }
        Ok(line.len)
    }

    /// Adds to the cell of a key, whose search begins at `home`, or to a new one.
    #[cold]
    #[inline(never)]
    fn add_cold(&mut self, key: Key, tenths: i16, home: usize) -> Result<(), Fault> {
        let mut at = home;
        while self.cells[at].key != key {
            if self.cells[at].key != VACANT {
                at = (at + 1) % CELLS;
                continue;
            }
            let bytes = key.to_le_bytes();
            let name = name_in(&bytes);
            if self.occupied == CELLS / 4 * 3 {
                return self.add_other(name, tenths);
            }
            line::checked_name(name)?;
            self.cells[at].key = key;
            self.occupied += 1;
        }
        self.cells[at].add(tenths);
        Ok(())
    }

    fn add_other(&mut self, name: &[u8], tenths: i16) -> Result<(), Fault> {
        let summary = Summary::of(tenths);
        if let Some(known) = self.other.get_mut(name) {
            known.add(&summary);
        } else {
            line::checked_name(name)?;
            self.other.insert(name.to_vec(), summary);
        }
        Ok(())
    }

    /// Appends all stations to `found`.
    pub fn append_to(self, found: &mut Found) {
        for cell in self.cells.iter().filter(|cell| cell.key != VACANT) {
            let summary = Summary { min: cell.min, max: cell.max, sum: cell.sum, count: cell.count.into() };
            let bytes = cell.key.to_le_bytes();
            found.push(&String::from_utf8_lossy(name_in(&bytes)), summary);
        }
        for (name, summary) in self.other {
            found.push(&String::from_utf8_lossy(&name), summary);
        }
    }
}

/// The cell where the search for a key begins.
#[inline(always)]
pub fn home(key: Key) -> usize {
    let mixed = (key as u64 ^ ((key >> 64) as u64).rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (u64::BITS - CELL_BITS)) as usize
}

/// Offsets of about equal parts of a text: each begins and ends with whole lines. Some may be empty.
pub fn cuts(text: &[u8], parts: usize) -> Vec<usize> {
    let mut cuts = vec![0];
    for part in 1..parts {
        let near = (text.len() as u128 * part as u128 / parts as u128) as usize;
        // Never before the cut before, which may be far behind its place if a line is long.
        let near = near.max(cuts[part - 1]);
        let ends = near.checked_sub(1).map(|last| memchr::memchr(b'\n', &text[last..]));
        cuts.push(ends.map_or(0, |end| end.map_or(text.len(), |end| near + end)));
    }
    cuts.push(text.len());
    cuts
}
