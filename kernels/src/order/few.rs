//! Distinct elements of arrays that have only a few of them: counted in a table, in one pass, without
//! sorting.
#![deny(clippy::arithmetic_side_effects)]

use crate::error::KernelError;
use crate::inline::repeatable;
use crate::input::Input;
use crate::word::{Key, Word};
use phalanx::{Element, Pool};

/// Distinct elements that a table takes.
const MOST: usize = 2048;
/// Places of the table: at least half of them stay free, so that an element is found at once, mostly.
const PLACES: usize = 2 * MOST;
/// Elements that are looked at to see whether a table is worth a try.
const SAMPLE: usize = 4096;

/// A distinct element, as its widest word, and how often it occurs.
type Kind = (u128, u64);

/// Distinct elements in ascending order, and how often each occurs.
pub(super) type Counted<T> = (Vec<T>, Vec<u64>);

/// The distinct elements and their counts, where there are at most [`MOST`]. Of elements that
/// compare equal, the one that sorts first stands for all.
pub(super) fn count_few<T: Key>(
    pool: &Pool,
    x: &(impl Input<Elem = T> + ?Sized),
) -> Result<Option<Counted<T>>, KernelError> {
    // Of so many that are picked from many kinds, most differ.
    let view = x.view();
    let is_few = match view.as_slice() {
        Some(x) => Table::new().add(x.iter().step_by((x.len() / SAMPLE).max(1))),
        None => Table::new().add(view.iter().take(SAMPLE)),
    };
    if !is_few {
        return Ok(None);
    }
    let x = x.share(pool)?;
    let kinds = repeatable(pool).fold(
        x.split_flat(),
        || Some(Vec::new()),
        |kinds: &mut Option<Vec<Kind>>, x: &[T]| {
            let mut table = Table::new();
            let more = (kinds.is_some() && table.add(x)).then(|| table.into_kinds());
            *kinds = merge::<T>(kinds.take(), more);
        },
        |kinds, more| *kinds = merge::<T>(kinds.take(), more),
    )?;
    let word = |word| T::from_word(T::Word::narrow(word));
    Ok(kinds.map(|kinds| kinds.into_iter().map(|(kind, count)| (word(kind), count)).unzip()))
}

/// The kinds of two parts, both in ascending order. `None` stands for too many.
fn merge<T: Key>(left: Option<Vec<Kind>>, right: Option<Vec<Kind>>) -> Option<Vec<Kind>> {
    let rank = |kind: &Kind| T::from_word(T::Word::narrow(kind.0)).to_rank();
    let (left, right) = (left?, right?);
    if left.is_empty() {
        return Some(right);
    }
    let mut kinds: Vec<Kind> = Vec::with_capacity(left.len().max(right.len()));
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    loop {
        let is_left = match (left.peek(), right.peek()) {
            (Some(a), Some(b)) => rank(a) <= rank(b),
            (a, _) => a.is_some(),
        };
        let Some(kind) = (if is_left { left.next() } else { right.next() }) else { break };
        match kinds.last_mut() {
            Some(last) if rank(last) == rank(&kind) => {
                *last = (last.0.min(kind.0), last.1.saturating_add(kind.1));
            }
            _ => kinds.push(kind),
        }
    }
    (kinds.len() <= MOST).then_some(kinds)
}

/// Kinds by their ranks, with open addressing.
struct Table<W> {
    places: Vec<Place<W>>,
    taken: usize,
}

/// Free while its count is 0.
#[derive(Clone, Copy, Default)]
struct Place<W> {
    rank: W,
    /// The smallest word with this rank.
    word: W,
    count: u64,
}

impl<W: Word + Element> Table<W> {
    fn new() -> Table<W> {
        Table { places: vec![Place::default(); PLACES], taken: 0 }
    }

    /// Counts elements; whether the table had room for all kinds.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "counts of elements in memory, and places modulo a power of two"
    )]
    fn add<'a, T: Key<Word = W>>(&mut self, x: impl IntoIterator<Item = &'a T>) -> bool {
        for x in x {
            let (rank, word) = (x.to_rank(), x.to_word());
            let mut at = place_of(rank);
            loop {
                let place = &mut self.places[at % PLACES];
                if place.count != 0 && place.rank == rank {
                    place.count += 1;
                    place.word = place.word.min(word);
                    break;
                }
                if place.count == 0 {
                    if self.taken == MOST {
                        return false;
                    }
                    self.taken += 1;
                    *place = Place { rank, word, count: 1 };
                    break;
                }
                at += 1;
            }
        }
        true
    }

    /// All kinds in ascending order.
    fn into_kinds(self) -> Vec<Kind> {
        let mut places = self.places;
        places.retain(|place| place.count != 0);
        places.sort_unstable_by_key(|place| place.rank);
        places.into_iter().map(|place| (place.word.widen(), place.count)).collect()
    }
}

