//! Loaded objects: the executable and its libraries, as the dynamic linker mapped them.
//!
//! # Safety
//! `dl_iterate_phdr` hands out program headers and load addresses that stay mapped as long as the object
//! does. Only the object that holds the running code is read here, and it cannot be unloaded while it runs.
#![allow(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use std::ffi::{c_int, c_void};

/// ELF program header types and flags (elf.h).
pub(crate) const PT_LOAD: u32 = 1;
pub(crate) const PT_DYNAMIC: u32 = 2;
pub(crate) const PT_NOTE: u32 = 4;
pub(crate) const PF_X: u32 = 1;
pub(crate) const PF_W: u32 = 2;
pub(crate) const PF_R: u32 = 4;

/// One program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    /// First address, as it is mapped now.
    pub(crate) lo: usize,
    /// Bytes in memory.
    pub(crate) len_bytes: usize,
    /// Bytes that come from the file.
    pub(crate) file_len_bytes: usize,
}

impl Segment {
    /// Whether `addr` lies in it.
    pub(crate) fn holds(&self, addr: usize) -> bool {
        addr.wrapping_sub(self.lo) < self.len_bytes
    }
}

/// An executable or library in memory.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    /// What was added to the addresses in the file.
    pub(crate) bias: usize,
    /// Whether it is the main program and no library.
    pub(crate) is_main: bool,
    pub(crate) segments: Vec<Segment>,
}

struct Search {
    addr: usize,
    seen: usize,
    found: Option<Object>,
}

/// The object whose load segments hold `addr`.
#[doc(alias = "dl_iterate_phdr")]
pub(crate) fn object_holding(addr: usize) -> Option<Object> {
    let mut search = Search { addr, seen: 0, found: None };
    // SAFETY: the callback gets the search back as its third argument and keeps nothing.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    search.found
}

unsafe extern "C" fn visit(info: *mut libc::dl_phdr_info, _size: usize, search: *mut c_void) -> c_int {
    // SAFETY: the pointer passed to dl_iterate_phdr above, used by this call alone.
    let search = unsafe { &mut *search.cast::<Search>() };
    // SAFETY: the linker passes a valid description for the duration of the call.
    let info = unsafe { &*info };
    // The main program comes first (dl_iterate_phdr(3)).
    let is_main = search.seen == 0;
    search.seen = search.seen.saturating_add(1);
    if info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the linker's table of program headers, of this length.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let bias = info.dlpi_addr as usize;
    let segments: Vec<Segment> = headers
        .iter()
        .map(|header| Segment {
            kind: header.p_type,
            flags: header.p_flags,
            lo: bias.wrapping_add(header.p_vaddr as usize),
            len_bytes: header.p_memsz as usize,
            file_len_bytes: header.p_filesz as usize,
        })
        .collect();
    if !segments.iter().any(|segment| segment.kind == PT_LOAD && segment.holds(search.addr)) {
        return 0;
    }
    search.found = Some(Object { bias, is_main, segments });
    1
}

impl Object {
    /// The bytes of a header's contents, if a readable load segment that is never written holds them.
    pub(crate) fn constant_bytes(&self, segment: &Segment) -> Option<&'static [u8]> {
        let (lo, len) = (segment.lo, segment.file_len_bytes);
        let inside = self.segments.iter().any(|load| {
            load.kind == PT_LOAD
                && load.flags & (PF_R | PF_W) == PF_R
                && load.holds(lo)
                && load.len_bytes.checked_sub(lo.wrapping_sub(load.lo)).is_some_and(|left| len <= left)
        });
        // SAFETY: mapped, readable and constant for as long as the object, which holds the running code, is
        // loaded.
        inside.then(|| unsafe { std::slice::from_raw_parts(lo as *const u8, len) })
    }

    /// The table of start-up functions (DT_INIT_ARRAY): first address and number of entries. None if the
    /// object has no dynamic section (static and at a fixed address).
    #[doc(alias = "DT_INIT_ARRAY")]
    pub(crate) fn init_array(&self) -> Option<(usize, usize)> {
        const DT_INIT_ARRAY: usize = 25;
        const DT_INIT_ARRAYSZ: usize = 27;
        const ENTRY_BYTES: usize = size_of::<[usize; 2]>();
        const ADDRESS_BYTES: usize = size_of::<usize>();
        let dynamic = self.segments.iter().find(|segment| segment.kind == PT_DYNAMIC)?;
        let entries = dynamic.len_bytes / ENTRY_BYTES;
        let (mut array, mut len_bytes) = (None, 0);
        for index in 0..entries {
            let entry = (dynamic.lo as *const [usize; 2]).wrapping_add(index);
            // SAFETY: inside the dynamic section, which is loaded and written by the linker only before
            // start-up functions run.
            let [tag, value] = unsafe { entry.read() };
            match tag {
                0 => break,
                DT_INIT_ARRAY => array = Some(self.bias.wrapping_add(value)),
                DT_INIT_ARRAYSZ => len_bytes = value,
                _ => {}
            }
        }
        array.map(|array| (array, len_bytes / ADDRESS_BYTES))
    }
}
