//! A text to try the program on: words by Zipf's law, in five scripts, the same for every number of workers.

use common::{Dice, Draft, Result};
use phalanx::{CancelToken, Captured, Pool};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Bytes that are made at once.
const BLOCK: u64 = 1 << 18;
/// Different words.
const WORDS: u64 = 100_000;
const SYLLABLES: [[&str; 8]; 5] = [
    ["ta", "ren", "so", "mi", "ke", "lu", "qui", "dor"],
    ["the", "ing", "an", "ers", "o", "st", "ly", "ab"],
    ["é", "ñor", "ça", "ü", "løs", "ä", "ît", "œu"],
    ["да", "не", "при", "ст", "о", "вер", "ка", "ить"],
    ["λό", "γος", "και", "τα", "α", "μέ", "νη", "ω"],
];

/// Word number `rank` of the most frequent ones. Three of four are in ASCII.
fn push_word(text: &mut Vec<u8>, rank: u64) {
    let mut dice = Dice::new(rank);
    let script = match dice.roll() % 16 {
        0..6 => 0,
        6..12 => 1,
        more => (more % 3 + 2) as usize,
    };
    let start = text.len();
    for _ in 0..1 + dice.roll() % 2 + u64::from(rank > 50) + u64::from(rank > 2000) {
        text.extend_from_slice(SYLLABLES[script][dice.roll() as usize % 8].as_bytes());
    }
    if rank.is_multiple_of(9) {
        text[start..=start].make_ascii_uppercase();
    }
}

/// A block of exactly `len` bytes, which ends with a newline.
fn block(index: usize, len: usize) -> Vec<u8> {
    let mut dice = Dice::new(!(index as u64));
    let mut text = Vec::with_capacity(len + 64);
    while text.len() < len {
        let roll = dice.roll();
        // Ranks that are uniform in their logarithm follow Zipf's law.
        let share = (roll >> 11) as f64 / (1_u64 << 53) as f64;
        push_word(&mut text, (WORDS as f64).powf(share) as u64);
        let end: &[u8] = match roll % 64 {
            0..4 => b".\n",
            4..8 => b", ",
            8 => b"'s ",
            9 => " \u{2014} ".as_bytes(),
            _ => b" ",
        };
        text.extend_from_slice(end);
    }
    // Characters end with the block.
    let mut end = len - 1;
    while text[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    text.truncate(end);
    text.resize(len, b'\n');
    text
}

/// Writes a text of so many bytes.
pub fn generate(pool: &Pool, len: u64, path: &Path) -> Result<()> {
    let stop = CancelToken::on_ctrl_c()?;
    let draft = Draft::create(path)?;
    let name = Captured::new(&draft.path())?;
    let operands = (0..usize::try_from(len.div_ceil(BLOCK))?, len, &name);
    pool.launch().chunk(1).cancel(&stop).try_for_each(operands, |(index, len, name)| {
        let start = index.start as u64 * BLOCK;
        let text = block(index.start, (len - start).min(BLOCK) as usize);
        let file = OpenOptions::new().write(true).open(name).map_err(|error| error.to_string())?;
        file.write_all_at(&text, start).map_err(|error| error.to_string())
    })?;
    draft.finish()
}
