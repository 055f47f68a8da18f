//! Groups of elements that have one key.
//!
//! | kernel | result |
//! |---|---|
//! | [`reduce_by_key`], [`fold_by_key`] | the key of each run of equal keys, and a fold of its values |
//! | [`run_lengths`] | the key of each run, and its length |
//! | [`bincount`] | the sum of weights for each small integer |
//!
//! To group by keys in any order, sort them and their values first, with
//! [`order::sort_pairs`](crate::order::sort_pairs): then every run is a group. Results are new arrays, since
//! their lengths are known only afterwards, and have the same bits for every number of workers.

mod runs;
mod weight;

pub use runs::{Groups, fold_by_key, reduce_by_key, run_lengths};
pub use weight::bincount;
