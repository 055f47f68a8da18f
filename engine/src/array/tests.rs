use super::*;
use crate::memory::{AllocError, registry};
use ndarray::{Array2, IxDyn, array};

#[test]
fn constructors_agree_with_their_plain_twins() {
    for n in [0usize, 1, 7, 1000, 300_000] {
        let zeros = SharedArray::<f64>::zeros(n).unwrap();
        assert_eq!(zeros.as_slice(), vec![0.0; n]);
        let counted = SharedArray::from_fn(n, |i| i as u32 * 3).unwrap();
        let twin: Vec<u32> = (0..n as u32).map(|i| i * 3).collect();
        assert_eq!(counted.as_slice(), twin);
        assert_eq!(SharedArray::from_slice(&twin).unwrap().to_vec(), twin);
        assert_eq!((counted.len(), counted.is_empty(), counted.dim(), counted.ndim()), (n, n == 0, n, 1));
    }
}

#[test]
fn ndarray_sources_of_any_layout_arrive_in_row_major_order() {
    let source = Array2::from_shape_fn((5, 3), |(i, j)| (10 * i + j) as i64);
    let plain = SharedArray::from_ndarray(&source).unwrap();
    assert_eq!(plain.view(), source);
    let turned = SharedArray::from_ndarray(&source.t()).unwrap();
    assert_eq!(turned.view(), source.t());
    assert_eq!(turned.as_slice()[..5], [0, 10, 20, 30, 40]);
    let same = SharedArray::from_shape_fn((5, 3), |(i, j)| (10 * i + j) as i64).unwrap();
    assert_eq!(same.view(), source);
}

#[test]
fn rows_are_slices_in_one_dimension_and_views_in_more() {
    let mut a = SharedArray::from_fn(10, |i| i).map(|a| a.reshape((5, 2)).unwrap()).unwrap();
    assert_eq!(a.rows(1..3), array![[2, 3], [4, 5]]);
    a.rows_mut(4..5).fill(0);
    let a = a.reshape(IxDyn(&[10])).unwrap().reshape(10).unwrap();
    assert_eq!(a.rows(7..10), [7, 0, 0]);
    assert_eq!(a.rows(3..3), [0usize; 0]);
}

#[test]
fn an_array_without_axes_is_one_row_and_never_none() {
    let mut one = SharedArray::<u64, IxDyn>::zeros(IxDyn(&[])).unwrap();
    one.rows_mut(0..1).fill(7);
    assert_eq!(one.rows(0..1).iter().copied().collect::<Vec<_>>(), [7]);
    for outside in [0..0, 1..1, 0..2, 1..2] {
        let caught =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| one.rows_mut(outside.clone()).len()));
        assert!(caught.is_err(), "{outside:?}");
    }
}

#[test]
#[should_panic(expected = "leave an array of 4 rows")]
fn rows_outside_the_array_panic() {
    let a = SharedArray::<u8>::zeros(4).unwrap();
    a.rows(2..5);
}

#[test]
fn reshape_to_another_size_gives_the_array_back() {
    let a = SharedArray::from_slice(&[1u8, 2, 3]).unwrap();
    let a = a.reshape((2, 2)).unwrap_err();
    let a = a.reshape((usize::MAX, 3)).unwrap_err();
    assert_eq!(a.as_slice(), [1, 2, 3]);
}

#[test]
fn absurd_shapes_are_refused_before_any_system_call() {
    let too_big = |e: AllocError| assert!(matches!(e, AllocError::TooBig { .. }), "{e}");
    too_big(SharedArray::<f64>::zeros(usize::MAX).unwrap_err());
    too_big(SharedArray::<f64>::zeros(usize::MAX / 8 + 1).unwrap_err());
    too_big(SharedArray::<u8>::zeros(isize::MAX as usize + 1).unwrap_err());
    too_big(SharedArray::<u8, _>::zeros((usize::MAX, 2, 0)).unwrap_err());
    // 1 PiB is a possible size, but not here; sparse files would accept it.
    let error = SharedArray::<u8>::zeros(1 << 50).unwrap_err();
    assert!(matches!(error, AllocError::NoSpace { .. } | AllocError::Limit { .. }), "{error}");
    assert_eq!(SharedArray::<f64, _>::zeros((3, 0, 5)).unwrap().view().dim(), (3, 0, 5));
}

#[test]
fn small_arrays_share_the_arena_and_large_ones_own_a_segment() {
    let (a, b) = (SharedArray::<u8>::zeros(100).unwrap(), SharedArray::<u8>::zeros(100).unwrap());
    assert_eq!(a.segment().id(), b.segment().id());
    assert_ne!(a.byte_offset(), b.byte_offset());
    let c = SharedArray::<u8>::zeros(1 << 20).unwrap();
    assert_ne!(c.segment().id(), a.segment().id());
    assert_eq!(c.byte_offset(), 0);
    let id = c.segment().id();
    drop(c);
    assert!(!registry::is_live(id));
}

#[test]
fn a_value_is_an_array_of_one() {
    let mut v = SharedValue::new([1u16, 2]).unwrap();
    v.get_mut()[1] = 9;
    assert_eq!(v.get(), [1, 9]);
    assert_eq!(v.as_array().len(), 1);
    assert_eq!(format!("{v:?}"), "SharedValue([1, 9])");
}

#[test]
fn threads_make_and_drop_arrays_at_once_and_none_sees_anothers() {
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            scope.spawn(move || {
                let mut held: Vec<SharedArray<u64>> = Vec::new();
                for round in 0..300u64 {
                    let len = (thread * 7919 + round * 104_729) as usize % 20_000;
                    let mut a = SharedArray::<u64>::zeros(len).unwrap();
                    assert!(a.as_slice().iter().all(|&x| x == 0));
                    a.fill(thread << 32 | round);
                    held.push(a);
                    if round % 3 == 0 {
                        let a = held.swap_remove((round as usize * 31) % held.len());
                        let value = a.as_slice().first().copied().unwrap_or(thread << 32);
                        assert_eq!(value >> 32, thread);
                        assert!(a.as_slice().iter().all(|&x| x == value));
                    }
                }
            });
        }
    });
}
