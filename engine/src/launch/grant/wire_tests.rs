//! Whatever stands in the wire of an array, or of a part of one, it leads inside its segment or nowhere.
//!
//! # Safety
//! Views are made of parts that were opened, of arrays that nobody else has.
#![allow(unsafe_code)]

use super::strided::{Strided, StridedWire};
use super::tile::TileGrid;
use super::*;
use crate::array::SharedArray;
use crate::memory::{SegmentId, registry};
use crate::team::orders::Order;
use ndarray::{Dimension, IxDyn};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::Cell;

/// Small numbers, those at the ends of the range, and any others.
fn number() -> impl Strategy<Value = u64> {
    let ends = prop_oneof![Just(1_u64 << 61), Just(1 << 63), Just(u64::MAX - 7), Just(u64::MAX)];
    prop_oneof![4 => 0..5_u64, 1 => Just(64), 1 => ends, 1 => any::<u64>()]
}

#[test]
fn any_wire_leads_inside_its_segment_or_nowhere() {
    let pool = crate::Pool::builder().workers(1).backend(crate::Backend::Inline).build().unwrap();
    let array = SharedArray::<u64>::zeros(64).unwrap();
    let own = ArrayWire::of(&RangeRef::of(&array));
    let opened = Cell::new(0);
    let words = (
        prop::option::of(number()),
        prop::option::of(number()),
        number(),
        prop::array::uniform6(number()),
        any::<bool>(),
    );
    let config = ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&words, |(segment, offset, axes, shape, writable)| {
        let (segment, offset) = (segment.unwrap_or(own.segment), offset.unwrap_or(own.offset));
        let wire = ArrayWire { segment, offset, axes, shape };
        let mut member = pool.core.launcher.crew.member(0);
        let mut context = LaunchContext { order: Order::default(), member: &mut member, scratch_used: 0 };
        if let Ok(located) = Located::<u64, IxDyn>::open(&wire, &mut context, writable) {
            opened.set(opened.get() + 1);
            let segment = registry::lookup(SegmentId(wire.segment)).expect("it was found");
            let bytes = located.dim.slice().iter().fold(8_u128, |bytes, len| bytes * *len as u128);
            let from = located.base.addr() as u128;
            let (base, len) = (segment.base().addr().get() as u128, segment.len_bytes() as u128);
            prop_assert!(base <= from && from + bytes <= base + len, "{wire:?}");
            prop_assert!(located.base.is_aligned() && located.dim.ndim() as u64 == axes);
        }
        Ok(())
    });
    outcome.unwrap();
    assert!(opened.get() > 1000, "only {} wires led anywhere: this test has lost its way", opened.get());
}

/// Small numbers mostly, so that most slices lie inside.
fn stride() -> impl Strategy<Value = u64> {
    prop_oneof![30 => 0..20_u64, 1 => number()]
}

#[test]
fn any_wire_of_a_slice_leads_inside_its_segment_or_nowhere() {
    let pool = crate::Pool::builder().workers(1).backend(crate::Backend::Inline).build().unwrap();
    let array = SharedArray::<u32>::zeros(64).unwrap();
    let own = StridedWire::of(&array.slice(ndarray::s![..]));
    let (opened, written) = (Cell::new(0), Cell::new(0));
    let words = (
        prop::option::of(number()),
        prop::option::of(number()),
        prop_oneof![8 => 1..4_u64, 1 => number()],
        prop::array::uniform6(number()),
        prop::array::uniform6(stride()),
        any::<(u64, bool)>(),
    );
    let config = ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&words, |words| {
        let (segment, offset, axes, shape, strides, (reversed, writable)) = words;
        let (segment, offset) = (segment.unwrap_or(own.segment), offset.unwrap_or(own.offset));
        let wire = StridedWire { segment, offset, axes, shape, strides, reversed };
        let mut member = pool.core.launcher.crew.member(0);
        let mut context = LaunchContext { order: Order::default(), member: &mut member, scratch_used: 0 };
        let Ok(part) = Strided::<u32, IxDyn>::open(&wire, &mut context, writable) else { return Ok(()) };
        opened.set(opened.get() + 1);
        let segment = registry::lookup(SegmentId(wire.segment)).expect("it was found");
        let (base, len) = (segment.base().addr().get(), segment.len_bytes());
        // A slice of few axes may still have many indices that lead to the same elements.
        if part.dim.size() > 1000 {
            return Ok(());
        }
        // SAFETY: inside the segment, as asserted below before anything is read, which nothing is.
        let view = unsafe { part.view(part.all()) };
        let mut seen = std::collections::BTreeSet::new();
        for element in view.iter().map(std::ptr::from_ref) {
            let at = element.addr();
            prop_assert!(element.is_aligned() && base <= at && at + 4 <= base + len, "{wire:?}");
            prop_assert!(seen.insert(at) || !writable, "{wire:?} leads twice to one element");
        }
        written.set(written.get() + usize::from(writable && seen.len() > 1));
        Ok(())
    });
    outcome.unwrap();
    let found = (opened.get(), written.get());
    assert!(found.0 > 1000 && found.1 > 100, "{found:?} wires led anywhere: this test has lost its way");
}

