//! The list of built-in workloads.

pub mod flat;
pub mod grid;
pub mod items;

use super::workload::{Chunks, Workload};
use crate::harness::Outcome;

/// All workloads. The command line, `--help` and the page of benchmarks have them from here.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "triad",
        about: "a = b + 0.4 c over float64",
        elements: 1 << 22,
        quick: 1 << 18,
        flops: |_| 2.0,
        bytes: 24.0,
        is_linear: true,
        chunks: Chunks::Launch { elements: 1 },
        prepare: flat::triad,
    },
    Workload {
        name: "sum",
        about: "the sum of an array of float64",
        elements: 1 << 23,
        quick: 1 << 19,
        flops: |_| 1.0,
        bytes: 8.0,
        is_linear: true,
        chunks: Chunks::Launch { elements: 1 },
        prepare: flat::sum,
    },
    Workload {
        name: "sqrt",
        about: "the square root of each float64",
        elements: 1 << 22,
        quick: 1 << 18,
        flops: |_| 1.0,
        bytes: 16.0,
        is_linear: true,
        chunks: Chunks::Launch { elements: 1 },
        prepare: flat::sqrt,
    },
    Workload {
        name: "polynomial",
        about: "a polynomial of degree 16 at each float64, multiplications and additions apart",
        elements: 1 << 21,
        quick: 1 << 17,
        flops: |_| 33.0,
        bytes: 16.0,
        is_linear: true,
        chunks: Chunks::Launch { elements: 1 },
        prepare: flat::polynomial,
    },
    Workload {
        name: "histogram",
        about: "counts of 256 values of an array of u8, an accumulator per part",
        elements: 1 << 24,
        quick: 1 << 20,
        flops: |_| 0.0,
        bytes: 1.0,
        is_linear: true,
        chunks: Chunks::Launch { elements: 1 },
        prepare: flat::histogram,
    },
    Workload {
        name: "heat",
        about: "a step of the heat equation on a plate of float64, rows with a halo",
        elements: 1 << 22,
        quick: 1 << 18,
        flops: |_| 6.0,
        bytes: 16.0,
        is_linear: true,
        chunks: Chunks::Launch { elements: grid::WIDTH },
        prepare: grid::heat,
    },
    Workload {
        name: "uneven",
        about: "index ranges of which the last takes a thousand times the time of the first",
        elements: 1 << 13,
        quick: 1 << 10,
        flops: |_| 0.0,
        bytes: 0.0,
        is_linear: false,
        chunks: Chunks::Launch { elements: 1 },
        prepare: items::uneven,
    },
    Workload {
        name: "tasks",
        about: "calls of a function of about a microsecond through map",
        elements: 1 << 15,
        quick: 1 << 12,
        flops: |_| 0.0,
        bytes: 0.0,
        is_linear: true,
        chunks: Chunks::Tasks,
        prepare: items::tasks,
    },
    Workload {
        name: "nbody",
        about: "attraction between all pairs of bodies, by phalanx-kernels; 20 operations per pair",
        elements: 1 << 12,
        quick: 1 << 10,
        flops: |bodies| 20.0 * bodies as f64,
        bytes: 0.0,
        is_linear: false,
        chunks: Chunks::Kernel,
        prepare: grid::nbody,
    },
    Workload {
        name: "sort",
        about: "u64 in no order, by phalanx-kernels",
        elements: 1 << 21,
        quick: 1 << 17,
        flops: |_| 0.0,
        bytes: 0.0,
        is_linear: false,
        chunks: Chunks::Kernel,
        prepare: items::sort,
    },
];

/// Finds a workload by its name.
pub fn named(name: &str) -> Outcome<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.name == name).ok_or_else(|| {
        let names: Vec<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
        format!("there is no workload {name:?}, only {}", names.join(", ")).into()
    })
}

/// What `--help` says of them.
pub fn help() -> String {
    let rows = WORKLOADS.iter().map(|own| format!("  {:<11} {}", own.name, own.about));
    format!("Workloads:\n{}", rows.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::super::workload::Cut;
    use super::*;
    use phalanx::{Backend, Pool, Schedule};

    #[test]
    fn every_workload_gives_the_right_answer_however_it_is_cut() {
        let pool = Pool::builder().workers(2).backend(Backend::Threads).build().unwrap();
        for workload in WORKLOADS {
            let mut job = (workload.prepare)(&pool, workload.quick).unwrap();
            let chunks = [None, Some(1 << 10), Some(1 << 30)];
            let schedules = [Schedule::Static, Schedule::Dynamic(1), Schedule::Guided, Schedule::Stealing];
            for (chunk, schedule) in chunks.into_iter().flat_map(|c| schedules.map(|s| (c, s))) {
                job.ready().unwrap();
                job.run(&pool, Cut { chunk, schedule }).unwrap();
                job.check().unwrap_or_else(|error| panic!("{}: {error}", workload.name));
            }
            let own = job.own_chunk(&pool).unwrap();
            assert_eq!(own.is_some(), matches!(workload.chunks, Chunks::Launch { .. }), "{}", workload.name);
            assert!(own.is_none_or(|units| units > 0 && units <= workload.quick), "{}", workload.name);
        }
    }

    #[test]
    fn an_answer_that_was_not_computed_is_wrong() {
        let pool = Pool::builder().backend(Backend::Inline).build().unwrap();
        for workload in WORKLOADS {
            let mut job = (workload.prepare)(&pool, workload.quick).unwrap();
            job.ready().unwrap();
            assert!(job.check().is_err(), "{}", workload.name);
        }
    }

    #[test]
    fn names_are_found_and_others_are_not() {
        assert_eq!(named("heat").unwrap().name, "heat");
        let error = named("hot").err().unwrap().to_string();
        assert!(error.contains("\"hot\"") && error.contains("triad"), "{error}");
        assert!(WORKLOADS.iter().all(|own| own.quick < own.elements && help().contains(own.about)));
    }

    #[test]
    fn the_page_of_benchmarks_lists_every_workload() {
        let page = include_str!("../../../../docs/benchmarks.md");
        for workload in WORKLOADS {
            let row = format!("| `{}` | {} |", workload.name, workload.about);
            assert!(page.contains(&row), "docs/benchmarks.md lacks the row {row}");
        }
    }
}