/// Where a rank is looked for first: the upper bits of its product with 2^64 divided by the golden ratio.
#[expect(clippy::arithmetic_side_effects, reason = "shifts by less than the width")]
fn place_of<W: Word>(rank: W) -> usize {
    let wide = rank.widen();
    let folded = wide as u64 ^ ((wide >> 64) as u64).rotate_left(31);
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - PLACES.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inline::launching;
    use crate::order::tests::bytes;
    use crate::order::{unique, unique_counts};
    use crate::testing::{Dice, pool, pools};

    /// `len` elements of `kinds` kinds, each at least once, which sort in an order of their own.
    fn mixed(len: usize, kinds: usize) -> Vec<u64> {
        let mut dice = Dice(7);
        (0..len)
            .map(|i| if i < kinds { i } else { (dice.unit() * kinds as f64) as usize })
            .map(|kind| (kind as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .collect()
    }

    #[test]
    fn up_to_the_limit_kinds_are_counted_without_sorting_and_beyond_it_not() {
        launching(|| {
            for (kinds, is_few) in [(1, true), (2, true), (1000, true), (MOST, true), (MOST + 1, false)] {
                let x = mixed(100_000, kinds);
                let mut sorted = x.clone();
                sorted.sort_unstable();
                let runs = sorted.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u64));
                let expected: (Vec<u64>, Vec<u64>) = runs.unzip();
                assert_eq!(expected.0.len(), kinds);
                for pool in pools() {
                    let counted = count_few(pool, &x).unwrap();
                    assert_eq!(counted.is_some(), is_few, "{kinds} kinds");
                    assert!(counted.is_none_or(|counted| counted == expected), "{kinds} kinds");
                    let (got, counts) = unique_counts(pool, &x).unwrap();
                    assert_eq!((got.as_slice(), counts.as_slice()), (&*expected.0, &*expected.1));
                    assert_eq!(unique(pool, &x).unwrap().as_slice(), expected.0);
                }
            }
        });
    }

    #[test]
    fn of_equal_elements_the_one_that_sorts_first_stands_for_all() {
        let nans = [f64::NAN, -f64::NAN, f64::from_bits(f64::NAN.to_bits() | 5)];
        let x: Vec<f64> = (0..50_000)
            .map(|i| match i % 7 {
                0 => 0.0,
                1 if i > 40_000 => -0.0,
                2 => nans[i % 3],
                other => other as f64 - 4.0,
            })
            .collect();
        let mut sorted = x.clone();
        sorted.sort_unstable_by_key(|x| x.to_word());
        sorted.dedup_by_key(|x| x.to_rank());
        launching(|| {
            let (kinds, counts) = count_few(pool(), &x).unwrap().unwrap();
            assert_eq!(bytes(&kinds), bytes(&sorted));
            assert_eq!(counts.iter().sum::<u64>(), 50_000);
        });
    }

    #[test]
    fn words_of_every_width_and_inputs_in_any_order() {
        launching(|| {
            let wide: Vec<i128> = (0..30_000).map(|i| (i % 300 - 150) << 90).collect();
            let expected: Vec<i128> = (-150..150).map(|i| i << 90).collect();
            assert_eq!(count_few(pool(), &wide).unwrap().unwrap(), (expected, vec![100; 300]));
            let bytes: Vec<i8> = (0..25_600).map(|i| (i % 256) as u8 as i8).collect();
            let expected = (i8::MIN..=i8::MAX).collect();
            assert_eq!(count_few(pool(), &bytes).unwrap().unwrap(), (expected, vec![100; 256]));
            let turned =
                ndarray::Array2::from_shape_fn((300, 200), |(i, j)| (i * j % 5) as u32).reversed_axes();
            let (kinds, counts) = count_few(pool(), &turned).unwrap().unwrap();
            assert_eq!((kinds, counts.iter().sum()), (vec![0, 1, 2, 3, 4], 60_000));
        });
    }
}
