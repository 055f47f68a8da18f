//! libhwloc, loaded at run time: a topology goes in by its own means and comes out as its own XML.
//!
//! # Safety
//! Eight functions are called, all with the C signatures that hwloc's headers have had from 2.0 on, with
//! opaque handles and plain numbers only; no struct layout is shared. Libraries before 2.0 have another
//! soname (5) and are not tried; of those after 2.x it is taken that they keep these signatures. A handle is
//! destroyed once, by [`Topology`]'s drop, and a buffer is freed by the library that made it.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use super::error::TopologyError;
use libloading::{Library, Symbol};
use std::ffi::{CStr, CString, c_char, c_int, c_ulong, c_void};
use std::ptr::NonNull;

/// What is to be described.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject<'a> {
    /// The machine we run on.
    ThisMachine,
    /// hwloc's reading of a synthetic description, to compare ours with.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests compare"))]
    Synthetic(&'a str),
    /// hwloc's reading of an XML text, to compare ours with.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests compare"))]
    Xml(&'a str),
}

/// The soname of hwloc 2.x is 15 (hwloc's VERSION file, `libhwloc_so_version`); later ones are tried in turn.
const SONAMES: std::ops::RangeInclusive<u32> = 15..=30;

/// `HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED`: the whole machine, also outside our cpuset.
const INCLUDE_DISALLOWED: c_ulong = 1;

type Handle = *mut c_void;

/// Describes the subject in hwloc's XML; also returns the name of the library.
pub(super) fn export(subject: Subject) -> Result<(String, String), TopologyError> {
    let (library, name) = open()?;
    let topology = Topology::new(&library)?;
    match subject {
        Subject::ThisMachine => {}
        Subject::Synthetic(text) => topology.set_text("hwloc_topology_set_synthetic", text)?,
        Subject::Xml(text) => topology.set_xml(text)?,
    }
    topology.set_flags(INCLUDE_DISALLOWED)?;
    topology.load()?;
    Ok((topology.xml()?, name))
}

fn open() -> Result<(Library, String), TopologyError> {
    let mut reason = String::new();
    for number in SONAMES {
        let name = format!("libhwloc.so.{number}");
        // SAFETY: libhwloc's constructors and destructors only set up its own tables, at any time and on any
        // thread.
        match unsafe { Library::new(&name) } {
            Ok(library) => return Ok((library, name)),
            Err(error) if reason.is_empty() => reason = told(&error),
            Err(_) => {}
        }
    }
    Err(TopologyError::NoLibrary { reason })
}

/// One `hwloc_topology_t`.
struct Topology<'lib> {
    library: &'lib Library,
    handle: NonNull<c_void>,
}

impl<'lib> Topology<'lib> {
    fn new(library: &'lib Library) -> Result<Self, TopologyError> {
        const CALL: &str = "hwloc_topology_init";
        // The destructor has to exist before there is something to destroy.
        destroy(library)?;
        // SAFETY: int hwloc_topology_init(hwloc_topology_t *)
        let init: Symbol<unsafe extern "C" fn(*mut Handle) -> c_int> =
            unsafe { library.get(CALL) }.map_err(|error| missing(CALL, &error))?;
        let mut handle: Handle = std::ptr::null_mut();
        // SAFETY: the handle's place outlives the call.
        let rc = unsafe { init(&raw mut handle) };
        checked(CALL, rc)?;
        let handle = NonNull::new(handle)
            .ok_or(TopologyError::Library { call: CALL, reason: "it gave no handle".to_owned() })?;
        Ok(Self { library, handle })
    }

    /// Calls `int f(hwloc_topology_t, const char *)`.
    fn set_text(&self, call: &'static str, text: &str) -> Result<(), TopologyError> {
        let text = c_text(call, text)?;
        // SAFETY: int hwloc_topology_set_synthetic(hwloc_topology_t, const char *)
        let set: Symbol<unsafe extern "C" fn(Handle, *const c_char) -> c_int> =
            unsafe { self.library.get(call) }.map_err(|error| missing(call, &error))?;
        // SAFETY: the handle is live and not loaded yet; the text ends in NUL and outlives the call.
        let rc = unsafe { set(self.handle.as_ptr(), text.as_ptr()) };
        checked(call, rc)
    }

