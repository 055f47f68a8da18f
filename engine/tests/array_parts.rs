//! Grants of parts of arrays: ranges of rows, slices, tiles, and neighbours along several axes, on every
//! backend.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use ndarray::{Array2, s};
use phalanx::{Backend, Edge, LaunchError, Pool};

/// One pool of each backend.
fn pools() -> Vec<Pool> {
    vec![
        Pool::builder().workers(2).build().unwrap(),
        Pool::builder().workers(3).backend(Backend::Threads).build().unwrap(),
        Pool::builder().backend(Backend::Inline).build().unwrap(),
    ]
}

/// Rows `lo..hi` of an array of 5 columns, whose elements are their own row-major indices.
fn counted(rows: usize) -> Array2<u64> {
    Array2::from_shape_fn((rows, 5), |(i, j)| (5 * i + j) as u64)
}

#[test]
fn a_range_of_rows_is_granted_as_an_array_is() {
    for pool in pools() {
        for (n, lo, hi) in
            [(1000, 1, 999), (1000, 0, 1000), (1000, 7, 8), (1000, 1000, 1000), (1, 0, 1), (0, 0, 0)]
        {
            let a = pool.from_ndarray(&counted(n)).unwrap();
            let mut b = pool.from_ndarray(&counted(n)).unwrap();
            let inner = a.range(lo..hi);
            assert_eq!((inner.shape(), inner.len()), (&[hi - lo, 5][..], 5 * (hi - lo)));
            pool.launch()
                .chunk(3)
                .for_each((b.range_mut(lo..hi).split_mut(), inner.split()), |(mut b, a)| {
                    assert_eq!(a, b);
                    b += 1_000_000;
                })
                .unwrap();
            let mut expected = counted(n);
            expected.slice_mut(s![lo..hi, ..]).mapv_inplace(|x| x + 1_000_000);
            assert_eq!(b.view(), expected, "{pool:?} {lo}..{hi}");

            let sum = pool.reduce(
                (a.range(lo..hi).split_flat(), inner.whole()),
                0,
                |(part, all)| {
                    assert!(part.iter().all(|x| all.iter().any(|y| x == y)));
                    part.iter().sum::<u64>()
                },
                |a, b| a + b,
            );
            assert_eq!(sum.unwrap(), a.view().slice(s![lo..hi, ..]).sum());
        }
    }
}

#[test]
fn every_grant_of_a_range_keeps_to_its_rows() {
    for pool in pools() {
        let mut a = pool.from_ndarray(&counted(40)).unwrap();
        let before = a.view().to_owned();
        let mut expected = before.clone();
        expected.slice_mut(s![10..30, ..]).fill(7);

        pool.for_each(a.range_mut(10..30).split_out(), |mut part| part.fill(7)).unwrap();
        assert_eq!(a.view(), expected);
        a.view_mut().assign(&before);
        pool.for_each(a.range_mut(10..30).split_flat_mut(), |part| part.fill(7)).unwrap();
        assert_eq!(a.view(), expected);
        a.view_mut().assign(&before);
        pool.for_each(a.range_mut(10..30).split_axis_mut(1), |mut part| part.fill(7)).unwrap();
        assert_eq!(a.view(), expected);
        a.view_mut().assign(&before);
        pool.for_each(a.range_mut(10..30).split_at_mut(&[0, 1, 20]), |mut part| part.fill(7)).unwrap();
        assert_eq!(a.view(), expected);
        a.view_mut().assign(&before);
        pool.for_each((a.range_mut(10..30).atomic(), 0..100), |(all, span)| {
            assert_eq!(all.len(), 100);
            span.for_each(|i| all[i].store(7, std::sync::atomic::Ordering::Relaxed));
        })
        .unwrap();
        assert_eq!(a.view(), expected);
        a.view_mut().assign(&before);
        pool.for_each((a.range_mut(10..30).scatter(), 0..1), |(all, _)| assert_eq!(all.len(), 100)).unwrap();

        // Accumulators are folded into the rows alone.
        pool.for_each((a.range_mut(10..30).reduce(0, |a, b| a + b), 0..1000), |(mut sums, span)| {
            span.for_each(|i| sums[(i % 20, 0)] += 1);
        })
        .unwrap();
        let mut counted = before.clone();
        counted.slice_mut(s![10..30, 0]).mapv_inplace(|x| x + 50);
        assert_eq!(a.view(), counted);
    }
}

