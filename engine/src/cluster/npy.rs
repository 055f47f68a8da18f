//! Files of arrays over a cluster: each driver reads and writes its own rows.
//!
//! Plain system calls at offsets do that, and no MPI: files of MPI are known to stall or damage data on network
//! filesystems. Drivers tell each other how it went after each step, so that all return an error if one does.
#![deny(clippy::arithmetic_side_effects)]

use super::array::ClusterArray;
use super::draft::{self, Draft, Nonce, failed};
use super::error::ClusterError;
use super::meeting::Call;
use super::member::Cluster;
use crate::array::npy::{AxisOrder, DType, Header, NpyElement, header_bytes, open_regular};
use crate::array::{AttachError, Element, RangeRefMut, Shape, check_axes, check_type, row_elems, to_native};
use crate::base::Output;
use crate::pool::Pool;
use ndarray::IntoDimension;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::Location;
use std::path::Path;

/// Bytes from which reading and writing are worth several threads.
const PARALLEL_BYTES: usize = 4 << 20;
/// Bytes of one call of `read` or `write`, whose counts some filesystems cut.
const PIECE: usize = 64 << 20;

/// What a file or an array is, as one driver sees it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    shape: Vec<usize>,
    element: String,
    data_offset: u64,
    len_bytes: u64,
    nonce: Nonce,
}

