//! Signals: a tone in white noise, of which workers write each block at its place in the file; and files to
//! read.

use common::{Draft, Meter, Result, map_bytes, random, refuse};
use phalanx::array::npy::{Header, Kind};
use phalanx::{CancelToken, Captured, MappedArray, PerWorker, Pool};
use std::f64::consts::TAU;
use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// The tone's frequency in cycles per sample.
pub const TONE: f64 = 0.0713;
/// Its amplitude: too weak to be seen among the samples, whose noise has a deviation of 1.
pub const AMPLITUDE: f64 = 0.1;
/// Samples between which the tone's phase is computed anew.
const STEP: usize = 256;
/// Samples of a block, which are written together: 1 MiB.
const BLOCK: usize = 1 << 18;
/// Bytes before the first sample.
const HEADER_BYTES: usize = 128;

/// Writes a signal of `len` samples as a `.npy` file of float32, which appears when it is whole.
///
/// # Errors
/// [`common::Refused`] if the file cannot be written.
pub fn generate(pool: &Pool, len: u64, path: &Path, stop: &CancelToken) -> Result<()> {
    let len = usize::try_from(len)?;
    let mut draft = Draft::create(path)?;
    draft.file().write_all(&header(len))?;
    let draft_path = Captured::new(&draft.path())?;
    let place = PerWorker::scratch(|_rank| Place::default());
    let meter = Meter::new("generate", 4 * len as u64);
    let tell = meter.follow(4 * len as u64);
    let operands = (0..len.div_ceil(BLOCK), len, &draft_path, &place);
    let written = pool.launch().chunk(1).cancel(stop).progress(&tell).try_for_each(
        operands,
        |(blocks, len, path, place)| {
            blocks
                .into_iter()
                .try_for_each(|block| place.write(path, block * BLOCK..len.min((block + 1) * BLOCK)))
                .map_err(|error| error.to_string())
        },
    );
    written.map_err(|error| refuse(format!("{} cannot be written: {error}", path.display())))?;
    draft.finish()
}

/// Where a worker puts its blocks.
#[derive(Default)]
struct Place {
    file: Option<File>,
    samples: Vec<f32>,
}

impl Place {
    fn write(&mut self, path: &Path, span: Range<usize>) -> io::Result<()> {
        self.samples.resize(span.len(), 0.0);
        fill(&mut self.samples, span.start);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::options().write(true).open(path)?),
        };
        file.write_all_at(bytemuck::cast_slice(&self.samples), (HEADER_BYTES + 4 * span.start) as u64)
    }
}

/// The header of a `.npy` file of so many float32.
fn header(len: usize) -> Vec<u8> {
    let about = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({len},), }}");
    let room = HEADER_BYTES - 11;
    [b"\x93NUMPY\x01\x00\x76\x00".as_slice(), format!("{about:<room$}\n").as_bytes()].concat()
}

/// The samples from `first` on, a multiple of [`STEP`]: each depends on its index alone.
fn fill(samples: &mut [f32], first: usize) {
    let (turn_sin, turn_cos) = (TAU * TONE).sin_cos();
    for (part, at) in samples.chunks_mut(STEP).zip((first..).step_by(STEP)) {
        let (mut sin, mut cos) = (TAU * (TONE * at as f64).fract()).sin_cos();
        for (sample, index) in part.iter_mut().zip(at as u64..) {
            *sample = (AMPLITUDE * sin + noise(index)) as f32;
            (sin, cos) = (sin * turn_cos + cos * turn_sin, cos * turn_cos - sin * turn_sin);
        }
    }
}

/// Nearly normal noise of deviation 1: the sum of four uniform numbers.
fn noise(index: u64) -> f64 {
    let z = random(0, index);
    let sum = (z & 0xffff) + (z >> 16 & 0xffff) + (z >> 32 & 0xffff) + (z >> 48);
    (sum as f64 / 65536.0 - 2.0) * 3.0f64.sqrt()
}

/// A signal in a file: all its bytes, and where the samples begin.
pub struct Signal {
    pub bytes: MappedArray<u8>,
    pub offset: usize,
}

impl Signal {
    /// Maps a `.npy` file of float32 with one axis.
    ///
    /// # Errors
    /// [`common::Refused`] if it is another.
    pub fn open(path: &Path) -> Result<Signal> {
        let fails = |why: &str| refuse(format!("{}: {why}", path.display()));
        let header = Header::read(path).map_err(|error| refuse(error.to_string()))?;
        let dtype = header.dtype();
        if (dtype.kind(), dtype.width(), dtype.is_native()) != (Kind::Float, 4, true) {
            return Err(fails(&format!("its elements are {}, not float32", dtype.descr())));
        }
        if header.shape().len() != 1 {
            return Err(fails("it has more than one axis"));
        }
        let bytes = map_bytes(path)?.ok_or_else(|| fails("it is empty"))?;
        let offset = header.data_offset();
        match bytemuck::try_cast_slice::<u8, f32>(&bytes.as_slice()[offset..]) {
            Ok(samples) if samples.len() == header.len() => Ok(Signal { bytes, offset }),
            _ => {
                Err(fails("its samples do not begin at a multiple of 4 bytes, or are not as many as it says"))
            }
        }
    }

    /// Samples.
    pub fn len(&self) -> usize {
        (self.bytes.len() - self.offset) / size_of::<f32>()
    }
}
