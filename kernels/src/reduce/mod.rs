//! Kernels that condense an array into a number or a few.
