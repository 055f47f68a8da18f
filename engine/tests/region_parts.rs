//! Parts with given boundaries inside regions, and in-place access by `scatter`.
//!
//! # Safety
//! Pieces of an array that a `scatter` kernel touches do not overlap.
#![allow(unsafe_code)]

use phalanx::{LaunchError, Pool, SharedArray};

fn pool(workers: usize) -> Pool {
    Pool::builder().workers(workers).build().expect("a pool")
}

/// Every row of `y` holds the part that it belongs to; the sums of the parts are folded.
fn mark(pool: &Pool, y: &mut SharedArray<u64>, parts: &SharedArray<u64>) -> Result<u64, LaunchError> {
    pool.region((y, parts), |team, (mut y, parts)| {
        let offsets: Vec<usize> = parts.view().iter().map(|offset| *offset as usize).collect();
        let count = offsets.len() - 1;
        team.phase((y.split_at_mut(&offsets), 0..count), |(rows, own)| {
            let first = offsets[own.start];
            for part in own {
                rows[offsets[part] - first..offsets[part + 1] - first].fill(part as u64 + 1);
            }
        })?;
        team.reduce_chunks((y.split_at(&offsets), 0..count), 0, |(rows, _)| rows.iter().sum(), |a, b| a + b)
    })
}

#[test]
fn parts_of_any_length_reach_their_ranks() {
    for workers in [1, 2, 3] {
        let pool = pool(workers);
        let mut y = SharedArray::zeros(1000).expect("an array");
        let parts = SharedArray::from_slice(&[0, 0, 700, 701, 990, 1000]).expect("an array");
        let total = mark(&pool, &mut y, &parts).expect("a region");
        let want: Vec<u64> =
            [(0, 1), (700, 2), (1, 3), (289, 4), (10, 5)].iter().flat_map(|&(n, v)| vec![v; n]).collect();
        assert_eq!(y.as_slice(), want);
        assert_eq!(total, want.iter().sum::<u64>());
    }
}

#[test]
fn bad_boundaries_are_refused_on_every_rank() {
    let pool = pool(2);
    let mut y = SharedArray::<u64>::zeros(10).expect("an array");
    for bad in [vec![0, 6, 5, 10], vec![0, 11], vec![]] {
        let parts = SharedArray::from_slice(&bad).expect("an array");
        let error = pool.region((&mut y, &parts), |team, (mut y, parts)| {
            let offsets: Vec<usize> = parts.view().iter().map(|offset| *offset as usize).collect();
            team.phase(y.split_at_mut(&offsets), |_| ())
        });
        let text = error.expect_err("refused").to_string();
        assert!(text.contains("must ascend and stay inside the array of 10 rows"), "{text}");
    }
    assert!(y.as_slice().iter().all(|y| *y == 0));
}

#[test]
fn scatter_reads_and_writes_disjoint_pieces_in_place() {
    let pool = pool(2);
    let mut y = pool.from_fn(100_000, |i| i as u64).expect("an array");
    // Piece k is every third block of ten: places that no split grant can give.
    pool.for_each((y.scatter(), 0..3333), |(y, blocks)| {
        for block in blocks {
            let start = block * 30 + 10;
            // SAFETY: blocks do not overlap, and each belongs to one chunk.
            let piece = unsafe { y.slice_mut(start..start + 10) };
            piece.reverse();
        }
    })
    .expect("a launch");
    let y = y.as_slice();
    assert_eq!((y[9], y[10], y[19], y[20], y[30 * 3332 + 10]), (9, 19, 10, 20, 30 * 3332 + 19));
}

#[test]
fn ranks_that_cut_differently_are_told_before_they_touch_anything() {
    let pool = pool(2);
    let mut y = SharedArray::<u64>::zeros(64).expect("an array");
    // The numbers of both ranks are the same, and stand in other operands.
    let error = pool.region(&mut y, |team, mut y| {
        let fill = |rows: &mut [u64]| rows.fill(1);
        match team.rank() {
            0 => team.phase(y.split_at_mut(&[0, 10, 20, 50, 54, 60, 63]), fill),
            _ => team.phase((y.split_at_mut(&[0, 10, 20, 50]), 60..63), |(rows, _)| fill(rows)),
        }
    });
    let text = error.expect_err("refused").to_string();
    assert!(text.contains("different steps") || text.contains("left the team"), "{text}");
    assert!(y.as_slice().iter().all(|y| *y == 0));
}

#[test]
fn ranks_whose_results_differ_in_size_are_told_before_they_touch_anything() {
    let pool = pool(2);
    let mut y = SharedArray::<u64>::zeros(100_000).expect("an array");
    // 128 bytes make 32 leaves at most, 2048 bytes two: rows of one rank would be the other's too.
    let error = pool.region(&mut y, |team, mut y| {
        let mark = |rows: &mut [u64]| rows.fill(1);
        match team.rank() {
            0 => team
                .reduce_chunks(
                    y.split_mut(),
                    [0_u64; 16],
                    |rows| {
                        mark(rows);
                        [0; 16]
                    },
                    |a, _| a,
                )
                .map(drop),
            _ => team
                .reduce_chunks(
                    y.split_mut(),
                    [0_u64; 256],
                    |rows| {
                        mark(rows);
                        [0; 256]
                    },
                    |a, _| a,
                )
                .map(drop),
        }
    });
    let text = error.expect_err("refused").to_string();
    assert!(text.contains("different steps") || text.contains("left the team"), "{text}");
    assert!(y.as_slice().iter().all(|y| *y == 0));
}

#[test]
fn a_rank_that_leaves_a_reduction_half_way_is_told_from_one_that_ends_it() {
    let pool = pool(2);
    let y = SharedArray::<u64>::zeros(100_000).expect("an array");
    let outcome = pool.region(&y, |team, y| {
        let mut sum = |fails: bool| {
            let kernel = |rows: &[u64]| if fails { panic!("half way") } else { rows.len() as u64 };
            team.reduce_chunks(y.split(), 0, kernel, |a, b| a + b)
        };
        if phalanx::current_rank() == Some(0) {
            return sum(false);
        }
        // Two halves meet as often as one whole does.
        for _ in 0..2 {
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| sum(true)));
            assert!(!matches!(caught, Ok(Ok(_))), "it panics, or finds the team apart");
        }
        Ok(0)
    });
    let text = outcome.expect_err("no sum").to_string();
    assert!(text.contains("different steps") || text.contains("left the team"), "{text}");
}

#[test]
fn the_longest_ranges_are_cut_without_a_gap() {
    for workers in [1, 2, 3] {
        for lengths in [[usize::MAX, usize::MAX - 63], [usize::MAX - 64, isize::MAX as usize]] {
            let seen = pool(workers).region([lengths[0], lengths[1]], |team, lengths| {
                let mut seen = [0; 2];
                for (seen, len) in seen.iter_mut().zip(lengths) {
                    let mut own = 0;
                    team.phase(0..len, |range| own = range.len())?;
                    *seen = team.all_reduce(own, |a, b| a + b)?;
                }
                Ok(seen)
            });
            assert_eq!(seen.expect("a region"), lengths);
        }
    }
}
