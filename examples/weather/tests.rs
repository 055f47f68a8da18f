//! Lines, cuts, tables and the generator, each against the plain pass or by hand.

use crate::generate::Weather;
use crate::line::{self, BadLine, Fault, LONGEST_NAME};
use crate::table::{Table, cuts, home};
use crate::totals::{Found, Summary, Totals};
use crate::{plain_pass, totals, word};
use phalanx::{Backend, Pool};

fn scan(text: &[u8]) -> Result<Totals, BadLine> {
    let (mut table, mut found, mut totals) = (Table::new(), Found::default(), Totals::default());
    table.scan(text)?;
    table.append_to(&mut found);
    totals.add_all(&found);
    Ok(totals)
}

/// What is printed for a text, by the scan and by the plain pass.
fn printed(text: impl AsRef<[u8]>) -> String {
    let (scanned, plain) = (scan(text.as_ref()).unwrap(), plain_pass(text.as_ref()).unwrap());
    assert_eq!(scanned.difference(&plain), None);
    assert_eq!(scanned, plain);
    scanned.to_string()
}

fn fault(text: impl AsRef<[u8]>) -> (usize, Fault) {
    let bad = scan(text.as_ref()).unwrap_err();
    assert_eq!(line::first_bad(text.as_ref()), Some(bad));
    (bad.at, bad.fault)
}

/// Lines enough that all lanes are busy, and that the text before and behind them is read by windows.
fn among_others(line: &[u8]) -> (Vec<u8>, usize) {
    let others = b"Abidjan;-12.3\nDar es Salaam;4.5\nPetropavlovsk-Kamchatsky;-0.7\nX;31.0\n".repeat(9);
    ([&others, line, &others].concat(), others.len())
}

#[test]
fn the_official_form() {
    let text = "Hamburg;12.0\nBulawayo;8.9\nÉvora;38.8\nHamburg;-2.5\nHam;1.0\nÎle;-0.0\n";
    assert_eq!(
        printed(text),
        "{Bulawayo=8.9/8.9/8.9, Ham=1.0/1.0/1.0, Hamburg=-2.5/4.8/12.0, Évora=38.8/38.8/38.8, Île=0.0/0.0/0.0}"
    );
    assert_eq!(printed(""), "{}");
    assert_eq!(printed("a;99.9\na;-99.9\nb;99.9"), "{a=-99.9/0.0/99.9, b=99.9/99.9/99.9}");
}

#[test]
fn means_are_rounded_half_up() {
    // Sums of tenths over two rows: halves of a tenth go up, also below zero.
    for (values, mean) in [("0.1 0.2", "0.2"), ("-0.1 -0.2", "-0.1"), ("-0.1 0.0", "0.0"), ("0.0 0.1", "0.1")]
    {
        let text: String = values.split(' ').map(|value| format!("s;{value}\n")).collect();
        assert!(printed(&text).contains(&format!("/{mean}/")), "{values}: {}", printed(&text));
    }
    assert!(printed("s;0.1\ns;0.1\ns;0.2\n").contains("/0.1/"));
    assert!(printed("s;-0.1\ns;-0.1\ns;-0.2\n").contains("/-0.1/"));
    // More rows than 32 bits count.
    let (mut totals, many) =
        (Totals::default(), Summary { min: -1, max: 999, sum: 999 << 40, count: 1 << 40 });
    totals.add("s", &many);
    totals.add("s", &Summary::of(-999));
    assert_eq!(totals.to_string(), "{s=-99.9/99.9/99.9}");
}

#[test]
fn every_temperature_is_read() {
    for tenths in -999..=999_i16 {
        let (sign, size) = (if tenths < 0 { "-" } else { "" }, tenths.unsigned_abs());
        let line = format!("{sign}{}.{}\n", size / 10, size % 10);
        for behind in ["", "Ab", ";.-\n", "\u{ff}"] {
            let mut word = [0; 8];
            let bytes = [line.as_bytes(), behind.as_bytes()].concat();
            word[..bytes.len().min(8)].copy_from_slice(&bytes[..bytes.len().min(8)]);
            assert_eq!(word::temperature(u64::from_le_bytes(word)), Some((tenths, line.len())), "{line:?}");
        }
    }
    assert_eq!(printed("s;-0.0\ns;00.0\ns;-00.1\n"), "{s=-0.1/0.0/0.0}");
}