    fn set_xml(&self, text: &str) -> Result<(), TopologyError> {
        const CALL: &str = "hwloc_topology_set_xmlbuffer";
        let text = c_text(CALL, text)?;
        let bytes = text.as_bytes_with_nul();
        let len = c_int::try_from(bytes.len())
            .map_err(|_| TopologyError::Library { call: CALL, reason: "the text is too long".to_owned() })?;
        // SAFETY: int hwloc_topology_set_xmlbuffer(hwloc_topology_t, const char *buffer, int size)
        let set: Symbol<unsafe extern "C" fn(Handle, *const c_char, c_int) -> c_int> =
            unsafe { self.library.get(CALL) }.map_err(|error| missing(CALL, &error))?;
        // SAFETY: the handle is live and not loaded yet; the buffer is NUL-ended, of the length given, and is
        // copied.
        let rc = unsafe { set(self.handle.as_ptr(), text.as_ptr(), len) };
        checked(CALL, rc)
    }

    fn set_flags(&self, flags: c_ulong) -> Result<(), TopologyError> {
        const CALL: &str = "hwloc_topology_set_flags";
        // SAFETY: int hwloc_topology_set_flags(hwloc_topology_t, unsigned long)
        let set: Symbol<unsafe extern "C" fn(Handle, c_ulong) -> c_int> =
            unsafe { self.library.get(CALL) }.map_err(|error| missing(CALL, &error))?;
        // SAFETY: the handle is live and not loaded yet.
        let rc = unsafe { set(self.handle.as_ptr(), flags) };
        checked(CALL, rc)
    }

    fn load(&self) -> Result<(), TopologyError> {
        const CALL: &str = "hwloc_topology_load";
        // SAFETY: int hwloc_topology_load(hwloc_topology_t)
        let load: Symbol<unsafe extern "C" fn(Handle) -> c_int> =
            unsafe { self.library.get(CALL) }.map_err(|error| missing(CALL, &error))?;
        // SAFETY: the handle is live.
        let rc = unsafe { load(self.handle.as_ptr()) };
        checked(CALL, rc)
    }

    fn xml(&self) -> Result<String, TopologyError> {
        const EXPORT: &str = "hwloc_topology_export_xmlbuffer";
        const FREE: &str = "hwloc_free_xmlbuffer";
        type Export = unsafe extern "C" fn(Handle, *mut *mut c_char, *mut c_int, c_ulong) -> c_int;
        // SAFETY: int hwloc_topology_export_xmlbuffer(hwloc_topology_t, char **, int *, unsigned long)
        let export: Symbol<Export> =
            unsafe { self.library.get(EXPORT) }.map_err(|error| missing(EXPORT, &error))?;
        // SAFETY: void hwloc_free_xmlbuffer(hwloc_topology_t, char *)
        let free: Symbol<unsafe extern "C" fn(Handle, *mut c_char)> =
            unsafe { self.library.get(FREE) }.map_err(|error| missing(FREE, &error))?;
        let (mut buffer, mut len): (*mut c_char, c_int) = (std::ptr::null_mut(), 0);
        // SAFETY: the handle is live and loaded; both places outlive the call.
        let rc = unsafe { export(self.handle.as_ptr(), &raw mut buffer, &raw mut len, 0) };
        checked(EXPORT, rc)?;
        if buffer.is_null() {
            return Err(TopologyError::Library { call: EXPORT, reason: "it gave no text".to_owned() });
        }
        // SAFETY: the call succeeded, so the buffer holds a NUL-ended text until it is freed below.
        let text = unsafe { CStr::from_ptr(buffer) }.to_string_lossy().into_owned();
        // SAFETY: the buffer is this topology's, freed once.
        unsafe { free(self.handle.as_ptr(), buffer) };
        Ok(text)
    }
}

impl Drop for Topology<'_> {
    fn drop(&mut self) {
        if let Ok(destroy) = destroy(self.library) {
            // SAFETY: the handle is live, and this is its last use.
            unsafe { destroy(self.handle.as_ptr()) };
        }
    }
}

type Destroy = unsafe extern "C" fn(Handle);

fn destroy(library: &Library) -> Result<Symbol<'_, Destroy>, TopologyError> {
    const CALL: &str = "hwloc_topology_destroy";
    // SAFETY: void hwloc_topology_destroy(hwloc_topology_t)
    unsafe { library.get(CALL) }.map_err(|error| missing(CALL, &error))
}

fn c_text(call: &'static str, text: &str) -> Result<CString, TopologyError> {
    CString::new(text)
        .map_err(|_| TopologyError::Library { call, reason: "the text holds a NUL byte".to_owned() })
}

fn missing(call: &'static str, error: &libloading::Error) -> TopologyError {
    TopologyError::Library { call, reason: told(error) }
}

/// What the dynamic loader said; the error itself only names the call.
fn told(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

fn checked(call: &'static str, rc: c_int) -> Result<(), TopologyError> {
    if rc == 0 {
        return Ok(());
    }
    Err(TopologyError::Library { call, reason: std::io::Error::last_os_error().to_string() })
}
