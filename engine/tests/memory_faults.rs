//! Memory faults, each in a process of its own: this binary runs itself again with one test's name, so that
//! limits, signals and forks stay away from the other tests. Names carry the row of the fault catalogue.
#![allow(unsafe_code)]
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use ndarray::Ix1;
use phalanx::{AllocError, ArrayOptions, AttachError, LimitKind, MappedArray, PagePlacement, SharedArray};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

const MARK: &str = "PHALANX_FAULT_TEST";

/// Whether this process is the one that `in_child` started for the test.
fn is_child() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Runs the test of this name again, as a process of its own behind `prefix` (a command that runs another).
fn in_child_behind(prefix: &[&str], test: &str) -> (ExitStatus, String) {
    let me = std::env::current_exe().unwrap();
    let mut command = match prefix {
        [] => Command::new(&me),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(&me);
            command
        }
    };
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(MARK, "1");
    // A death that is wanted leaves no core file and no noise.
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status, text)
}

fn in_child(test: &str) {
    let (status, text) = in_child_behind(&[], test);
    assert!(status.success(), "{test} in its own process: {status}\n{text}");
}

fn no_core_file() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

fn limit(resource: Resource, current: u64) {
    let maximum = getrlimit(resource).maximum;
    setrlimit(resource, Rlimit { current: Some(current), maximum }).unwrap();
}

#[test]
fn c10_the_file_size_limit_is_an_error_not_a_signal() {
    if !is_child() {
        return in_child("c10_the_file_size_limit_is_an_error_not_a_signal");
    }
    limit(Resource::Fsize, 64 << 20);
    let error = SharedArray::<u8>::zeros(65 << 20).unwrap_err();
    assert!(matches!(error, AllocError::Limit { which: LimitKind::FileSize, .. }), "{error}");
    let dir = tempfile::tempdir().unwrap();
    // SAFETY: nobody else uses the file.
    let error = unsafe { SharedArray::<u8>::create_npy(dir.path().join("a"), 65 << 20) }.unwrap_err();
    assert!(matches!(error, AllocError::Limit { which: LimitKind::FileSize, .. }), "{error}");
    // Both a segment of its own and the arena, which is smaller then, still come.
    assert_eq!(SharedArray::<u8>::zeros(60 << 20).unwrap().len(), 60 << 20);
    assert_eq!(SharedArray::<u8>::zeros(5).unwrap().as_slice(), [0; 5]);
    assert!(SharedArray::from_slice(&[1u8; 100]).unwrap().save_npy(dir.path().join("b")).is_ok());
}

#[test]
fn c10_the_address_space_limit_is_named() {
    if !is_child() {
        return in_child("c10_the_address_space_limit_is_named");
    }
    limit(Resource::As, 1 << 30);
    let error = SharedArray::<u8>::zeros(2 << 30).unwrap_err();
    assert!(matches!(error, AllocError::Limit { which: LimitKind::AddressSpace, .. }), "{error}");
    assert_eq!(SharedArray::<u8>::zeros(5).unwrap().as_slice(), [0; 5]);
}

#[test]
fn c13_the_limit_on_open_files_is_named_and_nothing_leaks() {
    if !is_child() {
        return in_child("c13_the_limit_on_open_files_is_named_and_nothing_leaks");
    }
    limit(Resource::Nofile, 20);
    let mut held = Vec::new();
    let error = loop {
        match SharedArray::<u8>::zeros(1 << 20) {
            Ok(array) => held.push(array),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, AllocError::Limit { which: LimitKind::OpenFiles, .. }), "{error}");
    assert!(held.len() < 20);
    drop(held.pop());
    assert!(SharedArray::<u8>::zeros(1 << 20).is_ok());
}

#[test]
fn making_and_dropping_leaves_no_descriptor_and_no_mapping() {
    if !is_child() {
        return in_child("making_and_dropping_leaves_no_descriptor_and_no_mapping");
    }
    let count = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let ours = maps.lines().filter(|l| l.contains("phalanx")).filter(|l| l.contains("memfd")).count();
        (std::fs::read_dir("/proc/self/fd").unwrap().count(), ours)
    };
    let _arena = SharedArray::<u8>::zeros(1).unwrap();
    let before = count();
    for i in 0..300 {
        drop(SharedArray::<u8>::zeros((1 << 20) + i * 4096).unwrap());
        drop(SharedArray::<u8>::zeros(1 + i * 1000).unwrap());
        let _ = SharedArray::<u8>::zeros(1 << 50).unwrap_err();
    }
    assert_eq!(count(), before);
}

