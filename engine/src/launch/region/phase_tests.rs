//! What a step's digest tells apart.

use super::*;
use crate::array::{RangeRef, SharedArray};
use crate::base::atomic::Ordering;
use crate::launch::grant::ArrayWire;
use crate::launch::region::digest::Key;
use crate::launch::region::step_kind::StepKind;
use ndarray::Ix1;
use proptest::prelude::*;

/// An operand as a body writes it.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Range(usize, usize),
    Own(usize),
    Bytes(usize),
    Parts(usize, Vec<usize>),
    Whole(usize),
    Halo(usize, usize, Edge<u64>),
}

/// Small numbers, among them the tags themselves, so that words of one operand look like another.
fn number() -> impl Strategy<Value = usize> {
    0..20_usize
}

fn edge() -> impl Strategy<Value = Edge<u64>> {
    let plain = prop_oneof![Just(Edge::Shrink), Just(Edge::Clamp), Just(Edge::Wrap)];
    prop_oneof![plain, number().prop_map(|value| Edge::Fill(value as u64))]
}

fn told() -> impl Strategy<Value = Told> {
    let offsets = prop::collection::vec(number(), 1..6).prop_map(|mut offsets| {
        offsets.sort_unstable();
        offsets
    });
    prop_oneof![
        (number(), number()).prop_map(|(start, end)| Told::Range(start, end)),
        (0..2_usize).prop_map(Told::Own),
        (0..2_usize).prop_map(Told::Bytes),
        (0..2_usize, offsets).prop_map(|(array, offsets)| Told::Parts(array, offsets)),
        (0..2_usize).prop_map(Told::Whole),
        (0..2_usize, 0..3_usize, edge()).prop_map(|(array, k, edge)| Told::Halo(array, k, edge)),
    ]
}

const KEY: u64 = 0x1234_5678_9abc_def0;

fn plan(kind: StepKind) -> PhasePlan {
    PhasePlan::new(Digest::new(Key::new(KEY), kind))
}

fn name<T>(wire: &ArrayWire) -> ArrayName {
    ArrayName::new(Key::new(KEY), &wire.words(), size_of::<T>())
}

/// The arrays that operands name: two of 64 rows.
fn arrays() -> [ArrayWire; 2] {
    let both = [0, 1].map(|_| SharedArray::<u64>::zeros(64).expect("an array"));
    both.each_ref().map(|array| ArrayWire::of(&RangeRef::of(array)))
}

fn describe(arrays: &[ArrayWire; 2], operand: &Told, plan: &mut PhasePlan) {
    // Rows that disagree are refused before any digest; here only digests are asked for.
    plan.rows = None;
    let located = || Located::<u64, Ix1>::nowhere(Ix1(64));
    let outcome = match operand {
        Told::Range(start, end) => (*start..*end).describe(plan),
        Told::Own(array) => {
            PhaseMut { name: name::<u64>(&arrays[*array]), local: located(), life: PhantomData }
                .describe(plan)
        }
        Told::Bytes(array) => {
            let local = Located::<u8, Ix1>::nowhere(Ix1(64));
            PhaseRef { name: name::<u8>(&arrays[*array]), local, life: PhantomData }.describe(plan)
        }
        Told::Parts(array, bounds) => {
            PhasePartsMut { name: name::<u64>(&arrays[*array]), local: located(), bounds, life: PhantomData }
                .describe(plan)
        }
        Told::Whole(array) => {
            PhaseWhole { name: name::<u64>(&arrays[*array]), local: located(), life: PhantomData }
                .describe(plan)
        }
        Told::Halo(array, k, edge) => {
            PhaseHalo::new(name::<u64>(&arrays[*array]), located(), *k, *edge, &Cell::default())
                .describe(plan)
        }
    };
    outcome.expect("operands that make sense");
}

fn digest(arrays: &[ArrayWire; 2], operands: &[Told]) -> Digest {
    let mut plan = plan(StepKind::Phase);
    operands.iter().for_each(|operand| describe(arrays, operand, &mut plan));
    // Not sealed: the frames alone must tell operands apart.
    plan.digest
}

