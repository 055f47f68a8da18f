//! How members come to have the segments and states of a launch, and hear of those that are gone. Nothing
//! here waits for a member.
#![deny(clippy::arithmetic_side_effects)]

use crate::memory::{Segment, SegmentId, registry};
use crate::spawn::mail::{self, MAX_IDS, ToWorker};
use crate::team::crew::{Crew, CrewKind};
use crate::team::fork_join::RankSet;
use crate::team::roster::{MemberStage, Roster, RosterSlot};
use crate::team::state;
use parking_lot::MutexGuard;
use std::sync::Arc;

/// What reaching the members cost, beside the launch itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) bytes: u64,
    pub(crate) system_calls: u64,
    /// Ranks whose socket is full of packets that they have not read (they are stopped, say): they lack a
    /// segment.
    pub(crate) behind: Vec<usize>,
    /// A rank that cannot be sent what it needs, and why.
    pub(crate) refused: Option<(usize, String)>,
}

/// What became of one segment on its way to one worker.
enum Handed {
    /// It has it already, or is not there to have it (a dying one is found out by its pidfd).
    Nothing,
    Sent {
        bytes: usize,
    },
    /// Its socket is full.
    Behind,
    Refused {
        why: String,
    },
}

impl Crew {
    /// Makes sure that `members` can reach `segments`, notes that they may make `states`, and tells them of
    /// what is gone.
    pub(crate) fn deliver<'a>(
        &self,
        roster: &mut MutexGuard<'_, Roster>,
        members: &RankSet,
        segments: impl Iterator<Item = &'a Arc<Segment>>,
        states: &[u64],
    ) -> Delivery {
        let mut cost = Delivery::default();
        let drops = registry::drop_count();
        if drops != roster.drops_seen {
            self.retire(roster, drops, !members.contains(0), &mut cost);
        }
        if !matches!(self.kind, CrewKind::Processes(_)) {
            return cost;
        }
        let roster = &mut **roster;
        let common = &mut roster.common[usize::from(!members.contains(0))];
        for segment in segments {
            let id = segment.id().0;
            if common.contains(&id) {
                continue;
            }
            let mut everybody = true;
            for rank in members.iter() {
                match hand_over(segment, &mut roster.slots[rank]) {
                    Handed::Nothing => continue,
                    Handed::Sent { bytes } => {
                        cost.bytes = cost.bytes.saturating_add(bytes as u64);
                        roster.mail = roster.mail.wrapping_add(1);
                    }
                    Handed::Behind => {
                        everybody = false;
                        cost.behind.push(rank);
                    }
                    Handed::Refused { why } => {
                        everybody = false;
                        cost.refused = Some((rank, why));
                    }
                }
                cost.system_calls = cost.system_calls.saturating_add(1);
            }
            if everybody {
                common.insert(id);
            }
        }
        for id in states {
            members.iter().for_each(|rank| {
                roster.slots[rank].states.insert(*id);
            });
        }
        cost
    }

    /// Tells members to unmap dropped segments and to drop the states of dropped handles.
    #[cold]
    fn retire(&self, roster: &mut MutexGuard<'_, Roster>, drops: u64, seated: bool, cost: &mut Delivery) {
        let roster = &mut **roster;
        if !matches!(self.kind, CrewKind::Processes(_)) {
            // Members in this process see for themselves.
            roster.mail = roster.mail.wrapping_add(1);
            roster.drops_seen = drops;
            return;
        }
        // So does the member in the driver's seat.
        roster.mail = roster.mail.wrapping_add(u64::from(seated));
        roster.common.iter_mut().for_each(|common| common.retain(|id| registry::is_live(SegmentId(*id))));
        let mut everybody = true;
        for slot in &mut roster.slots {
            let Some(process) = &slot.process else { continue };
            let gone = |id: &&u64| !registry::is_live(SegmentId(**id));
            let segments: Vec<u64> = slot.known.iter().filter(gone).copied().collect();
            let states: Vec<u64> = slot.states.iter().filter(|id| !state::is_live(**id)).copied().collect();
            let retire = segments.chunks(MAX_IDS).map(|ids| (ToWorker::Retire(ids.to_vec()), ids));
            let forget = states.chunks(MAX_IDS).map(|ids| (ToWorker::Forget(ids.to_vec()), ids));
            for (mail, ids) in retire.chain(forget) {
                cost.system_calls = cost.system_calls.saturating_add(1);
                match mail::try_send(&process.socket, &mail, &[]) {
                    Ok(bytes) => {
                        cost.bytes = cost.bytes.saturating_add(bytes as u64);
                        roster.mail = roster.mail.wrapping_add(1);
                        let told = if matches!(mail, ToWorker::Retire(_)) {
                            &mut slot.known
                        } else {
                            &mut slot.states
                        };
                        ids.iter().for_each(|id| {
                            told.remove(id);
                        });
                    }
                    // Told at a later launch, when it reads its mail again; a dying one needs no telling.
                    Err(error) => everybody &= mail::is_closed(&error),
                }
            }
        }
        if everybody {
            roster.drops_seen = drops;
        }
    }
}

/// Sends a worker a segment that it does not know. Never waits: the roster is locked, and a stopped worker
/// would hold up everything.
fn hand_over(segment: &Segment, slot: &mut RosterSlot) -> Handed {
    let id = segment.id().0;
    let Some(process) = slot.process.as_ref().filter(|_| slot.stage == MemberStage::Ready) else {
        return Handed::Nothing;
    };
    if slot.known.contains(&id) {
        return Handed::Nothing;
    }
    let mail = ToWorker::Segment { id, len_bytes: segment.len_bytes() as u64 };
    match mail::try_send(&process.socket, &mail, &[segment.fd()]) {
        Ok(bytes) => {
            slot.known.insert(id);
            Handed::Sent { bytes }
        }
        Err(error) if mail::is_closed(&error) => Handed::Nothing,
        Err(error) if mail::is_full(&error) => Handed::Behind,
        Err(error) => Handed::Refused { why: format!("segment {id} cannot be sent to it: {error}") },
    }
}
