//! Lines, cuts and tables.