#[test]
fn what_is_no_temperature_is_none_in_both_ways() {
    // Any two bytes changed to anything: the short way takes exactly what the grammar takes, but for CR LF.
    let mut taken = 0;
    for form in [b"2.3\nabcd", b"12.3\nabc", b"-2.3\nabc", b"-12.3\nab"] {
        for (i, j) in (0..7).flat_map(|i| (i + 1..8).map(move |j| (i, j))) {
            for pair in 0..=u16::MAX {
                let mut bytes = *form;
                [bytes[i], bytes[j]] = pair.to_le_bytes();
                let fast = word::temperature(u64::from_le_bytes(bytes));
                let text = [b"s;", &bytes[..]].concat();
                let slow = line::read(&text).ok().map(|line| (line.tenths, line.len - 2));
                let slow = slow.filter(|(_, len)| *len <= 8 && !bytes[..*len].ends_with(b"\r\n"));
                // At the end of the text a newline may be missing: not within a window.
                let slow = slow.filter(|(_, len)| bytes[len - 1] == b'\n');
                assert_eq!(fast, slow, "{bytes:?}");
                taken += u32::from(fast.is_some());
            }
        }
    }
    assert!(taken > 100_000, "{taken}: this test has lost its way");
}

#[test]
fn names_have_up_to_100_bytes() {
    for len in 1..=LONGEST_NAME {
        for name in ["x".repeat(len), "é".repeat(len / 2) + &"x".repeat(len % 2)] {
            let (text, _) = among_others(format!("{name};-12.3\n{name};1.0\n").as_bytes());
            let expected = format!("{name}=-12.3/-5.6/1.0");
            assert!(printed(&text).contains(&expected), "{expected}");
        }
    }
    // A name and its beginnings, and with zeros behind it, are different names.
    let text: String = (1..40).map(|len| format!("{};{}.0\n", "y".repeat(len), len)).collect();
    assert_eq!(scan(text.as_bytes()).unwrap().len(), 39);
    assert_eq!(printed("a;1.0\na\0;2.0\na\0\0;3.0\n").matches('=').count(), 3);
    for len in [101, 102, 1 << 20] {
        let (text, at) = among_others(format!("{};1.0\n", "x".repeat(len)).as_bytes());
        assert_eq!(fault(text), (at, Fault::LongName), "{len}");
    }
}

#[test]
fn ends_of_lines() {
    let text = "Hamburg;12.0\nÉvora;-3.8\nPetropavlovsk-Kamchatsky;4.5\nA;0.1\n".repeat(20);
    let expected = printed(&text);
    assert_eq!(printed(text.replace('\n', "\r\n")), expected);
    assert_eq!(printed(text.trim_end()), expected);
    assert_eq!(printed(text.replace('\n', "\r\n").trim_end_matches('\n')), expected);
    assert_eq!(printed("a;1.0\r\n"), "{a=1.0/1.0/1.0}");
    // A carriage return elsewhere is part of what is there.
    assert_eq!(printed("a\r;1.0"), "{a\r=1.0/1.0/1.0}");
    assert_eq!(fault("a;1\r.0\n"), (0, Fault::Temperature));
}

#[test]
fn bad_lines_are_named_by_offset() {
    let number = Fault::Temperature;
    let cases: [(&[u8], Fault); 22] = [
        (b"\n", Fault::NoSemicolon),
        (b"\r\n", Fault::NoSemicolon),
        (b"Oslo\n", Fault::NoSemicolon),
        (b"Oslo 1.0\n", Fault::NoSemicolon),
        (b"a longer name without any end\n", Fault::NoSemicolon),
        (b";1.0\n", Fault::NoName),
        (b";\n", Fault::NoName),
        (b"Oslo;\n", number),
        (b"Oslo;1\n", number),
        (b"Oslo;1.\n", number),
        (b"Oslo;.1\n", number),
        (b"Oslo;1.23\n", number),
        (b"Oslo;100.0\n", number),
        (b"Oslo;+1.0\n", number),
        (b"Oslo;--1.0\n", number),
        (b"Oslo;1,0\n", number),
        (b"Oslo; 1.0\n", number),
        (b"Oslo;1.0 \n", number),
        (b"Os;lo;1.0\n", number),
        (b"Oslo;1.0\r\r\n", number),
        (b"Osl\xff;1.0\n", Fault::NotUtf8),
        (b"a longer name that is not \xc3;1.0\n", Fault::NotUtf8),
    ];
    for (line, why) in cases {
        let (text, at) = among_others(line);
        assert_eq!(fault(text), (at, why), "{:?}", String::from_utf8_lossy(line));
        assert_eq!(fault(line), (0, why), "{:?} alone", String::from_utf8_lossy(line));
    }
    // The first of several, wherever the lanes meet them.
    let (good, bad) = ("Abidjan;-12.3\n", "bad\n");
    for first in 0..40 {
        let lines = |i: usize| if i >= first && (i - first).is_multiple_of(7) { bad } else { good };
        let text: String = (0..80).map(lines).collect();
        assert_eq!(fault(text), (first * good.len(), Fault::NoSemicolon), "{first}");
    }
}