#[test]
fn m4_a_forked_child_that_drops_its_copies_harms_nothing() {
    if !is_child() {
        return in_child("m4_a_forked_child_that_drops_its_copies_harms_nothing");
    }
    let large = SharedArray::from_fn(1 << 18, |i| i as u64).unwrap();
    let small = SharedArray::from_fn(1000, |i| i as u32).unwrap();
    // SAFETY: the child only drops, allocates and leaves by _exit.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        drop(large);
        drop(small);
        let is_refused = |len: usize| matches!(SharedArray::<u8>::zeros(len), Err(AllocError::Forked));
        let are_refused = is_refused(10) && is_refused(1 << 20);
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(if are_refused { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: waits for the child made above; the status is a local.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert_eq!(status, 0);
    assert!(large.as_slice().iter().enumerate().all(|(i, &x)| x == i as u64));
    assert!(small.as_slice().iter().enumerate().all(|(i, &x)| x == i as u32));
}

/// Asserts that the test of this name, run as a child, dies of a signal.
fn dies_of(signal: i32, test: &str) {
    let (status, text) = in_child_behind(&[], test);
    assert_eq!(status.signal(), Some(signal), "{test}: {status}\n{text}");
}

#[test]
fn c19_a_write_past_the_end_meets_the_guard_page() {
    if !is_child() {
        return dies_of(libc::SIGSEGV, "c19_a_write_past_the_end_meets_the_guard_page");
    }
    no_core_file();
    let mut a = SharedArray::<u8>::zeros(2 << 20).unwrap();
    let end = a.as_mut_slice().as_mut_ptr_range().end;
    // SAFETY: none: this is the bug that the guard page stops.
    unsafe { end.write_volatile(1) };
}

#[test]
fn c19_a_write_before_the_start_meets_the_guard_page() {
    if !is_child() {
        return dies_of(libc::SIGSEGV, "c19_a_write_before_the_start_meets_the_guard_page");
    }
    no_core_file();
    let mut a = SharedArray::<u8>::zeros(2 << 20).unwrap();
    let before = a.as_mut_slice().as_mut_ptr().wrapping_sub(1);
    // SAFETY: none: this is the bug that the guard page stops.
    unsafe { before.write_volatile(1) };
}

#[test]
fn c14_a_file_cut_off_under_its_mapping_kills_who_broke_the_contract() {
    if !is_child() {
        let name = "c14_a_file_cut_off_under_its_mapping_kills_who_broke_the_contract";
        return dies_of(libc::SIGBUS, name);
    }
    no_core_file();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    SharedArray::from_slice(&[1u8; 1 << 16]).unwrap().save_npy(&path).unwrap();
    // SAFETY: broken on purpose two lines below: this is the fault.
    let a = unsafe { MappedArray::<u8>::map_npy(&path) }.unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    let path = dir.keep();
    let _ = std::fs::remove_dir_all(path);
    std::hint::black_box(a.as_slice()[1 << 15]);
}

/// Whether this is root; if not, says that the test is skipped.
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("SKIPPED: needs root");
    }
    root
}

#[test]
fn c4_a_full_shared_memory_mount_is_an_error() {
    let name = "c4_a_full_shared_memory_mount_is_an_error";
    if !is_child() {
        if !is_root() {
            return;
        }
        let script = "mount -t tmpfs -o size=64k none /mnt && exec \"$@\"";
        let (status, text) = in_child_behind(&["unshare", "-m", "sh", "-c", script, "sh"], name);
        if text.contains("unshare: ") || text.contains("mount: ") {
            return println!("SKIPPED: no mount namespace here: {text}");
        }
        assert!(status.success(), "{status}\n{text}");
        return;
    }
    let path = Path::new("/mnt/a.npy");
    // SAFETY: nobody else sees this mount.
    let error = unsafe { SharedArray::<u8>::create_npy(path, 100 << 10) }.unwrap_err();
    assert!(matches!(error, AllocError::NoSpace { asked, .. } if asked > 100 << 10), "{error}");
    assert!(!path.exists());
    // SAFETY: as above.
    let mut fits = unsafe { SharedArray::<u8>::create_npy(path, 32 << 10) }.unwrap();
    fits.fill(1);
    // Anonymous memory does not count against that mount.
    SharedArray::<u8>::zeros(1 << 20).unwrap().fill(1);
}

