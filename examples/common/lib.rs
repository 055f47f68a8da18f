//! What the example programs share: exit codes, options, the progress bar, the closing block, files that
//! appear only when they are whole, pictures, random numbers.

mod closing;
mod count;
mod draft;
mod limit;
mod map;
mod meter;
pub mod picture;
mod random;
mod run;
mod team;

pub use closing::{Closing, bytes, grouped};
pub use count::count;
pub use draft::Draft;
pub use limit::limit_memory;
pub use map::map_bytes;
pub use meter::Meter;
pub use random::{Dice, mix, random};
pub use run::{Refused, Result, refuse, run, write_out};
pub use team::{Kind, Team};
