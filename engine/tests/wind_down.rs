//! Calls whose token is cancelled: items that run finish, no other begins, and each that did not run says so.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::sync::Counter;
use phalanx::{Backend, CancelToken, Pool, TaskError};
use std::time::{Duration, Instant};

fn pools() -> Vec<Pool> {
    vec![
        Pool::builder().workers(2).build().unwrap(),
        Pool::builder().workers(2).backend(Backend::Threads).build().unwrap(),
    ]
}

/// Cancels as soon as so many have begun.
fn cancel_at(begun: &Counter, count: u64, token: &CancelToken) -> std::thread::JoinHandle<()> {
    let (begun, token) = (begun.clone(), token.clone());
    std::thread::spawn(move || {
        while begun.get() < count {
            std::thread::sleep(Duration::from_micros(200));
        }
        token.cancel();
    })
}

fn slow((n, begun): (u64, Counter)) -> u64 {
    begun.add(1);
    std::thread::sleep(Duration::from_millis(5));
    n + 1
}

#[test]
fn what_has_begun_is_delivered_and_the_rest_is_cancelled() {
    for pool in pools() {
        for chunk in [1, 4, 100] {
            let (token, begun) = (CancelToken::new(), Counter::new(0).unwrap());
            let canceller = cancel_at(&begun, 9, &token);
            let items = (0..500u64).map(|n| (n, begun.clone()));
            let outcomes = pool.tasks().cancel(&token).chunksize(chunk).try_map(slow, items).unwrap();
            canceller.join().unwrap();
            let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
            assert_eq!((outcomes.len(), done), (500, begun.get()), "{pool:?}");
            assert!((9..40).contains(&done), "{done} of chunks of {chunk}");
            let are_right = |(n, outcome): (usize, &Result<u64, TaskError>)| match outcome {
                Ok(value) => *value == n as u64 + 1,
                Err(TaskError::Cancelled { item }) => *item == n,
                Err(_) => false,
            };
            assert!(outcomes.iter().enumerate().all(are_right));
            // Nobody was killed, and the pool goes on.
            assert_eq!(pool.apply(|n: u64| n, 7).unwrap(), 7);
        }
    }
}

#[test]
fn every_kind_of_call_ends() {
    for pool in pools() {
        let (token, begun) = (CancelToken::new(), Counter::new(0).unwrap());
        let tasks = || pool.tasks().cancel(&token).chunksize(1);
        let one = || (0, begun.clone());
        let mut lazy = tasks().imap(slow, (0..).map(|n| (n, begun.clone())));
        let mut loose = tasks().imap_unordered(slow, (0..).map(|n| (n, begun.clone())));
        assert!(lazy.next().unwrap().is_ok() && loose.next().unwrap().is_ok());
        let whole = tasks().map_async(slow, (0..1000).map(|n| (n, begun.clone())));
        let single = tasks().apply_async(slow, one());
        token.cancel();
        assert!(matches!(whole.get(), Err(TaskError::Cancelled { .. })));
        assert!(matches!(single.get(), Err(TaskError::Cancelled { .. }) | Ok(1)));
        let (lazy, loose): (Vec<_>, Vec<_>) = (lazy.collect(), loose.collect());
        assert!(matches!(lazy.last(), Some(Err(TaskError::Cancelled { .. }))));
        assert!(loose.iter().any(|outcome| matches!(outcome, Err(TaskError::Cancelled { .. }))));
        let before = begun.get();
        assert!(matches!(tasks().apply(slow, one()), Err(TaskError::Cancelled { .. })));
        assert!(matches!(tasks().map(slow, [one()]), Err(TaskError::Cancelled { item: 0 })));
        assert!(matches!(tasks().imap(slow, [one()]).next(), Some(Err(TaskError::Cancelled { .. }))));
        assert!(tasks().map(slow, []).unwrap().is_empty());
        assert_eq!(begun.get(), before, "nothing has begun since");
    }
    let pool = Pool::builder().backend(Backend::Inline).build().unwrap();
    let (token, begun) = (CancelToken::new(), Counter::new(0).unwrap());
    token.cancel();
    let outcomes = pool.tasks().cancel(&token).try_map(slow, (0..3).map(|n| (n, begun.clone()))).unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(TaskError::Cancelled { .. }))));
    assert!(matches!(
        pool.tasks().cancel(&token).apply(slow, (0, begun.clone())),
        Err(TaskError::Cancelled { .. })
    ));
    assert_eq!((pool.tasks().cancel(&token).imap(slow, [(0, begun.clone())]).count(), begun.get()), (1, 0));
}

