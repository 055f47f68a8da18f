//! A digest of everything that the ranks must agree on in one step.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::Span;
use crate::launch::region::step_kind::StepKind;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

/// What a frame is. The compiler numbers them, so no two are the same.
#[derive(Clone, Copy)]
pub(crate) enum Frame {
    /// Sizes and the like.
    Value = 1,
    /// An array's wire.
    Array,
    // How rows are cut.
    Uncut,
    Cut,
    CutIntoParts,
    // Operands of phases.
    PhaseMut,
    PhaseRef,
    PhasePartsMut,
    PhaseParts,
    PhaseWhole,
    PhaseHalo,
    PhaseGhostHalo,
    Range,
    // Names of parts.
    Rows,
    // More of an operand.
    Bounds,
    Halo,
    Fill,
}

/// The driver's secret key. Digests depend on it, so nobody can compute two descriptions with the same
/// digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key([u64; 2]);

impl Key {
    /// The key as it is sent in the order.
    pub(crate) fn of_this_driver() -> u64 {
        static WORD: OnceLock<u64> = OnceLock::new();
        *WORD.get_or_init(|| RandomState::new().hash_one(0))
    }

    pub(crate) fn new(word: u64) -> Key {
        let other = word.rotate_left(32).wrapping_mul(0xff51_afd7_ed55_8ccd) ^ 0x9e37_79b9_7f4a_7c15;
        Key([word, other])
    }
}

/// 128 bits: two mixes of the same words under different keys.
///
/// The input is a sequence of *frames*: a tag, the number of words that follow, and these words. The sequence
/// can be read back in only one way, so two different sequences have different words. Premise P7 says that
/// they then have different digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    key: Key,
    state: [u64; 2],
}

impl Digest {
    #[inline]
    pub(crate) fn new(key: Key, kind: StepKind) -> Digest {
        let Key([one, two]) = key;
        Digest { key, state: [one.wrapping_add(kind as u64), two.wrapping_add(kind as u64)] }
    }

    /// What the ranks compare.
    pub(crate) fn words(self) -> [u64; 2] {
        self.state
    }

    /// Adds a frame; the order matters. `words` must report its exact length.
    #[inline]
    pub(crate) fn frame(&mut self, frame: Frame, mut words: impl ExactSizeIterator<Item = u64>) {
        self.add(frame as u64, words.len() as u64);
        while let Some(word) = words.next() {
            self.add(word, words.next().unwrap_or(0));
        }
    }

    /// Adds an array as that operand. The array's name is random, so it cannot be mistaken for the head of a
    /// frame.
    #[inline]
    pub(crate) fn array(&mut self, operand: Frame, ArrayName([one, two]): ArrayName) {
        self.add(one.wrapping_add(operand as u64), two);
    }

    #[inline]
    fn add(&mut self, one: u64, two: u64) {
        let Key(key) = self.key;
        self.state = [
            folded_product(one ^ key[0], two ^ self.state[0]),
            folded_product(two ^ key[1], one ^ self.state[1]),
        ];
    }
}

/// Both halves of the product: every bit depends on all bits of the factors.
#[inline]
fn folded_product(one: u64, two: u64) -> u64 {
    let product = u128::from(one).wrapping_mul(u128::from(two));
    product as u64 ^ (product >> 64) as u64
}

/// An array with its shape and element size, as a region's digests name it. Computed once per region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ArrayName([u64; 2]);

impl ArrayName {
    pub(crate) fn new(key: Key, wire: &[u64], element_bytes: usize) -> ArrayName {
        let mut digest = Digest::new(key, StepKind::Phase);
        digest.frame(Frame::Array, wire.iter().copied());
        digest.frame(Frame::Value, [element_bytes as u64].into_iter());
        ArrayName(digest.words())
    }
    /// The name of a range of the array's rows. An array's name depends on the driver's key, so it serves as
    /// one.
    pub(crate) fn of_rows(self, rows: Span) -> ArrayName {
        let mut digest = Digest::new(Key(self.0), StepKind::Phase);
        digest.frame(Frame::Rows, [rows.lo as u64, rows.hi as u64].into_iter());
        ArrayName(digest.words())
    }
}
