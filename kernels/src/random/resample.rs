//! Samples with replacement, for the bootstrap.

use super::distribution::Stream;
use super::permutation::below;
use super::philox::{self, Domain};

/// Which elements a sample takes.
pub(crate) struct Resample {
    keys: philox::Keys,
}

impl Resample {
    pub(crate) fn new(seed: u64) -> Resample {
        Resample { keys: philox::keys(seed) }
    }

    /// Writes `count` elements of `from`, drawn with replacement for sample `index`, to `to`.
    pub(crate) fn draw<T: Copy>(&self, index: u64, from: &[T], to: &mut [T]) {
        let mut stream = Stream::new(&self.keys, Domain::Resample, index);
        let count = from.len() as u64;
        to.iter_mut().for_each(|to| *to = from[below(&mut stream, count) as usize]);
    }
}
