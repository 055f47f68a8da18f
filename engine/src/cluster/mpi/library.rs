//! An MPI library, found at run time. It is never closed: MPI's threads and handlers stay.
//!
//! # Safety
//! Symbols are read as the C functions and objects that the MPI standard says they are; the types stand where
//! they are asked for (`table.rs`, `abi.rs`).
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::super::error::ClusterError;
use super::super::launcher::Launcher;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;

/// Which of the three interfaces a library has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interface {
    Mpich,
    OpenMpi,
    Standard,
}

/// A library that is there.
pub(super) struct Opened {
    library: ManuallyDrop<Library>,
    /// The name by which it was found.
    pub(super) name: String,
}

impl Opened {
    /// The library that the program is linked to, if there is one, or else the first of the launcher's that
    /// is installed.
    pub(super) fn find(launcher: &Launcher) -> Result<Opened, ClusterError> {
        let own = Opened { library: ManuallyDrop::new(Library::this()), name: "the program's own".into() };
        if own.has("MPI_Initialized") {
            return Ok(own);
        }
        let mut reason = String::new();
        for name in &launcher.libraries {
            // SAFETY: MPI libraries set up their own tables when they are loaded, and start nothing.
            match unsafe { Library::open(Some(name), RTLD_NOW | RTLD_LOCAL) } {
                Ok(library) => return Ok(Opened { library: ManuallyDrop::new(library), name: name.clone() }),
                Err(error) if reason.is_empty() => reason = told(&error),
                Err(_) => {}
            }
        }
        let tried = launcher.libraries.join(", ");
        Err(ClusterError::NoLibrary { launcher: launcher.name, tried, reason })
    }

    pub(super) fn interface(&self) -> Interface {
        type Version = unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int;
        if let Ok(version) = self.function::<Version>("MPI_Abi_get_version") {
            let (mut major, mut minor) = (-1, -1);
            // SAFETY: both places outlive the call, which is allowed at any time (MPI-5.0, section 20.3).
            unsafe { version(&raw mut major, &raw mut minor) };
            if major > 0 {
                return Interface::Standard;
            }
        }
        if self.has("ompi_mpi_comm_world") { Interface::OpenMpi } else { Interface::Mpich }
    }

    fn has(&self, symbol: &str) -> bool {
        self.object(symbol).is_ok()
    }

    /// The address of an object.
    pub(super) fn object(&self, symbol: &str) -> Result<*mut c_void, ClusterError> {
        self.function::<*mut c_void>(symbol)
    }

    /// A symbol's address as a pointer type `F`, which the caller has chosen rightly.
    pub(super) fn function<F: Copy>(&self, symbol: &str) -> Result<F, ClusterError> {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>(), "a symbol is an address") };
        // SAFETY: an address is read as a pointer; its use is the caller's.
        let found = unsafe { self.library.get::<F>(symbol.as_bytes()) };
        found.map(|symbol| *symbol).map_err(|error| ClusterError::Library {
            library: self.name.clone(),
            call: symbol.to_owned(),
            reason: told(&error),
        })
    }
}

/// What the dynamic loader said; the error itself only names the call.
fn told(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
