//! Grants of slices, of tiles, and of neighbours along several axes, on every backend, beside plain loops.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![allow(clippy::reversed_empty_ranges, reason = "slices count negative ends from the far end")]

use ndarray::{Array2, Array3, ArrayD, ArrayView, Dimension, IxDyn, Zip, s};
use phalanx::{Backend, Edge, LaunchError, Pool};

/// One pool of each backend.
fn pools() -> Vec<Pool> {
    vec![
        Pool::builder().workers(2).build().unwrap(),
        Pool::builder().workers(3).backend(Backend::Threads).build().unwrap(),
        inline(),
    ]
}

fn inline() -> Pool {
    Pool::builder().backend(Backend::Inline).build().unwrap()
}

/// Elements that are their own row-major indices.
fn counted(rows: usize, columns: usize) -> Array2<u64> {
    Array2::from_shape_fn((rows, columns), |(i, j)| (columns * i + j) as u64)
}

#[test]
fn slices_are_read_and_written_where_ndarray_says() {
    for pool in pools() {
        for (rows, columns) in [(50, 40), (2, 2), (3, 1), (200, 3)] {
            let a = pool.from_ndarray(&counted(rows, columns)).unwrap();
            let mut b = pool.from_ndarray(&counted(rows, columns)).unwrap();
            let mut expected = counted(rows, columns);
            let infos =
                [s![.., 1..], s![1..-1, ..], s![..;2, ..;-1], s![..;-1, ..;3], s![1..1, ..], s![.., ..0]];
            for info in infos {
                pool.launch()
                    .chunk(3)
                    .for_each((b.slice_mut(info).split_mut(), a.slice(info).split()), |(mut b, a)| {
                        assert_eq!(a.shape(), b.shape());
                        b += &a;
                        b *= 3;
                    })
                    .unwrap();
                let mut part = expected.slice_mut(info);
                part += &a.view().slice(info);
                part *= 3;
                assert_eq!(b.view(), expected, "{pool:?} {info:?}");
                let seen = pool.broadcast(a.slice(info).whole(), |_, all| {
                    let first = all.first().copied().unwrap_or(0);
                    assert!(all.iter().all(|x| *x <= first + 3000));
                });
                seen.unwrap();
            }
            // One axis is taken away.
            pool.for_each(
                (b.slice_mut(s![.., 0]).split_out(), a.slice(s![..;-1, -1]).split()),
                |(mut b, a)| {
                    b.assign(&a);
                },
            )
            .unwrap();
            expected.slice_mut(s![.., 0]).assign(&a.view().slice(s![..;-1, -1]));
            assert_eq!(b.view(), expected);
        }
    }
}

#[test]
fn slices_of_ranges_and_slices_count_from_their_own_start() {
    for pool in pools() {
        let mut a = pool.from_ndarray(&counted(30, 20)).unwrap();
        let mut expected = counted(30, 20);
        let inner = a.range_mut(5..25).slice_mut(s![..;-2, 2..]).slice_mut(s![1..4, ..;3]);
        pool.for_each(inner.split_mut(), |mut part| part.fill(0)).unwrap();
        let mut part = expected.slice_mut(s![5..25, ..]);
        let mut part = part.slice_mut(s![..;-2, 2..]);
        part.slice_mut(s![1..4, ..;3]).fill(0);
        assert_eq!(a.view(), expected);
    }
}

#[test]
#[should_panic(expected = "Index 5 must be less than axis length 3")]
fn a_slice_beyond_the_end_panics_as_ndarray_does() {
    let a = phalanx::SharedArray::<u8, _>::zeros((3, 3)).unwrap();
    let _ = a.slice(s![.., 5]);
}

#[test]
fn tiles_cover_an_array_once() {
    for pool in pools() {
        for (shape, tile) in [
            ((100, 70), (32, 32)),
            ((64, 64), (32, 32)),
            ((1, 1), (5, 5)),
            ((7, 1000), (3, 1000)),
            ((3, 3), (1, 1)),
            ((0, 5), (2, 2)),
            ((5, 5), (usize::MAX, 2)),
        ] {
            let a = pool.from_ndarray(&counted(shape.0, shape.1)).unwrap();
            let mut b = pool.zeros_nd::<u64, _>(shape).unwrap();
            let tiles = shape.0.div_ceil(tile.0) * shape.1.div_ceil(tile.1);
            let mut sizes = pool.zeros::<u64>(tiles).unwrap();
            let operands =
                (b.tiles_mut(tile), a.tiles(tile), sizes.split_out(), 0..tiles, (shape.1, tile.0, tile.1));
            pool.for_each(operands, |(mut b, a, sizes, number, (columns, height, width))| {
                assert_eq!((a.origin, a.view.shape(), sizes.len()), (b.origin, b.view.shape(), 1));
                let (i, j) = a.origin;
                let across = columns.div_ceil(width);
                assert_eq!(number.start, i / height * across + j / width, "row-major");
                for ((di, dj), x) in a.view.indexed_iter() {
                    assert_eq!(*x as usize, (i + di) * columns + j + dj);
                }
                b.view += &a.view;
                b.view += 1;
                sizes[0] = a.view.len() as u64;
            })
            .unwrap();
            assert_eq!(b.view(), a.view().mapv(|x| x + 1), "{pool:?} {shape:?}");
            assert_eq!(sizes.as_slice().iter().sum::<u64>(), (shape.0 * shape.1) as u64);
        }
    }
}