impl Cluster {
    /// Reads a `.npy` file into a new array over all drivers: each reads its rows, into memory that is placed as
    /// by [`Self::zeros`]. Called by all drivers together.
    ///
    /// Element type, order, number of axes and length of the file are checked before anything is read. Bytes in
    /// the other order are turned around. The file lies in a folder that all machines share, or is copied to
    /// each.
    ///
    /// # Errors
    /// If one driver has an error, all have one. That of another driver is [`ClusterError::Driver`].
    /// - [`AttachError`] as for [`SharedArray::load_npy`](crate::SharedArray::load_npy), also for Fortran
    ///   order.
    /// - [`ClusterError::Unshared`] if drivers find different files.
    /// - [`ClusterError::File`] if reading fails.
    /// - As for [`Self::zeros`], and [`ClusterError::Disagree`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("plate.npy");
    /// use phalanx::cluster;
    /// use ndarray::Ix2;
    ///
    /// cluster::run(|cluster| {
    ///     let pool = cluster.pool()?;
    ///     let u = cluster.from_fn(&pool, (300, 200), 1, |(i, j)| (i * j) as f64)?;
    ///     cluster.save_npy(&u, &path)?;
    ///     let again = cluster.load_npy::<f64, Ix2>(&pool, &path, 1)?;
    ///     assert_eq!(u.view(), again.view());
    ///     Ok::<(), phalanx::Error>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn load_npy<T: NpyElement, D: Shape>(
        &self,
        pool: &Pool,
        path: impl AsRef<Path>,
        ghosts: usize,
    ) -> Result<ClusterArray<T, D>, crate::Error> {
        let (path, site) = (path.as_ref(), Location::caller());
        let opened = open_npy::<T, D>(path);
        let (file, header, dim) = self.same_file(Call::LoadNpy, path, opened, site)?;
        let at = header.data_offset() as u64;
        let array = self.read_rows(Call::LoadNpy, (pool, path), (dim, ghosts), (&file, at), site)?;
        let mut array: ClusterArray<T, D> = array;
        if !header.dtype().is_native() {
            to_native::<T>(&header, bytemuck::cast_slice_mut(array.mine_slice_mut()));
        }
        Ok(array)
    }

    /// Writes an array over all drivers as one `.npy` file: each driver writes its rows. The file appears whole
    /// or not at all, in the place of an earlier one, whose permissions it keeps. Called by all drivers
    /// together.
    ///
    /// All write `PATH.part`, bring it to the disk, and wait for each other; then driver 0 renames it. A kill
    /// in between leaves the earlier file and `PATH.part`, which the next save overwrites. So a checkpoint is
    /// one call, and one file name is enough; two names in turn keep the one before the last, too.
    ///
    /// # Errors
    /// If one driver has an error, all have one, and the earlier file is as it was. That of another driver is
    /// [`ClusterError::Driver`].
    /// - [`ClusterError::Unshared`] if a driver does not see the file that driver 0 has made: the folder is not
    ///   one that all machines share.
    /// - [`ClusterError::File`] if writing fails, or another program saves to the same path just now.
    /// - [`ClusterError::Disagree`].
    #[track_caller]
    pub fn save_npy<T: NpyElement, D: Shape>(
        &self,
        array: &ClusterArray<T, D>,
        path: impl AsRef<Path>,
    ) -> Result<(), crate::Error> {
        let header = header_bytes(&DType::of::<T>(), array.shape());
        self.save(Call::SaveNpy, array, path.as_ref(), &header, Location::caller())
    }

    /// Reads elements of a file of any format into a new array over all drivers, from byte `offset_bytes` on, in
    /// row-major order and native byte order. See [`Self::load_npy`].
    ///
    /// # Errors
    /// As for [`Self::load_npy`], in particular [`AttachError::TooShort`].
    #[track_caller]
    pub fn load_raw<T: Element, I: IntoDimension>(
        &self,
        pool: &Pool,
        path: impl AsRef<Path>,
        offset_bytes: u64,
        shape: I,
        ghosts: usize,
    ) -> Result<ClusterArray<T, I::Dim>, crate::Error>
    where
        I::Dim: Shape,
    {
        let (path, site, dim) = (path.as_ref(), Location::caller(), shape.into_dimension());
        let opened = open_raw::<T, I::Dim>(path, offset_bytes, dim);
        let (file, dim) = self.same_file(Call::LoadRaw, path, opened, site)?;
        self.read_rows(Call::LoadRaw, (pool, path), (dim, ghosts), (&file, offset_bytes), site)
    }

    /// Writes the elements of an array over all drivers as one file, in row-major order and native byte order,
    /// and nothing else. See [`Self::save_npy`].
    ///
    /// # Errors
    /// As for [`Self::save_npy`].
    #[track_caller]
    pub fn save_raw<T: Element, D: Shape>(
        &self,
        array: &ClusterArray<T, D>,
        path: impl AsRef<Path>,
    ) -> Result<(), crate::Error> {
        self.save(Call::SaveRaw, array, path.as_ref(), &[], Location::caller())
    }

    /// What all drivers have, if none has failed.
    fn all_or_none<A: Output + Clone>(
        &self,
        call: Call,
        own: &Result<A, crate::Error>,
        site: &Location<'_>,
    ) -> Result<Vec<A>, ClusterError> {
        let told = match own {
            Ok(value) => Ok(value.clone()),
            Err(error) => Err(error.to_string()),
        };
        let heard = self.of_all(call, &told, site)?;
        let values = heard.into_iter().enumerate().map(|(driver, told)| {
            let (host, call) = (self.host(driver).to_owned(), call.name());
            told.map_err(|why| ClusterError::Driver { driver, host, call, why })
        });
        values.collect()
    }

    /// What was opened, if all drivers have opened the same.
    fn same_file<O>(
        &self,
        call: Call,
        path: &Path,
        opened: Result<(O, Seen), crate::Error>,
        site: &Location<'_>,
    ) -> Result<O, crate::Error> {
        let (opened, seen) = match opened {
            Ok((opened, seen)) => (Ok(opened), Ok(seen)),
            Err(error) => (Err(()), Err(error)),
        };
        let heard = self.all_or_none(call, &seen, site);
        seen?;
        let heard = heard?;
        match (heard.iter().position(|seen| *seen != heard[0]), opened) {
            (None, Ok(opened)) => Ok(opened),
            (driver, _) => Err(self.unshared(path, driver.unwrap_or(0)).into()),
        }
    }

    fn unshared(&self, path: &Path, driver: usize) -> ClusterError {
        ClusterError::Unshared { path: path.to_owned(), driver, host: self.host(driver).to_owned() }
    }

    /// A new array with this driver's rows of the data at an offset of a file.
    fn read_rows<T: Element, D: Shape>(
        &self,
        call: Call,
        (pool, path): (&Pool, &Path),
        (dim, ghosts): (D, usize),
        (file, data_offset): (&File, u64),
        site: &Location<'_>,
    ) -> Result<ClusterArray<T, D>, crate::Error> {
        let read = self.zeros::<T, D>(pool, dim, ghosts).and_then(|mut array| {
            let at = data_offset.saturating_add(array.bytes_before());
            let bytes = bytemuck::cast_slice_mut(array.mine_slice_mut());
            let read = |bytes: &mut [u8], at| file.read_exact_at(bytes, at);
            in_parts(bytes, at, pool.workers(), read).map_err(failed(path, "cannot be read"))?;
            Ok(array)
        });
        let (array, outcome) = match read {
            Ok(array) => (Some(array), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let heard = self.all_or_none(call, &outcome, site);
        outcome?;
        heard?;
        array.ok_or_else(|| self.unshared(path, self.me()).into())
    }

    fn save<T: Element, D: Shape>(
        &self,
        call: Call,
        array: &ClusterArray<T, D>,
        path: &Path,
        header: &[u8],
        site: &Location<'_>,
    ) -> Result<(), crate::Error> {
        let elements = array.len().saturating_mul(size_of::<T>());
        let len_bytes = (header.len() as u64).saturating_add(elements as u64);
        let draft = if self.me() == 0 { Draft::create(path, len_bytes).map(Some) } else { Ok(None) };
        let (draft, outcome) = match draft {
            Ok(draft) => (draft, Ok(())),
            Err(error) => (None, Err(error.into())),
        };
        let nonce = draft.as_ref().map_or(Nonce::default(), |draft| draft.nonce);
        let seen = outcome.map(|()| Seen {
            shape: array.shape().to_vec(),
            element: std::any::type_name::<T>().into(),
            data_offset: header.len() as u64,
            len_bytes,
            nonce,
        });
        let heard = self.all_or_none(call, &seen, site);
        let (mine, heard) = (seen?, heard?);
        let nonce = heard[0].nonce;
        let differs = |seen: &Seen| (&seen.shape, &seen.element) != (&mine.shape, &mine.element);
        if let Some(driver) = heard.iter().position(differs) {
            let text = |seen: &Seen| format!("{} of {:?} {} ({site})", call.name(), seen.shape, seen.element);
            let (mine, theirs, host) = (text(&mine), text(&heard[driver]), self.host(driver).to_owned());
            return Err(ClusterError::Disagree { mine, driver, host, theirs }.into());
        }
        let written = match &draft {
            Some(draft) => draft.file.try_clone().map(Some).map_err(failed(path, "cannot be written")),
            None => draft::open(path, len_bytes, nonce),
        };
        let written = written.and_then(|file| match file {
            Some(file) => {
                write_rows(&file, array, header, self.me() == 0).map_err(failed(path, "cannot be written"))
            }
            None => Err(self.unshared(path, self.me())),
        });
        self.agreed(call, written, site)?;
        self.agreed(call, draft.map_or(Ok(()), Draft::publish), site)
    }

    /// Returns an error if a driver has one.
    fn agreed(
        &self,
        call: Call,
        own: Result<(), ClusterError>,
        site: &Location<'_>,
    ) -> Result<(), crate::Error> {
        let own = own.map_err(crate::Error::from);
        let heard = self.all_or_none(call, &own, site);
        own?;
        heard?;
        Ok(())
    }
}

impl<T: Element, D: Shape> ClusterArray<T, D> {
    /// Bytes of the rows of the drivers before this one.
    fn bytes_before(&self) -> u64 {
        let row_bytes = row_elems(&self.dim).saturating_mul(size_of::<T>());
        (self.own.lo as u64).saturating_mul(row_bytes as u64)
    }

    fn mine_slice_mut(&mut self) -> &mut [T] {
        let stored = self.stored(self.own);
        let rows = RangeRefMut::of(&mut self.storage).range_mut(stored).into_view_mut();
        rows.into_slice().expect("rows of a row-major array lie one after the other")
    }
}

fn open_npy<T: NpyElement, D: Shape>(path: &Path) -> Result<((File, Header, D), Seen), crate::Error> {
    let file = open_regular(path, OpenOptions::new().read(true), 0)?;
    let header = Header::read_from(&file, path)?;
    check_type::<T>(&header, path)?;
    let dim = check_axes::<D>(&header, path)?;
    if header.order() == AxisOrder::ColumnMajor && dim.ndim() > 1 {
        return Err(AttachError::ColumnMajor { path: path.to_owned() }.into());
    }
    let seen = Seen {
        shape: header.shape().to_vec(),
        element: header.dtype().descr().to_owned(),
        data_offset: header.data_offset() as u64,
        len_bytes: file.metadata().map_err(failed(path, "cannot be read"))?.len(),
        nonce: Nonce::default(),
    };
    Ok(((file, header, dim), seen))
}

fn open_raw<T: Element, D: Shape>(
    path: &Path,
    data_offset: u64,
    dim: D,
) -> Result<((File, D), Seen), crate::Error> {
    let file = open_regular(path, OpenOptions::new().read(true), 0)?;
    let have = file.metadata().map_err(failed(path, "cannot be read"))?.len();
    let elements = dim.slice().iter().try_fold(size_of::<T>() as u64, |n, len| n.checked_mul(*len as u64));
    let need = elements.and_then(|bytes| bytes.checked_add(data_offset)).unwrap_or(u64::MAX);
    if have < need {
        return Err(AttachError::TooShort { path: path.to_owned(), need, have }.into());
    }
    let (shape, element) = (dim.slice().to_vec(), std::any::type_name::<T>().to_owned());
    Ok(((file, dim), Seen { shape, element, data_offset, len_bytes: have, nonce: Nonce::default() }))
}

/// Writes this driver's rows, and the header, and brings them to the disk.
fn write_rows<T: Element, D: Shape>(
    file: &File,
    array: &ClusterArray<T, D>,
    header: &[u8],
    is_first: bool,
) -> io::Result<()> {
    if is_first {
        file.write_all_at(header, 0)?;
    }
    let rows = array.mine().view();
    let bytes: &[u8] = bytemuck::cast_slice(rows.to_slice().unwrap_or_default());
    let at = (header.len() as u64).saturating_add(array.bytes_before());
    for (number, piece) in bytes.chunks(PIECE).enumerate() {
        let start = number.saturating_mul(PIECE) as u64;
        file.write_all_at(piece, at.saturating_add(start))?;
    }
    file.sync_all()
}

/// Does something with neighbouring parts of the bytes at once, each with the place in the file that it is at.
fn in_parts(
    bytes: &mut [u8],
    at: u64,
    workers: usize,
    act: impl Fn(&mut [u8], u64) -> io::Result<()> + Sync,
) -> io::Result<()> {
    let threads = workers.min(std::thread::available_parallelism().map_or(1, usize::from));
    if threads < 2 || bytes.len() < PARALLEL_BYTES {
        return act(bytes, at);
    }
    let part = bytes.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let act = &act;
        let parts = bytes.chunks_mut(part).enumerate().map(|(number, bytes)| {
            let at = at.saturating_add(number.saturating_mul(part) as u64);
            scope.spawn(move || act(bytes, at))
        });
        let parts: Vec<_> = parts.collect();
        let ended = parts
            .into_iter()
            .map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.collect()
    })
}
