//! Pictures, as PNG files.

use crate::draft::Draft;
use crate::run::{Result, refuse};
use png::{BitDepth, ColorType, Encoder};
use std::io::BufWriter;
use std::path::Path;

/// Writes a picture of `width` x `height` pixels, three bytes each (red, green, blue), rows from the top. The
/// file appears when it is whole.
///
/// # Errors
/// [`Refused`](crate::Refused) if it cannot be written; another error if `rgb` is not as long as said.
pub fn write_rgb(path: &Path, width: usize, height: usize, rgb: &[u8]) -> Result<()> {
    let mut draft = Draft::create(path)?;
    let mut encoder =
        Encoder::new(BufWriter::new(draft.file()), u32::try_from(width)?, u32::try_from(height)?);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    let fails = |error| format!("{} cannot be written: {error}", path.display());
    let mut writer = encoder.write_header().map_err(fails)?;
    writer.write_image_data(rgb).map_err(fails)?;
    writer.finish().map_err(|error| refuse(format!("{} cannot be written: {error}", path.display())))?;
    draft.finish()
}

/// A colour between dark blue (0) and light yellow (1), of even steps for the eye and in shades of grey:
/// points of the map "viridis" (Smith and van der Walt, 2015, CC0), with straight lines between.
pub fn colour(t: f64) -> [u8; 3] {
    const POINTS: [[f64; 3]; 6] = [
        [68.0, 1.0, 84.0],
        [65.0, 68.0, 135.0],
        [42.0, 120.0, 142.0],
        [34.0, 168.0, 132.0],
        [122.0, 209.0, 81.0],
        [253.0, 231.0, 37.0],
    ];
    let at = t.clamp(0.0, 1.0) * (POINTS.len() - 1) as f64;
    let first = (at as usize).min(POINTS.len() - 2);
    let (low, high, part) = (POINTS[first], POINTS[first + 1], at - first as f64);
    std::array::from_fn(|i| (low[i] + (high[i] - low[i]) * part).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::{colour, write_rgb};

    #[test]
    fn pictures_are_read_back_and_wrong_sizes_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.png");
        let rgb: Vec<u8> = (0..2 * 3 * 3).collect();
        write_rgb(&path, 2, 3, &rgb).unwrap();
        let file = std::io::BufReader::new(std::fs::File::open(&path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut back = vec![0; 18];
        let info = reader.next_frame(&mut back).unwrap();
        assert_eq!((info.width, info.height, back), (2, 3, rgb.clone()));
        std::fs::remove_file(&path).unwrap();
        write_rgb(&path, 3, 3, &rgb).unwrap_err();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn colours_go_from_dark_to_light() {
        assert_eq!((colour(-1.0), colour(0.0), colour(1.0)), ([68, 1, 84], [68, 1, 84], [253, 231, 37]));
        let light = |t: f64| {
            colour(t).map(f64::from).iter().zip([0.2126, 0.7152, 0.0722]).map(|(c, w)| c * w).sum::<f64>()
        };
        assert!((0..100).all(|i| light(f64::from(i) / 100.0) <= light(f64::from(i + 1) / 100.0) + 0.5));
    }
}
