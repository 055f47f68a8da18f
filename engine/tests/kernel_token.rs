//! Cancel tokens as operands: kernels look at them, and end their launch.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod common;

use common::{LONG, assert_right, processes, within};
use phalanx::{Backend, CancelToken, LaunchError, Pool, TryError};
use std::time::{Duration, Instant};

/// One pool of each kind.
fn pools() -> Vec<Pool> {
    let base = || Pool::builder().workers(2);
    vec![
        base().build().unwrap(),
        base().backend(Backend::Threads).build().unwrap(),
        base().backend(Backend::Inline).build().unwrap(),
    ]
}

#[test]
fn a_kernel_that_cancels_ends_its_launch() {
    for pool in pools() {
        let token = CancelToken::new();
        let mut ran = pool.zeros::<u32>(100_000).unwrap();
        let launch = pool.launch().grace(LONG).chunk(1);
        let outcome = launch.for_each((ran.split_mut(), 0..100_000, &token), |(ran, span, token)| {
            ran[0] = 1;
            if span.start == 100 {
                token.cancel();
                assert!(token.is_cancelled() && phalanx::is_cancelled());
            }
        });
        assert!(
            matches!(&outcome, Err(LaunchError::Cancelled { killed, .. }) if killed.is_empty()),
            "{outcome:?}"
        );
        assert!(token.is_cancelled());
        assert!(ran.as_slice().iter().sum::<u32>() < 90_000);
        // It stays so: the next launch with it does nothing.
        let outcome = pool.for_each((ran.split_out(), &token), |(ran, _)| ran.fill(7));
        assert!(matches!(outcome, Err(LaunchError::Cancelled { .. })), "{outcome:?}");
        assert!(!ran.as_slice().contains(&7));
        assert_right(&pool);
    }
}

#[test]
fn kernels_see_what_the_program_cancels() {
    within(LONG, || {
        for pool in pools() {
            let token = CancelToken::new();
            let outcome = std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_millis(30));
                    token.cancel();
                });
                pool.launch()
                    .grace(LONG)
                    .for_each((0..2, &token), |(_, token)| while !token.is_cancelled() {})
            });
            assert!(
                matches!(&outcome, Err(LaunchError::Cancelled { killed, .. }) if killed.is_empty()),
                "{outcome:?}"
            );
        }
    });
}

#[test]
fn a_token_that_nobody_cancels_changes_nothing() {
    for pool in pools() {
        let token = CancelToken::new();
        let mut y = pool.zeros::<u8>(1000).unwrap();
        // It does not stand in the way of a retry either.
        pool.launch()
            .retry(1)
            .for_each((y.split_out(), &token), |(y, token)| y.fill(token.is_cancelled().into()))
            .unwrap();
        assert_eq!(y.as_slice(), [0; 1000]);
        pool.broadcast(&token, |_, token| assert!(!token.is_cancelled())).unwrap();
        assert!(!token.is_cancelled());
        let ended = pool.try_for_each((0..10, &token), |(_, token)| {
            token.cancel();
            Ok::<(), String>(())
        });
        assert!(matches!(ended, Err(TryError::Launch(LaunchError::Cancelled { .. }))), "{ended:?}");
    }
}

#[test]
fn a_kernel_ends_the_launches_of_other_pools() {
    within(LONG, || {
        let (one, other) = (processes(1), processes(1));
        let token = CancelToken::new();
        std::thread::scope(|scope| {
            let endless = scope.spawn(|| {
                other
                    .launch()
                    .grace(LONG)
                    .cancel(&token)
                    .for_each(0..1, |_| while !phalanx::is_cancelled() {})
            });
            let outcome = one.for_each((0..1, &token), |(_, token)| token.cancel());
            assert!(matches!(outcome, Err(LaunchError::Cancelled { .. })), "{outcome:?}");
            let ended = endless.join().unwrap();
            assert!(
                matches!(&ended, Err(LaunchError::Cancelled { killed, .. }) if killed.is_empty()),
                "{ended:?}"
            );
        });
    });
}

#[test]
fn a_kernel_that_cancels_and_does_not_return_is_killed_after_the_grace_period() {
    within(LONG, || {
        let pool = processes(2);
        let token = CancelToken::new();
        let began = Instant::now();
        let outcome =
            pool.launch().grace(Duration::from_millis(20)).for_each((0..1, &token), |(_, token)| {
                token.cancel();
                loop {
                    std::hint::spin_loop();
                }
            });
        assert!(
            // On a busy machine the idle worker may not have heard of the end in time either.
            matches!(&outcome, Err(LaunchError::Cancelled { killed, .. }) if !killed.is_empty()),
            "{outcome:?}"
        );
        assert!(began.elapsed() < LONG / 2);
        assert_right(&pool);
    });
}
