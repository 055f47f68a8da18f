//! Handles of shared objects: where an object lies, what keeps it there, and how its handles travel in
//! messages.
//!
//! From below: `lease` (who still has something of a message), `travel` (a message's table of handles),
//! `kept` (what senders keep until receivers have let go of it), `results` (what results of tasks lead to,
//! where members are threads), `place` (an object, as one handle sees it).

pub(crate) mod kept;
pub(crate) mod lease;
pub(crate) mod place;
pub(crate) mod results;
pub(crate) mod travel;
