//! The list of benches, and that of inspections.

use crate::bench::{Listed, ListedInspection};
use crate::c2c::CoreToCore;
use crate::chunk::Chunk;
use crate::cluster::ClusterBench;
use crate::compare::Compare;
use crate::doctor::Doctor;
use crate::kernels::Kernels;
use crate::launch::Launch;
use crate::memory::Memory;
use crate::memory_map::MemoryMap;
use crate::noise::Noise;
use crate::npb::Npb;
use crate::page::Page;
use crate::pool_size::PoolSize;
use crate::queue::Queue;
use crate::scale::Scale;
use crate::stream::Stream;
use crate::sync::Sync;
use crate::tasks::Tasks;
use crate::top::Top;
use crate::topo::Topo;
use crate::tune::Tune;

/// All benches, in the order in which `all` runs them. Subcommands, help, `--list` and `all` come from here.
pub const BENCHES: &[Listed] = &[
    Listed::of::<CoreToCore>(),
    Listed::of::<MemoryMap>(),
    Listed::of::<Launch>(),
    Listed::of::<Noise>(),
    Listed::of::<Stream>(),
    Listed::of::<Memory>(),
    Listed::of::<Sync>(),
    Listed::of::<Queue>(),
    Listed::of::<Tasks>(),
    Listed::of::<Kernels>(),
    Listed::of::<Npb>(),
    Listed::of::<PoolSize>(),
    Listed::of::<Chunk>(),
    Listed::of::<Scale>(),
    Listed::of::<Compare>(),
    Listed::of::<Tune>(),
    Listed::of::<ClusterBench>(),
];

/// All inspections. They come before the benches in the help.
pub const INSPECTIONS: &[ListedInspection] = &[
    ListedInspection::of::<Doctor>(),
    ListedInspection::of::<Topo>(),
    ListedInspection::of::<Top>(),
    ListedInspection::of::<Page>(),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_benchmarks_lists_every_bench_and_what_it_measures() {
        let page = include_str!("../../docs/benchmarks.md");
        for bench in BENCHES {
            let about = bench.about();
            let row = format!("| `{}` | {about} |", bench.name);
            assert!(page.contains(&row), "docs/benchmarks.md lacks the row {row}");
            let measures = (bench.measures)();
            assert!(!about.is_empty() && !measures.is_empty(), "{}", bench.name);
            for name in measures {
                assert!(page.contains(&format!("`{name}`")), "docs/benchmarks.md does not name {name}");
            }
        }
    }

    #[test]
    fn the_page_of_benchmarks_lists_every_inspection() {
        let page = include_str!("../../docs/benchmarks.md");
        for inspection in INSPECTIONS {
            let row = format!("| `{}` | {} |", inspection.name, inspection.about());
            assert!(page.contains(&row), "docs/benchmarks.md lacks the row {row}");
        }
    }
}