#[test]
fn tiles_in_one_three_and_six_dimensions() {
    for pool in pools() {
        let mut line = pool.zeros::<u64>(1000).unwrap();
        pool.for_each(line.tiles_out(64), |mut tile| {
            let origin = tile.origin;
            tile.view.indexed_iter_mut().for_each(|(i, x)| *x = (origin + i) as u64);
        })
        .unwrap();
        assert!(line.as_slice().iter().enumerate().all(|(i, x)| *x == i as u64));

        let mut cube = pool.zeros_nd::<u64, _>((20, 30, 40)).unwrap();
        pool.for_each(cube.tiles_mut((7, 8, 9)), |mut tile| {
            let (i, j, k) = tile.origin;
            for ((a, b, c), x) in tile.view.indexed_iter_mut() {
                *x += (10_000 * (i + a) + 100 * (j + b) + k + c) as u64;
            }
        })
        .unwrap();
        let expected = Array3::from_shape_fn((20, 30, 40), |(i, j, k)| (10_000 * i + 100 * j + k) as u64);
        assert_eq!(cube.view(), expected);

        let shape = IxDyn(&[3, 2, 4, 2, 3, 5]);
        let mut six = pool.zeros_nd::<u64, _>(shape.clone()).unwrap();
        pool.for_each(six.tiles_mut(IxDyn(&[2, 2, 3, 1, 2, 2])), |mut tile| {
            tile.view += 1 + tile.origin[5] as u64;
        })
        .unwrap();
        let expected = ArrayD::from_shape_fn(shape, |index| 1 + (index[5] / 2 * 2) as u64);
        assert_eq!(six.view(), expected);
    }
}

#[test]
fn tiles_of_slices_leave_the_rest_alone() {
    for pool in pools() {
        let mut a = pool.from_ndarray(&counted(50, 50)).unwrap();
        let mut expected = counted(50, 50);
        pool.for_each(a.slice_mut(s![1..-1, 1..-1]).tiles_mut((16, 16)), |mut tile| tile.view.fill(0))
            .unwrap();
        expected.slice_mut(s![1..-1, 1..-1]).fill(0);
        assert_eq!(a.view(), expected);
        pool.for_each(a.range_mut(10..20).tiles_out((4, 4)), |mut tile| {
            let (i, j) = tile.origin;
            assert!(i < 10 && j < 50);
            tile.view.fill(9);
        })
        .unwrap();
        expected.slice_mut(s![10..20, ..]).fill(9);
        assert_eq!(a.view(), expected);
    }
}

#[test]
fn tiles_that_do_not_fit_are_refused_before_anything_runs() {
    let pool = inline();
    let a = pool.zeros_nd::<u8, _>((8, 4)).unwrap();
    let mut b = pool.zeros_nd::<u8, _>((4, 8)).unwrap();
    let why = |outcome: Result<(), LaunchError>| match outcome {
        Err(LaunchError::BadGrant { what, why }) => format!("{what}: {why}"),
        other => panic!("{other:?}"),
    };
    let other = why(pool.for_each((b.tiles_mut((2, 2)), a.tiles((2, 2))), |_| panic!("runs")));
    assert!(other.contains("[4, 2] tiles along its axes") && other.contains("[2, 4]"), "{other}");
    let none = why(pool.for_each(a.tiles((2, 0)), |_| panic!("runs")));
    assert!(none.contains("[2, 0]"), "{none}");
    let axes = pool.zeros_nd::<u8, _>(IxDyn(&[4, 4])).unwrap();
    let axes = why(pool.for_each(axes.tiles(IxDyn(&[2])), |_| panic!("runs")));
    assert!(axes.contains("[2]"), "{axes}");
    let wide = why(pool.for_each(a.halo_nd([usize::MAX, 1], Edge::Wrap), |_| panic!("runs")));
    assert!(wide.contains("larger than any memory"), "{wide}");
    let wide = why(pool.for_each(a.tiles_halo((2, 2), [1 << 31, 1 << 31], Edge::Clamp), |_| panic!("runs")));
    assert!(wide.contains("larger than any memory"), "{wide}");
    let broadcast = why(pool.broadcast(a.tiles((2, 2)), |_, _| panic!("runs")));
    assert!(broadcast.contains("a tiles() array: it cannot be broadcast"), "{broadcast}");
    let many = pool.zeros_nd::<u8, _>((2048, 2049)).unwrap();
    let many = why(pool.for_each(many.tiles((1, 1)), |_| panic!("runs")));
    assert!(many.contains("make them larger"), "{many}");
    let lengths = pool.for_each((b.tiles_mut((2, 2)), 0..7), |_| panic!("runs")).unwrap_err();
    assert!(matches!(lengths, LaunchError::Lengths { .. }), "{lengths}");
}

