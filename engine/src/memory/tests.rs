use super::freelist::{FreeList, GRAIN};
use super::*;
use crate::sys::memory as sys;
use proptest::prelude::*;
use std::os::fd::AsFd;

#[test]
fn a_segment_is_sealed_reserved_and_zero() {
    let segment = Segment::create(3 << 20, &AllocOptions::default()).unwrap();
    assert!(sys::is_size_sealed(segment.fd()));
    // C1, C2: neither shrinks nor grows.
    for len in [0, 4096, 64 << 20] {
        let error = sys::set_len(segment.fd(), len).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }
    let (size, allocated) = sys::file_size(segment.fd()).unwrap();
    assert_eq!(size, 3 << 20);
    assert!(allocated >= size, "{allocated} bytes of {size} are reserved");
}

#[test]
fn seals_hold_for_a_descriptor_that_was_opened_again() {
    // I5, I6: modes are no boundary, seals are.
    let segment = Segment::create(4096, &AllocOptions::default()).unwrap();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&segment.fd()));
    let again = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    assert_eq!(again.set_len(1).unwrap_err().raw_os_error(), Some(libc::EPERM));
    let mode = again.metadata().unwrap().permissions();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    // Kernels before 6.3 know no executable seal.
    let known = rustix::fs::fcntl_get_seals(segment.fd()).unwrap().contains(rustix::fs::SealFlags::EXEC);
    assert_eq!(again.set_permissions(executable).is_err(), known, "mode {mode:?}");
}

#[test]
fn worker_mappings_start_read_only_and_stay_out_of_dumps_and_forks() {
    let segment = Segment::create(1 << 20, &AllocOptions::default()).unwrap();
    let options = MapOptions { leave_out_of_dumps: true };
    let mut mapping = Mapping::map(segment.fd(), segment.len_bytes(), MapAccess::ReadOnly, options).unwrap();
    let flags = |mapping: &Mapping| {
        let text = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let start = format!("{:x}-", mapping.base().addr());
        let mut lines = text.lines().skip_while(|line| !line.starts_with(&start));
        lines.find_map(|line| line.strip_prefix("VmFlags: ")).unwrap().to_owned()
    };
    let before = flags(&mapping);
    for flag in ["dc", "dd"] {
        assert!(before.split(' ').any(|f| f == flag), "{flag} of {before}");
    }
    assert!(!before.split(' ').any(|f| f == "wr"), "{before}");
    mapping.make_writable().unwrap();
    assert!(flags(&mapping).split(' ').any(|f| f == "wr"));
    assert_eq!(mapping.access(), MapAccess::ReadWrite);
    assert!(!flags(segment.mapping()).split(' ').any(|f| f == "dd"), "the driver's own dump has the data");
}

#[test]
fn a_mapping_sits_on_a_huge_page_boundary_between_guard_pages() {
    let segment = Segment::create(4 << 20, &AllocOptions::default()).unwrap();
    assert_eq!(segment.base().addr().get() % HUGE_PAGE, 0);
    let second =
        Mapping::map(segment.fd(), segment.len_bytes(), MapAccess::ReadOnly, MapOptions::default()).unwrap();
    assert_eq!(second.base().addr().get() % HUGE_PAGE, 0);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    for mapping in [segment.mapping(), &second] {
        let (lo, hi) = (mapping.base().addr().get(), mapping.base().addr().get() + (4 << 20));
        let rights = |at: usize| {
            maps.lines().find_map(|line| {
                let (range, rest) = line.split_once(' ')?;
                let (start, end) = range.split_once('-')?;
                let hex = |s| usize::from_str_radix(s, 16).unwrap();
                (hex(start)..hex(end)).contains(&at).then(|| rest[..4].to_owned())
            })
        };
        assert_eq!(rights(lo - 1).as_deref(), Some("---p"));
        assert_eq!(rights(hi).as_deref(), Some("---p"));
    }
}

#[test]
fn ids_are_never_used_twice_and_drops_are_counted() {
    let first = Segment::create(4096, &AllocOptions::default()).unwrap();
    let id = first.id();
    assert!(registry::is_live(id));
    assert_eq!(registry::lookup(id).map(|s| s.id()), Some(id));
    let before = registry::drop_count();
    drop(first);
    assert!(registry::drop_count() > before);
    assert!(!registry::is_live(id) && registry::lookup(id).is_none());
    let second = Segment::create(4096, &AllocOptions::default()).unwrap();
    assert!(second.id().0 > id.0);
}

#[test]
fn dropping_a_segment_gives_its_pages_back_though_another_mapping_lives() {
    let segment = Segment::create(2 << 20, &AllocOptions::default()).unwrap();
    let copy = segment.fd().try_clone_to_owned().unwrap();
    let sleeper =
        Mapping::map(copy.as_fd(), segment.len_bytes(), MapAccess::ReadOnly, MapOptions::default()).unwrap();
    sleeper.populate(0, sleeper.len_bytes()).unwrap();
    drop(segment);
    assert_eq!(sys::file_size(copy.as_fd()).unwrap().1, 0);
}

