//! Statistics of samples: covariances, weighted means and quantiles, regression, principal components,
//! bootstrap.
//!
//! | kernel | computes |
//! |---|---|
//! | [`covariance`], [`correlation`] | of all pairs of columns |
//! | [`weighted_mean`], [`weighted_quantiles`] | of elements that count differently |
//! | [`Regression`] | linear regression with standard errors |
//! | [`Pca`] | principal components |
//! | [`bootstrap`] | a statistic of many samples drawn with replacement |
//!
//! Tables have one observation per row and one variable per column. Products, factorisations and sorts are
//! those of [`dense`](crate::dense) and [`order`](crate::order). Means, variances, quantiles and histograms
//! of single arrays are in [`reduce`](crate::reduce), [`order`](crate::order) and
//! [`profile`](crate::profile).

mod bootstrap;
mod covariance;
mod pca;
mod regression;
mod weighted;

pub use bootstrap::bootstrap;
pub use covariance::{correlation, covariance};
pub use pca::Pca;
pub use regression::Regression;
pub use weighted::{weighted_mean, weighted_quantiles};

#[cfg(test)]
mod tests;
