//! Pictures of the temperatures, written by the driver while the workers go on.

use crate::modes::Grid;
use common::picture::{colour, write_rgb};
use common::{Draft, Result, refuse};
use ndarray::{ArrayView2, ArrayViewMut2, Ix2};
use phalanx::CancelToken;
use phalanx::shared::Snapshot;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Width and height of a picture.
pub const PIXELS: usize = 400;
/// How long the driver waits for a frame before it looks whether the region has ended.
const PATIENCE: Duration = Duration::from_millis(100);

/// A folder of pictures.
pub struct Frames(PathBuf);

impl Frames {
    /// # Errors
    /// [`common::Refused`] if the folder cannot be made, or no file in it.
    pub fn new(folder: &Path) -> Result<Frames> {
        let made = std::fs::create_dir_all(folder);
        made.map_err(|error| refuse(format!("{} cannot be made: {error}", folder.display())))?;
        let frames = Frames(folder.to_owned());
        // Refused now and not when the first frame is there.
        drop(Draft::create(&frames.name(0))?);
        Ok(frames)
    }

    /// Writes the pictures that come until `has_ended`. One that cannot be written stops the region: the steps
    /// that are left would be for nothing.
    pub fn follow(
        &self,
        snapshot: &mut Snapshot<f32, Ix2>,
        stop: &CancelToken,
        has_ended: impl Fn() -> bool,
    ) -> Result<()> {
        loop {
            let is_last = has_ended();
            if let Some(frame) = snapshot.next_timeout(PATIENCE)? {
                self.write(frame.step, &frame.data.view()).inspect_err(|_| stop.cancel())?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Writes the picture of a step.
    fn write(&self, step: u64, picture: &ArrayView2<'_, f32>) -> Result<()> {
        let rgb: Vec<u8> = picture.iter().flat_map(|cell| colour(f64::from(*cell) / 2.0)).collect();
        write_rgb(&self.name(step), PIXELS, PIXELS, &rgb)
    }

    fn name(&self, step: u64) -> PathBuf {
        self.0.join(format!("step-{step:08}.png"))
    }
}

/// Copies a cell for each pixel: of the square, or of the plane in the cube's middle. Each rank has some rows
/// of the picture.
pub fn draw(mut picture: ArrayViewMut2<'_, f32>, now: &ArrayView2<'_, f64>, grid: Grid, first: usize) {
    let cell = |pixel: usize| pixel * grid.side / PIXELS;
    for (i, mut line) in picture.rows_mut().into_iter().enumerate() {
        let row = cell(first + i);
        for (j, pixel) in line.iter_mut().enumerate() {
            *pixel = match grid.dimensions {
                2 => now[[row, cell(j)]],
                _ => now[[grid.side / 2, row * grid.side + cell(j)]],
            } as f32;
        }
    }
}