#[test]
fn the_same_words_in_other_operands_are_another_digest() {
    let arrays = arrays();
    let one = [Told::Parts(0, vec![0, 10, 20, 50, 54, 60, 63])];
    let two = [Told::Parts(0, vec![0, 10, 20, 50]), Told::Range(60, 63)];
    assert_ne!(digest(&arrays, &one), digest(&arrays, &two));
}

#[test]
fn a_digest_cannot_be_worked_out_without_the_key() {
    let of = |word| {
        let mut digest = Digest::new(Key::new(word), StepKind::Phase);
        digest.frame(Frame::Value, [1].into_iter());
        digest.words()
    };
    let (one, two) = (of(KEY), of(KEY + 1));
    assert!(one[0] != two[0] && one[1] != two[1]);
    assert_eq!(Key::of_this_driver(), Key::of_this_driver());
}

#[test]
fn ranks_compare_digests_under_the_drivers_key() {
    let pool = crate::Pool::builder().workers(2).backend(crate::Backend::Threads).build().unwrap();
    pool.region((), |_team, ()| Ok(0_u64)).unwrap();
    let board = pool.core.launcher.crew.board();
    let leave = |word| Digest::new(Key::new(word), StepKind::Leave).words();
    for rank in 0..2 {
        // Leaving was the only step.
        let seen = board.step(rank).slots[0].digest.each_ref().map(|word| word.load(Ordering::Relaxed));
        assert_eq!(seen, leave(Key::of_this_driver()));
        assert_ne!(seen, leave(0));
    }
}

#[test]
fn the_cut_is_part_of_the_digest() {
    let mut plan = plan(StepKind::ReduceChunks);
    assert!((0..64).describe(&mut plan).is_ok());
    assert_ne!(plan.sealed_by_leaves(8), plan.sealed_by_leaves(1024));
    let mut other = PhasePlan { digest: plan.digest, ..plan };
    other.parts = true;
    assert_ne!(plan.sealed_by_leaves(8), other.sealed_by_leaves(8));
    assert_ne!(plan.sealed_by_ranks(), other.sealed_by_ranks());
    let wider = PhasePlan { digest: plan.digest, row_bytes: 9, ..plan };
    assert_ne!(plan.sealed_by_leaves(8), wider.sealed_by_leaves(8));
    let none = PhasePlan { digest: plan.digest, rows: None, ..plan };
    let empty = PhasePlan { rows: Some(0), digest: plan.digest, ..plan };
    assert_ne!(empty.sealed_by_ranks(), none.sealed_by_ranks());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]
    #[test]
    fn different_operands_have_different_digests(
        one in prop::collection::vec(told(), 0..4),
        two in prop::collection::vec(told(), 0..4),
    ) {
        let arrays = arrays();
        prop_assert_eq!(one == two, digest(&arrays, &one) == digest(&arrays, &two));
    }

    /// Boundaries, then a range, against boundaries that hold what would stand there for the range.
    #[test]
    fn boundaries_do_not_pass_for_what_follows(
        first in prop::collection::vec(0..20_usize, 1..6),
        last in prop::collection::vec(20..64_usize, 2..4),
        between in prop::collection::vec(prop_oneof![Just(Frame::Range as usize), 0..6_usize], 0..4),
        array in 0..2_usize,
    ) {
        let arrays = arrays();
        let mut first = first;
        first.sort_unstable();
        let two = [Told::Parts(array, first.clone()), Told::Range(last[0], last[1])];
        let mut plan = plan(StepKind::Phase);
        let all: Vec<usize> = first.into_iter().chain(between).chain(last).collect();
        // Offsets that do not ascend are refused before; their words are a digest's all the same.
        plan.array(Frame::PhasePartsMut, name::<u64>(&arrays[array]));
        plan.digest.frame(Frame::Bounds, all.iter().map(|bound| *bound as u64));
        prop_assert_ne!(plan.digest, digest(&arrays, &two));
    }
}