#[test]
fn any_cut_is_an_end_of_a_line() {
    for text in
        ["", "a;1.0", "a;1.0\n", "a;1.0\nbcd;-22.3\n\u{e9}\u{e9};0.0\r\nlong long long name;9.9\nx;1.1"]
    {
        let bytes = text.as_bytes();
        for parts in 1..=2 * bytes.len() + 3 {
            let cuts = cuts(bytes, parts);
            assert_eq!((cuts.len(), cuts[0], cuts[parts]), (parts + 1, 0, bytes.len()));
            assert!(cuts.is_sorted(), "{cuts:?}");
            let is_start = |at: usize| at == 0 || at == bytes.len() || bytes[at - 1] == b'\n';
            assert!(cuts.iter().all(|&at| is_start(at)), "{cuts:?}");
            let (mut found, mut sum) = (Found::default(), Totals::default());
            for ends in cuts.windows(2) {
                let mut table = Table::new();
                table.scan(&bytes[ends[0]..ends[1]]).unwrap();
                table.append_to(&mut found);
            }
            sum.add_all(&found);
            assert_eq!(sum.to_string(), printed(text));
        }
    }
}

#[test]
fn stations_that_collide_are_told_apart() {
    // Names by threes that begin their search at the same place.
    let mut by_home = std::collections::BTreeMap::<usize, Vec<String>>::new();
    for i in 0..200_000 {
        let name = format!("n{i}");
        by_home.entry(home(word::key_of(name.as_bytes()))).or_default().push(name);
    }
    let names: Vec<_> = by_home.values().filter(|names| names.len() >= 9).take(50).flatten().collect();
    assert!(names.len() > 400, "{}: this test has lost its way", names.len());
    let row = |(i, name): (usize, &&String)| format!("{name};{}.{}\n", i % 100, i % 10);
    let text: String = names.iter().enumerate().chain(names.iter().enumerate().rev()).map(row).collect();
    assert_eq!(printed(text).matches('=').count(), names.len());
}

#[test]
fn more_stations_than_the_table_has_room_for() {
    let text: String = (0..40_000).map(|i| format!("s{i};{}.{}\n", i % 100, i % 10)).collect();
    assert_eq!(printed(text.repeat(2)).matches('=').count(), 40_000);
}

#[test]
fn teams_of_any_size_agree() {
    let weather = Weather::new(150_000, Some(700));
    let mut texts = Vec::new();
    for (workers, backend) in [(1, Backend::Inline), (2, Backend::Processes), (3, Backend::Threads)] {
        let pool = Pool::builder().workers(workers).backend(backend).build().unwrap();
        let text = weather.in_memory(&pool).unwrap();
        assert_eq!(totals(&pool, &text).unwrap(), plain_pass(text.as_slice()).unwrap());
        let path = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(weather.in_file(&pool, path.path()).unwrap(), text.len() as u64);
        assert!(std::fs::read(path.path()).unwrap() == text.as_slice());
        texts.push(text.as_slice().to_vec());
        // A bad line in the middle of a part, and one before it.
        let mut bad = texts[0].clone();
        bad[texts[0].len() / 3 * 2] = b';';
        let at = bad[..bad.len() / 2].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
        bad[at] = b';';
        let bad = pool.from_slice(&bad).unwrap();
        let why = totals(&pool, &bad).unwrap_err();
        assert!(why.is::<common::Refused>());
        assert_eq!(why.to_string(), format!("the line at byte {at}: the station has no name"));
    }
    assert!(texts.windows(2).all(|pair| pair[0] == pair[1]), "rows depend on who makes them");
    assert!(texts[0].ends_with(b"\n"));
    assert_eq!(texts[0].iter().filter(|&&byte| byte == b'\n').count(), 150_000);
}

#[test]
fn stations_have_different_names() {
    for (stations, expected) in [(None, 300), (Some(10_000), 10_000)] {
        let weather = Weather::new(1, stations);
        let names: std::collections::BTreeSet<_> = weather.stations().iter().map(|it| &it.name).collect();
        assert_eq!(names.len(), weather.stations().len());
        assert!(names.len() >= expected && names.iter().all(|name| (1..=LONGEST_NAME).contains(&name.len())));
        assert!(names.iter().any(|name| !name.is_ascii()));
    }
    let long = Weather::new(1, Some(10_000));
    assert!(long.stations().iter().any(|it| it.name.len() == LONGEST_NAME));
}