/// What stands at an index that may lie beyond the ends; `None` if nothing does.
fn beyond<D: Dimension>(a: ArrayView<'_, u64, D>, at: &[isize], edge: Edge<u64>) -> Option<u64> {
    let mut index = D::zeros(at.len());
    for ((to, at), len) in index.slice_mut().iter_mut().zip(at).zip(a.shape()) {
        let len = *len as isize;
        *to = match edge {
            _ if (0..len).contains(at) => *at,
            Edge::Clamp => (*at).clamp(0, len - 1),
            Edge::Wrap => at.rem_euclid(len),
            Edge::Fill(value) => return Some(value),
            Edge::Shrink => return None,
        } as usize;
    }
    a.into_dyn().get(IxDyn(index.slice())).copied()
}

const EDGES: [Edge<u64>; 4] = [Edge::Shrink, Edge::Clamp, Edge::Wrap, Edge::Fill(77_777)];

/// Adds all neighbours, each with a weight that tells where it stands.
fn weighted(at: impl Fn(isize, isize) -> Option<u64>, k: [usize; 2]) -> u64 {
    let [k0, k1] = k.map(|k| k as isize);
    let mut sum = 0_u64;
    for di in -k0..=k0 {
        for dj in -k1..=k1 {
            let weight = (31 * (di + k0) + (dj + k1) + 1) as u64;
            sum = sum.wrapping_add(weight.wrapping_mul(at(di, dj).unwrap_or(0)));
        }
    }
    sum
}

#[test]
fn neighbours_along_both_axes_are_right_at_every_edge() {
    for pool in pools() {
        for (shape, tile, k) in [
            ((40, 30), (16, 8), [1, 1]),
            ((9, 9), (3, 4), [2, 1]),
            ((5, 4), (2, 2), [6, 9]),
            ((1, 1), (1, 1), [1, 2]),
            ((12, 7), (5, 5), [0, 2]),
            ((12, 7), (5, 5), [0, 0]),
        ] {
            let a = pool.from_ndarray(&counted(shape.0, shape.1)).unwrap();
            for edge in EDGES {
                let expected = Array2::from_shape_fn(shape, |(i, j)| {
                    weighted(|di, dj| beyond(a.view(), &[i as isize + di, j as isize + dj], edge), k)
                });
                let mut tiled = pool.zeros_nd::<u64, _>(shape).unwrap();
                let operands = (tiled.tiles_out(tile), a.tiles_halo(tile, k, edge), k);
                pool.for_each(operands, |(mut out, u, k)| {
                    assert_eq!(out.origin, u.origin);
                    for ((i, j), out) in out.view.indexed_iter_mut() {
                        let (i, j) = ((i + u.inset.0) as isize, (j + u.inset.1) as isize);
                        *out =
                            weighted(|di, dj| u.view.get(((i + di) as usize, (j + dj) as usize)).copied(), k);
                    }
                })
                .unwrap();
                assert_eq!(tiled.view(), expected, "{pool:?} {shape:?} {tile:?} {k:?} {edge:?}");

                let mut split = pool.zeros_nd::<u64, _>(shape).unwrap();
                let operands = (split.split_out(), a.halo_nd(k, edge), k, 0..shape.0);
                pool.launch()
                    .chunk(3)
                    .for_each(operands, |(mut out, u, k, rows)| {
                        assert_eq!(u.origin, (rows.start, 0));
                        for ((i, j), out) in out.indexed_iter_mut() {
                            let (i, j) = ((i + u.inset.0) as isize, (j + u.inset.1) as isize);
                            *out = weighted(
                                |di, dj| u.view.get(((i + di) as usize, (j + dj) as usize)).copied(),
                                k,
                            );
                        }
                    })
                    .unwrap();
                assert_eq!(split.view(), expected, "{pool:?} {shape:?} {k:?} {edge:?}");
            }
        }
    }
}