#[test]
fn limits_hold_deaths_are_told_and_nothing_is_tried_again() {
    let pool = Pool::builder().workers(1).build().unwrap();
    let (token, begun) = (CancelToken::new(), Counter::new(0).unwrap());
    let canceller = cancel_at(&begun, 1, &token);
    let endless = |begun: Counter| -> u64 {
        begun.add(1);
        loop {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let tasks = pool.tasks().cancel(&token).chunksize(3).timeout(Duration::from_millis(400)).retry(5);
    let tasks = tasks.retry_on(|_| true);
    let outcomes = tasks.try_map(endless, [begun.clone(), begun.clone(), begun.clone()]).unwrap();
    canceller.join().unwrap();
    assert!(matches!(outcomes[0], Err(TaskError::TimedOut { .. })), "{outcomes:?}");
    assert!(
        outcomes[1..].iter().all(|outcome| matches!(outcome, Err(TaskError::Cancelled { .. }))),
        "{outcomes:?}"
    );
    assert_eq!(begun.get(), 1);

    let (token, begun) = (CancelToken::new(), Counter::new(0).unwrap());
    let canceller = cancel_at(&begun, 1, &token);
    let dies = |begun: Counter| {
        begun.add(1);
        while !phalanx::is_cancelled() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::process::abort()
    };
    let tasks = pool.tasks().cancel(&token).chunksize(2).retry(5);
    let outcomes: Vec<Result<u64, _>> = tasks.try_map(dies, vec![begun.clone(); 6]).unwrap();
    canceller.join().unwrap();
    assert!(matches!(outcomes[0], Err(TaskError::WorkerDied { .. })), "{outcomes:?}");
    assert!(
        outcomes[1..].iter().all(|outcome| matches!(outcome, Err(TaskError::Cancelled { .. }))),
        "{outcomes:?}"
    );
    assert_eq!(begun.get(), 1);
}

#[test]
fn cancelling_at_any_moment_loses_no_item() {
    for pool in pools() {
        let end = Instant::now() + Duration::from_secs(6);
        let mut round = 0;
        while Instant::now() < end {
            round += 1;
            let token = CancelToken::new();
            let canceller = std::thread::spawn({
                let token = token.clone();
                move || {
                    std::thread::sleep(Duration::from_micros(round * 7 % 900));
                    token.cancel();
                }
            });
            let outcomes = pool.tasks().cancel(&token).chunksize(2).try_map(|n: u32| n ^ 5, 0..300).unwrap();
            assert_eq!(outcomes.len(), 300);
            for (n, outcome) in outcomes.iter().enumerate() {
                match outcome {
                    Ok(value) => assert_eq!(*value, n as u32 ^ 5),
                    Err(error) => {
                        assert!(matches!(error, TaskError::Cancelled { item } if *item == n), "{error}")
                    }
                }
            }
            canceller.join().unwrap();
        }
    }
}

#[test]
fn tokens_do_not_gather_calls_that_have_ended() {
    let (pool, token) = (&pools()[0], CancelToken::new());
    let before = resident();
    for n in 0..20_000u64 {
        assert_eq!(pool.tasks().cancel(&token).apply(|n: u64| n, n).unwrap(), n);
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes");
    token.cancel();
}

fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * rustix::param::page_size()
}
