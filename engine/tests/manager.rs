//! Managers: what they host, who calls, and who dies meanwhile.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, within};
use phalanx::sync::{Counter, Event, Lock};
use phalanx::{CallError, DictProxy, Hosted, ListProxy, Manager, Process, ValueProxy};
use std::time::Duration;

fn both() -> [Manager; 2] {
    [Manager::new().unwrap(), Manager::in_process().unwrap()]
}

#[test]
fn functions_run_where_the_object_is_one_at_a_time() {
    for manager in both() {
        let object = manager.host((0u64, String::new())).unwrap();
        let processes: Vec<_> = (0..4u64)
            .map(|_| {
                let body = |object: Hosted<(u64, String)>| {
                    for _ in 0..50 {
                        object.call(|(count, _), by: u64| *count += by, 1).unwrap();
                    }
                };
                Process::spawn(body, object.clone()).unwrap()
            })
            .collect();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        object.call(|(_, text), more: char| text.push(more), 'x').unwrap();
                    }
                });
            }
        });
        processes.iter().for_each(|process| process.join().unwrap());
        let pid = object.call(|_, ()| std::process::id(), ()).unwrap();
        assert_eq!(pid, manager.pid());
        let (count, text) = object.call(|object, ()| object.clone(), ()).unwrap();
        assert_eq!((count, text.len()), (200, 200));
    }
}

#[test]
fn more_callers_than_slots_all_get_their_turn() {
    let manager = Manager::new().unwrap();
    let sum = manager.counter(0).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..80 {
            scope.spawn(|| (0..20).for_each(|_| assert!(sum.add(1).is_ok())));
        }
    });
    assert_eq!(sum.get().unwrap(), 1600);
}

#[test]
fn long_arguments_and_results_pass_in_pieces() {
    for manager in both() {
        let list = manager.list::<u64>().unwrap();
        for len in [0, 1, 1000, 1021, 1022, 1023, 1024, 100_000] {
            list.clear().unwrap();
            let values: Vec<u64> = (0..len).map(|i| u64::MAX - i).collect();
            list.extend(values.clone()).unwrap();
            assert_eq!(list.to_vec().unwrap(), values);
        }
    }
}

#[test]
fn things_that_cannot_be_sent_can_be_hosted() {
    let manager = Manager::new().unwrap();
    let shared = manager.host_with(|n: i32| std::rc::Rc::new(std::cell::Cell::new(n)), 5).unwrap();
    assert_eq!(shared.call(|cell, n: i32| cell.replace(n), 6).unwrap(), 5);
    assert_eq!(shared.call(|cell, ()| cell.get(), ()).unwrap(), 6);
}

#[test]
fn workers_of_a_pool_call_as_processes_do() {
    for manager in both() {
        let squares = manager.list::<u64>().unwrap();
        let pool = common::processes(2);
        let square = |(squares, n): (ListProxy<u64>, u64)| {
            squares.push(n * n).unwrap();
            std::process::id()
        };
        let pids = pool.map(square, (0..20u64).map(|n| (squares.clone(), n))).unwrap();
        assert!(!pids.contains(&std::process::id()));
        let mut squares = squares.to_vec().unwrap();
        squares.sort();
        assert_eq!(squares, (0..20).map(|n| n * n).collect::<Vec<_>>());
    }
}

#[test]
fn a_value_is_read_and_replaced_from_elsewhere() {
    for manager in both() {
        let total = manager.value(vec![0u64]).unwrap();
        let body = |total: ValueProxy<Vec<u64>>| {
            total.hosted().call(|total, n: u64| total.push(n), 7).unwrap();
            total.get().unwrap()
        };
        let process = Process::spawn(body, total.clone()).unwrap();
        assert_eq!(process.join().unwrap(), [0, 7]);
        assert_eq!(total.set(vec![]).unwrap(), [0, 7]);
    }
}

#[test]
fn a_panic_in_a_call_is_the_callers_and_the_manager_serves_on() {
    for manager in both() {
        let object = manager.host(3u32).unwrap();
        match object.call(|_, ()| -> () { panic!("not today") }, ()) {
            Err(CallError::Panicked { message, .. }) => assert_eq!(message, "not today"),
            other => panic!("{other:?}"),
        }
        assert_eq!(object.call(|n, ()| *n, ()).unwrap(), 3);
    }
}