/// With a full edge, the view's windows are one for each element of the tile.
#[test]
fn windows_of_a_halo_are_the_neighbours_of_each_element() {
    for pool in pools() {
        let shape = (9, 10, 11);
        let a = pool.from_shape_fn(shape, |(i, j, k)| (i * i + 3 * j + k * k * k) as u64).unwrap();
        let mut tiled = pool.zeros_nd::<u64, _>(shape).unwrap();
        let tile = (4, 4, 4);
        let operands = (tiled.tiles_out(tile), a.tiles_halo(tile, [1, 1, 1], Edge::Wrap));
        pool.for_each(operands, |(mut out, u)| {
            assert_eq!(u.inset, (1, 1, 1));
            Zip::from(&mut out.view).and(u.view.windows((3, 3, 3))).for_each(|out, near| *out = near.sum());
        })
        .unwrap();
        let expected = Array3::from_shape_fn(shape, |(i, j, k)| {
            let near = (0..27).map(|n| [n / 9, n / 3 % 3, n % 3].map(|d| d as isize - 1));
            let at = |[a, b, c]: [isize; 3]| [i as isize + a, j as isize + b, k as isize + c];
            near.map(|d| beyond(a.view(), &at(d), Edge::Wrap).unwrap()).sum::<u64>()
        });
        assert_eq!(tiled.view(), expected);
    }
}

/// A halo of a slice ends where the slice does, also where it runs backwards.
#[test]
fn halos_of_slices_and_odd_shapes() {
    let pool = inline();
    let a = pool.from_ndarray(&counted(12, 9)).unwrap();
    let infos = [s![1..-1, 1..-1], s![..;-1, ..;-2], s![..;3, ..;-1], s![4..5, ..]];
    for (info, edge) in infos.into_iter().flat_map(|info| EDGES.map(|edge| (info, edge))) {
        let part = a.slice(info);
        let mut out = pool.zeros_nd::<u64, _>(part.view().raw_dim()).unwrap();
        let operands = (out.tiles_out((3, 3)), part.tiles_halo((3, 3), [1, 2], edge));
        pool.for_each(operands, |(mut out, u)| {
            for ((i, j), out) in out.view.indexed_iter_mut() {
                let (i, j) = ((i + u.inset.0) as isize, (j + u.inset.1) as isize);
                *out = weighted(|di, dj| u.view.get(((i + di) as usize, (j + dj) as usize)).copied(), [1, 2]);
            }
        })
        .unwrap();
        let expected = Array2::from_shape_fn(out.dim(), |(i, j)| {
            weighted(|di, dj| beyond(part.view(), &[i as isize + di, j as isize + dj], edge), [1, 2])
        });
        assert_eq!(out.view(), expected, "{info:?} {edge:?}");
    }
    // Nothing to show: no columns, with each edge; a value fills.
    let none = pool.zeros_nd::<u64, _>((4, 0)).unwrap();
    for (edge, columns) in EDGES.into_iter().zip([0, 0, 0, 2]) {
        pool.for_each((none.halo_nd([1, 1], edge), columns), |(u, columns)| {
            assert_eq!(u.view.ncols(), columns);
            assert!(u.view.iter().all(|x| *x == 77_777));
        })
        .unwrap();
    }
}

#[test]
fn sums_over_tiles_have_the_same_bits_for_every_team() {
    let mut bits = std::collections::BTreeSet::new();
    for workers in [1, 2, 3] {
        for backend in [Backend::Processes, Backend::Threads] {
            let pool = Pool::builder().workers(workers).backend(backend).build().unwrap();
            let a = pool.from_shape_fn((300, 200), |(i, j)| 1.0 / (i * 200 + j + 1) as f64).unwrap();
            let sum = pool.reduce(a.tiles((32, 32)), 0.0, |tile| tile.view.sum(), |a, b| a + b).unwrap();
            let near = a.tiles_halo((32, 32), [1, 1], Edge::Wrap);
            let near = pool.reduce(near, 0.0, |tile| tile.view.sum(), |a, b| a + b).unwrap();
            bits.insert([sum.to_bits(), near.to_bits()]);
        }
    }
    assert_eq!(bits.len(), 1, "{bits:?}");
}

/// A worker that dies in the middle of a tile leaves the others' tiles done; the lost one runs again.
#[test]
fn a_tile_whose_worker_died_runs_again() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let mut a = pool.zeros_nd::<u64, _>((64, 64)).unwrap();
    let died = phalanx::sync::Counter::new(0).unwrap();
    let u = pool.from_ndarray(&counted(64, 64)).unwrap();
    let operands = (a.tiles_out((8, 8)), u.tiles_halo((8, 8), [1, 1], Edge::Clamp), &died);
    pool.launch()
        .retry(3)
        .retry_in_place()
        .for_each(operands, |(mut out, u, died)| {
            out.view.fill(1);
            if out.origin == (24, 32) && died.add(1) == 0 {
                std::process::abort();
            }
            out.view.assign(&u.view.slice(s![1..-1, 1..-1]));
        })
        .unwrap();
    assert_eq!(a.view(), u.view());
    assert_eq!(died.get(), 2);
}
