//! Whatever stands in an array's wire, it leads inside its segment or nowhere.

use super::*;
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
    let own = ArrayWire::of(&array);
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
