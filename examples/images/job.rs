//! What is done for one file, by whoever does it.

use crate::filter::{Grey, edges};
use common::{Draft, mix};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _, ImageReader, Limits};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::ffi::OsString;
use std::io::{Cursor, Write as _};
use std::path::Path;

/// A file to read, and where its result goes, if it is to be kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub from: OsString,
    pub to: Option<OsString>,
    /// Bytes that decoding may take.
    pub memory: u64,
}

/// What was made of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub width: u32,
    pub height: u32,
    /// A number for the result's bits.
    pub checksum: u64,
}

/// Why there is no result for a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wrong {
    /// The file cannot be read, or is no picture.
    Picture(String),
    /// The result cannot be written.
    Out(String),
}

/// Decodes a picture, finds its edges, and encodes them as a PNG file.
///
/// # Errors
/// If the file is no picture, or the result cannot be written.
pub fn process(job: Job) -> Result<Done, Wrong> {
    let bytes = read(&job)?;
    act_as_a_broken_decoder(&bytes);
    let result = edges(&decode(bytes, job.memory).map_err(Wrong::Picture)?);
    let about = about(&result).map_err(Wrong::Picture)?;
    let file = encode(&result, about).map_err(Wrong::Out)?;
    if let Some(path) = &job.to {
        let fails = |error: Box<dyn Error>| Wrong::Out(error.to_string());
        let path = Path::new(path);
        let mut draft = Draft::create(path).map_err(fails)?;
        let written = draft.file().write_all(&file);
        written.map_err(|error| Wrong::Out(format!("{} cannot be written: {error}", path.display())))?;
        draft.finish().map_err(fails)?;
    }
    Ok(about)
}

/// Decodes a result that was written, to compare it.
///
/// # Errors
/// If the file is no picture.
pub fn read_back(job: Job) -> Result<Done, Wrong> {
    let picture = decode(read(&job)?, job.memory);
    picture.and_then(|picture| about(&picture)).map_err(Wrong::Picture)
}

fn read(job: &Job) -> Result<Vec<u8>, Wrong> {
    std::fs::read(&job.from).map_err(|error| Wrong::Picture(error.to_string()))
}

/// Decodes PNG or JPEG, whatever the file's name says.
fn decode(bytes: Vec<u8>, memory: u64) -> Result<Grey, String> {
    if bytes.is_empty() {
        return Err("the file is empty".to_owned());
    }
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    let mut limits = Limits::default();
    // A small file can say that it holds an enormous picture.
    limits.max_alloc = Some(memory);
    reader.limits(limits);
    let picture = reader.decode().map_err(|error| error.to_string())?.into_luma8();
    Ok(Grey { width: picture.width() as usize, pixels: picture.into_raw() })
}

fn encode(picture: &Grey, about: Done) -> Result<Vec<u8>, String> {
    let mut file = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut file, CompressionType::Fast, FilterType::Adaptive);
    let written = encoder.write_image(&picture.pixels, about.width, about.height, ExtendedColorType::L8);
    written.map_err(|error| error.to_string())?;
    Ok(file)
}

fn about(picture: &Grey) -> Result<Done, String> {
    let too_large = |_| "the picture is too large".to_owned();
    let width = u32::try_from(picture.width).map_err(too_large)?;
    let height = u32::try_from(picture.pixels.len() / picture.width.max(1)).map_err(too_large)?;
    let (words, rest) = picture.pixels.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word)).chain(rest.iter().map(|&b| b.into()));
    let checksum = words.fold(mix(u64::from(width)), |sum, word| mix(sum.rotate_left(5) ^ word));
    Ok(Done { width, height, checksum })
}

/// Begins the comment by which a file asks to be taken for one that a decoder cannot survive.
pub const MARK: &str = "phalanx example, stand-in for a decoder's bug: ";
pub const SEGFAULT: &str = "segfault";
pub const ENDLESS: &str = "endless";
pub const GLUTTON: &str = "glutton";

/// Does what bugs of decoders have done, where a file's comment asks for it. The decoders used here have no
/// such bug that we know of; the worst of those that other libraries had end a process in the same ways.
fn act_as_a_broken_decoder(bytes: &[u8]) {
    let Some(at) = memchr::memmem::find(bytes, MARK.as_bytes()) else { return };
    let what = &bytes[at + MARK.len()..];
    if what.starts_with(SEGFAULT.as_bytes()) {
        // The first of these signals that is not due to an instruction restores the default action.
        loop {
            let _until_it_works = kill_process(getpid(), Signal::SEGV);
        }
    } else if what.starts_with(ENDLESS.as_bytes()) {
        loop {
            std::hint::spin_loop();
        }
    } else if what.starts_with(GLUTTON.as_bytes()) {
        // The limit counts what is asked for, so it is reached before the machine's memory is touched.
        loop {
            std::hint::black_box(vec![0u8; 1 << 20].leak());
        }
    }
}
