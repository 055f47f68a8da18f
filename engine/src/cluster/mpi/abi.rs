//! The three binary interfaces that MPI libraries have: how wide a handle is, and what the predefined ones are.
//!
//! | interface | libraries | handles | source of the numbers |
//! |---|---|---|---|
//! | MPICH's | MPICH, Intel MPI, MVAPICH, Cray's ABI module | `int` | MPICH 5.0.2, `mpi.h` |
//! | Open MPI's | Open MPI 4 and 5 | pointers to objects of the library | Open MPI 5.0.11, `mpi.h` |
//! | the standard's | MPICH 5, Open MPI 6, wrappers | small numbers, as pointers | MPI-5.0, chapter 20; `mpi_abi.h` |
//!
//! # Safety
//! The addresses of the library's objects are looked up and never dereferenced here.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::super::error::ClusterError;
use super::library::Opened;
use std::ffi::{c_int, c_void};

/// One binary interface.
pub(super) trait Abi: 'static {
    type Comm: Copy;
    type Datatype: Copy;
    type Request: Copy + 'static;
    type Errhandler: Copy;
    /// `MPI_THREAD_SERIALIZED`
    const SERIALIZED: c_int;
    /// `MPI_STATUS_IGNORE` and `MPI_STATUSES_IGNORE`, as an address.
    const IGNORE: usize;

    fn constants(library: &Opened) -> Result<Constants<Self>, ClusterError>;
}

/// The predefined handles that are used.
pub(super) struct Constants<A: Abi + ?Sized> {
    /// `MPI_COMM_WORLD`
    pub(super) world: A::Comm,
    /// `MPI_BYTE`
    pub(super) byte: A::Datatype,
    /// `MPI_ERRORS_RETURN`
    pub(super) errors_return: A::Errhandler,
    /// `MPI_REQUEST_NULL`
    pub(super) no_request: A::Request,
}

/// MPICH's.
pub(super) struct Mpich;

impl Abi for Mpich {
    type Comm = c_int;
    type Datatype = c_int;
    type Request = c_int;
    type Errhandler = c_int;
    const SERIALIZED: c_int = 2;
    const IGNORE: usize = 1;

    fn constants(_library: &Opened) -> Result<Constants<Mpich>, ClusterError> {
        Ok(Constants {
            world: 0x4400_0000,
            byte: 0x4c00_010d,
            errors_return: 0x5400_0001,
            no_request: 0x2c00_0000,
        })
    }
}

/// Open MPI's.
pub(super) struct OpenMpi;

impl Abi for OpenMpi {
    type Comm = *mut c_void;
    type Datatype = *mut c_void;
    type Request = *mut c_void;
    type Errhandler = *mut c_void;
    const SERIALIZED: c_int = 2;
    const IGNORE: usize = 0;

    fn constants(library: &Opened) -> Result<Constants<OpenMpi>, ClusterError> {
        Ok(Constants {
            world: library.object("ompi_mpi_comm_world")?,
            byte: library.object("ompi_mpi_byte")?,
            errors_return: library.object("ompi_mpi_errors_return")?,
            no_request: library.object("ompi_request_null")?,
        })
    }
}

/// The standard's.
pub(super) struct Standard;

impl Abi for Standard {
    type Comm = *mut c_void;
    type Datatype = *mut c_void;
    type Request = *mut c_void;
    type Errhandler = *mut c_void;
    const SERIALIZED: c_int = 2048;
    const IGNORE: usize = 0;

    fn constants(_library: &Opened) -> Result<Constants<Standard>, ClusterError> {
        Ok(Constants {
            world: std::ptr::without_provenance_mut(0x101),
            byte: std::ptr::without_provenance_mut(0x247),
            errors_return: std::ptr::without_provenance_mut(0x143),
            no_request: std::ptr::without_provenance_mut(0x180),
        })
    }
}
