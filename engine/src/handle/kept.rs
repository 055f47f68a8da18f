//! What senders keep of their messages until the receivers have let go of it, or have ended.
#![deny(clippy::arithmetic_side_effects)]

use super::travel::KeepAlive;
use crate::base::member::MemberId;
use crate::memory::reclaim;
use crate::sys::fork;
use parking_lot::Mutex;
use std::collections::VecDeque;
// Plain on purpose: process-local counts.
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many of those that are kept are looked at in one go.
const LOOKS: usize = 64;
/// How many of the members that ended last are remembered: of these nothing is kept any more.
const ENDED: usize = 1024;

/// Keep-alive sets whose receivers still had something of it at the last look.
struct Kept {
    list: Vec<(MemberId, KeepAlive)>,
    next: usize,
    /// What is to be dropped at the next occasion.
    free: Vec<KeepAlive>,
    ended: VecDeque<MemberId>,
}

static KEPT: Mutex<Kept> =
    Mutex::new(Kept { list: Vec::new(), next: 0, free: Vec::new(), ended: VecDeque::new() });
/// Entries of both lists, so that nobody need take the lock to see that there are none.
static KEPT_COUNT: AtomicUsize = AtomicUsize::new(0);

/// Keeps what a message led to until `receiver`, which has worked on it, has let go of it, or has ended.
pub(crate) fn keep(receiver: MemberId, keep_alive: &KeepAlive) {
    if fork::is_foreign() {
        return;
    }
    reclaim::when_needed(sweep_all);
    if keep_alive.is_held() {
        let mut kept = KEPT.lock();
        if !kept.ended.contains(&receiver) {
            kept.list.push((receiver, keep_alive.after_use()));
            KEPT_COUNT.fetch_add(1, Ordering::Relaxed);
        }
    }
    sweep(LOOKS);
}

/// Notes that a member has ended: the kernel says so. What was kept for it goes at the next occasion, since
/// the caller may hold locks.
pub(crate) fn ended(member: MemberId) {
    if fork::is_foreign() {
        return;
    }
    let mut kept = KEPT.lock();
    let Kept { list, free, ended, .. } = &mut *kept;
    free.extend(list.extract_if(.., |(receiver, _)| *receiver == member).map(|(_, keep_alive)| keep_alive));
    ended.push_back(member);
    if ended.len() > ENDED {
        ended.pop_front();
    }
}

/// Drops what was let go of, of the next few that are kept.
pub(crate) fn sweep_some() {
    if KEPT_COUNT.load(Ordering::Relaxed) > 0 {
        sweep(LOOKS);
    }
}

/// Drops all that was let go of.
pub(crate) fn sweep_all() {
    if KEPT_COUNT.load(Ordering::Relaxed) > 0 {
        sweep(usize::MAX);
    }
}

#[cold]
fn sweep(looks: usize) {
    if fork::is_foreign() {
        return;
    }
    let mut kept = KEPT.lock();
    let mut free = std::mem::take(&mut kept.free);
    for _ in 0..kept.list.len().min(looks) {
        if kept.next >= kept.list.len() {
            kept.next = 0;
        }
        let at = kept.next;
        if kept.list[at].1.is_held() {
            kept.next = kept.next.wrapping_add(1);
        } else {
            free.push(kept.list.swap_remove(at).1);
        }
    }
    KEPT_COUNT.fetch_sub(free.len(), Ordering::Relaxed);
    // Dropped after the lock, as it stands before.
    drop(kept);
    drop(free);
}