/// The rows next to a range are beyond its ends: a halo of it does not show them.
#[test]
fn a_halo_of_a_range_ends_where_the_range_does() {
    for pool in pools() {
        let a = pool.from_fn(100, |i| i as u64).unwrap();
        let mut sums = pool.zeros::<u64>(60).unwrap();
        let operands = (sums.split_out(), a.range(20..80).halo(1, Edge::Clamp));
        pool.launch()
            .chunk(7)
            .for_each(operands, |(sums, a)| {
                sums.iter_mut().enumerate().for_each(|(i, sum)| *sum = a[i] + a[i + 2]);
            })
            .unwrap();
        let expected: Vec<u64> = (20..80u64).map(|i| (i - 1).max(20) + (i + 1).min(79)).collect();
        assert_eq!(sums.as_slice(), expected);
    }
}

#[test]
fn ranges_nest_and_divide() {
    for pool in pools() {
        let mut a = pool.from_fn(100, |i| i as u64).unwrap();
        let inner = a.range(10..=89);
        assert_eq!(inner.range(5..).range(..3).view().to_vec(), [15, 16, 17]);
        let mut inner = a.range_mut(10..90);
        inner.view_mut().fill(0);
        pool.for_each(inner.reborrow().split_mut(), |part| part.iter_mut().for_each(|x| *x += 1)).unwrap();
        let (low, high) = inner.divide_at(40);
        pool.for_each((low.split_mut(), high.range_mut(..40).split_mut()), |(low, high)| {
            low.iter_mut().zip(high).for_each(|(low, high)| (*low, *high) = (3, *low + 1));
        })
        .unwrap();
        let expected: Vec<u64> = (0..100)
            .map(|i| match i {
                10..50 => 3,
                50..90 => 2,
                _ => i,
            })
            .collect();
        assert_eq!(a.as_slice(), expected);
    }
}

#[test]
#[should_panic(expected = "the range of rows ends at Excluded(6), outside an array of 5 rows")]
fn a_range_beyond_the_end_panics_as_slicing_does() {
    let a = phalanx::SharedArray::<u8>::zeros(5).unwrap();
    let _ = a.range(2..6);
}

#[test]
#[should_panic(expected = "the range of rows starts at 4 but ends at 3")]
#[allow(clippy::reversed_empty_ranges, reason = "the mistake that is told")]
fn a_range_that_ends_before_it_starts_panics() {
    let mut a = phalanx::SharedArray::<u8>::zeros(5).unwrap();
    let _ = a.range_mut(4..3);
}

#[test]
#[should_panic(expected = "an array without axes")]
fn an_array_without_axes_has_no_range() {
    let a = phalanx::SharedArray::<u8, _>::zeros(ndarray::IxDyn(&[])).unwrap();
    let _ = a.range(..);
}

#[test]
fn ranges_of_other_lengths_do_not_go_together() {
    for pool in pools() {
        let mut a = pool.zeros::<u8>(10).unwrap();
        let b = pool.zeros::<u8>(10).unwrap();
        let error =
            pool.for_each((a.range_mut(1..9).split_mut(), b.split()), |_| panic!("runs")).unwrap_err();
        assert!(matches!(error, LaunchError::Lengths { len: 10, other_len: 8, .. }), "{error}");
    }
}

