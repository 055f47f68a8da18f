//! What is made of a picture: blurred, its edges, and their grey levels spread evenly. On plain slices, by
//! whole numbers, so that the result has the same bits everywhere.

/// A picture in shades of grey, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grey {
    pub width: usize,
    pub pixels: Vec<u8>,
}

/// All three filters, one after the other.
pub fn edges(picture: &Grey) -> Grey {
    equalised(&sobel(&blurred(picture)))
}

/// Mean of each pixel and its neighbours in five by five, by the weights (1 4 6 4 1) / 16 in each direction.
/// What lies outside is as the pixel next to it.
pub fn blurred(picture: &Grey) -> Grey {
    let width = picture.width;
    // Along rows: at most 255 * 16.
    let mut sums = vec![0u16; picture.pixels.len()];
    let mut padded = vec![0u16; width + 4];
    for (row, sums) in picture.pixels.chunks_exact(width).zip(sums.chunks_exact_mut(width)) {
        padded[2..width + 2].iter_mut().zip(row).for_each(|(padded, pixel)| *padded = u16::from(*pixel));
        padded[..2].fill(u16::from(row[0]));
        padded[width + 2..].fill(u16::from(row[width - 1]));
        for (x, sum) in sums.iter_mut().enumerate() {
            *sum = weighted([padded[x], padded[x + 1], padded[x + 2], padded[x + 3], padded[x + 4]]);
        }
    }
    // Along columns: at most 255 * 256, rounded once.
    let rows = Rows { pixels: &sums, width };
    let mut pixels = Vec::with_capacity(sums.len());
    for y in 0..rows.count() as isize {
        let near: [&[u16]; 5] = std::array::from_fn(|i| rows.near(y + i as isize - 2));
        pixels.extend((0..width).map(|x| ((weighted(near.map(|row| row[x])) + 128) >> 8) as u8));
    }
    Grey { width, pixels }
}

fn weighted([a, b, c, d, e]: [u16; 5]) -> u16 {
    a + e + 4 * (b + d) + 6 * c
}

/// The steepness of each pixel: the length of Sobel's gradient over 4, at most 255.
pub fn sobel(picture: &Grey) -> Grey {
    let rows = Rows { pixels: &picture.pixels, width: picture.width };
    let mut pixels = Vec::with_capacity(picture.pixels.len());
    for y in 0..rows.count() as isize {
        let [above, here, below] = [-1, 0, 1].map(|step| rows.near(y + step));
        let last = picture.width - 1;
        pixels.extend((0..=last).map(|x| {
            let (left, right) = (x.saturating_sub(1), (x + 1).min(last));
            let column = |x: usize| i32::from(above[x]) + 2 * i32::from(here[x]) + i32::from(below[x]);
            let row = |row: &[u8]| i32::from(row[left]) + 2 * i32::from(row[x]) + i32::from(row[right]);
            let (dx, dy) = (column(right) - column(left), row(below) - row(above));
            ((dx * dx + dy * dy).isqrt() / 4).min(255) as u8
        }));
    }
    Grey { width: picture.width, pixels }
}

/// The same picture with its shades spread so that each range of them has the same share of pixels.
pub fn equalised(picture: &Grey) -> Grey {
    let mut histogram = [0u64; 256];
    picture.pixels.iter().for_each(|pixel| histogram[usize::from(*pixel)] += 1);
    let darkest = histogram.iter().copied().find(|count| *count > 0).unwrap_or(0);
    let others = picture.pixels.len() as u64 - darkest;
    let mut below = 0;
    let shades = histogram.map(|count| {
        below += count;
        // A picture of one shade stays dark.
        (255 * below.saturating_sub(darkest) + others / 2).checked_div(others).unwrap_or(0) as u8
    });
    let pixels = picture.pixels.iter().map(|pixel| shades[usize::from(*pixel)]).collect();
    Grey { width: picture.width, pixels }
}

/// Rows of numbers, of which those outside are as the next one inside.
struct Rows<'a, T> {
    pixels: &'a [T],
    width: usize,
}

impl<'a, T> Rows<'a, T> {
    fn count(&self) -> usize {
        self.pixels.len() / self.width
    }

    fn near(&self, y: isize) -> &'a [T] {
        let y = y.clamp(0, self.count() as isize - 1) as usize;
        &self.pixels[y * self.width..][..self.width]
    }
}
