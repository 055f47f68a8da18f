//! Cuts of short texts against a serial splitter, at every position.

use super::*;
use crate::inline::launching;
use crate::testing::{Dice, pool, pools};
use proptest::prelude::*;

/// Where records begin, by reading the text from its start.
fn starts(records: Records<'_>, text: &[u8]) -> Vec<usize> {
    let lines = (0..text.len()).filter(|&at| at == 0 || text[at - 1] == b'\n');
    match records.0 {
        Rule::StartingWith(first) => lines.filter(|&at| text[at..].starts_with(first)).collect(),
        Rule::Csv => lines.filter(|&at| text[..at].iter().filter(|b| **b == b'"').count() % 2 == 0).collect(),
        Rule::Fastq => lines.step_by(4).collect(),
    }
}

/// Compares the cuts into every number of parts, so that a border comes to lie at every place.
fn check(records: Records<'_>, text: &[u8]) {
    let starts = starts(records, text);
    for parts in 1..text.len() + 3 {
        let expected: Vec<usize> = (0..=parts)
            .map(|part| match part {
                0 => 0,
                _ if part == parts => text.len(),
                _ => {
                    let even = text.len() * part / parts;
                    // All shares before the first byte end at the start.
                    if even == 0 { 0 } else { *starts.iter().find(|s| **s >= even).unwrap_or(&text.len()) }
                }
            })
            .collect();
        let got = records.cuts(pool(), text, parts).unwrap();
        assert_eq!(got, expected, "{:?} in {parts} parts", text.escape_ascii().to_string());
    }
}

#[test]
fn every_place_of_odd_texts() {
    let texts: [&[u8]; 16] = [
        b"",
        b"\n",
        b"\n\n\n",
        b"a",
        b"a\nb",
        b"a\r\nb\r\n",
        b"no newline at all",
        b"a,\"b\nc\",d\ne\n",
        b"\"\"\n\"\"\"\"\n\"\n\"\"\n\"\nx",
        b"a,\"b\"\"\n\"\"c\"\r\n\"\r\n\"\r\n",
        b"\"never closed\na\nb\nc",
        b">a\nAC\nGT\n>b\n\n>c",
        b"junk\nmore\n>a\nA\n>\n",
        b">>\n>\n\n>>>\nA>\n",
        b"\xff\xfe\n\x80\"\n\"\n",
        b"From me\n\nHi\nFrom you\n From\n",
    ];
    for text in texts {
        for records in [Records::lines(), Records::csv()] {
            check(records, text);
        }
        for first in [&b">"[..], b"From ", b">>", b"\n"] {
            check(Records::starting_with(first), text);
        }
    }
}

#[test]
fn quotes_at_every_place() {
    let plain = b"a,b\nc,d\r\n\ne";
    for first in 0..=plain.len() {
        for second in first..=plain.len() {
            let mut text = plain.to_vec();
            text.insert(second, b'"');
            text.insert(first, b'"');
            check(Records::csv(), &text);
        }
    }
}

#[test]
fn qualities_that_look_like_headers() {
    check(Records::fastq(), b"@a\nACGT\n+\n@@@@\n@b\nAC\n+b\n+@\n@c\n\n+\n\n");
    check(Records::fastq(), b"@a 1\r\nACGT\r\n+a 1\r\n@+@+\r\n@b\r\nAC\r\n+\r\n@+");
    check(Records::fastq(), b"");
}

#[test]
fn launched_cuts_are_those_of_the_caller() {
    let mut dice = Dice(7);
    let text: Vec<u8> = (0..100_003).map(|_| b"ab,\n\"\n\r "[dice.roll() as usize % 8]).collect();
    for parts in [1, 2, 7, 64, 999] {
        let expected = Records::csv().cuts(pool(), &text[..9000], parts).unwrap();
        for pool in pools() {
            let short = launching(|| Records::csv().cuts(pool, &text[..9000], parts).unwrap());
            assert_eq!(short, expected);
            let shared = pool.from_slice(&text).unwrap();
            let cuts = Records::csv().cuts(pool, &shared, parts).unwrap();
            assert_eq!(cuts, Records::csv().cuts(pool, &text, parts).unwrap());
            assert!(cuts.is_sorted() && cuts[0] == 0 && cuts[parts] == text.len());
            let starts = starts_of_long(&text);
            assert!(cuts[1..parts].iter().all(|cut| starts[*cut]), "{parts} parts");
        }
    }
}

/// Whether a record of the CSV begins at each place; the end counts as one.
fn starts_of_long(text: &[u8]) -> Vec<bool> {
    let mut is_quoted = false;
    let mut starts = vec![true];
    for byte in text {
        is_quoted ^= *byte == b'"';
        starts.push(*byte == b'\n' && !is_quoted);
    }
    *starts.last_mut().unwrap() = true;
    starts
}

#[test]
fn one_record_longer_than_all_parts() {
    let mut text = vec![b'\n'; 50_000];
    (text[0], text[49_999]) = (b'"', b'"');
    assert_eq!(Records::csv().cuts(pool(), &text, 5).unwrap(), [0, 50_000, 50_000, 50_000, 50_000, 50_000]);
    text.fill(b'x');
    text[30_000] = b'\n';
    let expected = [0, 30_001, 30_001, 30_001, 50_000, 50_000];
    assert_eq!(Records::lines().cuts(pool(), &text, 5).unwrap(), expected);
}

#[test]
fn numbers_of_parts_are_checked() {
    for parts in [0, MOST_PARTS + 1, usize::MAX] {
        let refused = Records::lines().cuts(pool(), b"a\nb\n", parts);
        assert!(matches!(refused, Err(KernelError::Argument { .. })), "{refused:?}");
    }
    assert_eq!(Records::lines().cuts(pool(), b"a\nb\n", MOST_PARTS).unwrap().len(), MOST_PARTS + 1);
}

proptest! {
    #[test]
    fn any_text(text in prop::collection::vec(prop::sample::select(b"\"\n\r,>a@+".to_vec()), 0..60)) {
        check(Records::csv(), &text);
        check(Records::lines(), &text);
        check(Records::starting_with(b">"), &text);
    }

    #[test]
    fn any_reads(reads in prop::collection::vec(("[a-z@+]{0,4}", "[ACGT]{0,6}", "[!-~]{6}"), 0..6), crlf: bool) {
        let text: String = reads
            .iter()
            .map(|(name, bases, qualities)| format!("@{name}\n{bases}\n+\n{}\n", &qualities[..bases.len()]))
            .collect();
        let text = if crlf { text.replace('\n', "\r\n") } else { text };
        check(Records::fastq(), text.as_bytes());
    }
}
