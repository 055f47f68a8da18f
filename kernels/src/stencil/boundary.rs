//! What lies beyond the border of an array.
#![deny(clippy::arithmetic_side_effects)]

use crate::number::Number;

/// What a stencil reads beyond the border, at any distance; the names are those of `scipy.ndimage`
/// (<https://docs.scipy.org/doc/scipy/reference/generated/scipy.ndimage.convolve.html>).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Boundary<T> {
    /// This value: `k k k | a b c d | k k k`.
    Constant(T),
    /// The nearest element: `a a a | a b c d | d d d`.
    Nearest,
    /// The mirror image, with the border element repeated: `c b a | a b c d | d c b`.
    Reflect,
    /// The mirror image, with the border element not repeated: `d c b | a b c d | c b a`.
    Mirror,
    /// The elements from the other end: `b c d | a b c d | a b c`.
    Wrap,
}

impl<T: Number> Boundary<T> {
    /// The place in `0..len` that stands for `index`; nothing for a constant. `len` is not 0.
    #[inline]
    #[expect(clippy::arithmetic_side_effects, reason = "an axis of an array that has elements, in memory")]
    pub(super) fn source(self, index: isize, len: usize) -> Option<usize> {
        let last = len as isize - 1;
        if (0..=last).contains(&index) {
            return Some(index as usize);
        }
        let place = match self {
            Boundary::Constant(_) => return None,
            Boundary::Nearest => index.clamp(0, last),
            Boundary::Wrap => index.rem_euclid(len as isize),
            Boundary::Reflect => {
                let folded = index.rem_euclid(2 * len as isize);
                folded.min(2 * last + 1 - folded)
            }
            Boundary::Mirror if last == 0 => 0,
            Boundary::Mirror => {
                let folded = index.rem_euclid(2 * last);
                folded.min(2 * last - folded)
            }
        };
        Some(place as usize)
    }

    /// The value of a constant; zero otherwise, where nobody looks at it.
    pub(super) fn value(self) -> T {
        if let Boundary::Constant(value) = self { value } else { T::ZERO }
    }

    /// As an operand.
    pub(super) fn to_wire(self) -> (u64, T) {
        let code = match self {
            Boundary::Constant(_) => 0,
            Boundary::Nearest => 1,
            Boundary::Reflect => 2,
            Boundary::Mirror => 3,
            Boundary::Wrap => 4,
        };
        (code, self.value())
    }

    pub(super) fn from_wire((code, value): (u64, T)) -> Boundary<T> {
        match code {
            1 => Boundary::Nearest,
            2 => Boundary::Reflect,
            3 => Boundary::Mirror,
            4 => Boundary::Wrap,
            _ => Boundary::Constant(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pictures_of_the_documentation_hold() {
        let see = |boundary: Boundary<i32>, len: usize| -> String {
            let letter = |place: usize| char::from(b'a' + place as u8);
            (-5..len as isize + 5).map(|i| boundary.source(i, len).map_or('k', letter)).collect()
        };
        assert_eq!(see(Boundary::Constant(1), 4), "kkkkkabcdkkkkk");
        assert_eq!(see(Boundary::Nearest, 4), "aaaaaabcdddddd");
        assert_eq!(see(Boundary::Reflect, 4), "ddcbaabcddcbaa");
        assert_eq!(see(Boundary::Mirror, 4), "bcdcbabcdcbabc");
        assert_eq!(see(Boundary::Wrap, 4), "dabcdabcdabcda");
        for boundary in [Boundary::Nearest, Boundary::Reflect, Boundary::Mirror, Boundary::Wrap] {
            assert_eq!(see(boundary, 1), "aaaaaaaaaaa");
        }
        assert_eq!(see(Boundary::Reflect, 2), "aabbaabbaabb");
    }

    #[test]
    fn boundaries_travel() {
        for boundary in
            [Boundary::Constant(7.0), Boundary::Nearest, Boundary::Reflect, Boundary::Mirror, Boundary::Wrap]
        {
            assert_eq!(Boundary::from_wire(boundary.to_wire()), boundary);
        }
    }
}
