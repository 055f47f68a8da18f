//! K-mers against a plain twin, for parts that are cut at every line.

use super::*;
use proptest::prelude::*;
use std::ops::Range;

/// Canonical k-mers of sequences, by strings.
fn plain(sequences: &[String], k: usize) -> Vec<String> {
    let other = |c: char| match c {
        'A' => 'T',
        'C' => 'G',
        'G' => 'C',
        _ => 'A',
    };
    let mut all = Vec::new();
    for sequence in sequences {
        let letters: Vec<char> = sequence.chars().collect();
        for window in letters.windows(k).filter(|window| !window.contains(&'N')) {
            let forward: String = window.iter().collect();
            let reverse: String = window.iter().rev().map(|c| other(*c)).collect();
            all.push(forward.min(reverse));
        }
    }
    all
}

fn ours(text: &[u8], spans: &[Range<usize>], format: Format, k: u32) -> Vec<String> {
    let mut all = Vec::new();
    spans.iter().for_each(|span| each_kmer(text, span.clone(), format, k, |kmer| all.push(letters(kmer, k))));
    all
}

/// The spans between neighbouring cuts.
fn spans(mut cuts: Vec<usize>, len: usize) -> Vec<Range<usize>> {
    cuts.extend([0, len]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| cut[0]..cut[1]).collect()
}

proptest! {
    #[test]
    fn fasta(sequences in prop::collection::vec("[ACGTN]{0,40}", 0..5), k in 1..=32u32, width in 1..12usize, crlf: bool) {
        let mut text = String::new();
        for sequence in &sequences {
            text += ">name > of it\n";
            for line in sequence.as_bytes().chunks(width) {
                text += std::str::from_utf8(line).unwrap();
                text += "\n";
            }
        }
        let text = if crlf { text.replace('\n', "\r\n") } else { text };
        let text = text.as_bytes();
        let lines = (1..text.len()).filter(|at| text[at - 1] == b'\n').collect();
        let expected = plain(&sequences, k as usize);
        prop_assert_eq!(ours(text, &spans(lines, text.len()), Format::Fasta, k), expected.clone());
        prop_assert_eq!(ours(text, &spans(vec![], text.len()), Format::Fasta, k), expected);
    }

    #[test]
    fn fastq(sequences in prop::collection::vec("[ACGTN]{0,40}", 0..5), k in 1..=32u32) {
        let text: String = sequences.iter().map(|s| format!("@r\n{s}\n+\n{}\n", "@".repeat(s.len()))).collect();
        prop_assert_eq!(ours(text.as_bytes(), &spans(vec![], text.len()), Format::Fastq, k), plain(&sequences, k as usize));
    }
}