#[test]
fn removed_and_closed_are_told() {
    for manager in both() {
        let object = manager.host(3u32).unwrap();
        let other = object.clone();
        object.remove().unwrap();
        object.remove().unwrap();
        assert_eq!(other.call(|n, ()| *n, ()), Err(CallError::Removed));
        let late = manager.host(4u32).unwrap();
        drop(manager);
        assert_eq!(late.call(|n, ()| *n, ()), Err(CallError::Closed));
    }
}

#[test]
fn a_function_that_calls_its_own_manager_is_told() {
    for manager in both() {
        let (a, b) = (manager.host(1u32).unwrap(), manager.host(2u32).unwrap());
        let got = a.call(|_, b: Hosted<u32>| b.call(|n, ()| *n, ()) == Err(CallError::WouldDeadlock), b);
        assert_eq!(got, Ok(true));
    }
}

#[test]
fn a_call_may_drop_its_own_manager() {
    static MANAGER: std::sync::Mutex<Option<Manager>> = std::sync::Mutex::new(None);
    within(LONG, || {
        let manager = Manager::new().unwrap();
        let object = manager.host(1u32).unwrap();
        *MANAGER.lock().unwrap() = Some(manager);
        let told = object.call(|_, ()| drop(MANAGER.lock().unwrap().take()), ());
        assert!(matches!(told, Ok(()) | Err(CallError::Closed)), "{told:?}");
        assert_eq!(object.call(|n, ()| *n, ()), Err(CallError::Closed));
    });
}

#[test]
fn a_call_that_takes_long_can_be_given_up() {
    for manager in both() {
        let (gate, calls) = (Event::new().unwrap(), Counter::new(0).unwrap());
        let object = manager.host(0u32).unwrap();
        let wait = |n: &mut u32, (gate, calls): (Event, Counter)| {
            calls.add(1);
            gate.wait();
            *n += 1;
        };
        let gave_up =
            object.call_timeout(wait, (gate.clone(), calls.clone()), Duration::from_millis(20)).unwrap_err();
        assert!(matches!(gave_up, CallError::TimedOut { .. }), "{gave_up}");
        // One that has not begun is given up as well.
        let unbegun = object.call_timeout(|n, ()| *n, (), Duration::from_millis(20));
        assert!(matches!(unbegun, Err(CallError::TimedOut { .. })));
        gate.set();
        assert_eq!(object.call(|n, ()| *n, ()).unwrap(), 1);
        assert_eq!(calls.get(), 1);
    }
}

#[test]
fn a_caller_that_dies_holds_up_nobody() {
    for manager in both() {
        let (gate, arrived) = (Event::new().unwrap(), Event::new().unwrap());
        let object = manager.host(0u32).unwrap();
        // More than there are slots, in rounds; each dies while the server works for it.
        for round in 0..4u32 {
            gate.clear();
            arrived.clear();
            let body = |(object, gate, arrived): (Hosted<u32>, Event, Event)| {
                let wait = |n: &mut u32, (gate, arrived): (Event, Event)| {
                    arrived.set();
                    gate.wait();
                    *n += 1;
                };
                object.call(wait, (gate, arrived)).unwrap();
            };
            let callers: Vec<Process> = (0..10)
                .map(|_| Process::spawn(body, (object.clone(), gate.clone(), arrived.clone())).unwrap())
                .collect();
            assert!(arrived.wait_timeout(LONG));
            callers.iter().for_each(Process::kill);
            callers.iter().for_each(|caller| drop(caller.join()));
            gate.set();
            let object = object.clone();
            let count = within(LONG, move || object.call(|n, ()| *n, ()).unwrap());
            assert!(count > round, "{count}");
        }
    }
}

