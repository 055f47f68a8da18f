//! The command line.

use clap::{Parser, ValueEnum};
use common::Team;
use std::path::PathBuf;

/// Summary statistics of a numeric dataset of any size.
#[derive(Debug, Parser)]
#[command(
    name = "stats",
    about = "Summary statistics of a numeric dataset of any size, also larger than RAM",
    long_about = "Summary statistics of a numeric dataset of any size, also larger than RAM: count, NaNs, mean, standard \
        deviation, extremes with their first positions, exact percentiles and a histogram. The numbers are NumPy's \
        (nanmean, nanstd with ddof 0, nanmin, nanargmin, nanpercentile with linear interpolation), summed in float64. \
        The file is memory-mapped and swept in place by pinned workers; nothing is copied.\n\n\
        Without FILE, 1 GiB of synthetic sensor readings is made once and kept under target/.",
    after_help = "Examples:\n  \
        stats readings.npy\n  \
        stats --raw f32 samples.bin --workers 4\n  \
        stats --json readings.npy | jq .percentiles\n\n\
        Exit codes: 0 done, 1 the check against a serial pass failed or a pass failed, 2 the file or an option is wrong.\n\
        In JSON, NaN is null and infinities are the strings \"Infinity\" and \"-Infinity\"."
)]
pub struct Options {
    /// A .npy file (int or float elements of any width; n-D arrays are read as if flat), or with --raw any
    /// file
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Read FILE as bare little-endian elements of this type, without a header
    #[arg(long, value_name = "TYPE", requires = "file")]
    pub raw: Option<Raw>,

    #[command(flatten)]
    pub team: Team,

    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,

    /// Skip the serial pass that the results are checked against (and that the speed-up is measured with)
    #[arg(long)]
    pub no_verify: bool,
}

/// Element types of files without a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Raw {
    F32,
    F64,
    I32,
    I64,
}
