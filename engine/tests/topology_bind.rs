//! Binding, read back. Masks, policies and system-call filters belong to threads, so every test uses threads
//! of its own.
//!
//! # Safety
//! The one unsafe block installs a filter on a thread that ends with its test.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![allow(unsafe_code)]

use phalanx::topology::{
    Binding, CpuSet, Limits, Machine, MemoryPolicy, Request, bind_memory, bind_thread, bound_cpuset,
    current_pu, plan,
};

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
    let machine = Machine::detect().expect("a machine");
    on_a_thread(|| {
        let here = current_pu().expect("a place").1;
        // A node without memory cannot be preferred.
        let node = machine.memory_node(here).unwrap_or(here);
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

#[test]
fn planned_workers_run_on_their_node_and_take_memory_from_it() {
    let machine = Machine::detect().expect("a machine");
    let plan = plan(&machine, &Limits::detect(), &Request::default()).expect("a plan");
    for worker in &plan.workers {
        on_a_thread(|| {
            assert_eq!(bind_thread(&worker.cpuset), Binding::Bound);
            let (pu, node) = current_pu().expect("a place");
            assert!(worker.cpuset.contains(pu));
            if let Some(planned) = worker.node {
                assert_eq!(node, planned, "PU {pu}");
            }
            if let Some(from) = worker.memory_node {
                match bind_memory(MemoryPolicy::Preferred(from)) {
                    Binding::Bound => {}
                    Binding::Refused { errno } if errno == libc::EPERM || errno == libc::ENOSYS => {
                        println!("SKIPPED: memory policies are refused here ({errno})");
                    }
                    other => panic!("node {from}: {other}"),
                }
            }
        });
    }
}

/// Makes the calling thread's `refused` system calls fail with EPERM, as container profiles do.
fn refuse(refused: &[libc::c_long]) -> std::io::Result<()> {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let load_number = statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0);
    let mut program = vec![load_number];
    for (at, &number) in refused.iter().enumerate() {
        let to_refusal = (refused.len() - at) as u8;
        let code = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
        program.push(libc::sock_filter { code, jt: to_refusal, jf: 0, k: number as u32 });
    }
    program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW));
    program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: plain numbers.
    let rc = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    if rc != 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the filter points to `program`, whose length it gives; both outlive the call.
    let rc = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    if rc == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[test]
fn a_container_that_denies_numa_calls_is_reported_and_no_error() {
    on_a_thread(|| {
        if let Err(error) = refuse(&[libc::SYS_set_mempolicy, libc::SYS_get_mempolicy]) {
            println!("SKIPPED: no system-call filter can be set ({error})");
            return;
        }
        let denied = Binding::Refused { errno: libc::EPERM };
        assert_eq!(bind_memory(MemoryPolicy::Local), denied);
        assert_eq!(bind_memory(MemoryPolicy::Preferred(0)), denied);
        let limits = Limits::detect();
        assert_eq!(limits.nodes, None);
        assert_eq!(limits.notes.len(), 1, "{:?}", limits.notes);
        assert_eq!(bind_thread(&limits.allowed), Binding::Bound, "what is not denied still works");
    });
}

#[test]
fn a_container_that_denies_pinning_is_reported_and_no_error() {
    on_a_thread(|| {
        if let Err(error) = refuse(&[libc::SYS_sched_setaffinity, libc::SYS_sched_getaffinity]) {
            println!("SKIPPED: no system-call filter can be set ({error})");
            return;
        }
        assert_eq!(bind_thread(&CpuSet::single(0)), Binding::Refused { errno: libc::EPERM });
        let limits = Limits::detect();
        assert!(!limits.allowed.is_empty(), "some PUs are assumed");
        assert!(limits.notes[0].contains("affinity mask cannot be read"), "{:?}", limits.notes);
    });
}
