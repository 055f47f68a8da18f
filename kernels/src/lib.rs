//! Numeric kernels over [`phalanx`] shared arrays, written only with its public API.