#[test]
fn any_tiles_lie_inside_and_apart() {
    let words = prop::collection::vec((0..6_usize, number()), 1..5);
    let config = ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&words, |axes| {
        let shape = IxDyn(&axes.iter().map(|(len, _)| *len).collect::<Vec<_>>());
        let mut wire = [1; MAX_AXES];
        wire.iter_mut().zip(&axes).for_each(|(to, (_, tile))| *to = *tile);
        let Some(grid) = TileGrid::from_wire(&shape, &wire) else {
            prop_assert!(axes.iter().any(|(_, tile)| *tile == 0));
            return Ok(());
        };
        let mut times = ndarray::ArrayD::<u8>::zeros(shape);
        for index in 0..grid.len {
            let block = grid.block(index);
            let mut part = times.view_mut();
            for (axis, (lo, len)) in block.origin.slice().iter().zip(block.shape.slice()).enumerate() {
                prop_assert!(lo + len <= part.len_of(ndarray::Axis(axis)) && *len > 0);
                part.slice_axis_inplace(ndarray::Axis(axis), (*lo..lo + len).into());
            }
            part += 1;
        }
        prop_assert!(times.iter().all(|times| *times == 1));
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn a_slice_leads_where_ndarray_says() {
    let pool = crate::Pool::builder().workers(1).backend(crate::Backend::Inline).build().unwrap();
    let cut = || (0..9_isize, 0..9_isize, prop_oneof![-3..0_isize, 1..4_isize]);
    let cuts = (prop::collection::vec((0..9_usize, cut(), cut()), 1..5), any::<bool>());
    let config = ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&cuts, |(axes, writable)| {
        let shape: Vec<usize> = axes.iter().map(|(len, ..)| *len).collect();
        let array = SharedArray::<u16, _>::from_shape_fn(IxDyn(&shape), |index| {
            index.slice().iter().fold(0, |sum, at| sum * 10 + *at as u16)
        });
        let array = array.unwrap();
        let mut part = array.slice(whole(&shape).as_slice());
        for second in [false, true] {
            let info = axes.iter().enumerate().map(|(axis, (_, one, two))| {
                let (a, b, step) = if second { *two } else { *one };
                let len = part.view().shape()[axis] as isize;
                let (start, end) = (a.min(b).min(len), a.max(b).min(len));
                ndarray::SliceInfoElem::Slice { start, end: Some(end), step }
            });
            part = part.slice(info.collect::<Vec<_>>().as_slice());
        }
        let mut member = pool.core.launcher.crew.member(0);
        let mut context = LaunchContext { order: Order::default(), member: &mut member, scratch_used: 0 };
        let Ok(local) = Strided::<u16, IxDyn>::open(&StridedWire::of(&part), &mut context, writable) else {
            return Err(TestCaseError::fail("a slice of an array leads nowhere"));
        };
        // SAFETY: all of the slice, of an array that nobody writes.
        let view = unsafe { local.view(local.all()) };
        prop_assert_eq!(view, part.view());
        Ok(())
    });
    outcome.unwrap();
}

/// Everything along each axis.
fn whole(shape: &[usize]) -> Vec<ndarray::SliceInfoElem> {
    shape.iter().map(|_| (..).into()).collect()
}

#[test]
fn a_range_leads_to_its_rows() {
    let pool = crate::Pool::builder().workers(1).backend(crate::Backend::Inline).build().unwrap();
    let ranges = (0..20_usize, 1..4_usize, 0..3_usize, [0..20_usize, 0..20, 0..20, 0..20]);
    let config = ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&ranges, |(rows, axes, width, cuts)| {
        let mut shape = vec![width; axes];
        shape[0] = rows;
        let array = SharedArray::<u16, _>::zeros(IxDyn(&shape)).unwrap();
        let [a, b, c, d] = cuts;
        let (lo, hi) = (a.min(b).min(rows), a.max(b).min(rows));
        let (from, to) = (c.min(d).min(hi - lo), c.max(d).min(hi - lo));
        let part = array.range(lo..hi);
        let part = part.range(from..to);
        let mut member = pool.core.launcher.crew.member(0);
        let mut context = LaunchContext { order: Order::default(), member: &mut member, scratch_used: 0 };
        let Ok(located) = Located::<u16, IxDyn>::open(&ArrayWire::of(&part), &mut context, false) else {
            return Err(TestCaseError::fail("a range of an array leads nowhere"));
        };
        let expected = array.view();
        let expected = expected.slice_axis(ndarray::Axis(0), (lo + from..lo + to).into());
        prop_assert_eq!(located.dim.slice(), expected.shape());
        prop_assert_eq!(part.view().as_ptr(), located.base.cast_const());
        if !expected.is_empty() {
            prop_assert_eq!(expected.as_ptr(), located.base.cast_const());
        }
        Ok(())
    });
    outcome.unwrap();
}
