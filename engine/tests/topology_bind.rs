//! Binding, read back. Masks and policies belong to threads, so every test uses threads of its own.

use phalanx::topology::{Binding, CpuSet, MemoryPolicy, bind_memory, bind_thread, bound_cpuset, current_pu};

fn on_a_thread<R: Send>(body: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| scope.spawn(body).join().expect("the thread"))
}

#[test]
fn a_bound_thread_runs_where_it_was_bound() {
    for pu in bound_cpuset().expect("a mask").iter() {
        on_a_thread(|| {
            assert_eq!(bind_thread(&CpuSet::single(pu)), Binding::Bound);
            assert_eq!(bound_cpuset().expect("a mask"), CpuSet::single(pu));
            assert_eq!(current_pu().expect("a place").0, pu);
        });
    }
}

#[test]
fn a_mask_without_any_existing_pu_is_refused_and_changes_nothing() {
    on_a_thread(|| {
        let before = bound_cpuset().expect("a mask");
        for wrong in [CpuSet::new(), CpuSet::single(CpuSet::LIMIT - 1)] {
            assert_eq!(bind_thread(&wrong), Binding::Refused { errno: libc::EINVAL });
        }
        assert_eq!(bound_cpuset().expect("a mask"), before);
    });
}

#[test]
fn a_mask_partly_outside_is_reported_as_changed() {
    on_a_thread(|| {
        let before = bound_cpuset().expect("a mask");
        let beyond = CpuSet::single(CpuSet::LIMIT - 1);
        assert_eq!(bind_thread(&before.union(&beyond)), Binding::Changed { got: before });
    });
}

#[test]
fn memory_policies_are_read_back_or_reported_as_refused() {
    on_a_thread(|| {
        let node = current_pu().expect("a place").1;
        for policy in [MemoryPolicy::Local, MemoryPolicy::Preferred(node), MemoryPolicy::Default] {
            match bind_memory(policy) {
                Binding::Bound => {}
                Binding::Refused { errno } if errno == libc::EPERM || errno == libc::ENOSYS => {
                    println!("SKIPPED: {policy:?} is refused here ({errno})");
                    return;
                }
                other => panic!("{policy:?}: {other}"),
            }
        }
        for beyond in [CpuSet::LIMIT - 1, u32::MAX] {
            let binding = bind_memory(MemoryPolicy::Preferred(beyond));
            assert!(matches!(binding, Binding::Refused { .. }), "node {beyond}: {binding}");
        }
    });
}
