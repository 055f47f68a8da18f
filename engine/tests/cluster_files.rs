//! Files of arrays over a cluster: the same bytes for any number of drivers, whole or not at all, and an error
//! on every driver if one has it.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod cluster_plays;
mod common;

use cluster_plays::{INTERFACES, PART, bracketed, play_all, text, wheels};
use ndarray::{Ix1, Ix2, IxDyn};
use phalanx::cluster::{self, Cluster, ClusterError};
use phalanx::{AttachError, Error, Pool, SharedArray};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Stands between the part to play and the folder to play it in.
const IN: &str = " in ";

/// The part of a driver, played under a launcher. Run by hand it is no test.
#[test]
fn driver() {
    let Ok(part) = std::env::var(PART) else { return };
    let (part, folder) = part.split_once(IN).unwrap();
    if let Err(error) = cluster::run(|cluster| play(part, Path::new(folder), cluster)) {
        println!("ended: {error}");
        std::process::exit(3);
    }
}

fn play(part: &str, folder: &Path, cluster: &Cluster) -> Outcome<()> {
    let pool = cluster.pool_builder().workers(1 + cluster.me() % 2).build()?;
    match part {
        "files" => files(cluster, &pool, folder)?,
        "refusals" => println!("[{}]", refusals(cluster, &pool, folder)?),
        "kill" => {
            let u = cluster.full(&pool, (3000, 100), 1, cluster.me() as f64 + 1.0)?;
            // In the midst of a save, if it is still there then.
            let last = cluster.me() + 1 == cluster.size();
            std::thread::scope(|scope| {
                if last {
                    scope.spawn(|| {
                        while !folder.join("u.npy.part").exists() {
                            std::hint::spin_loop();
                        }
                        common::send(std::process::id(), rustix::process::Signal::KILL);
                    });
                }
                loop {
                    cluster.save_npy(&u, folder.join("u.npy")).unwrap();
                }
            });
        }
        _ => return Err(format!("there is no part {part}").into()),
    }
    Ok(())
}

fn value(i: usize, j: usize) -> f64 {
    (i * 1000 + j) as f64
}

/// Lengths with fewer rows than drivers, and one with several threads for each.
const LENGTHS: [usize; 5] = [0, 1, 2, 301, 70_000];

fn name(folder: &Path, what: &str, len: usize) -> PathBuf {
    folder.join(format!("{what}-{len}"))
}

/// Writes files, reads them again, and compares.
fn files(cluster: &Cluster, pool: &Pool, folder: &Path) -> Outcome<()> {
    for len in LENGTHS {
        let u = cluster.from_fn(pool, (len, 23), 1, |(i, j)| value(i, j))?;
        let [npy, raw, turned] = ["u.npy", "u.raw", "turned.npy"].map(|what| name(folder, what, len));
        // An earlier file is replaced.
        cluster.save_npy(&cluster.full(pool, 3, 0, 1u8)?, &npy)?;
        cluster.save_npy(&u, &npy)?;
        cluster.save_raw(&u, &raw)?;
        let again = cluster.load_npy::<f64, Ix2>(pool, &npy, 1)?;
        assert_eq!((again.view(), again.shape(), again.ghosts()), (u.view(), u.shape(), 1));
        assert!(pool.for_each(again.halo(1), |_| {}).is_err() || len == 0, "its ghost rows are not read");
        let again = cluster.load_npy::<f64, IxDyn>(pool, &npy, 0)?;
        assert_eq!(again.view(), u.view().into_dyn());
        let again = cluster.load_raw::<f64, _>(pool, &raw, 0, (len, 23), 0)?;
        assert_eq!(again.view(), u.view());
        if len > 1 {
            // From the second row on.
            let rest = cluster.load_raw::<f64, _>(pool, &raw, 23 * 8, (len - 1, 23), 0)?;
            assert!(
                rest.view().indexed_iter().all(|((i, j), x)| *x == value(rest.my_rows().start + i + 1, j))
            );
        }
        // Bytes in the other order.
        if cluster.me() == 0 {
            let mut bytes = std::fs::read(&npy)?;
            let at = bytes.windows(3).position(|text| text == b"<f8").unwrap();
            bytes[at] = b'>';
            bytes[4096..].chunks_mut(8).for_each(<[u8]>::reverse);
            std::fs::write(&turned, bytes)?;
        }
        cluster.barrier()?;
        assert_eq!(cluster.load_npy::<f64, Ix2>(pool, &turned, 0)?.view(), u.view());
    }
    // Elements without size.
    let nothing = cluster.full(pool, 9, 1, [0u8; 0])?;
    cluster.save_raw(&nothing, name(folder, "nothing", 9))?;
    assert_eq!(cluster.load_raw::<[u8; 0], _>(pool, name(folder, "nothing", 9), 0, 9, 1)?.len(), 9);
    Ok(())
}