#[test]
fn frozen_arrays_are_operands() {
    for pool in pools() {
        let frozen = pool.from_ndarray(&counted(300)).unwrap().freeze().unwrap();
        let same = frozen.clone();
        let mut rows = pool.zeros::<u64>(300).unwrap();
        let operands = (rows.split_out(), frozen.split(), same.halo(1, Edge::Wrap), frozen.whole());
        pool.for_each(operands, |(rows, part, halo, all)| {
            assert_eq!(all.shape(), [300, 5]);
            for (i, row) in rows.iter_mut().enumerate() {
                *row = part[(i, 0)] + halo[(i, 1)] + halo[(i + 2, 2)];
            }
        })
        .unwrap();
        let at = |i: usize, j: usize| ((i % 300) * 5 + j) as u64;
        let expected: Vec<u64> = (0..300).map(|i| at(i, 0) + at(i + 299, 1) + at(i + 1, 2)).collect();
        assert_eq!(rows.as_slice(), expected);
        let sum = pool.reduce(frozen.range(1..299).split_flat(), 0, |x| x.iter().sum::<u64>(), |a, b| a + b);
        assert_eq!(sum.unwrap(), (5..1495).sum::<u64>());
        let flat = pool.reduce((same.split_axis(1), same.whole_flat()), 0, |(x, _)| x.sum(), |a, b| a + b);
        assert_eq!(flat.unwrap(), (0..1500).sum::<u64>());
        drop(same);
        assert!(frozen.thaw().is_ok(), "a launch keeps no handle");
    }
}

/// A handle that travelled is read in place; only its maker's process can name it to workers.
#[test]
fn a_frozen_array_is_no_operand_in_another_process() {
    let pool = Pool::builder().workers(1).build().unwrap();
    let frozen = pool.from_fn(10, |i| i as u64).unwrap().freeze().unwrap();
    let (here, first) = pool
        .apply(
            |frozen: phalanx::FrozenArray<u64>| {
                let pool = Pool::builder().backend(Backend::Inline).build().unwrap();
                let launched = pool.for_each(frozen.range(2..).split(), |_| ());
                (launched.unwrap_err().to_string(), frozen.range(2..).view()[0])
            },
            frozen,
        )
        .unwrap();
    assert!(here.contains("another process made this frozen array"), "{here}");
    assert_eq!(first, 2);
}

#[test]
fn phases_open_ranges_of_rows() {
    for pool in pools() {
        let n = 500;
        let x = pool.from_fn(n, |i| (i * i) as f64).unwrap();
        let mut y = pool.zeros::<f64>(n).unwrap();
        let sum = pool.region((&x, &mut y), |team, (x, mut y)| {
            let n = x.rows();
            // Inner points from their neighbours, then the ends from the inner points.
            let operands =
                (y.range_mut(1..n - 1).split_mut(), x.range(..n - 2).split(), x.range(2..).split());
            team.phase(operands, |(y, left, right)| {
                for ((y, left), right) in y.iter_mut().zip(left).zip(right) {
                    *y = (right - left) / 2.0;
                }
            })?;
            let next = team.phase((y.range(1..2).whole(), y.range(1..n - 1).whole()), |(next, inner)| {
                assert_eq!(next[0], inner[0]);
                next[0]
            })?;
            team.phase(y.range_mut(..1).split_mut(), |first| first.iter_mut().for_each(|y| *y = -next))?;
            let sum = |rows: &[f64]| rows.iter().sum::<f64>();
            team.reduce_chunks(y.range(1..n - 1).split(), 0.0, sum, |a, b| a + b)
        });
        let expected: Vec<f64> = (0..n).map(|i| [i as f64 * 2.0, 0.0][usize::from(i == n - 1)]).collect();
        assert_eq!(y.as_slice()[1..], expected[1..], "{pool:?}");
        assert_eq!(y.as_slice()[0], -2.0);
        assert_eq!(sum.unwrap(), expected.iter().sum::<f64>());
    }
}

