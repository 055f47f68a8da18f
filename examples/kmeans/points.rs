//! Points: mapped from a file, or made.
//!
//! # Safety
//!
//! The engine requires that nobody writes or truncates a file while it is mapped. The user who names a file
//! to read promises it (`--help` says so). Files that are written lie in a folder of this run's own until
//! they are whole. Any bits are a number: if the promise is broken, results are of a mixture of old and new
//! points, and reading past a new end ends the program by SIGBUS.
#![allow(unsafe_code)]

use common::{Result, refuse};
use ndarray::Ix2;
use phalanx::array::npy::NpyElement;
use phalanx::{CancelToken, MappedArray, Pool, SharedArray};
use phalanx_kernels::random::{self, Draw};
use std::path::Path;

/// The side of the cube in which the middles of the groups lie; the points of a group deviate from its middle
/// by 1 along each axis.
const SIDE: f64 = 20.0;

/// Maps points that nobody changes meanwhile.
pub fn open<T: NpyElement>(path: &Path) -> Result<MappedArray<T, Ix2>> {
    // SAFETY: the module's: nobody changes the file, says who named it.
    let points = unsafe { MappedArray::<T, Ix2>::map_npy(path) };
    points.map_err(|error| refuse(error.to_string()))
}

/// What makes points.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    pub rows: usize,
    pub dims: usize,
    /// Groups that they form.
    pub groups: usize,
    pub seed: u64,
}

impl Made {
    /// In memory.
    pub fn in_memory<T: Draw>(self, pool: &Pool) -> Result<SharedArray<T, Ix2>> {
        let mut points = pool.zeros_nd((self.rows, self.dims))?;
        self.fill(pool, &mut points, &CancelToken::new())?;
        Ok(points)
    }

    /// As a file, which appears under its name when it is whole. Ctrl-C leaves nothing.
    pub fn as_file<T: Draw + NpyElement>(self, pool: &Pool, path: &Path) -> Result<()> {
        let fails = |why: String| refuse(format!("{} cannot be written: {why}", path.display()));
        let stop = CancelToken::on_ctrl_c()?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = tempfile::Builder::new().prefix(".kmeans-").tempdir_in(parent);
        let folder = folder.map_err(|error| fails(error.to_string()))?;
        let draft = folder.path().join("points.npy");
        // SAFETY: the module's: the folder is new and has a random name.
        let points = unsafe { SharedArray::<T, Ix2>::create_npy(&draft, (self.rows, self.dims)) };
        self.fill(pool, &mut points.map_err(|error| fails(error.to_string()))?, &stop)?;
        std::fs::rename(&draft, path).map_err(|error| fails(error.to_string()))
    }

    /// Standard normal noise about the middle of each point's group. A point depends on its number only.
    fn fill<T: Draw>(self, pool: &Pool, points: &mut SharedArray<T, Ix2>, stop: &CancelToken) -> Result<()> {
        let mut middles = pool.zeros_nd::<T, _>((self.groups, self.dims))?;
        random::uniform(pool, &mut middles, self.seed, T::ZERO..T::from_f64(SIDE))?;
        random::normal(pool, points, self.seed, T::ZERO, T::ONE)?;
        let operands = (points.split_mut(), middles.whole(), 0..self.rows, self.seed);
        pool.launch().cancel(stop).for_each(operands, |(mut points, middles, span, seed)| {
            for (mut point, i) in points.outer_iter_mut().zip(span) {
                let group = below(seed, i as u64, middles.nrows());
                point.iter_mut().zip(middles.row(group)).for_each(|(x, middle)| *x = *x + *middle);
            }
        })?;
        Ok(())
    }
}

/// Copies `count` rows, or all if they are fewer, evenly spaced, the first row among them.
pub fn spread<T: Draw>(
    pool: &Pool,
    points: &SharedArray<T, Ix2>,
    count: usize,
) -> Result<SharedArray<T, Ix2>> {
    let (rows, dims) = points.view().dim();
    let count = count.min(rows);
    let mut copies = pool.zeros_nd::<T, _>((count, dims))?;
    let operands = (copies.split_out(), 0..count, points.whole(), count);
    pool.for_each(operands, |(mut copies, span, points, count)| {
        for (mut copy, i) in copies.outer_iter_mut().zip(span) {
            copy.assign(&points.row((i as u128 * points.nrows() as u128 / count as u128) as usize));
        }
    })?;
    Ok(copies)
}

/// A number below `end` that depends on seed and index only.
pub fn below(seed: u64, i: u64, end: usize) -> usize {
    ((u128::from(common::random(seed, i)) * end as u128) >> 64) as usize
}