/// Files that only one driver sees, or none. Returns the errors, which no driver is without.
fn refusals(cluster: &Cluster, pool: &Pool, folder: &Path) -> Outcome<String> {
    let own = folder.join(format!("machine-{}", cluster.me()));
    std::fs::create_dir_all(&own)?;
    let u = cluster.full(pool, (30, 4), 1, cluster.me() as f64)?;
    let mut errors = vec![cluster.save_npy(&u, own.join("u.npy")).unwrap_err().to_string()];
    let left = std::fs::read_dir(&own)?.count();
    // An older draft lies where driver 0's is not.
    std::fs::write(own.join("u.npy.part"), vec![0; 10_000])?;
    errors.push(cluster.save_npy(&u, own.join("u.npy")).unwrap_err().to_string());
    SharedArray::from_fn(30 + cluster.me(), |i| i as f64)?.save_npy(own.join("v.npy"))?;
    errors.push(cluster.load_npy::<f64, Ix1>(pool, own.join("v.npy"), 0).unwrap_err().to_string());
    if cluster.me() == 0 {
        std::fs::remove_file(own.join("v.npy"))?;
    }
    errors.push(cluster.load_npy::<f64, Ix1>(pool, own.join("v.npy"), 0).unwrap_err().to_string());
    // All stay in step.
    cluster.save_npy(&u, folder.join("u.npy"))?;
    let text = format!("{left} files; {}", errors.join("; "));
    Ok(text.replace(['[', ']'], ""))
}

fn alone<T>(body: impl FnOnce(&Cluster, &Pool) -> Outcome<T>) -> T {
    cluster::run(|cluster| -> Outcome<T> { body(cluster, &Pool::builder().workers(2).build()?) }).unwrap()
}

fn is_attach(error: &Error, is: impl Fn(&AttachError) -> bool) -> bool {
    matches!(error, Error::Attach(error) if is(error))
}

#[test]
fn one_driver_writes_what_an_array_of_one_machine_writes() {
    let dir = tempfile::tempdir().unwrap();
    alone(|cluster, pool| {
        files(cluster, pool, dir.path())?;
        for len in LENGTHS {
            let array = SharedArray::from_shape_fn((len, 23), |(i, j)| value(i, j))?;
            array.save_npy(dir.path().join("one.npy"))?;
            let same =
                std::fs::read(dir.path().join("one.npy"))? == std::fs::read(name(dir.path(), "u.npy", len))?;
            assert!(same, "{len} rows");
            let raw: &[u8] = bytemuck::cast_slice(array.as_slice());
            assert!(raw == std::fs::read(name(dir.path(), "u.raw", len))?, "{len} rows");
        }
        Ok(())
    });
    assert!(names(dir.path()).iter().all(|name| !name.ends_with(".part")), "{:?}", names(dir.path()));
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn what_cannot_be_read_is_refused_before_anything_is_made_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("u.npy");
    alone(|cluster, pool| {
        let u = cluster.full(pool, (30, 4), 0, 1.5f64)?;
        cluster.save_npy(&u, &path)?;
        let load = |path: &Path| cluster.load_npy::<f64, Ix2>(pool, path, 0).map(drop).unwrap_err();
        let error = cluster.load_npy::<f32, Ix2>(pool, &path, 0).unwrap_err();
        assert!(is_attach(&error, |e| matches!(e, AttachError::ElementType { .. })), "{error}");
        let error = cluster.load_npy::<f64, Ix1>(pool, &path, 0).unwrap_err();
        assert!(is_attach(&error, |e| matches!(e, AttachError::Axes { found: 2, .. })), "{error}");
        let error = cluster.load_npy::<f64, Ix2>(pool, &path, 31).unwrap_err();
        assert!(matches!(error, Error::Cluster(ClusterError::Ghosts { ghosts: 31, .. })), "{error}");
        let whole = std::fs::read(&path)?;
        for len in [0, 5, 100, 4096, whole.len() - 1] {
            std::fs::write(&path, &whole[..len])?;
            let error = load(&path);
            assert!(
                matches!(error, Error::Npy(_)) || is_attach(&error, |e| matches!(e, AttachError::Npy(_))),
                "{error}"
            );
        }
        let at = whole.windows(5).position(|text| text == b"False").unwrap();
        let mut columns = whole.clone();
        columns[at..at + 5].copy_from_slice(b"True ");
        std::fs::write(&path, &columns)?;
        let error = load(&path);
        assert!(is_attach(&error, |e| matches!(e, AttachError::ColumnMajor { .. })), "{error}");
        load(&dir.path().join("none.npy"));
        load(dir.path());
        let error = cluster.load_raw::<f64, _>(pool, &path, 4096, (31, 4), 0).unwrap_err();
        assert!(is_attach(&error, |e| matches!(e, AttachError::TooShort { .. })), "{error}");
        let error = cluster.load_raw::<f64, _>(pool, &path, u64::MAX, (1, 4), 0).unwrap_err();
        assert!(is_attach(&error, |e| matches!(e, AttachError::TooShort { .. })), "{error}");
        Ok(())
    });
}