#[test]
fn a_server_that_dies_gives_every_caller_an_error() {
    let manager = Manager::in_process().unwrap();
    let object = manager.host(0u32).unwrap();
    let arrived = Event::new().unwrap();
    let hands: Vec<_> = (0..40)
        .map(|_| {
            let (object, arrived) = (object.clone(), arrived.clone());
            let never = |_: &mut u32, arrived: Event| {
                arrived.set();
                loop {
                    std::thread::park();
                }
            };
            std::thread::spawn(move || -> Result<(), CallError> { object.call(never, arrived) })
        })
        .collect();
    let caller = Process::spawn(
        |object: Hosted<u32>| object.call(|n, ()| *n, ()).unwrap_err().to_string(),
        object.clone(),
    )
    .unwrap();
    assert!(arrived.wait_timeout(LONG));
    common::send(manager.pid(), rustix::process::Signal::KILL);
    within(LONG, move || {
        for hand in hands {
            assert_eq!(hand.join().unwrap(), Err(CallError::ServerDied));
        }
        assert!(caller.join().unwrap().contains("the manager's process has died"));
        assert_eq!(object.call(|n, ()| *n, ()), Err(CallError::ServerDied));
        drop(manager);
    });
}

#[test]
fn a_stuck_manager_process_ends_with_its_manager() {
    let manager = Manager::in_process().unwrap();
    let object = manager.host(()).unwrap();
    let stuck: Result<(), _> = object.call_timeout(
        |_, ()| loop {
            std::thread::park()
        },
        (),
        Duration::from_millis(20),
    );
    assert!(stuck.is_err());
    let pid = manager.pid();
    within(LONG, move || drop(manager));
    assert_eq!(common::state_of(pid), None);
}

#[test]
fn handles_of_shared_objects_may_be_kept_by_what_is_hosted() {
    for manager in both() {
        let locks = manager.host_with(|()| Vec::<Lock<u32>>::new(), ()).unwrap();
        for n in 0..3 {
            locks.call(|locks, lock: Lock<u32>| locks.push(lock), Lock::new(n).unwrap()).unwrap();
        }
        let sum =
            locks.call(|locks, ()| locks.iter().map(|lock| *lock.lock().unwrap()).sum::<u32>(), ()).unwrap();
        assert_eq!(sum, 3);
        let first = locks.call(|locks, ()| locks[0].clone(), ()).unwrap();
        *first.lock().unwrap() += 10;
        assert_eq!(locks.call(|locks, ()| *locks[0].lock().unwrap(), ()).unwrap(), 10, "the same lock");
    }
}

#[test]
fn ready_made_objects_do_what_their_names_say() {
    let manager = Manager::new().unwrap();
    let list = manager.list::<String>().unwrap();
    list.extend(vec!["a".into(), "b".into()]).unwrap();
    assert_eq!(list.set(1, "c".into()).unwrap().as_deref(), Some("b"));
    assert_eq!(
        (list.set(9, "d".into()).unwrap(), list.remove(9).unwrap(), list.get(9).unwrap()),
        (None, None, None)
    );
    assert_eq!(list.remove(0).unwrap().as_deref(), Some("a"));
    assert!(!list.is_empty().unwrap());
    let dict = manager.dict::<u32, String>().unwrap();
    assert!(dict.is_empty().unwrap());
    assert_eq!(dict.insert(2, "two".into()).unwrap(), None);
    assert_eq!(dict.insert(1, "one".into()).unwrap(), None);
    assert_eq!(
        (dict.keys().unwrap(), dict.values().unwrap()),
        (vec![1, 2], vec!["one".into(), "two".into()])
    );
    assert_eq!((dict.get(3).unwrap(), dict.contains_key(2).unwrap(), dict.len().unwrap()), (None, true, 2));
    assert_eq!(dict.remove(2).unwrap().as_deref(), Some("two"));
    let names = manager.namespace().unwrap();
    names.set("x", &1u32).unwrap();
    assert_eq!(names.get::<u32>("y").unwrap(), None);
    assert!(matches!(names.get::<String>("x"), Err(CallError::Value { .. })));
    assert!(names.remove("x").unwrap() && !names.remove("x").unwrap());
    let counter = manager.counter(5).unwrap();
    assert_eq!((counter.add(-7).unwrap(), counter.set(1).unwrap(), counter.get().unwrap()), (5, -2, 1));
}

