//! Sums in a fixed order that suits vectors and memory, and rounds little.
//!
//! ```text
//! cut the slice into four strands of equal length; the rest, fewer than 32 elements, is summed in order
//! for each block of 512 elements of a strand:
//!     lane[strand][column] += f(element)      32 sums, each of 64 elements
//!     fold the 32 lanes in a tree
//! fold the blocks' sums in a tree (neighbours first)
//! ```
//!
//! 1. Four strands, because four streams of reads keep more memory requests under way than one: 31 instead of
//!    28 GB/s for a sum over 512 MiB (2 cores of an Intel Xeon, family 6 model 167, KVM, 2026-11-21).
//! 2. Eight columns a strand: one cache line of float64, and 32 sums fit the registers of AVX2 twice over.
//! 3. Trees above blocks: the rounding error grows with the logarithm of the length, as that of NumPy's
//!    pairwise sum does.

use crate::number::Number;

/// Reads under way at a time.
const STRANDS: usize = 4;
/// Neighbouring elements that are summed apart.
const WIDTH: usize = 8;
/// Groups of a strand in a block.
const GROUPS: usize = 64;

/// The strands of a slice, in groups, and what is left over.
#[inline(always)]
pub(crate) fn strands<T>(x: &[T]) -> ([&[[T; WIDTH]]; STRANDS], &[T]) {
    let strand = x.len() / (STRANDS * WIDTH) * WIDTH;
    let part = |s: usize| x[s * strand..(s + 1) * strand].as_chunks::<WIDTH>().0;
    ([part(0), part(1), part(2), part(3)], &x[STRANDS * strand..])
}

/// The sum of `f` over all elements.
#[inline(always)]
pub(crate) fn total<T: Copy, A: Number>(x: &[T], f: impl Fn(T) -> A) -> A {
    let (strands, rest) = strands(x);
    let mut tree = Tree::new();
    let groups = strands[0].len();
    let mut at = 0;
    while at < groups {
        let end = groups.min(at + GROUPS);
        let [a, b, c, d] =
            [&strands[0][at..end], &strands[1][at..end], &strands[2][at..end], &strands[3][at..end]];
        let mut lanes = [[A::ZERO; WIDTH]; STRANDS];
        for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
            for w in 0..WIDTH {
                lanes[0][w] = lanes[0][w].plus(f(a[w]));
                lanes[1][w] = lanes[1][w].plus(f(b[w]));
                lanes[2][w] = lanes[2][w].plus(f(c[w]));
                lanes[3][w] = lanes[3][w].plus(f(d[w]));
            }
        }
        tree.push(fold(lanes));
        at = end;
    }
    tree.push(rest.iter().fold(A::ZERO, |sum, &x| sum.plus(f(x))));
    tree.finish()
}

/// The sum of `f` over all pairs of elements of two slices of equal length.
#[inline(always)]
pub(crate) fn total2<T: Copy, A: Number>(x: &[T], y: &[T], f: impl Fn(T, T) -> A) -> A {
    let y = &y[..x.len()];
    let ((xs, x_rest), (ys, y_rest)) = (strands(x), strands(y));
    let mut tree = Tree::new();
    let groups = xs[0].len();
    let mut at = 0;
    while at < groups {
        let end = groups.min(at + GROUPS);
        let mut lanes = [[A::ZERO; WIDTH]; STRANDS];
        let x = [&xs[0][at..end], &xs[1][at..end], &xs[2][at..end], &xs[3][at..end]];
        let y = [&ys[0][at..end], &ys[1][at..end], &ys[2][at..end], &ys[3][at..end]];
        for g in 0..end - at {
            for w in 0..WIDTH {
                lanes[0][w] = lanes[0][w].plus(f(x[0][g][w], y[0][g][w]));
                lanes[1][w] = lanes[1][w].plus(f(x[1][g][w], y[1][g][w]));
                lanes[2][w] = lanes[2][w].plus(f(x[2][g][w], y[2][g][w]));
                lanes[3][w] = lanes[3][w].plus(f(x[3][g][w], y[3][g][w]));
            }
        }
        tree.push(fold(lanes));
        at = end;
    }
    tree.push(x_rest.iter().zip(y_rest).fold(A::ZERO, |sum, (&x, &y)| sum.plus(f(x, y))));
    tree.finish()
}

/// Folds the lanes in a tree. Out of line, because its shape otherwise leaks into the loop above as shuffles.
#[inline(never)]
fn fold<A: Number>(lanes: [[A; WIDTH]; STRANDS]) -> A {
    let mut sums = [A::ZERO; WIDTH];
    for w in 0..WIDTH {
        sums[w] = (lanes[0][w].plus(lanes[1][w])).plus(lanes[2][w].plus(lanes[3][w]));
    }
    let s = sums;
    ((s[0].plus(s[4])).plus(s[1].plus(s[5]))).plus((s[2].plus(s[6])).plus(s[3].plus(s[7])))
}

/// A sum of a sequence in pairs, neighbours first, while it arrives: its shape depends on the length only.
struct Tree<A> {
    /// Sums of 2^level values, at the levels that are bits of `count`.
    partial: [A; usize::BITS as usize],
    count: usize,
}

impl<A: Number> Tree<A> {
    #[inline(always)]
    fn new() -> Self {
        Tree { partial: [A::ZERO; usize::BITS as usize], count: 0 }
    }

    #[inline(always)]
    fn push(&mut self, mut value: A) {
        let mut level = 0;
        while self.count >> level & 1 == 1 {
            value = self.partial[level].plus(value);
            level += 1;
        }
        self.partial[level] = value;
        self.count += 1;
    }

    #[inline(always)]
    fn finish(self) -> A {
        let mut sum = A::ZERO;
        let mut left = self.count;
        while left != 0 {
            sum = self.partial[left.trailing_zeros() as usize].plus(sum);
            left &= left - 1;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_counted_once() {
        for len in (0..300).chain([511, 512, 513, 2047, 2048, 2049, 8191, 100_003]) {
            let x: Vec<u64> = (0..len).map(|i| i * i + 1).collect();
            let want = x.iter().sum::<u64>();
            assert_eq!(total(&x, |x| x), want, "{len}");
            assert_eq!(total2(&x, &x, |x, y| x + y), 2 * want, "{len}");
        }
    }

    #[test]
    fn the_error_of_a_long_sum_is_small() {
        let x = vec![0.1f32; 10_000_000];
        assert!((f64::from(total(&x, |x| x)) - 1e6).abs() < 1.0);
    }
}
