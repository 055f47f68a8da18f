//! Escape times of points of the complex plane, a few points at once.

/// Points worked on at once: a few vectors, whatever their width.
const LANES: usize = 16;
/// Iterations between two looks at whether any point is left.
const BURST: u32 = 8;

/// The part of the plane that is drawn: its left end, and its width, which is twice its
/// height above the real axis. The whole set lies within it and its mirror image.
pub const LEFT: f64 = -2.0;
pub const WIDTH: f64 = 2.5;

/// What a row needs to know.
#[derive(Clone, Copy, bytemuck::NoUninit)]
#[repr(C)]
pub struct Plane {
    /// Distance of neighbouring points.
    pub step: f64,
    /// Points that stay this many iterations count as inside.
    pub limit: u64,
}

/// Sets every point of a row, `row` steps above the real axis, to the iterations after which it left the
/// circle of radius 2, or to the limit. Returns how many reached the limit.
pub fn row(times: &mut [u32], row: usize, plane: Plane) -> u64 {
    // Points are the centres of pixels, so none is on the axis.
    let im = (row as f64 + 0.5) * plane.step;
    let blocks = times.chunks_mut(LANES).enumerate();
    // The closure consumes `blocks`: one that may be called again would not be inlined, and so not be
    // compiled for the vectors of this CPU.
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for (block, times) in blocks {
                let first = block * LANES;
                let mut re = [0.0; LANES];
                for (lane, re) in re.iter_mut().enumerate() {
                    *re = LEFT + ((first + lane) as f64 + 0.5) * plane.step;
                }
                times.copy_from_slice(&escape_times(re, im, plane.limit as u32)[..times.len()]);
            }
        },
    );
    times.iter().filter(|time| u64::from(**time) == plane.limit).count() as u64
}

/// Lanes that have left go on, to infinity or NaN, and never count again: outside the circle of radius 2 an
/// orbit only grows.
#[inline(always)]
fn escape_times(re: [f64; LANES], im: f64, limit: u32) -> [u32; LANES] {
    let (mut x, mut y, mut times) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    let mut done = 0;
    while done < limit {
        let before = times;
        for _ in 0..BURST.min(limit - done) {
            for lane in 0..LANES {
                let (xx, yy) = (x[lane] * x[lane], y[lane] * y[lane]);
                times[lane] += if xx + yy <= 4.0 { 1.0 } else { 0.0 };
                y[lane] = 2.0 * x[lane] * y[lane] + im;
                x[lane] = xx - yy + re[lane];
            }
        }
        if before == times {
            break;
        }
        done += BURST;
    }
    times.map(|time| time as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The textbook's loop.
    fn escape_time(re: f64, im: f64, limit: u32) -> u32 {
        let (mut x, mut y, mut time) = (0.0f64, 0.0f64, 0);
        while time < limit && x * x + y * y <= 4.0 {
            (x, y) = (x * x - y * y + re, 2.0 * x * y + im);
            time += 1;
        }
        time
    }

    #[test]
    fn lanes_are_single_points() {
        for (pixels, limit) in [(38, 57), (250, 300)] {
            let plane = Plane { step: WIDTH / pixels as f64, limit };
            for height in 0..pixels / 2 {
                let mut times = vec![0; pixels];
                let inside = row(&mut times, height, plane);
                let im = (height as f64 + 0.5) * plane.step;
                for (column, time) in times.iter().enumerate() {
                    let re = LEFT + (column as f64 + 0.5) * plane.step;
                    assert_eq!(*time, escape_time(re, im, limit as u32), "{re} + {im} i");
                }
                assert_eq!(inside, times.iter().filter(|time| **time == limit as u32).count() as u64);
            }
        }
    }
}
