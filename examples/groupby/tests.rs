//! Fields against the `csv` crate, numbers against the standard library, quantiles against sorted values.

use super::*;
use proptest::prelude::*;

/// All rows of two columns, as this program reads them.
fn ours(text: &[u8]) -> std::result::Result<Vec<[Vec<u8>; 2]>, Wrong> {
    let mut rows = Vec::new();
    each_row(text, 2, [0, 1], |fields| {
        rows.push(fields.map(|field| field.text().into_owned()));
        Ok(())
    })?;
    Ok(rows)
}

fn theirs(text: &[u8]) -> Vec<[Vec<u8>; 2]> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text);
    reader.byte_records().map(|record| [0, 1].map(|i| record.as_ref().unwrap()[i].to_vec())).collect()
}

proptest! {
    #[test]
    fn fields_are_those_of_the_csv_crate(
        rows in prop::collection::vec(("[a\",\r\n é]{0,5}", "[a\",\r\n é]{0,5}"), 0..12),
        crlf: bool,
        is_ended: bool,
    ) {
        let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().terminator(terminator).from_writer(Vec::new());
        rows.iter().for_each(|(a, b)| writer.write_record([a, b]).unwrap());
        let mut text = writer.into_inner().unwrap();
        if !is_ended && text.ends_with(b"\n") {
            text.truncate(text.len() - if crlf { 2 } else { 1 });
        }
        prop_assert_eq!(ours(&text).unwrap(), theirs(&text));
    }

    #[test]
    fn numbers_are_those_of_the_library(text in "-?[0-9]{0,17}[.]?[0-9]{0,17}(e-?[0-9]{1,3})?") {
        prop_assert_eq!(number(text.as_bytes()).map(f64::to_bits), by_the_library(text.as_bytes()).map(f64::to_bits));
    }

    #[test]
    fn quantiles_are_near(mut values in prop::collection::vec(-1e6..1e6f64, 1..400), share in 0.0..=1.0f64) {
        let mut groups = Groups::default();
        values.iter().for_each(|value| groups.add(b"k", Some(*value), true).unwrap());
        values.sort_by(f64::total_cmp);
        let exact = values[((share * values.len() as f64).ceil() as usize).max(1) - 1];
        let got = groups.by_size()[0].1.quantiles(&[share])[0];
        prop_assert!((got - exact).abs() <= 0.004 * exact.abs(), "{} not {}", got, exact);
    }
}

#[test]
fn what_rfc_4180_forbids_is_named() {
    let wrong = |text: &str| {
        let Wrong { at, why } = ours(text.as_bytes()).unwrap_err();
        (at, why)
    };
    assert_eq!(wrong("a,b\nc,d\"e\n"), (4, "a quote in a field that does not begin with one".into()));
    assert_eq!(wrong("a,\"b\"c\n"), (0, "text behind a closing quote".into()));
    assert_eq!(wrong("a,\"b\"c\"d\"\n"), (0, "a quote in a field that does not begin with one".into()));
    assert_eq!(wrong("a,b\n\n\"c,d\n"), (5, "a quote that is never closed".into()));
    assert_eq!(wrong("a,b\r\na\n"), (5, "1 fields, where the header has 2".into()));
    assert_eq!(wrong("a,b,c"), (0, "3 fields, where the header has 2".into()));
}

#[test]
fn odd_values() {
    for text in ["nan", "inf", "", "-", ".", "1,5", " 1", "0x1", "1e999", "é"] {
        assert_eq!(number(text.as_bytes()), None, "{text}");
    }
    let mut groups = Groups::default();
    for value in [Some(0.0), None, Some(-0.0), Some(0.0)] {
        groups.add(b"k", value, true).unwrap();
    }
    let group = groups.by_size()[0].1;
    assert_eq!((group.count, group.empty, group.quantiles(&[0.0, 0.5, 1.0])), (3, 1, vec![0.0; 3]));
    assert!(Groups::default().difference(&groups).is_some());
}
