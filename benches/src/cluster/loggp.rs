//! LogGP, the model of a network by four constants (Alexandrov, Ionescu, Schauser, Scheiman, 1995), and how they
//! are fitted to times of messages.

use serde::Serialize;

/// The constants, in seconds and seconds a byte.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LogGp {
    /// L: from one end to the other, without the work of both.
    pub latency: f64,
    /// o: what a process works for one message that it sends or receives.
    pub overhead: f64,
    /// g: from one message to the next that a process sends.
    pub gap: f64,
    /// G: from one byte to the next of a long message.
    pub per_byte: f64,
}

impl LogGp {
    /// Fits L and G to one-way times of messages of several lengths in bytes, by least squares of relative
    /// errors; o and g are measured by themselves. `None` if all lengths are the same, or a time is none.
    pub fn fit(times: &[(usize, f64)], overhead: f64, gap: f64) -> Option<LogGp> {
        if times.iter().any(|(_, time)| time.is_nan() || *time <= 0.0) {
            return None;
        }
        // Minimises the sum of ((a + b x - t) / t)^2: weights 1/t^2.
        let (mut w, mut wx, mut wxx, mut wt, mut wxt) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (bytes, time) in times {
            let (x, weight) = (*bytes as f64, 1.0 / (time * time));
            w += weight;
            wx += weight * x;
            wxx += weight * x * x;
            wt += weight * time;
            wxt += weight * x * time;
        }
        let determinant = w * wxx - wx * wx;
        if determinant <= 1e-12 * w * wxx {
            return None;
        }
        let per_byte = ((w * wxt - wx * wt) / determinant).max(0.0);
        let constant = (wt - per_byte * wx) / w;
        Some(LogGp { latency: (constant - 2.0 * overhead).max(0.0), overhead, gap, per_byte })
    }

    /// From the call that sends a message to the return of the one that receives it.
    pub fn message(&self, bytes: f64) -> f64 {
        self.latency + 2.0 * self.overhead + bytes * self.per_byte
    }

    /// The largest relative error of the model over these times.
    pub fn worst(&self, times: &[(usize, f64)]) -> f64 {
        let error = |(bytes, time): &(usize, f64)| (self.message(*bytes as f64) / time - 1.0).abs();
        times.iter().map(error).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUE: LogGp = LogGp { latency: 1.5e-6, overhead: 0.4e-6, gap: 0.5e-6, per_byte: 8e-11 };

    fn times(of: LogGp, noise: f64) -> Vec<(usize, f64)> {
        let sizes = (3..=20).map(|power| 1usize << power).enumerate();
        sizes
            .map(|(k, bytes)| (bytes, of.message(bytes as f64) * (1.0 + noise * [1.0, -1.0][k % 2])))
            .collect()
    }

    #[test]
    fn constants_that_made_the_times_are_found_again() {
        let found = LogGp::fit(&times(TRUE, 0.0), TRUE.overhead, TRUE.gap).expect("a fit");
        assert!((found.latency / TRUE.latency - 1.0).abs() < 1e-6, "{found:?}");
        assert!((found.per_byte / TRUE.per_byte - 1.0).abs() < 1e-6, "{found:?}");
        assert!(found.worst(&times(TRUE, 0.0)) < 1e-6);
    }

    #[test]
    fn noise_moves_them_a_little_and_is_told() {
        let noisy = times(TRUE, 0.05);
        let found = LogGp::fit(&noisy, TRUE.overhead, TRUE.gap).expect("a fit");
        assert!((found.latency / TRUE.latency - 1.0).abs() < 0.1, "{found:?}");
        assert!((found.per_byte / TRUE.per_byte - 1.0).abs() < 0.1, "{found:?}");
        assert!((0.03..0.12).contains(&found.worst(&noisy)), "{}", found.worst(&noisy));
    }

    #[test]
    fn what_cannot_be_fitted_is_not() {
        assert_eq!(LogGp::fit(&[], 0.0, 0.0), None);
        assert_eq!(LogGp::fit(&[(8, 1e-6), (8, 2e-6)], 0.0, 0.0), None);
        assert_eq!(LogGp::fit(&[(8, 1e-6), (1024, 0.0)], 0.0, 0.0), None);
        // More overhead than there is time leaves no latency, never a negative one.
        assert_eq!(LogGp::fit(&times(TRUE, 0.0), 1.0, 0.0).expect("a fit").latency, 0.0);
    }
}
