//! What a child of the program's own `fork` may do with what its parent made: nothing, and it is told so. The
//! parent notices nothing. A child must not come back into a test harness, hence none.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use phalanx::shared::SharedList;
use phalanx::sync::{
    Barrier, BarrierError, BoundedSemaphore, Condition, Counter, Event, Lock, LockError, RLock, RwLock,
    Semaphore, SemaphoreError,
};
use phalanx::{
    AllocError, Backend, CallError, CancelToken, ExitError, JoinError, LaunchError, Manager, PerWorker, Pool,
    PoolError, Process, Queue, QueueError, SharedArray, SpawnError, StartMethod, TaskError, active_children,
    as_completed, wait_all,
};
use std::sync::Arc;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// How a child of this very process ends that runs `body`: its exit status, or minus the signal.
fn in_child(body: impl FnOnce()) -> i32 {
    #[allow(unsafe_code)]
    // SAFETY: the child runs `body` and ends; where another thread holds a lock of the allocator, glibc sees
    // to it.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        #[allow(unsafe_code)]
        // SAFETY: never returns.
        unsafe {
            libc::_exit(i32::from(outcome.is_err()))
        }
    }
    let mut status = 0;
    #[allow(unsafe_code)]
    // SAFETY: the status outlives the call.
    let ended = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(ended, pid);
    if libc::WIFSIGNALED(status) { -libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}

/// Drops a value in a child that the parent keeps.
fn drop_here<T>(value: &T) {
    #[allow(unsafe_code)]
    // SAFETY: the child ends without dropping it a second time.
    drop(unsafe { std::ptr::read(value) });
}

#[track_caller]
fn passes_in_child(body: impl FnOnce()) {
    // A child that hangs is ended by this.
    let outcome = in_child(|| {
        #[allow(unsafe_code)]
        // SAFETY: a number.
        unsafe {
            libc::alarm(LONG.as_secs() as u32)
        };
        body();
    });
    assert_eq!(outcome, 0, "a panic is 1, a signal negative");
}

fn forked_alloc<T>(outcome: Result<T, AllocError>) -> bool {
    matches!(outcome, Err(AllocError::Forked))
}

fn pools() -> Vec<Pool> {
    [Backend::Processes, Backend::Threads, Backend::Inline]
        .map(|backend| Pool::builder().workers(2).backend(backend).stats(true).trace(true).build().unwrap())
        .into()
}

fn launches_are_refused(
    pool: &Pool,
    token: &CancelToken,
    array: &mut SharedArray<u64>,
    lock: &Lock<u64>,
    states: PerWorker<u64>,
) {
    assert!(matches!(pool.for_each(0..10, |_| ()), Err(LaunchError::Forked)));
    assert!(matches!(pool.launch().cancel(token).for_each(0..9, |_| ()), Err(LaunchError::Forked)));
    assert!(matches!(pool.broadcast(0..10, |_, _| ()), Err(LaunchError::Forked)));
    assert!(matches!(pool.reduce(0..9, 0u64, |_| 1, |a, b| a + b), Err(LaunchError::Forked)));
    assert!(matches!(pool.region((), |_, ()| Ok(0u64)), Err(LaunchError::Forked)));
    let outcome = pool.for_each((array.split_mut(), lock, &states), |(array, ..)| array.fill(1));
    assert!(matches!(outcome, Err(LaunchError::Forked)));
    drop((PerWorker::new(|_| 1u64), states));
}