#[test]
fn huge_pages_are_tried_every_way_and_the_report_tells_which_came() {
    let options = AllocOptions::new().huge_pages(HugePages::Try);
    let segment = Segment::create(3 << 20, &options).unwrap();
    let report = segment.pages();
    assert_eq!(report.resident_bytes, 4 << 20, "{report}");
    let all = report.huge_bytes == report.resident_bytes;
    assert_eq!(all, matches!(report.kind, PageKind::Transparent | PageKind::Reserved), "{report}");
    // What did not come true is explained.
    assert!(all || !report.notes.is_empty(), "{report}");

    let options = AllocOptions::new().huge_pages(HugePages::Require);
    match Segment::create(3 << 20, &options) {
        Ok(segment) => assert!(segment.pages().huge_bytes >= 4 << 20),
        Err(error) => assert!(matches!(error, AllocError::NoHugePages { .. }), "{error}"),
    }
    let never = Segment::create(3 << 20, &AllocOptions::new().huge_pages(HugePages::Never)).unwrap();
    never.mapping().populate(0, never.len_bytes()).unwrap();
    assert_eq!((never.pages().kind, never.pages().huge_bytes), (PageKind::Base, 0));
}

#[test]
fn every_page_is_found_on_some_node_or_the_report_says_why_not() {
    for placement in [PagePlacement::Local, PagePlacement::Interleave, PagePlacement::Bind(0)] {
        let segment = Segment::create(3 << 20, &AllocOptions::new().placement(placement)).unwrap();
        let found = segment.residency(0..segment.len_bytes());
        let sum: u64 = found.nodes.iter().map(|n| n.1).sum();
        assert!(sum == 3 << 20 || !found.notes.is_empty(), "{placement:?}: {found:?}");
    }
    // Where there is room, a wish for a node is kept, and interleaving uses every node.
    let len = 4usize << 20;
    let mut roomy = Vec::new();
    for node in residency::allowed_nodes() {
        let file = format!("/sys/devices/system/node/node{node}/meminfo");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let free = text.lines().find(|l| l.contains("MemFree:")).and_then(|l| l.split_whitespace().nth(3));
        let free: usize = free.map_or(0, |kib| kib.parse().unwrap());
        if free << 10 > 8 * len {
            roomy.push(node);
            let options = AllocOptions::new().placement(PagePlacement::Bind(node));
            let found = Segment::create(len, &options).unwrap().residency(0..len);
            assert!(found.on_node(node) == len as u64 || !found.notes.is_empty(), "{node}: {found:?}");
        }
    }
    let segment = Segment::create(len, &AllocOptions::new().placement(PagePlacement::Interleave)).unwrap();
    let found = segment.residency(0..len);
    println!("interleaved over the nodes {roomy:?}: {found:?}");
    let share = (len / (2 * residency::allowed_nodes().len())) as u64;
    assert!(!found.notes.is_empty() || roomy.iter().all(|&n| found.on_node(n) >= share), "{found:?}");
    let error = Segment::create(4096, &AllocOptions::new().placement(PagePlacement::Bind(1000))).unwrap_err();
    assert!(matches!(error, AllocError::Node { node: 1000, .. }), "{error}");
}

#[test]
fn arena_blocks_are_zero_whatever_their_predecessors_left() {
    for len in [1, 8, 100, 4096, 5000, 70_000, 500_000] {
        for round in 0..3 {
            let block = arena::allocate(len, 8).unwrap();
            assert!(block.ptr().addr().get().is_multiple_of(GRAIN));
            #[allow(unsafe_code)]
            // SAFETY: the block is ours alone, mapped and reserved.
            let bytes = unsafe { std::slice::from_raw_parts_mut(block.ptr().as_ptr(), block.len()) };
            assert!(bytes.iter().all(|&b| b == 0), "dirty block of {len} bytes in round {round}");
            bytes.fill(0xa5);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Take { len: usize, align_log: u32 },
    Give(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = prop_oneof![1usize..300, 1usize..20_000, Just(0)];
    let step = prop_oneof![
        3 => (len, 0u32..=12).prop_map(|(len, align_log)| Step::Take { len, align_log }),
        2 => any::<prop::sample::Index>().prop_map(Step::Give),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    #[test]
    fn the_free_list_never_hands_out_a_byte_twice_and_loses_none(steps in steps()) {
        const SIZE: usize = 256 << 10;
        let mut list = FreeList::new(SIZE);
        let mut held: Vec<(usize, usize)> = Vec::new();
        for step in steps {
            match step {
                Step::Take { len, align_log } => {
                    let align = 1usize << align_log;
                    if let Some(at) = list.take(len, align) {
                        let end = at + FreeList::rounded(len).unwrap();
                        prop_assert!(at % align == 0 && end <= SIZE);
                        prop_assert!(held.iter().all(|&(a, l)| end <= a || a + FreeList::rounded(l).unwrap() <= at));
                        held.push((at, len));
                    }
                }
                Step::Give(_) if held.is_empty() => {}
                Step::Give(index) => {
                    let (at, len) = held.swap_remove(index.index(held.len()));
                    list.give(at, len);
                }
            }
            list.check();
            let used: usize = held.iter().map(|&(_, l)| FreeList::rounded(l).unwrap()).sum();
            prop_assert_eq!(list.free_bytes() + used, SIZE);
        }
        for (at, len) in held.drain(..) {
            list.give(at, len);
        }
        // Everything joined again: the whole span can be taken at once.
        prop_assert_eq!(list.take(SIZE, 1), Some(0));
    }
}
