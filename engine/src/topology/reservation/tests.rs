#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;
use std::os::unix::fs::PermissionsExt;

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("phalanx-cores-test-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join(NAME)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

fn smt() -> Machine {
    Machine::from_synthetic("package:1 core:4 pu:2").unwrap()
}

fn set(text: &str) -> CpuSet {
    text.parse().unwrap()
}

#[test]
fn a_core_has_one_holder_with_all_its_pus() {
    let folder = Folder::new("holder");
    let (a, b) =
        (Reservation::open_at(&folder.file()).unwrap(), Reservation::open_at(&folder.file()).unwrap());
    assert!(a.take(&smt(), &set("2")).unwrap());
    assert_eq!(b.taken(&smt()).unwrap(), set("2-3"));
    assert_eq!(a.taken(&smt()).unwrap(), set(""), "its own locks are not in its way");
    assert!(!b.take(&smt(), &set("0,3")).unwrap());
    assert_eq!(a.taken(&smt()).unwrap(), set(""), "all or none: 0 is free again");
    assert!(b.take(&smt(), &set("4-7")).unwrap());
    assert_eq!(a.taken(&smt()).unwrap(), set("4-7"));
    drop(b);
    assert_eq!(a.taken(&smt()).unwrap(), set(""));
    assert_eq!(std::fs::metadata(folder.file()).unwrap().len(), 0);
}

#[test]
fn what_is_not_this_users_own_file_is_refused() {
    let folder = Folder::new("hostile");
    let path = folder.file();
    let why = || Reservation::open_at(&path).unwrap_err().to_string();
    let victim = folder.0.join("victim");
    std::fs::write(&victim, "content").unwrap();

    std::os::unix::fs::symlink(&victim, &path).unwrap();
    assert!(why().contains("symbolic link"), "{}", why());
    std::fs::remove_file(&path).unwrap();

    std::fs::set_permissions(&victim, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::hard_link(&victim, &path).unwrap();
    assert_eq!(why(), "it has several names");
    std::fs::remove_file(&path).unwrap();

    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    assert_eq!(why(), "other users may open it");
    std::fs::remove_file(&path).unwrap();

    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
    assert_eq!(why(), "it is not a regular file");
    std::fs::remove_file(&path).unwrap();

    std::fs::create_dir(&path).unwrap();
    assert!(why().contains("directory"), "{}", why());
    std::fs::remove_dir(&path).unwrap();

    if own_user() == 0 {
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
        assert_eq!(why(), "it belongs to another user");
    }
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "content");
}

#[test]
fn the_file_lies_where_only_this_user_writes_if_there_is_such_a_place() {
    let folder = Folder::new("place");
    let runtime = || Some(folder.0.clone().into_os_string());
    std::fs::set_permissions(&folder.0, PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(place(runtime()), folder.file());
    std::fs::set_permissions(&folder.0, PermissionsExt::from_mode(0o777)).unwrap();
    assert_ne!(place(runtime()).parent(), Some(&*folder.0));
    assert_eq!(place(Some("relative".into())), place(None));
    assert_eq!(place(Some("/nowhere/at/all".into())), place(None));
}

#[test]
fn a_forked_child_keeps_no_core() {
    let folder = Folder::new("fork");
    let held = Reservation::open_at(&folder.file()).unwrap();
    assert!(held.take(&smt(), &set("0")).unwrap());
    let number = std::os::fd::AsRawFd::as_raw_fd(&*held.file);
    // SAFETY: the child makes two system calls.
    #[allow(unsafe_code)]
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: asks for the flags of a number; never returns.
        #[allow(unsafe_code)]
        unsafe {
            libc::_exit(i32::from(libc::fcntl(number, libc::F_GETFD) >= 0))
        }
    }
    let mut status = 0;
    // SAFETY: the status outlives the call.
    #[allow(unsafe_code)]
    let ended = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!((ended, status), (pid, 0), "the child had the descriptor");
    let other = Reservation::open_at(&folder.file()).unwrap();
    assert_eq!(other.taken(&smt()).unwrap(), set("0-1"), "the parent has it still");
}
