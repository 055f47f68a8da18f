//! How inputs of smaller shapes are stretched to that of the result.

use crate::error::KernelError;

/// Axes that may be left when neighbouring ones that lie alike in all operands are taken together.
const MOST_AXES: usize = 8;

/// The axes of a result as far as operands tell them apart, and the strides of `N` inputs along them: 0 where
/// an input is repeated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan<const N: usize> {
    axes: usize,
    shape: [usize; MOST_AXES],
    strides: [[usize; MOST_AXES]; N],
}

/// A plan as numbers, for a launch.
pub(super) type Numbers<const N: usize> = ([usize; MOST_AXES], [[usize; MOST_AXES]; N]);

impl<const N: usize> Plan<N> {
    /// How inputs of some shapes are stretched to `out`: axes are compared from the last on, and an axis of
    /// an input must be as long as that of the result, have length 1 or be missing.
    pub(super) fn new(out: &[usize], inputs: [(&'static str, &[usize]); N]) -> Result<Self, KernelError> {
        let mut plan = Plan { axes: 0, shape: [1; MOST_AXES], strides: [[0; MOST_AXES]; N] };
        let mut all = [(); N].map(|()| Vec::new());
        for (strides, (what, shape)) in all.iter_mut().zip(inputs) {
            *strides = stretched(what, out, shape)?;
        }
        for (at, &length) in out.iter().enumerate().filter(|(_, length)| **length != 1) {
            let here: [usize; N] = std::array::from_fn(|input| all[input][at]);
            if plan.axes > 0 {
                let last = plan.axes - 1;
                // Wrong strides of arrays without elements do no harm.
                let is_joined = (0..N).all(|n| plan.strides[n][last] == here[n].wrapping_mul(length));
                if is_joined {
                    plan.shape[last] *= length;
                    (0..N).for_each(|n| plan.strides[n][last] = here[n]);
                    continue;
                }
            }
            if plan.axes == MOST_AXES {
                let why = format!("shapes differ along more than {MOST_AXES} groups of axes of {out:?}");
                return Err(KernelError::argument("out", why));
            }
            plan.shape[plan.axes] = length;
            (0..N).for_each(|n| plan.strides[n][plan.axes] = here[n]);
            plan.axes += 1;
        }
        plan.axes = plan.axes.max(1);
        Ok(plan)
    }

    pub(super) fn numbers(&self) -> Numbers<N> {
        let mut shape = self.shape;
        // Axes that are not used come first, with length 1, so that their number need not be told.
        let mut strides = self.strides;
        shape.rotate_right(MOST_AXES - self.axes);
        strides.iter_mut().for_each(|strides| strides.rotate_right(MOST_AXES - self.axes));
        (shape, strides)
    }
}

/// The strides of an input along the axes of the result.
fn stretched(what: &'static str, out: &[usize], shape: &[usize]) -> Result<Vec<usize>, KernelError> {
    if shape.is_empty() {
        return Err(KernelError::argument(
            what,
            "it has no axes; a scalar is an array of one element, `&[value]`",
        ));
    }
    let missing = out.len().checked_sub(shape.len());
    let fits = |missing: &usize| out[*missing..].iter().zip(shape).all(|(out, own)| out == own || *own == 1);
    let Some(missing) = missing.filter(fits) else {
        return Err(KernelError::Shape { what, expected: out.to_vec(), got: shape.to_vec() });
    };
    let mut strides = vec![0; out.len()];
    let mut stride = 1;
    for (to, &length) in strides[missing..].iter_mut().zip(shape).rev() {
        *to = if length == 1 { 0 } else { stride };
        stride *= length;
    }
    Ok(strides)
}

/// The rows, along the last axis, of elements `first..first + len` of the result: calls `f` with the place in
/// that span, the length, and the place in each input of the first element. Rows end where the span does.
#[inline(always)]
pub(super) fn rows<const N: usize>(
    (shape, strides): &Numbers<N>,
    first: usize,
    len: usize,
    mut f: impl FnMut(usize, usize, [usize; N]),
) {
    let last = shape[MOST_AXES - 1];
    let mut done = 0;
    while done < len {
        let (mut row, column) = ((first + done) / last, (first + done) % last);
        let width = (last - column).min(len - done);
        let mut places: [usize; N] = std::array::from_fn(|n| strides[n][MOST_AXES - 1] * column);
        for axis in (0..MOST_AXES - 1).rev() {
            if row == 0 {
                break;
            }
            let index = row % shape[axis];
            row /= shape[axis];
            (0..N).for_each(|n| places[n] += strides[n][axis] * index);
        }
        f(done, width, places);
        done += width;
    }
}

/// Whether an input is repeated along the last axis.
#[inline(always)]
pub(super) fn is_repeated<const N: usize>((_, strides): &Numbers<N>, input: usize) -> bool {
    strides[input][MOST_AXES - 1] == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_that_lie_alike_are_one() {
        let plan = Plan::new(&[2, 3, 4], [("x", &[2, 3, 4]), ("y", &[2, 3, 4])]).unwrap();
        assert_eq!((plan.axes, plan.shape[0], plan.strides[0][0]), (1, 24, 1));
        let plan = Plan::new(&[2, 3, 4], [("x", &[2, 3, 4]), ("y", &[4])]).unwrap();
        assert_eq!((plan.axes, &plan.shape[..2]), (2, &[6, 4][..]));
        let plan = Plan::new(&[5, 3, 4], [("x", &[5, 1, 4]), ("y", &[3, 1])]).unwrap();
        assert_eq!(
            (plan.axes, plan.strides[0][..3] == [4, 0, 1], plan.strides[1][..3] == [0, 1, 0]),
            (3, true, true)
        );
        let plan = Plan::new(&[5, 3], [("x", &[1]), ("y", &[1, 1])]).unwrap();
        assert_eq!((plan.axes, plan.shape[0]), (1, 15));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for shape in [&[2][..], &[1, 2, 3], &[3, 2], &[2, 0]] {
            let refused = Plan::new(&[2, 3], [("x", shape)]);
            assert!(matches!(refused, Err(KernelError::Shape { what: "x", .. })), "{shape:?}");
        }
        assert!(matches!(Plan::new(&[2], [("x", &[])]), Err(KernelError::Argument { what: "x", .. })));
    }
}
