//! The end of a crew whose shared words make no sense.

use crate::team::crew::Crew;

impl Crew {
    /// The identities of the present workers.
    pub(crate) fn members(&self) -> Vec<u32> {
        self.roster.lock().slots.iter().map(|slot| slot.member).collect()
    }

    /// The team serves no more, for this reason: its workers are killed, as far as they can be.
    pub(crate) fn break_down(&self, why: &str) {
        let mut roster = self.roster.lock();
        roster.broken.get_or_insert_with(|| why.into());
        roster.slots.iter().for_each(|slot| {
            slot.kill();
        });
        self.board().fork_join(&self.orders).notify();
        self.death_observer().inspect(|death_observer| death_observer.broken());
        self.changed.notify_all();
    }
}
