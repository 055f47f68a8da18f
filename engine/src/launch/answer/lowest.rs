//! Which chunk has the lowest answer, and where that lies, in one word. README.md of `launch`, step V4.
#![deny(clippy::arithmetic_side_effects)]

use crate::base::atomic::{AtomicU64, Ordering};
use crate::team::current::{self, Leave};

/// Bits for the place, in units of 8 bytes. The 23 above are the chunk's, whose number is below 2^22: so all
/// bits set are no answer.
const PLACE_BITS: u32 = 41;
/// Places are multiples of 8.
const PLACE_SHIFT: u32 = 3;
const NONE: u64 = u64::MAX;

/// The lowest chunk that has an answer.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Lowest(AtomicU64);

impl Lowest {
    /// Forgets all answers. Driver only, before the launch opens.
    pub(crate) fn reset(&self) {
        self.0.store(NONE, Ordering::Relaxed);
    }

    /// Whether a chunk need not run: a lower one has an answer, or it has one itself.
    pub(crate) fn decides(&self, chunk: usize) -> bool {
        self.0.load(Ordering::Relaxed) >> PLACE_BITS <= chunk as u64
    }

    /// Has `is_cancelled` say, until the result is dropped, whether a chunk below this one has an answer.
    pub(crate) fn watch_below(&self, chunk: usize) -> Leave {
        current::want_from(&self.0, (chunk as u64) << PLACE_BITS)
    }

    /// Whether any chunk has an answer.
    pub(crate) fn is_some(&self) -> bool {
        self.0.load(Ordering::Relaxed) != NONE
    }

    /// Offers the answer of a chunk, which is complete at `place`.
    pub(crate) fn offer(&self, chunk: usize, place: u64) {
        // Release: pairs with the Acquire in `get`.
        self.0.fetch_min(((chunk as u64) << PLACE_BITS) | (place >> PLACE_SHIFT), Ordering::Release);
    }

    /// The lowest chunk that has an answer, and the answer's place.
    pub(crate) fn get(&self) -> Option<(usize, u64)> {
        let word = self.0.load(Ordering::Acquire);
        let place = (word & (1u64 << PLACE_BITS).wrapping_sub(1)) << PLACE_SHIFT;
        (word != NONE).then_some(((word >> PLACE_BITS) as usize, place))
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test may fail by panicking")]
mod models {
    use super::*;
    use crate::base::model::{self, Arc};

    const CHUNKS: usize = 3;

    /// Chunks, which two members claim in order. Those with an answer write it first.
    struct Shared {
        cursor: AtomicU64,
        lowest: Lowest,
        answers: [AtomicU64; CHUNKS],
        ran: AtomicU64,
    }

    fn place(chunk: usize) -> u64 {
        8 * chunk as u64
    }

    fn work(shared: &Shared, has_answer: [bool; CHUNKS]) {
        for _ in 0..CHUNKS {
            let chunk = shared.cursor.fetch_add(1, Ordering::Relaxed) as usize;
            if chunk >= CHUNKS || shared.lowest.decides(chunk) {
                continue;
            }
            shared.ran.fetch_or(1 << chunk, Ordering::Relaxed);
            if has_answer[chunk] {
                shared.answers[chunk].store(100, Ordering::Relaxed);
                shared.lowest.offer(chunk, place(chunk));
            }
        }
    }

    fn check(has_answer: [bool; CHUNKS]) {
        model::check(Some(3), move || {
            let shared = Arc::new(Shared {
                cursor: AtomicU64::new(0),
                lowest: Lowest(AtomicU64::new(NONE)),
                answers: [0; CHUNKS].map(AtomicU64::new),
                ran: AtomicU64::new(0),
            });
            let member = model::beside(&shared, move |shared| work(shared, has_answer));
            work(&shared, has_answer);
            if let Some((chunk, at)) = shared.lowest.get() {
                // Not the last word yet, but complete.
                assert_eq!((at, shared.answers[chunk].load(Ordering::Relaxed)), (place(chunk), 100));
            }
            member.join().expect("it only claims");
            let first = has_answer.iter().position(|has| *has);
            assert_eq!(shared.lowest.get(), first.map(|chunk| (chunk, place(chunk))));
            let below = (1 << first.unwrap_or(CHUNKS)) - 1;
            assert_eq!(shared.ran.load(Ordering::Relaxed) & below, below);
        });
    }

    #[test]
    fn loom_the_answer_is_the_lowest_and_complete_in_every_order() {
        check([false, true, true]);
        check([true, false, true]);
        check([false; CHUNKS]);
    }

    #[cfg(not(loom))]
    #[test]
    fn words_hold_every_chunk_and_place() {
        let lowest = Lowest(AtomicU64::new(0));
        for (chunk, place) in [(0, 0), (1, 256), ((1 << 22) - 1, (1u64 << 44) - 8)] {
            lowest.reset();
            assert!(!lowest.is_some() && !lowest.decides(chunk) && lowest.get().is_none());
            lowest.offer(chunk, place);
            assert_eq!(lowest.get(), Some((chunk, place)));
            assert!(lowest.is_some() && lowest.decides(chunk) && lowest.decides(chunk + 1));
            assert!(chunk == 0 || !lowest.decides(chunk - 1));
        }
    }
}
