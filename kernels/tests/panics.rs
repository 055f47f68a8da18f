//! Functions of the program's that panic inside kernels.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use phalanx::{LaunchError, Pool};
use phalanx_kernels::{KernelError, order, reduce, scan, stream};

/// A function that is handed to a kernel panics: the same error from the caller, who works on short arrays,
/// as from workers.
#[test]
fn a_panicking_function_is_an_error_in_the_caller_too() {
    let pool = Pool::builder().workers(2).build().unwrap();
    for len in [100, 20_000] {
        let mut x = pool.from_fn(len, |i| i as u32).unwrap();
        let mut out = pool.zeros::<u32>(len).unwrap();
        for ended in [
            stream::map(&pool, &mut out, &x, |_| panic!("mine")),
            stream::map2(&pool, &mut out, &x, &x, |_, _| panic!("mine")),
            reduce::count_if(&pool, &x, |_| panic!("mine")).map(drop),
            reduce::any(&pool, &x, |_| panic!("mine")).map(drop),
            reduce::all(&pool, &x, |_| panic!("mine")).map(drop),
            scan::inclusive(&pool, &mut out, &x, 0, |_, _| panic!("mine")),
            scan::exclusive(&pool, &mut out, &x, 0, |_, _| panic!("mine")),
            order::sort_by(&pool, &mut x, |_, _| panic!("mine")),
            order::sort_by_key(&pool, &mut x, |_| -> u32 { panic!("mine") }),
        ] {
            let Err(KernelError::Launch(LaunchError::Panicked { message, .. })) = ended else {
                panic!("{ended:?} of {len}");
            };
            assert_eq!(message, "mine");
        }
        assert!(x.as_slice().iter().enumerate().all(|(i, x)| *x == i as u32), "sorts changed nothing");
    }
}
