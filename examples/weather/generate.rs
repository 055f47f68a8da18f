//! Valid input of any size: row `i` depends on `i` alone, so any worker can make any block of rows.

use common::random;
use phalanx::{Captured, Pool, SharedArray};
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Rows that one call of a kernel makes.
const BLOCK: u64 = 1 << 16;

/// A station and the mean of its temperatures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Station {
    pub name: String,
    mean: i16,
}

/// What makes the rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Weather {
    rows: u64,
    stations: Vec<Station>,
}

impl Weather {
    /// So many rows of real cities, or of that many stations with made-up names, at most 10,000.
    pub fn new(rows: u64, stations: Option<usize>) -> Weather {
        let names: Vec<String> = match stations {
            None => include_str!("cities.txt").lines().map(String::from).collect(),
            Some(stations) => (0..stations).map(made_up).collect(),
        };
        let mean = |i: usize| (random(0, !(i as u64)) % 450) as i16 - 100;
        let stations = names.into_iter().enumerate().map(|(i, name)| Station { name, mean: mean(i) });
        Weather { rows, stations: stations.collect() }
    }

    /// The stations.
    #[cfg(test)]
    pub fn stations(&self) -> &[Station] {
        &self.stations
    }

    fn blocks(&self) -> usize {
        self.rows.div_ceil(BLOCK) as usize
    }

    /// Station and temperature in tenths of each row of a block.
    fn rows_of(&self, block: usize) -> impl Iterator<Item = (&[u8], i16)> {
        let first = block as u64 * BLOCK;
        (first..self.rows.min(first + BLOCK)).map(|row| {
            let (choice, bits) = (random(0, 2 * row), random(0, 2 * row + 1));
            // The high half of the product: an index below the number of stations.
            let at = (u128::from(choice) * self.stations.len() as u128) >> 64;
            let station = &self.stations[at as usize];
            // The sum of four 16-bit numbers is nearly normal; this is 10 degrees of standard deviation.
            let sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
            let noise = (sum as i32 - 2 * 65536) * 173 / 65536;
            (station.name.as_bytes(), (i32::from(station.mean) + noise).clamp(-999, 999) as i16)
        })
    }

    /// Bytes of a block.
    fn len_of(&self, block: usize) -> u64 {
        let line = |(name, tenths): (&[u8], i16)| name.len() + 5 + usize::from(tenths < 0);
        // Below ten degrees, a digit less.
        self.rows_of(block).map(|row| (line(row) + usize::from(row.1.abs() >= 100)) as u64).sum()
    }

    /// Writes a block into its bytes.
    fn fill(&self, block: usize, mut out: &mut [u8]) {
        for (name, tenths) in self.rows_of(block) {
            let number = temperature(tenths);
            let (line, rest) = out.split_at_mut(name.len() + number.len());
            line[..name.len()].copy_from_slice(name);
            line[name.len()..].copy_from_slice(number.bytes());
            out = rest;
        }
    }

    /// Offsets of all blocks in the text, and its length.
    fn offsets(&self, pool: &Pool, weather: &Captured<Weather>) -> common::Result<Vec<usize>> {
        let mut lengths = pool.zeros::<u64>(self.blocks())?;
        let operands = (lengths.split_out(), 0..self.blocks(), weather);
        pool.launch().chunk(1).for_each(operands, |(lengths, blocks, weather)| {
            for (len, block) in lengths.iter_mut().zip(blocks) {
                *len = weather.len_of(block);
            }
        })?;
        let mut offsets = vec![0];
        for len in lengths.as_slice() {
            offsets.push(offsets[offsets.len() - 1] + *len as usize);
        }
        Ok(offsets)
    }

    /// The text in memory.
    pub fn in_memory(&self, pool: &Pool) -> common::Result<SharedArray<u8>> {
        let weather = Captured::new(self)?;
        let offsets = self.offsets(pool, &weather)?;
        let mut text = pool.zeros::<u8>(offsets[self.blocks()])?;
        let operands = (text.split_at_mut(&offsets), 0..self.blocks(), &weather);
        pool.for_each(operands, |(text, block, weather)| weather.fill(block.start, text))?;
        Ok(text)
    }

    /// The text in a file, which appears when it is whole. Returns its length.
    pub fn in_file(&self, pool: &Pool, path: &Path) -> common::Result<u64> {
        let mut draft = common::Draft::create(path)?;
        let weather = Captured::new(self)?;
        let offsets = self.offsets(pool, &weather)?;
        let len = offsets[self.blocks()] as u64;
        draft.file().set_len(len)?;
        let meter = common::Meter::new("write", len);
        let tell = meter.follow(len);
        let (target, starts) = (Captured::new(&draft.path())?, pool.from_slice(&offsets)?);
        let operands = (0..self.blocks(), starts.whole(), &weather, &target);
        let launch = pool.launch().chunk(1).progress(&tell);
        launch.try_for_each(
            operands,
            |(blocks, starts, weather, target): (_, &[usize], &Weather, &PathBuf)| {
                let file = OpenOptions::new().write(true).open(target).map_err(|error| error.to_string())?;
                for block in blocks {
                    let mut text = vec![0; starts[block + 1] - starts[block]];
                    weather.fill(block, &mut text);
                    file.write_all_at(&text, starts[block] as u64).map_err(|error| error.to_string())?;
                }
                Ok::<(), String>(())
            },
        )?;
        draft.finish()?;
        Ok(len)
    }
}

/// A semicolon, a temperature and a newline.
struct Number([u8; 7], usize);

impl Number {
    fn len(&self) -> usize {
        self.1
    }

    fn bytes(&self) -> &[u8] {
        &self.0[7 - self.1..]
    }
}

fn temperature(tenths: i16) -> Number {
    let size = tenths.unsigned_abs();
    let digit = |value: u16| b'0' + (value % 10) as u8;
    let mut text = [b';', b';', digit(size / 100), digit(size / 10), b'.', digit(size), b'\n'];
    let mut first = if size >= 100 { 2 } else { 3 };
    if tenths < 0 {
        first -= 1;
        text[first] = b'-';
    }
    text[first - 1] = b';';
    Number(text, 8 - first)
}

/// The name of a made-up station: six letters that no other has, and an ending.
fn made_up(index: usize) -> String {
    const ENDINGS: [&str; 12] =
        ["", "", "", "", "a", "ton", "ville", " Île", "-sur-Mer", "港", " North", " International Airport"];
    let syllable = |value: usize| {
        let (consonant, vowel) = (b"bdfghjklmnprstvz"[value / 5 % 16], b"aeiou"[value % 5]);
        [consonant as char, vowel as char]
    };
    // A number of their own for up to 80^3 names, far from that of the name before.
    let number = index * 302_111 % 512_000;
    let letters = [number / 6400, number / 80, number].map(syllable);
    let mut name: String = letters.into_iter().flatten().collect();
    name[..1].make_ascii_uppercase();
    name += ENDINGS[random(0, index as u64) as usize % ENDINGS.len()];
    if index % 500 == 499 {
        // The longest names that the rules allow.
        name += &"o".repeat(crate::line::LONGEST_NAME - name.len());
    }
    name
}
