//! Between two elements of a sorted array.

/// From `a` to `b`, exact at both ends and never falling in `t`; NumPy's formula.
pub(crate) fn interpolate(a: f64, b: f64, t: f64) -> f64 {
    if a == b || t == 0.0 {
        return a;
    }
    let step = b - a;
    if !step.is_finite() {
        // Too far apart for the difference, not for what lies between.
        return a * (1.0 - t) + b * t;
    }
    if t >= 0.5 { b - step * (1.0 - t) } else { a + step * t }
}
