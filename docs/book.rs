//! The book of Phalanx. Its chapters are the files beside this one, listed by README.md; here their Rust
//! blocks are compiled and run as doc tests, so that they stay true.

// `engine/tests/truth.rs` checks that no page with Rust blocks is missing here.
macro_rules! pages {
    ($($name:ident: $file:literal,)*) => {
        $(
            #[doc = include_str!($file)]
            #[cfg(doctest)]
            mod $name {}
        )*
    };
}

pages! {
    readme: "../README.md",
    kernels_readme: "../kernels/README.md",
    topology: "topology.md",
    memory: "memory.md",
    faults: "faults.md",
    from_python: "from-python.md",
    cluster: "cluster.md",
    cluster_tasks: "cluster-tasks.md",
    pool: "guide/pool.md",
    workers: "guide/workers.md",
    arrays: "guide/arrays.md",
    shared: "guide/shared.md",
    launches: "guide/launches.md",
    grants: "guide/grants.md",
    reductions: "guide/reductions.md",
    errors: "guide/errors.md",
    options: "guide/options.md",
    state: "guide/state.md",
    sync: "guide/sync.md",
    regions: "guide/regions.md",
    driver: "guide/driver.md",
    tasks: "guide/tasks.md",
    journals: "guide/journals.md",
    travel: "guide/travel.md",
    channels: "guide/channels.md",
    processes: "guide/processes.md",
    kernels: "guide/kernels.md",
    figures: "guide/figures.md",
    backends: "guide/backends.md",
    recipes: "guide/recipes.md",
}
