//! Short programs with Phalanx: `compare_phalanx NAME` runs one. Their twins are shown in docs/compare.md.

#[path = "groupby/phalanx.rs"]
mod groupby;
#[path = "image/phalanx.rs"]
mod image;
#[path = "integrate/phalanx.rs"]
mod integrate;
#[path = "kmeans/phalanx.rs"]
mod kmeans;
#[path = "kmer/phalanx.rs"]
mod kmer;
#[path = "life/phalanx.rs"]
mod life;
#[path = "pagerank/phalanx.rs"]
mod pagerank;
#[path = "pi/phalanx.rs"]
mod pi;
#[path = "queue/phalanx.rs"]
mod queue;
#[path = "search/phalanx.rs"]
mod search;
#[path = "smooth/phalanx.rs"]
mod smooth;
mod splitmix;
#[path = "sweep/phalanx.rs"]
mod sweep;
#[path = "tiles/phalanx.rs"]
mod tiles;
#[path = "topk/phalanx.rs"]
mod topk;
#[path = "wave/phalanx.rs"]
mod wave;

fn main() -> Result<(), phalanx::Error> {
    let name = std::env::args().nth(1).unwrap_or_default();
    match name.as_str() {
        "groupby" => groupby::main(),
        "image" => image::main(),
        "integrate" => integrate::main(),
        "kmeans" => kmeans::main(),
        "kmer" => kmer::main(),
        "life" => life::main(),
        "pagerank" => pagerank::main(),
        "pi" => pi::main(),
        "queue" => queue::main(),
        "search" => search::main(),
        "smooth" => smooth::main(),
        "sweep" => sweep::main(),
        "tiles" => tiles::main(),
        "topk" => topk::main(),
        "wave" => wave::main(),
        _ => {
            eprintln!("usage: compare_phalanx NAME, a folder of examples/compare");
            std::process::exit(2);
        }
    }
}