#[test]
fn c6_a_memory_cgroup_is_an_error_before_the_kernel_kills() {
    let name = "c6_a_memory_cgroup_is_an_error_before_the_kernel_kills";
    if !is_child() {
        if !is_root() {
            return;
        }
        let Some(group) = Cgroup::make(64 << 20) else {
            return println!("SKIPPED: no memory cgroup can be made here");
        };
        let script = "echo $$ > \"$0\" && exec \"$@\"";
        let procs = group.0.join("cgroup.procs");
        let (status, text) = in_child_behind(&["sh", "-c", script, procs.to_str().unwrap()], name);
        assert!(status.success(), "{status}\n{text}");
        return;
    }
    let error = SharedArray::<u8>::zeros(100 << 20).unwrap_err();
    match &error {
        AllocError::NoSpace { free, source_name, .. } => {
            assert!(*free <= 64 << 20 && source_name.contains("cgroup"), "{error}");
        }
        _ => panic!("{error}"),
    }
    SharedArray::<u8>::zeros(16 << 20).unwrap().fill(1);
    // Several that fit alone but not together.
    let mut held = Vec::new();
    let error = loop {
        match SharedArray::<u8>::zeros(10 << 20) {
            Ok(array) => held.push(array),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, AllocError::NoSpace { .. }) && held.len() <= 6, "{error}");
}

/// A memory cgroup (v1 or v2) below this process's own, removed when dropped.
struct Cgroup(std::path::PathBuf);

impl Cgroup {
    fn make(limit: u64) -> Option<Cgroup> {
        let tops = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        tops.iter().find_map(|(top, limit_file)| {
            let dir = Path::new(top).join(format!("phalanx-test-{}", std::process::id()));
            std::fs::create_dir(&dir).ok()?;
            let group = Cgroup(dir);
            std::fs::write(group.0.join(limit_file), limit.to_string()).ok()?;
            Some(group)
        })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn i7_a_file_that_another_user_put_there_is_not_attached() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    SharedArray::from_slice(&[1.0f64]).unwrap().save_npy(&path).unwrap();
    std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
    // SAFETY: nobody uses the file.
    let error = unsafe { SharedArray::<f64, Ix1>::attach_npy(&path) }.unwrap_err();
    assert!(matches!(error, AttachError::NotOurs { owner: 65534, .. }), "{error}");
    // SAFETY: as above.
    let error = unsafe { SharedArray::<f64>::create_npy(&path, 1) }.unwrap_err();
    assert!(matches!(error, AllocError::Exists { .. }), "{error}");
}

/// From now on these system calls answer this thread with EPERM, as under a container's filter.
fn deny(calls: &[libc::c_long]) {
    let op = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    // Word 0 of what the filter sees is the number of the call.
    let mut program = vec![op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for &call in calls {
        program.push(op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call as u32));
        program.push(op(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32));
    }
    program.push(op(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: only gives up a right.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: the program outlives the call, which copies it.
    let rc = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
    assert_eq!(rc, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn f1_a_container_that_denies_numa_calls_is_reported_and_arrays_work() {
    if !is_child() {
        return in_child("f1_a_container_that_denies_numa_calls_is_reported_and_arrays_work");
    }
    deny(&[libc::SYS_mbind, libc::SYS_move_pages, libc::SYS_set_mempolicy, libc::SYS_get_mempolicy]);
    let options = ArrayOptions::new().placement(PagePlacement::Interleave);
    let a = SharedArray::<u8>::zeros_with(1 << 20, &options).unwrap();
    let found = a.residency();
    assert!(found.notes.iter().any(|note| note.contains("mbind")), "{found:?}");
    assert!(found.notes.iter().any(|note| note.contains("move_pages")), "{found:?}");
    // Where the kernel has NUMA at all, /proc still knows.
    if Path::new("/proc/self/numa_maps").exists() {
        assert_eq!(found.nodes.iter().map(|n| n.1).sum::<u64>(), 1 << 20, "{found:?}");
    }
}

#[test]
fn f2_without_memfd_the_refusal_is_named() {
    if !is_child() {
        return in_child("f2_without_memfd_the_refusal_is_named");
    }
    deny(&[libc::SYS_memfd_create]);
    for len in [1usize, 1 << 20] {
        let error = SharedArray::<u8>::zeros(len).unwrap_err();
        assert!(matches!(error, AllocError::Permission { call: "memfd_create", .. }), "{error}");
    }
}
