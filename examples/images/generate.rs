//! Pictures to try the program on, some of them hostile; each depends on its number alone.

use crate::job::{ENDLESS, GLUTTON, MARK, SEGFAULT};
use common::{Draft, Result, mix, random, refuse};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use phalanx::{CancelToken, Captured, Pool};
use std::io::Write as _;
use std::path::Path;

/// What is wrong with a hostile file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// PNG with a comment at which `job` dies of SIGSEGV.
    Segfault,
    /// PNG with a comment at which `job` never returns.
    Endless,
    /// PNG with a comment at which `job` allocates without end.
    Glutton,
    /// A PNG file that ends in its middle.
    Truncated,
    /// A PNG file of a hundred bytes that says it holds 60000 x 60000 pixels.
    Bomb,
    /// A text whose name says JPEG.
    Text,
    /// A file of no bytes.
    Empty,
}

impl Trouble {
    const ALL: [(Trouble, &str); 7] = [
        (Trouble::Segfault, "segfault"),
        (Trouble::Endless, "endless"),
        (Trouble::Glutton, "glutton"),
        (Trouble::Truncated, "truncated"),
        (Trouble::Bomb, "bomb"),
        (Trouble::Text, "text"),
        (Trouble::Empty, "empty"),
    ];

    /// What a file's name says is wrong with it.
    pub fn of_name(name: &str) -> Option<Trouble> {
        let about = name.split(['-', '.']).nth(1)?;
        Trouble::ALL.into_iter().find_map(|(trouble, name)| (name == about).then_some(trouble))
    }
}

/// What is to be made.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub files: u64,
    pub width: u32,
    pub height: u32,
    /// So many of the files are hostile.
    pub hostile: u64,
}

impl Plan {
    /// Name and trouble of a file. Hostile ones lie evenly among the others.
    fn file(self, index: u64) -> (String, Option<Trouble>) {
        let hostile_before =
            |index: u64| u128::from(index) * u128::from(self.hostile) / u128::from(self.files.max(1));
        let number = hostile_before(index);
        if hostile_before(index + 1) > number {
            let (trouble, about) = Trouble::ALL[(number % Trouble::ALL.len() as u128) as usize];
            let kind = if trouble == Trouble::Text { "jpg" } else { "png" };
            return (format!("{index:06}-{about}.{kind}"), Some(trouble));
        }
        let kind = if index % 3 == 1 { "jpg" } else { "png" };
        (format!("{index:06}.{kind}"), None)
    }
}

/// Writes the files into `folder`, which is made if it is not there.
pub fn generate(pool: &Pool, plan: Plan, folder: &Path, stop: &CancelToken) -> Result<()> {
    if plan.hostile > plan.files {
        return Err(refuse(format!("{} of {} files cannot be hostile", plan.hostile, plan.files)));
    }
    std::fs::create_dir_all(folder).map_err(|error| refuse(format!("{}: {error}", folder.display())))?;
    let folder = Captured::new(&folder.to_owned())?;
    let numbers = [plan.files, plan.hostile, plan.width.into(), plan.height.into()];
    let operands = (0..usize::try_from(plan.files)?, numbers, &folder);
    pool.launch().chunk(1).cancel(stop).try_for_each(
        operands,
        |(index, [files, hostile, width, height], folder)| {
            let plan = Plan { files, hostile, width: width as u32, height: height as u32 };
            let (name, trouble) = plan.file(index.start as u64);
            write(&folder.join(&name), plan, index.start as u64, trouble).map_err(|error| error.to_string())
        },
    )?;
    Ok(())
}

fn write(path: &Path, plan: Plan, index: u64, trouble: Option<Trouble>) -> Result<()> {
    let mut draft = Draft::create(path)?;
    draft.file().write_all(&contents(path, plan, index, trouble)?)?;
    draft.finish()
}

fn contents(path: &Path, plan: Plan, index: u64, trouble: Option<Trouble>) -> Result<Vec<u8>> {
    let pixels = || shapes(plan, index);
    let marked = |what: &str| png(plan.width, plan.height, &pixels(), Some(&format!("{MARK}{what}")));
    match trouble {
        Some(Trouble::Segfault) => marked(SEGFAULT),
        Some(Trouble::Endless) => marked(ENDLESS),
        Some(Trouble::Glutton) => marked(GLUTTON),
        Some(Trouble::Truncated) => {
            let mut whole = png(plan.width, plan.height, &pixels(), None)?;
            whole.truncate(whole.len() / 2);
            Ok(whole)
        }
        Some(Trouble::Bomb) => png(60_000, 60_000, &[], None),
        Some(Trouble::Text) => Ok(b"Dear reader, this is no picture.\n".to_vec()),
        Some(Trouble::Empty) => Ok(Vec::new()),
        None if path.extension().is_some_and(|kind| kind == "jpg") => {
            let mut file = Vec::new();
            let encoder = &mut JpegEncoder::new_with_quality(&mut file, 90);
            encoder.encode(&pixels(), plan.width, plan.height, ExtendedColorType::Rgb8)?;
            Ok(file)
        }
        None => png(plan.width, plan.height, &pixels(), None),
    }
}

/// A PNG file; without pixels, their beginning.
fn png(width: u32, height: u32, rgb: &[u8], comment: Option<&str>) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    if let Some(comment) = comment {
        encoder.add_text_chunk("Comment".to_owned(), comment.to_owned())?;
    }
    let mut writer = encoder.write_header()?;
    match rgb {
        // The beginning of rows of zeros, which are easily packed.
        [] => writer.write_chunk(png::chunk::IDAT, &[0x78, 0x01, 0xed, 0xc1, 0x01, 0x01, 0, 0, 0, 0x80])?,
        rgb => writer.write_image_data(rgb)?,
    }
    drop(writer);
    Ok(file)
}

/// Discs on a slope of colour, with noise: some edges, some texture.
fn shapes(plan: Plan, index: u64) -> Vec<u8> {
    let seed = mix(index + 1);
    let (width, height) = (i64::from(plan.width), i64::from(plan.height));
    let share = |number: u64, of: i64| ((u128::from(random(seed, number)) * of as u128) >> 64) as i64;
    let discs: [[i64; 4]; 6] = std::array::from_fn(|i| {
        let radius = 1 + share(4 * i as u64, width.min(height) / 4 + 1);
        let [x, y] = [share(4 * i as u64 + 1, width), share(4 * i as u64 + 2, height)];
        [x, y, radius * radius, share(4 * i as u64 + 3, 1 << 24)]
    });
    let mut rgb = Vec::with_capacity((3 * width * height) as usize);
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let inside = |[u, v, square, _]: &&[i64; 4]| (x - u).pow(2) + (y - v).pow(2) < *square;
        let slope = [96 + 64 * x / width, 96 + 64 * y / height, 160];
        let colour = discs
            .iter()
            .rev()
            .find(inside)
            .map_or(slope, |[.., colour]| [colour & 255, colour >> 8 & 255, colour >> 16]);
        let noise = random(!seed, (y * width + x) as u64);
        let channel = |i: usize| (colour[i] + (noise >> (8 * i) & 15) as i64 - 8).clamp(0, 255) as u8;
        rgb.extend([channel(0), channel(1), channel(2)]);
    }
    rgb
}