/// What a process, or a worker, does with a list of dicts.
fn count_in(table: ListProxy<DictProxy<String, u64>>) -> usize {
    let dicts = table.to_vec().unwrap();
    for (n, dict) in dicts.iter().enumerate() {
        let add = |dict: &mut std::collections::BTreeMap<String, u64>, n: u64| {
            *dict.entry("n".into()).or_default() += n
        };
        dict.hosted().call(add, n as u64 + 1).unwrap();
    }
    dicts.len()
}

#[test]
fn hosted_objects_contain_proxies_of_others() {
    for manager in both() {
        let table = manager.list::<DictProxy<String, u64>>().unwrap();
        for _ in 0..3 {
            // The list has the only handle from here on.
            table.push(manager.dict().unwrap()).unwrap();
        }
        assert_eq!(Process::spawn(count_in, table.clone()).unwrap().join().unwrap(), 3);
        let pool = phalanx::Pool::builder().workers(2).build().unwrap();
        assert_eq!(pool.map(count_in, vec![table.clone(); 4]).unwrap(), [3; 4]);
        assert_eq!(table.get(2).unwrap().unwrap().get("n".into()).unwrap(), Some(15));
        // Deeper, and in a circle.
        type Nodes = ListProxy<ListProxy<ListProxy<u8>>>;
        let (outer, inner) = (manager.list::<ListProxy<ListProxy<u8>>>().unwrap(), manager.list().unwrap());
        outer.push(inner.clone()).unwrap();
        inner.push(manager.list().unwrap()).unwrap();
        outer.get(0).unwrap().unwrap().get(0).unwrap().unwrap().push(9).unwrap();
        let deep = |outer: Nodes| outer.get(0).unwrap().unwrap().get(0).unwrap().unwrap().to_vec().unwrap();
        assert_eq!(pool.apply(deep, outer.clone()).unwrap(), [9]);
        let circle = manager.host(None::<Node>).unwrap();
        circle.call(|node, own: Node| *node = Some(own), Node(circle.clone())).unwrap();
        let round = |node: &mut Option<Node>, ()| node.clone();
        let again = circle.call(round, ()).unwrap().unwrap().0.call(round, ()).unwrap();
        assert!(again.is_some());
        // Where a call waits for the server, from within a call to it, it is refused and does not hang.
        let inside = table.hosted().call(|dicts, ()| dicts[0].len().map_err(|error| error.to_string()), ());
        assert!(inside.unwrap().unwrap_err().contains("wait"), "it waits for itself");
        // Removed by name; what still leads to it says so.
        table.get(0).unwrap().unwrap().hosted().remove().unwrap();
        assert!(matches!(table.get(0).unwrap().unwrap().len(), Err(CallError::Removed)));
        let kept = table.get(1).unwrap().unwrap();
        drop(manager);
        assert!(matches!(kept.len(), Err(CallError::Closed | CallError::ServerDied)));
    }
}

/// Leads to an object of its own kind.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Node(Hosted<Option<Node>>);

#[test]
fn what_nested_proxies_lead_to_survives_killed_callers_and_goes_with_the_server() {
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let round = || {
        let manager = Manager::in_process().unwrap();
        let table = manager.list::<DictProxy<String, u64>>().unwrap();
        table.push(manager.dict().unwrap()).unwrap();
        let dies = |table: ListProxy<DictProxy<String, u64>>| {
            let dict = table.get(0).unwrap().unwrap();
            dict.insert("there".into(), 1).unwrap();
            table.push(dict).unwrap();
            std::process::abort()
        };
        let process: Process<()> = Process::spawn(dies, table.clone()).unwrap();
        assert!(process.join().is_err());
        assert_eq!(
            table.to_vec().unwrap().iter().filter_map(|dict| dict.get("there".into()).unwrap()).sum::<u64>(),
            2
        );
        // The server is killed with all that it has.
        let pid = rustix::process::Pid::from_raw(manager.pid() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        within(LONG, move || while table.len().is_ok() {});
    };
    (0..5).for_each(|_| round());
    let before = open();
    (0..20).for_each(|_| round());
    assert!(open() <= before + 4, "{before} descriptors, then {}", open());
}
