//! Words against a plain twin, cuts at every line.

use super::*;
use proptest::prelude::*;

/// The same in one line, for texts that are UTF-8.
fn plain(text: &str, fold_case: bool) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    words.map(|word| if fold_case { word.to_lowercase() } else { word.to_owned() }).collect()
}

fn words(text: &[u8], fold_case: bool) -> Words {
    let mut words = Words::default();
    words.add_text(text, fold_case);
    words
}

proptest! {
    #[test]
    fn words_are_runs_of_letters(text in "[a-cΣσé東 .'1\u{301}\n—]{0,40}", fold_case: bool) {
        let got = words(text.as_bytes(), fold_case);
        let expected = plain(&text, fold_case);
        prop_assert_eq!(got.total(), expected.len() as u64);
        for word in &expected {
            prop_assert_eq!(got.counts[word], expected.iter().filter(|other| *other == word).count() as u64);
        }
    }

    #[test]
    fn parts_of_lines_count_as_the_whole(text in prop::collection::vec(prop::sample::select(b"a\nB \xc3\xa9\xff".to_vec()), 0..50)) {
        let mut merged = Words::default();
        text.split_inclusive(|byte| *byte == b'\n').for_each(|line| merged.merge(words(line, true)));
        prop_assert_eq!(merged, words(&text, true));
    }
}

#[test]
fn what_is_not_utf_8_ends_words() {
    let got = words(b"ab\xffcd \xc3\xa9\xc3 \xe6\x9d ok", false);
    assert_eq!(got.invalid, 3);
    assert_eq!(got.top(9), [("ab", 1), ("cd", 1), ("ok", 1), ("é", 1)]);
}

#[test]
fn a_sigma_at_the_end_is_folded_as_one() {
    assert_eq!(words("ΛΟΓΟΣ λόγος".as_bytes(), true).top(9), [("λογος", 1), ("λόγος", 1)]);
}
