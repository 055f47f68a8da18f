//! What travels as arguments and results: every attribute of serde, and a value that cannot costs nobody else
//! anything.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::channel::{Pipe, Queue, QueueError};
use phalanx::shared::SharedList;
use phalanx::{Backend, Manager, Pool, Process, TaskError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

fn pools() -> Vec<Pool> {
    vec![
        Pool::builder().workers(2).build().unwrap(),
        Pool::builder().workers(2).backend(Backend::Threads).build().unwrap(),
    ]
}

#[derive(Clone, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(default)]
struct Sparse {
    #[serde(skip_serializing_if = "is_zero")]
    a: u8,
    v: Vec<u8>,
}

fn is_zero(n: &u8) -> bool {
    *n == 0
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Empty,
    Full { of: Option<Option<i32>> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Text(String),
    Tagged(Tagged),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    number: u32,
    #[serde(flatten)]
    sparse: Sparse,
    #[serde(flatten)]
    more: BTreeMap<String, serde_json::Value>,
    either: Vec<Untagged>,
}

fn everything(n: u32) -> Everything {
    let full = Untagged::Tagged(Tagged::Full { of: Some(None) });
    Everything {
        number: n,
        sparse: Sparse { a: (n % 2) as u8, v: vec![1, 7] },
        more: BTreeMap::from([("x".into(), serde_json::json!([n, {"y": null}, -0.5]))]),
        either: vec![Untagged::Number(-1), Untagged::Text("t".into()), full],
    }
}

fn same<T>(value: T) -> T {
    value
}

#[test]
fn every_attribute_of_serde_works_wherever_values_travel() {
    let sent: Vec<Everything> = (0..50).map(everything).collect();
    for pool in pools() {
        let came: Vec<Everything> = pool.tasks().chunksize(10).map(same, sent.clone()).unwrap();
        assert_eq!(came, sent, "{pool:?}");
    }
    assert_eq!(Process::spawn(same::<Vec<Everything>>, sent.clone()).unwrap().join().unwrap(), sent);
    let queue = Queue::<Everything>::new().unwrap();
    let (a, b) = Pipe::new::<Everything>().unwrap();
    let list = SharedList::<Everything>::new(4, 400).unwrap();
    let manager = Manager::in_process().unwrap();
    let (hosted, names) = (manager.list::<Everything>().unwrap(), manager.namespace().unwrap());
    for one in &sent[..2] {
        queue.put(one).unwrap();
        a.send(one).unwrap();
        list.push(one).unwrap();
        hosted.push(one.clone()).unwrap();
        names.set("one", one).unwrap();
        assert_eq!((&queue.get().unwrap(), &b.recv().unwrap()), (one, one));
        assert_eq!((list.pop().unwrap(), hosted.pop().unwrap()), (Some(one.clone()), Some(one.clone())));
        assert_eq!(names.get("one").unwrap(), Some(one.clone()));
    }
}

#[test]
fn a_field_that_is_left_out_takes_nothing_from_its_neighbours() {
    let sent: Vec<Sparse> =
        (0..100u8).map(|n| Sparse { a: n % 2 * n, v: (0..n % 5).map(|_| 1).collect() }).collect();
    for pool in pools() {
        assert_eq!(pool.tasks().chunksize(20).map(same::<Sparse>, sent.clone()).unwrap(), sent);
    }
}

/// A number whose reading fails for 3 and panics for 5, and whose writing fails for 7 and panics for 9.
#[derive(Clone, Debug, PartialEq)]
struct Touchy(u32);

impl Serialize for Touchy {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            7 => Err(serde::ser::Error::custom("seven is not written")),
            9 => panic!("nine is not written"),
            n => n.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Touchy {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Touchy, D::Error> {
        match u32::deserialize(from)? {
            3 => Err(serde::de::Error::custom("three is not read")),
            5 => panic!("five is not read"),
            n => Ok(Touchy(n)),
        }
    }
}

const TEXTS: [(usize, &str); 4] = [
    (3, "three is not read"),
    (5, "five is not read"),
    (7, "seven is not written"),
    (9, "nine is not written"),
];

#[track_caller]
fn only_those_four_fail<T: std::fmt::Debug>(
    results: Vec<Result<T, TaskError>>,
    what: &str,
    number: fn(T) -> u32,
) {
    assert_eq!(results.len(), 12);
    for (item, result) in results.into_iter().enumerate() {
        match (TEXTS.iter().find(|(bad, _)| *bad == item), result) {
            (None, Ok(value)) => assert_eq!(number(value) as usize, item),
            (Some((_, text)), Err(error)) => {
                assert_eq!(error.item(), Some(item));
                assert!(error.to_string().contains(text), "{error}");
                // A panic in the worker is told with its place.
                let is_panic = matches!(error, TaskError::Panicked { .. });
                assert!(is_panic || error.to_string().contains(what), "{error}");
            }
            (_, other) => panic!("item {item}: {other:?}"),
        }
    }
}

#[test]
fn a_value_that_cannot_be_written_or_read_costs_itself_alone() {
    for pool in pools() {
        let tasks = || pool.tasks().chunksize(6);
        let arguments = || (0..12).map(Touchy);
        let numbers = tasks().try_map(|touchy: Touchy| touchy.0, arguments()).unwrap();
        only_those_four_fail(numbers, "the argument", |n| n);
        let texts = tasks().try_map(|touchy: Touchy| touchy.0.to_string(), arguments()).unwrap();
        only_those_four_fail(texts, "the argument", |n| n.parse().unwrap());
        let lazily = tasks().imap(|touchy: Touchy| touchy.0, arguments()).collect();
        only_those_four_fail(lazily, "the argument", |n| n);
        let results = tasks().try_map(Touchy, 0..12).unwrap();
        only_those_four_fail(results, "the result", |touchy| touchy.0);
    }
}

#[test]
fn a_message_that_cannot_be_read_is_gone_and_the_next_comes() {
    let queue = Queue::<Touchy>::new().unwrap();
    for n in [3, 5, 6] {
        queue.put(&Touchy(n)).unwrap();
    }
    assert!(matches!(queue.put(&Touchy(9)), Err(QueueError::Encode { .. })));
    for text in [TEXTS[0].1, TEXTS[1].1] {
        match queue.get() {
            Err(error @ QueueError::Decode { .. }) => assert!(error.to_string().contains(text), "{error}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((queue.get().unwrap(), queue.len()), (Touchy(6), 0));
    let manager = Manager::in_process().unwrap();
    let list = manager.list::<Touchy>().unwrap();
    assert!(list.push(Touchy(5)).unwrap_err().to_string().contains(TEXTS[1].1));
    assert!(list.push(Touchy(9)).unwrap_err().to_string().contains(TEXTS[3].1));
    list.push(Touchy(1)).unwrap();
    assert_eq!(list.pop().unwrap(), Some(Touchy(1)));
    let process = Process::spawn(|touchy: Touchy| touchy.0, Touchy(5)).unwrap();
    assert!(process.join().unwrap_err().to_string().contains(TEXTS[1].1));
}
