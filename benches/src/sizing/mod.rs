//! What the commands share that ask how many workers and what chunk size are right: workloads, samples in
//! turns, fits of the laws of scaling, and pictures.

pub mod bootstrap;
pub mod chart;
pub mod fit;
#[cfg(test)]
mod fit_tests;
pub mod foreign;
pub mod line;
pub mod options;
pub mod sizes;
pub mod turns;
pub mod workload;
pub mod workloads;
