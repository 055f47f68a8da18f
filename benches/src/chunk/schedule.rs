//! The schedules by name.

use phalanx::Schedule;

/// All that are measured, the engine's own first.
pub const SCHEDULES: [(&str, Schedule); 4] = [
    ("stealing", Schedule::Stealing),
    ("static", Schedule::Static),
    ("dynamic", Schedule::Dynamic(1)),
    ("guided", Schedule::Guided),
];

/// What items of `map` have: whoever is free takes the next chunk.
pub const QUEUE: &str = "queue";

/// The schedule of this name; items of `map` have only one.
pub fn named(name: &str) -> Schedule {
    SCHEDULES.iter().find(|(own, _)| *own == name).map_or(Schedule::default(), |(_, schedule)| *schedule)
}