fn every_method_of_a_pool_is_refused() {
    for pool in pools() {
        let pids = pool.worker_pids();
        pool.for_each(0..10, |_| ()).unwrap();
        let done = pool.apply_async(|n: u64| n, 1);
        let late = pool.apply_async(|()| std::thread::sleep(Duration::from_millis(300)), ());
        let token = CancelToken::new();
        let (lock, states) = (Lock::new(1u64).unwrap(), PerWorker::new(|_| 0u64));
        let mut array = pool.zeros::<u64>(1 << 18).unwrap();
        passes_in_child(|| {
            launches_are_refused(&pool, &token, &mut array, &lock, states);
            token.cancel();
            assert!(matches!(pool.apply(|n: u64| n, 1), Err(TaskError::Forked)));
            assert!(matches!(pool.map(|n: u64| n, 0..9), Err(TaskError::Forked)));
            assert!(matches!(pool.try_map(|n: u64| n, 0..9), Err(TaskError::Forked)));
            assert!(matches!(pool.map_async(|n: u64| n, 0..9).get(), Err(TaskError::Forked)));
            assert!(matches!(pool.starmap(u64::pow, [(1, 2)]), Err(TaskError::Forked)));
            let all: Vec<_> = pool.imap(|n: u64| n, 0..9).collect();
            assert!(matches!(all[..], [Err(TaskError::Forked)]));
            assert!(matches!(pool.resize(1), Err(PoolError::Alloc(AllocError::Forked))));
            assert!(matches!(pool.join_here(), Err(PoolError::Alloc(AllocError::Forked))));
            assert!(pool.zeros::<u64>(10).is_err() && pool.from_fn(10, |i| i).is_err());
            assert!(pool.write_trace("/dev/null").is_err());
            assert!(pool.worker_pids().is_empty() && pool.stats().workers.is_empty());
            assert!(pool.last_launch().is_none());
            assert_eq!(pool.exit_results::<u64>(), Err(ExitError::Forked));
            let _reports = (pool.insights(), pool.memory(), pool.workers(), format!("{pool:?}"));
            pool.close();
            pool.terminate();
            pool.join();
            drop_here(&pool);
        });
        // A second one, for what uses values up.
        if pids.is_empty() {
            drop((done, late));
            continue;
        }
        let many = (0..3).map(|n| pool.apply_async(|n: u64| n, n));
        let (many, lazy) = (many.collect::<Vec<_>>(), pool.imap(|n: u64| n, 0..));
        passes_in_child(|| {
            assert!(!late.ready() && late.successful().is_none());
            assert!(!late.wait_timeout(LONG) && !wait_all(std::slice::from_ref(&late), LONG));
            late.wait();
            late.cancel();
            assert!(matches!(done.get_timeout(LONG), Err(TaskError::Forked)));
            assert!(done.ready() || matches!(done.get_timeout(LONG), Err(TaskError::Forked)));
            assert!(as_completed(many).all(|(_, outcome)| matches!(outcome, Err(TaskError::Forked))));
            drop_here(&lazy);
            drop_here(&late);
        });
        assert_eq!(pool.worker_pids(), pids, "the parent's workers live on");
        assert_eq!(pool.map(|n: u64| n + 1, 0..3).unwrap(), [1, 2, 3]);
    }
}

fn a_seat_and_guards_are_not_given_up_by_the_child() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let seat = pool.join_here().unwrap();
    let (lock, read, semaphore) =
        (Lock::new(1u64).unwrap(), RwLock::new(1u64).unwrap(), Semaphore::new(1).unwrap());
    let (queue, nested) = (Queue::<u64>::new().unwrap(), RLock::new(1u64).unwrap());
    queue.put(&7).unwrap();
    let twice = (nested.lock().unwrap(), nested.lock().unwrap());
    let held =
        (lock.lock().unwrap(), read.read().unwrap(), semaphore.acquire().unwrap(), queue.claim().unwrap());
    passes_in_child(|| {
        drop_here(&held);
        drop_here(&twice);
        drop_here(&seat);
    });
    assert!(lock.holder().is_some() && nested.holder().is_some());
    assert_eq!((read.readers(), semaphore.available(), queue.len()), (1, 0, 0));
    pool.for_each(0..10, |_| ()).unwrap();
}

fn nothing_shared_is_made_or_used_in_the_child() {
    let (lock, again, both) =
        (Lock::new(1u64).unwrap(), RLock::new(1u64).unwrap(), RwLock::new(1u64).unwrap());
    let (permits, bounded) = (Semaphore::new(1).unwrap(), BoundedSemaphore::new(1).unwrap());
    let (barrier, condition, queue) =
        (Barrier::new(1).unwrap(), Condition::new().unwrap(), Queue::<u64>::new().unwrap());
    let (list, event, count) =
        (SharedList::<u64>::new(4, 8).unwrap(), Event::new().unwrap(), Counter::new(1).unwrap());
    let (send, receive) = phalanx::channel::Pipe::ends::<u64>().unwrap();
    let frozen = SharedArray::from_slice(&[1u64]).unwrap().freeze().unwrap();
    passes_in_child(|| {
        assert!(
            matches!(lock.lock(), Err(LockError::Forked))
                && matches!(lock.try_lock(), Err(LockError::Forked))
        );
        assert!(matches!(again.lock(), Err(LockError::Forked)));
        assert!(
            matches!(both.read(), Err(LockError::Forked)) && matches!(both.write(), Err(LockError::Forked))
        );
        assert!(matches!(permits.acquire(), Err(SemaphoreError::Forked)));
        assert!(matches!(permits.release(1), Err(SemaphoreError::Forked)));
        assert!(matches!(bounded.acquire(), Err(SemaphoreError::Forked)));
        assert!(matches!(barrier.wait(), Err(BarrierError::Forked)));
        assert!(
            matches!(queue.put(&1), Err(QueueError::Forked))
                && matches!(queue.get(), Err(QueueError::Forked))
        );
        assert!(matches!(queue.claim(), Err(QueueError::Forked)));
        assert!(
            matches!(send.send(&1), Err(QueueError::Forked))
                && matches!(receive.recv(), Err(QueueError::Forked))
        );
        assert!(list.push(&1).is_err() && list.len().is_err());
        // What has no error to return panics, and says why.
        for method in [
            Box::new(|| assert_eq!(count.get(), 1)) as Box<dyn Fn()>,
            Box::new(|| event.set()),
            Box::new(|| condition.notify_all()),
            Box::new(|| assert!(!queue.is_closed())),
        ] {
            let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(method)).unwrap_err();
            assert!(panic.downcast_ref::<String>().unwrap().contains("forked"), "says why");
        }
        assert!(
            forked_alloc(SharedArray::<u64>::zeros(10)) && forked_alloc(SharedArray::<u64>::zeros(1 << 20))
        );
        assert!(Lock::new(1u64).is_err() && Queue::<u64>::new().is_err() && Manager::new().is_err());
        assert!(matches!(Pool::new(), Err(PoolError::Alloc(AllocError::Forked))));
        let spawned = Process::spawn(|()| (), ());
        assert!(matches!(spawned, Err(SpawnError::Memory { source: AllocError::Forked, .. })));
        assert!(frozen.clone().thaw().is_err());
        drop((
            lock, again, both, permits, bounded, barrier, condition, queue, list, event, count, send,
            receive, frozen,
        ));
    });
}

