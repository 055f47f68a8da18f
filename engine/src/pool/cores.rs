//! The cores of a new pool, beside those that other pools keep for themselves.

use super::PoolError;
use crate::topology::{CpuSet, Limits, Machine, Plan, Reservation};

/// How often a pool looks for free cores anew that another one has taken meanwhile.
const TRIES: u32 = 16;

/// Makes the plan. To `reserve`, it is made with the cores that no other pool has reserved, as far as they
/// suffice, and its own are reserved; `limits` then tell what others have, and the plan's reason what came of
/// it.
pub(super) fn take(
    reserve: bool,
    machine: &Machine,
    limits: &mut Limits,
    plan: impl Fn(&Limits) -> Result<(usize, Plan), PoolError>,
) -> Result<(usize, Plan, Option<Reservation>), PoolError> {
    if !reserve {
        return plan(limits).map(|(workers, layout)| (workers, layout, None));
    }
    let why = match Reservation::open() {
        Err(why) => why,
        Ok(reservation) => match reserve_in(&reservation, machine, limits, &plan)? {
            Ok((workers, layout, is_held)) => return Ok((workers, layout, is_held.then_some(reservation))),
            Err(why) => why,
        },
    };
    limits.reserved = CpuSet::new();
    let (workers, mut layout) = plan(limits)?;
    layout.reason += &format!("; no core could be reserved: {why}");
    Ok((workers, layout, None))
}

/// The plan, and whether cores are held for it; or in words why none can be reserved.
type Reserved = Result<(usize, Plan, bool), String>;

fn reserve_in(
    reservation: &Reservation,
    machine: &Machine,
    limits: &mut Limits,
    plan: &impl Fn(&Limits) -> Result<(usize, Plan), PoolError>,
) -> Result<Reserved, PoolError> {
    for _ in 0..TRIES {
        match reservation.taken(machine) {
            Ok(taken) => limits.reserved = taken,
            Err(error) => return Ok(Err(error.to_string())),
        }
        let (workers, mut layout) = plan(limits)?;
        if !layout.is_bound {
            layout.reason += ", so no core is reserved";
            return Ok(Ok((workers, layout, false)));
        }
        let free = used(&layout).difference(&limits.reserved);
        match reservation.take(machine, &free) {
            Ok(true) if free.is_empty() => {
                layout.reason += "; no core is left to reserve";
                return Ok(Ok((workers, layout, false)));
            }
            Ok(true) => {
                layout.reason += "; reserved for this pool";
                return Ok(Ok((workers, layout, true)));
            }
            // Another pool was faster.
            Ok(false) => {}
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
    Ok(Err("other pools took them at the same time, again and again".into()))
}

/// Whether workers of the plan run on cores that other pools have reserved.
pub(super) fn shares(layout: &Plan, limits: &Limits) -> bool {
    layout.is_bound && used(layout).intersects(&limits.reserved)
}

fn used(layout: &Plan) -> CpuSet {
    layout.workers.iter().fold(CpuSet::new(), |all, worker| all.union(&worker.cpuset))
}