#[test]
fn a_save_that_fails_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("u.npy");
    alone(|cluster, pool| {
        let u = cluster.full(pool, (30, 4), 0, 1.5f64)?;
        std::os::unix::fs::symlink("u.npy", dir.path().join("link.npy"))?;
        cluster.save_npy(&u, dir.path().join("link.npy"))?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640))?;
        cluster.save_npy(&u, dir.path().join("link.npy"))?;
        assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, 0o640);
        assert!(std::fs::symlink_metadata(dir.path().join("link.npy"))?.is_symlink());
        // Another program writes its draft.
        let held = std::fs::File::create(dir.path().join("u.npy.part"))?;
        rustix::fs::fcntl_lock(&held, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
        let before = std::fs::read(&path)?;
        for path in [path.clone(), dir.path().to_owned(), dir.path().join("no/u.npy")] {
            let error = cluster.save_npy(&u, path).unwrap_err();
            assert!(matches!(error, Error::Cluster(ClusterError::File { .. })), "{error}");
        }
        drop(held);
        // What a killed program has left is overwritten.
        std::fs::write(dir.path().join("u.npy.part"), vec![7; 1 << 20])?;
        cluster.save_npy(&u, &path)?;
        assert_eq!(std::fs::read(&path)?, before);
        Ok(())
    });
    let mut left = names(dir.path());
    left.sort();
    assert_eq!(left, ["link.npy", "u.npy"]);
}

fn played(
    interface: (&str, &str),
    drivers: usize,
    part: &str,
    folder: &Path,
) -> Option<std::process::Output> {
    Some(play_all(&wheels()?, interface, drivers, &format!("{part}{IN}{}", folder.display())))
}

#[test]
fn every_number_of_drivers_writes_the_same_bytes() {
    let Some(_wheels) = wheels() else { return };
    let one = tempfile::tempdir().unwrap();
    alone(|cluster, pool| files(cluster, pool, one.path()));
    for (interface, drivers) in INTERFACES.into_iter().zip([2, 3, 3]) {
        let dir = tempfile::tempdir().unwrap();
        let output = played(interface, drivers, "files", dir.path()).unwrap();
        assert!(output.status.success(), "{interface:?} x {drivers}: {}", text(&output));
        let mut compared = names(one.path());
        compared.sort();
        let mut found = names(dir.path());
        found.sort();
        assert_eq!(found, compared);
        for name in &compared {
            let [a, b] = [one.path(), dir.path()].map(|folder| std::fs::read(folder.join(name)).unwrap());
            assert!(a == b, "{interface:?} x {drivers}: {name} differs");
        }
    }
}

#[test]
fn a_folder_that_not_all_share_is_noticed_on_every_driver() {
    let Some(_wheels) = wheels() else { return };
    let dir = tempfile::tempdir().unwrap();
    let output = played(INTERFACES[0], 2, "refusals", dir.path()).unwrap();
    let told = text(&output);
    assert!(output.status.success(), "{told}");
    let lines = bracketed(&told);
    assert_eq!(lines.len(), 2, "{told}");
    for line in lines {
        assert!(line.starts_with("0 files; "), "a draft was left: {line}");
        assert!(line.matches("driver 1 on ").count() >= 3, "{line}");
        assert_eq!(line.matches("use a folder that all machines share").count(), 3, "{line}");
        assert!(line.contains("v.npy"), "{line}");
    }
    assert!(dir.path().join("u.npy").exists());
}

#[test]
fn a_driver_that_is_killed_while_all_save_leaves_a_whole_file_or_none() {
    let Some(_wheels) = wheels() else { return };
    for interface in [INTERFACES[0], INTERFACES[2]] {
        let dir = tempfile::tempdir().unwrap();
        let output = played(interface, 2, "kill", dir.path()).unwrap();
        assert!(!output.status.success(), "{}", text(&output));
        match SharedArray::<f64, Ix2>::load_npy(dir.path().join("u.npy")) {
            Ok(u) => assert!(u.view().indexed_iter().all(|((i, _), x)| *x == 1.0 + (i / 1500) as f64)),
            Err(error) => assert!(error.to_string().contains("no such file"), "{error}"),
        }
    }
}