fn managers_and_processes_are_the_parents() {
    for manager in [Manager::new().unwrap(), Manager::in_process().unwrap()] {
        let list = manager.list::<u64>().unwrap();
        let process = Process::spawn(
            |()| loop {
                std::thread::park()
            },
            (),
        )
        .unwrap();
        passes_in_child(|| {
            assert!(matches!(list.push(1), Err(CallError::Forked)));
            assert!(matches!(manager.list::<u64>(), Err(CallError::Forked)));
            assert!(matches!(manager.counter(1), Err(CallError::Forked)));
            assert!(matches!(process.join_timeout(LONG), Err(JoinError::Forked { .. })));
            process.kill();
            assert!(!process.is_alive() && process.exitcode().is_none() && active_children().is_empty());
            drop_here(&list);
            drop_here(&process);
            drop_here(&manager);
        });
        assert!(process.is_alive());
        list.push(2).unwrap();
        assert_eq!(list.to_vec().unwrap(), [2]);
        process.kill();
        let _: Result<(), _> = process.join();
    }
}

fn a_slice_in_the_child_is_a_fault_and_never_other_memory() {
    for len in [100, 1 << 20] {
        let array = SharedArray::from_fn(len, |i| i as u64).unwrap();
        let range = array.as_slice().as_ptr_range();
        passes_in_child(|| {
            let inside = |at: *const u8| (range.start.cast::<u8>()..range.end.cast()).contains(&at);
            // More than a hole of that size could keep from.
            let own: Vec<Vec<u8>> = (0..64).map(|_| vec![7u8; 8 << 20]).collect();
            assert!(own.iter().all(|own| !inside(own.as_ptr()) && !inside(&raw const own[own.len() - 1])));
        });
        let outcome = in_child(|| {
            std::hint::black_box(array.as_slice()[std::hint::black_box(len - 1)]);
        });
        assert_eq!(outcome, -libc::SIGSEGV);
        assert_eq!(array.as_slice()[len - 1], len as u64 - 1);
    }
}

/// Threads that make and drop arrays meanwhile: the list of what is mapped is whole in every child.
fn forks_beside_threads_that_map() {
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let array = SharedArray::<u64>::zeros(1 << 18).unwrap();
                    assert_eq!(array.as_slice()[0], 0);
                }
            })
        })
        .collect();
    for _ in 0..100 {
        passes_in_child(|| assert!(forked_alloc(SharedArray::<u64>::zeros(10))));
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

fn a_kernel_that_forks_leaves_its_launch_alone() {
    let pool = Pool::builder().workers(2).build().unwrap();
    let mut outcomes = pool.zeros::<i32>(2).unwrap();
    pool.for_each(outcomes.split_mut(), |outcomes| {
        for outcome in outcomes {
            *outcome = in_child(|| {
                assert!(!phalanx::is_cancelled() && phalanx::current_rank().is_none());
                assert!(forked_alloc(SharedArray::<u64>::zeros(10)));
                assert!(matches!(Pool::new(), Err(PoolError::Alloc(AllocError::Forked))));
            });
        }
    })
    .unwrap();
    assert_eq!(outcomes.as_slice(), [0, 0]);
}

fn a_child_of_a_process_that_has_not_used_it_is_free() {
    passes_in_child(|| {
        let pool = Pool::builder().workers(2).build().unwrap();
        assert_eq!(pool.map(|n: u64| n * 2, 0..3).unwrap(), [0, 2, 4]);
        let refused = Pool::builder().workers(1).start_method(StartMethod::Fork).build();
        assert!(refused.is_err(), "it has threads by now");
    });
}

fn main() {
    a_child_of_a_process_that_has_not_used_it_is_free();
    every_method_of_a_pool_is_refused();
    a_seat_and_guards_are_not_given_up_by_the_child();
    nothing_shared_is_made_or_used_in_the_child();
    managers_and_processes_are_the_parents();
    a_slice_in_the_child_is_a_fault_and_never_other_memory();
    forks_beside_threads_that_map();
    a_kernel_that_forks_leaves_its_launch_alone();
    println!("forks of the program's own: 8 tests ok");
}
