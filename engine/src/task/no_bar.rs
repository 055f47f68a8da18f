//! `Tasks::progress_bar` in a program without the cargo feature `indicatif`: an error that names it.

use crate::task::Tasks;

/// Implemented by nothing.
#[diagnostic::on_unimplemented(
    message = "`progress_bar` requires the cargo feature `indicatif` of `phalanx`",
    label = "the feature `indicatif` is off",
    note = "turn it on in Cargo.toml: `phalanx = {{ .., features = [\"indicatif\"] }}`, or pass your own callback to `progress`"
)]
pub trait NeedsFeatureIndicatif {}

impl Tasks<'_> {
    #[doc(hidden)]
    pub fn progress_bar<L: NeedsFeatureIndicatif>(self, _label: L) -> Self {
        self
    }
}
