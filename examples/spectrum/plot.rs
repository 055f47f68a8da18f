//! A picture of a spectrum: frequency to the right, the logarithm of the density upwards.

use common::{Result, picture};
use std::path::Path;

const WIDTH: usize = 900;
const HEIGHT: usize = 360;
const PAPER: [u8; 3] = [255, 255, 255];
const GRID: [u8; 3] = [225, 225, 225];
const INK: [u8; 3] = [31, 87, 160];

/// Draws the density; lines mark its decades, and tenths of the frequencies.
///
/// # Errors
/// [`common::Refused`] if the file cannot be written.
pub fn draw(path: &Path, density: &[f64]) -> Result<()> {
    // The first bins hold what is left of the mean.
    let shown: Vec<f64> = density[2..].iter().map(|power| power.max(1e-30).log10()).collect();
    let (low, high) = shown.iter().fold((f64::MAX, f64::MIN), |(low, high), y| (low.min(*y), high.max(*y)));
    let margin = 0.05 * (high - low) + 0.1;
    let (low, high) = (low - margin, high + margin);
    let row = |y: f64| (((high - y) / (high - low)) * (HEIGHT - 1) as f64) as usize;
    let mut image = vec![PAPER; WIDTH * HEIGHT];
    for decade in low.ceil() as i32..=high.floor() as i32 {
        image[row(decade.into()) * WIDTH..][..WIDTH].fill(GRID);
    }
    for x in (1..10).map(|tenth| tenth * WIDTH / 10) {
        (0..HEIGHT).for_each(|y| image[y * WIDTH + x] = GRID);
    }
    let mut before = row(shown[0]);
    for x in 0..WIDTH {
        let bins = &shown[x * shown.len() / WIDTH..][..(shown.len() / WIDTH).max(1)];
        let rows = bins.iter().map(|y| row(*y));
        let (top, bottom) =
            rows.clone().fold((before, before), |(top, bottom), y| (top.min(y), bottom.max(y)));
        (top..=bottom).for_each(|y| image[y * WIDTH + x] = INK);
        before = bins.last().map_or(before, |y| row(*y));
    }
    picture::write_rgb(path, WIDTH, HEIGHT, image.as_flattened())
}
