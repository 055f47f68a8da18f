//! Words of a text, and how often each occurs.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// How often each word occurs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Words {
    pub counts: FxHashMap<String, u64>,
    /// Places where the text is not UTF-8. They end words, as spaces do.
    pub invalid: u64,
}

impl Words {
    /// Counts the words of a text: longest runs of letters, in lower case if `fold_case`.
    pub fn add_text(&mut self, text: &[u8], fold_case: bool) {
        let mut folded = String::new();
        for chunk in text.utf8_chunks() {
            self.invalid += u64::from(!chunk.invalid().is_empty());
            let valid = chunk.valid();
            let mut at = 0;
            while let Some((start, end)) = next_word(valid, at) {
                let word = &valid[start..end];
                if fold_case {
                    lower(word, &mut folded);
                    self.add(&folded, 1);
                } else {
                    self.add(word, 1);
                }
                at = end;
            }
        }
    }

    fn add(&mut self, word: &str, count: u64) {
        match self.counts.get_mut(word) {
            Some(counted) => *counted += count,
            None => {
                self.counts.insert(word.to_owned(), count);
            }
        }
    }

    /// Adds the words of another text.
    pub fn merge(&mut self, other: Words) {
        self.invalid += other.invalid;
        if self.counts.is_empty() {
            self.counts = other.counts;
            return;
        }
        for (word, count) in other.counts {
            *self.counts.entry(word).or_default() += count;
        }
    }

    /// How many words there are, repetitions included.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The most frequent words; of equally frequent ones those that sort first.
    pub fn top(&self, n: usize) -> Vec<(&str, u64)> {
        let mut all: Vec<_> = self.counts.iter().map(|(word, count)| (word.as_str(), *count)).collect();
        all.sort_unstable_by_key(|(word, count)| (std::cmp::Reverse(*count), *word));
        all.truncate(n);
        all
    }
}

/// Where the next run of letters lies, from `at` on.
fn next_word(text: &str, at: usize) -> Option<(usize, usize)> {
    let start = run(text, at, false);
    (start < text.len()).then(|| (start, run(text, start, true)))
}

/// The end of a run of letters, or of anything else. Most bytes of most texts are ASCII, and are not decoded.
fn run(text: &str, mut at: usize, of_letters: bool) -> usize {
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        let (is_letter, len) = if byte.is_ascii() {
            (byte.is_ascii_alphabetic(), 1)
        } else {
            let Some(c) = text[at..].chars().next() else { break };
            (is_letter(c), c.len_utf8())
        };
        if is_letter != of_letters {
            break;
        }
        at += len;
    }
    at
}

/// `char::is_alphabetic` of the first 65,536 characters, one bit each. The library's own search took 36% of
/// the time on the text that the program makes (perf, the machine of README.md).
static LETTERS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let is_letter = |c: u32| char::from_u32(c).is_some_and(char::is_alphabetic);
    (0..1024)
        .map(|word| (0..64).fold(0, |bits, bit| bits | u64::from(is_letter(64 * word + bit)) << bit))
        .collect()
});

fn is_letter(c: char) -> bool {
    let place = c as usize;
    LETTERS.get(place / 64).map_or_else(|| c.is_alphabetic(), |bits| bits >> (place % 64) & 1 == 1)
}

/// Writes a word in lower case.
fn lower(word: &str, to: &mut String) {
    to.clear();
    if word.is_ascii() {
        to.push_str(word);
        to.make_ascii_lowercase();
    } else {
        // Not letter by letter: a sigma at the end of a word has a letter of its own.
        to.push_str(&word.to_lowercase());
    }
}
