//! Pools of a running program, found by the descriptors that it has open.

use super::{ObserveError, Observer};
use crate::sys::descriptor;
use crate::team::plate::{self, Header, Place};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};

/// Returns the pools of a running program, in no order.
///
/// Reads `/proc`; the program does not notice. Requires permission to look at the process: the same user,
/// or a privileged one.
///
/// # Errors
/// - [`ObserveError::NoProcess`]: it has ended, or never existed.
/// - [`ObserveError::Denied`]: it belongs to another user.
/// - [`ObserveError::NoPool`]: no pool with workers is in it now. Workers have none.
/// - [`ObserveError::OtherBuild`]: it was built with another version of Phalanx.
/// - [`ObserveError::Damaged`], [`ObserveError::Io`]: its words make no sense, or cannot be read.
///
/// ```
/// # fn main() -> Result<(), phalanx::Error> {
/// let pool = phalanx::Pool::builder().workers(2).name("sums").build()?;
/// let observers = phalanx::observe::pools_of(std::process::id())?;
/// let mut views = observers.iter().filter_map(|observer| observer.look().ok());
/// let view = views.find(|view| view.name == "sums").expect("the pool runs");
/// assert_eq!(view.workers.len(), 2);
/// # Ok(())
/// # }
/// ```
pub fn pools_of(pid: u32) -> Result<Vec<Observer>, ObserveError> {
    let folder = format!("/proc/{pid}/fd");
    let numbers = fs::read_dir(&folder).and_then(|entries| {
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect::<io::Result<Vec<String>>>()
    });
    let numbers = numbers.map_err(|error| ObserveError::of_reading(pid, error))?;
    let wanted = format!("/memfd:{}", plate::NAME);
    let is_plate = |number: &&String| {
        let target = fs::read_link(format!("{folder}/{number}"));
        target.is_ok_and(|target| target.to_string_lossy().starts_with(&wanted))
    };
    let (mut observers, mut refused) = (Vec::new(), None);
    for number in numbers.iter().filter(is_plate) {
        match observer(pid, number) {
            Ok(observer) => observers.push(observer),
            // It has ended since.
            Err(ObserveError::Ended { .. }) => {}
            Err(error) => refused = Some(error),
        }
    }
    // A program may link two versions of Phalanx: what can be observed is.
    if observers.is_empty() { Err(refused.unwrap_or(ObserveError::NoPool { pid })) } else { Ok(observers) }
}

/// Returns all pools that run now in programs of this user, in the order of their process numbers.
///
/// Programs that cannot be looked at, or that another version of Phalanx runs in, are left out. Takes a
/// moment for each process on the machine.
pub fn pools() -> Vec<Observer> {
    let user = rustix::process::geteuid().as_raw();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_ours = |entry: &fs::DirEntry| entry.metadata().is_ok_and(|found| found.uid() == user);
    let mut pids: Vec<u32> =
        entries.filter(is_ours).filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids.into_iter().flat_map(|pid| pools_of(pid).unwrap_or_default()).collect()
}

/// Opens the plate and what it leads to.
fn observer(pid: u32, number: &str) -> Result<Observer, ObserveError> {
    let plate = open(pid, number)?;
    let mut header: Header = bytemuck::Zeroable::zeroed();
    // A shorter one is of another version too.
    let is_whole = plate.read_exact_at(bytemuck::bytes_of_mut(&mut header), 0).is_ok();
    if !is_whole
        || (header.magic, header.version, header.layout) != (plate::MAGIC, plate::VERSION, plate::LAYOUT)
    {
        return Err(ObserveError::OtherBuild {
            pid,
            theirs: plate::text_of(&header.crate_version),
            layout: header.layout,
            ours: env!("CARGO_PKG_VERSION"),
        });
    }
    let size = header.size as usize;
    if size == 0 || size > crate::topology::MAX_WORKERS {
        return Err(ObserveError::Damaged { pid, what: "the number of its workers" });
    }
    let tasks = (header.tasks.number >= 0).then(|| open_place(pid, header.tasks)).transpose()?;
    Ok(Observer {
        pid,
        name: plate::text_of(&header.label),
        is_threads: header.threads != 0,
        size,
        orders: open_place(pid, header.orders)?,
        board: open_place(pid, header.board)?,
        tasks,
        number: number.to_owned(),
        inode: plate.metadata().map_err(|source| ObserveError::Io { pid, source })?.ino(),
        plate,
    })
}

fn open(pid: u32, number: &str) -> Result<File, ObserveError> {
    descriptor::open_to_read(format!("/proc/{pid}/fd/{number}")).map_err(|error| match error.kind() {
        ErrorKind::NotFound => ObserveError::Ended { pid },
        _ => ObserveError::of_reading(pid, error),
    })
}

/// Opens what a descriptor of the program leads to, if that is what the plate means.
fn open_place(pid: u32, place: Place) -> Result<File, ObserveError> {
    let file = open(pid, &place.number.to_string())?;
    match file.metadata() {
        Ok(found) if found.ino() == place.inode => Ok(file),
        Ok(_) => Err(ObserveError::Ended { pid }),
        Err(source) => Err(ObserveError::Io { pid, source }),
    }
}
