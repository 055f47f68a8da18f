//! What BT, SP and LU have in common: the equations, the grid, and how steps run on each runtime.
//!
//! The three solve the same equations on the same grid, each by another method. The arrays are laid out so
//! that every line which a step solves or takes differences along lies in one plane or slab:
//!
//! | array | order | cut along | written by |
//! |---|---|---|---|
//! | u, forcing, z part | y, z, quantity, x | y | slabs: lines along z |
//! | right-hand side | z, y, quantity, x | z | planes: lines along x and y |
//!
//! A step is two phases. In planes, the terms along x and y are added to the z part, and lines along x and
//! then y are solved; in slabs, lines along z are solved, u is advanced, and the z part of the next
//! right-hand side is computed from it. So stencils never leave a plane or slab, no array is transposed by a
//! step of its own, and ranks meet twice per step. Bytes per point and step: about 400.
//!
//! Lines are taken side by side, as many as this CPU's vectors have numbers, into a
//! [`Bundle`](bundle::Bundle) that fits into the cache; all arithmetic is on bundles, in one form for all
//! directions.

pub mod adi;
pub mod bundle;
pub mod crew;
pub mod equations;
pub mod grid;
pub mod lanes;
pub mod norms;
pub mod problem;
pub mod runtime;
pub mod setup;
pub mod stages;
pub mod terms;
pub mod wave;