#[test]
fn ranks_that_name_different_ranges_are_told_before_they_touch_anything() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let mut y = pool.zeros::<u64>(10).unwrap();
    let error = pool.region(&mut y, |team, mut y| {
        let first = 5 * team.rank();
        team.phase(y.range_mut(first..first + 5).split_mut(), |rows| rows.fill(1))?;
        Ok(0)
    });
    assert!(matches!(error, Err(LaunchError::Region { .. })), "{error:?}");
    let outside = pool.region(&mut y, |team, mut y| {
        team.phase(y.range_mut(5..11).split_mut(), |rows| rows.fill(1))?;
        Ok(0)
    });
    let text = outside.unwrap_err().to_string();
    assert!(text.contains("outside an array of 10 rows"), "{text}");
    assert_eq!(y.as_slice(), [0; 10]);
}

/// Phase after phase, and twice in one phase, a halo shows what the array holds now.
#[test]
fn halos_of_phases_use_their_memory_again() {
    for pool in pools() {
        let n = 300;
        let mut u = pool.from_fn(n, |i| i as u64).unwrap();
        let mut v = pool.zeros::<u64>(n).unwrap();
        let rounds = pool.region((&mut u, &mut v), |team, (mut u, mut v)| {
            for _ in 0..4 {
                let operands = (v.split_mut(), u.halo(1, Edge::Wrap), u.range(..).halo(2, Edge::Fill(7)));
                team.phase(operands, |(v, u, wide)| {
                    for (i, v) in v.iter_mut().enumerate() {
                        *v = u[i].wrapping_mul(3) ^ u[i + 2] ^ wide[i].wrapping_add(wide[i + 4]);
                    }
                })?;
                team.phase((u.split_mut(), v.split()), |(u, v)| u.copy_from_slice(v))?;
            }
            Ok(4_u64)
        });
        assert_eq!(rounds.unwrap(), 4);
        let mut expected: Vec<u64> = (0..n as u64).collect();
        for _ in 0..4 {
            let far = |i: usize, by: isize| match i.checked_add_signed(by) {
                Some(at) if at < n => expected[at],
                _ => 7,
            };
            let next = |i: usize| {
                let near = expected[(i + n - 1) % n].wrapping_mul(3) ^ expected[(i + 1) % n];
                near ^ far(i, -2).wrapping_add(far(i, 2))
            };
            expected = (0..n).map(next).collect();
        }
        assert_eq!(u.as_slice(), expected, "{pool:?}");
    }
}

/// Chunks show what a phase shows, whatever is beyond the ends.
#[test]
fn halos_of_chunks_are_those_of_phases() {
    let blend = |u: &[u64], i: usize, k: usize| u[i].wrapping_mul(3) ^ u[i + k] ^ u[i + 2 * k].rotate_left(7);
    let edges = [Edge::Clamp, Edge::Wrap, Edge::Fill(7_u64)];
    for pool in pools() {
        for (n, k, edge) in [0, 1, 2, 5, 300]
            .into_iter()
            .flat_map(|n| [0, 1, 3, 400].map(|k| (n, k)))
            .flat_map(|(n, k)| (0..edges.len()).map(move |edge| (n, k, edge)))
        {
            let u = pool.from_fn(n, |i| (i * i) as u64).unwrap();
            let (mut cut, mut phased) = (pool.zeros::<u64>(n).unwrap(), pool.zeros::<u64>(n).unwrap());
            let operands = (&mut cut, &mut phased, &u, k as u64, edge as u64);
            let outcome = pool.region(operands, move |team, (mut cut, mut phased, u, k, edge)| {
                let (k, edge) = (k as usize, [Edge::Clamp, Edge::Wrap, Edge::Fill(7)][edge as usize]);
                team.phase((phased.split_mut(), u.halo(k, edge)), |(v, u)| {
                    v.iter_mut().enumerate().for_each(|(i, v)| *v = blend(u, i, k));
                })?;
                team.for_each((cut.split_mut(), u.halo(k, edge)), |(v, u)| {
                    v.iter_mut().enumerate().for_each(|(i, v)| *v = blend(u, i, k));
                })
            });
            outcome.unwrap();
            assert_eq!(cut.as_slice(), phased.as_slice(), "{n} rows, {k}, {:?}", edges[edge]);
        }
    }
}
