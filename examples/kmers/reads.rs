//! K-mers of FASTA and FASTQ texts: 2 bits a base, the smaller of a k-mer and its reverse complement.

use std::ops::Range;

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Fasta,
    Fastq,
}

impl Format {
    /// By the first byte.
    pub fn of(text: &[u8]) -> Option<Format> {
        match text.first() {
            Some(b'>') => Some(Format::Fasta),
            Some(b'@') => Some(Format::Fastq),
            _ => None,
        }
    }
}

/// What a byte of a sequence means: a base, nothing, or a base that is not known.
enum Symbol {
    Base(u64),
    Blank,
    Unknown,
}

fn symbol(byte: u8) -> Symbol {
    match byte {
        b'A' | b'a' => Symbol::Base(0),
        b'C' | b'c' => Symbol::Base(1),
        b'G' | b'g' => Symbol::Base(2),
        b'T' | b't' | b'U' | b'u' => Symbol::Base(3),
        b'\n' | b'\r' | b' ' => Symbol::Blank,
        _ => Symbol::Unknown,
    }
}

/// The last `k` bases and their reverse complement.
struct Window {
    k: u32,
    forward: u64,
    reverse: u64,
    bases: u32,
}

impl Window {
    fn new(k: u32) -> Window {
        Window { k, forward: 0, reverse: 0, bases: 0 }
    }

    /// Adds a base, and returns the canonical k-mer that it completes.
    fn push(&mut self, base: u64) -> Option<u64> {
        let mask = u64::MAX >> (64 - 2 * self.k);
        self.forward = (self.forward << 2 | base) & mask;
        self.reverse = self.reverse >> 2 | (3 - base) << (2 * (self.k - 1));
        self.bases = (self.bases + 1).min(self.k);
        (self.bases == self.k).then(|| self.forward.min(self.reverse))
    }
}

/// Calls `take` with every canonical k-mer whose first base lies in `part`, which begins at a line (FASTA) or
/// a record (FASTQ). A base that is not known, such as N, is in no k-mer.
pub fn each_kmer(text: &[u8], part: Range<usize>, format: Format, k: u32, mut take: impl FnMut(u64)) {
    match format {
        Format::Fasta => fasta(text, part, k, take),
        Format::Fastq => {
            for sequence in text[part].split(|byte| *byte == b'\n').skip(1).step_by(4) {
                fasta(sequence, 0..sequence.len(), k, &mut take);
            }
        }
    }
}

fn fasta(text: &[u8], part: Range<usize>, k: u32, mut take: impl FnMut(u64)) {
    let mut window = Window::new(k);
    // Bases behind the part, which its last k-mers reach.
    let mut behind = 0;
    let (mut at, mut is_line) = (part.start, true);
    while let Some(byte) = text.get(at) {
        let is_behind = at >= part.end;
        if is_line && *byte == b'>' {
            if is_behind {
                return;
            }
            window = Window::new(k);
            at += text[at..].iter().position(|byte| *byte == b'\n').unwrap_or(text.len() - at) + 1;
            continue;
        }
        is_line = *byte == b'\n';
        match symbol(*byte) {
            Symbol::Blank => {}
            Symbol::Unknown if is_behind => return,
            Symbol::Unknown => window = Window::new(k),
            Symbol::Base(base) => {
                behind += u32::from(is_behind);
                if behind == k {
                    return;
                }
                if let Some(kmer) = window.push(base) {
                    take(kmer);
                }
            }
        }
        at += 1;
    }
}

/// The letters of a k-mer.
pub fn letters(kmer: u64, k: u32) -> String {
    (0..k).rev().map(|place| ['A', 'C', 'G', 'T'][(kmer >> (2 * place) & 3) as usize]).collect()
}
