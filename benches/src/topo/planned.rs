//! A plan with its name.

use phalanx::topology::Plan;

/// A plan, and the placement that asked for it.
pub struct Planned {
    /// The placement's text form.
    pub policy: String,
    /// Where its workers go.
    pub plan: Plan,
}
