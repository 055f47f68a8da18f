//! What travels comes out as it went in, whatever attributes its type has; what does not is an error that
//! says why.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

#[track_caller]
fn stays<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    let bytes = to_vec(&value).unwrap();
    assert_eq!(read::<T>(&bytes).unwrap(), value);
    for cut in 0..bytes.len() {
        assert!(read::<T>(&bytes[..cut]).is_err(), "{value:?} of its first {cut} bytes");
    }
    let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
    assert!(read::<T>(&longer).unwrap_err().to_string().contains("1 bytes follow"));
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Dot,
    Circle(f64),
    Line(i32, i64),
    Named { name: String, sides: Option<u8> },
}

fn shapes() -> Vec<Shape> {
    let named = Shape::Named { name: "square".into(), sides: Some(4) };
    vec![Shape::Dot, Shape::Circle(0.5), Shape::Line(-1, i64::MIN), named]
}

#[test]
fn values_of_all_kinds_stay_as_they_are() {
    for number in [0u64, 1, 127, 128, 255, 256, 65_535, 65_536, 1 << 32, u64::MAX] {
        stays(number);
        stays(number as i64);
        stays((number as i64).wrapping_neg());
        stays(u128::from(number) << 64 | 5);
    }
    stays((i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN));
    stays((1.5f32, -0.0f64, 'ß', true, false, ()));
    stays((None::<Option<()>>, Some(None::<()>), Some(Some(()))));
    stays(vec!["".to_string(), "text".repeat(100)]);
    stays(BTreeMap::from([((1, 'a'), vec![1u8, 200]), ((2, 'b'), vec![])]));
    stays(shapes());
    stays(("10.0.0.1".parse::<IpAddr>().unwrap(), Duration::from_millis(1500), SystemTime::UNIX_EPOCH));
    let nan = f64::from_bits(0x7ff8_0000_0000_1234);
    assert_eq!(read::<f64>(&to_vec(&nan).unwrap()).unwrap().to_bits(), nan.to_bits());
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Sparse {
    #[serde(skip_serializing_if = "is_zero")]
    a: u8,
    #[serde(rename = "bytes", alias = "b")]
    v: Vec<u8>,
    #[serde(skip)]
    hidden: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
}

fn is_zero(n: &u8) -> bool {
    *n == 0
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "of")]
enum Adjacent {
    One(u8),
    Two { x: Option<Shape> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Internal {
    Empty,
    Full { at: IpAddr, more: Vec<Adjacent> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(i32),
    Text(String),
    Pair(Box<Either>, Shape),
    Fields(Internal),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    name: String,
    #[serde(flatten)]
    sparse: Sparse,
    #[serde(flatten)]
    others: HashMap<String, serde_json::Value>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Skips {
    #[serde(skip)]
    #[allow(dead_code)]
    Never,
    First,
    Second,
}

#[test]
fn attributes_of_serde_work() {
    // Without names, `v` would be read as the `a` that was left out.
    for v in [vec![], vec![7], vec![1, 7]] {
        stays(Sparse { v: v.clone(), ..Sparse::default() });
        stays(vec![Sparse { a: 3, v, hidden: 0, last: Some("x".into()) }, Sparse::default()]);
    }
    stays(vec![Adjacent::One(1), Adjacent::Two { x: Some(Shape::Circle(2.0)) }]);
    stays(Internal::Full { at: "::1".parse().unwrap(), more: vec![Adjacent::One(9)] });
    stays(vec![Internal::Empty]);
    let pair = Either::Pair(Box::new(Either::Text("t".into())), Shape::Line(1, 2));
    stays(vec![Either::Number(-5), pair, Either::Fields(Internal::Empty)]);
    let others = HashMap::from([("k".to_string(), serde_json::json!({"a": [1, -2, 0.5, null, "x"]}))]);
    stays(Flat { name: "n".into(), sparse: Sparse { a: 1, v: vec![2], hidden: 0, last: None }, others });
    stays(vec![Skips::First, Skips::Second]);
}

#[derive(Serialize, Deserialize, Debug)]
#[allow(dead_code, reason = "never read")]
struct Lossy {
    #[serde(skip_serializing)]
    gone: u32,
    kept: u32,
}

#[test]
fn what_cannot_be_read_says_why_in_serdes_words() {
    let lossy = to_vec(&Lossy { gone: 1, kept: 2 }).unwrap();
    let error = read::<Lossy>(&lossy).unwrap_err().to_string();
    assert!(error.contains("missing field `gone`") && error.contains("skip_serializing"), "{error}");
    let error = read::<Shape>(&to_vec(&Adjacent::One(1)).unwrap()).unwrap_err().to_string();
    assert!(error.contains("no variant of the enum `Shape`"), "{error}");
    let error = read::<u8>(&to_vec(&300u32).unwrap()).unwrap_err().to_string();
    assert!(error.contains("invalid value: integer `300`, expected u8"), "{error}");
    let error = read::<(u8, u8)>(&to_vec(&(1u8, 2u8, 3u8)).unwrap()).unwrap_err().to_string();
    assert!(error.contains("more was written than its type reads"), "{error}");
    let deep = [&[SOME; 600][..], &[UNIT]].concat();
    assert!(read::<serde_json::Value>(&deep).unwrap_err().to_string().contains("nested"));
}

/// Announces another number of items than it writes.
struct Liar(Vec<u32>);

impl Serialize for Liar {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq;
        let mut items = to.serialize_seq(Some(2))?;
        self.0.iter().try_for_each(|item| items.serialize_element(item))?;
        items.end()
    }
}

#[test]
fn a_wrong_number_of_items_does_no_harm() {
    for items in [vec![], vec![1, 2, 3]] {
        assert_eq!(read::<Vec<u32>>(&to_vec(&Liar(items.clone())).unwrap()).unwrap(), items);
    }
}

/// A list as a program may write it: each holds the next.
#[derive(Serialize, Deserialize)]
struct Link(u8, Option<Box<Link>>);

impl Link {
    fn of(links: usize) -> Link {
        (1..links).fold(Link(0, None), |next, _| Link(0, Some(Box::new(next))))
    }

    fn len(&self) -> usize {
        std::iter::successors(Some(self), |link| link.1.as_deref()).count()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let mut next = self.1.take();
        while let Some(mut link) = next {
            next = link.1.take();
        }
    }
}

#[test]
fn what_is_nested_too_deeply_for_the_stack_is_an_error() {
    assert_eq!(read::<Link>(&to_vec(&Link::of(100)).unwrap()).unwrap().len(), 100);
    let error = to_vec(&Link::of(1_000_000)).unwrap_err().to_string();
    assert!(error.contains("nested too deeply"), "{error}");
    // What another thread could write.
    let bytes = [[LIST, 2, 0, SOME].repeat(1_000_000), vec![UNIT]].concat();
    let error = read::<Link>(&bytes).map(|link| link.len()).unwrap_err().to_string();
    assert!(error.contains("nested too deeply"), "{error}");
}

/// Leaves out what cannot be written.
struct Lenient(Vec<(u8, Option<Odd>)>);
struct Odd(u8);

impl Serialize for Odd {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 % 2 {
            0 => Err(serde::ser::Error::custom("even")),
            _ => to.serialize_u8(self.0),
        }
    }
}

impl Serialize for Lenient {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut both = to.serialize_map(None)?;
        for (key, value) in &self.0 {
            let _left_out = both.serialize_entry(key, value);
        }
        both.end()
    }
}

#[test]
fn what_a_type_leaves_out_because_it_fails_leaves_nothing() {
    let lenient = Lenient((1..=4).map(|n| (n, Some(Odd(n)))).collect());
    let came = read::<std::collections::BTreeMap<u8, Option<u8>>>(&to_vec(&lenient).unwrap()).unwrap();
    assert_eq!(came, [(1, Some(1)), (3, Some(3))].into());
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let _read = (read::<serde_json::Value>(&bytes), read::<Vec<Shape>>(&bytes), read::<Flat>(&bytes));
    }

    #[test]
    fn any_value_stays(value: (Vec<Option<i64>>, String, std::collections::BTreeMap<u16, f64>)) {
        let bytes = to_vec(&value).unwrap();
        proptest::prop_assert_eq!(read::<(Vec<Option<i64>>, String, std::collections::BTreeMap<u16, f64>)>(&bytes).unwrap(), value);
    }
}
