//! Short programs with rayon: `compare_rayon NAME` runs one. Their twins are shown in docs/compare.md.

#[path = "groupby/rayon.rs"]
mod groupby;
#[path = "image/rayon.rs"]
mod image;
#[path = "integrate/rayon.rs"]
mod integrate;
#[path = "kmeans/rayon.rs"]
mod kmeans;
#[path = "kmer/rayon.rs"]
mod kmer;
#[path = "life/rayon.rs"]
mod life;
#[path = "pagerank/rayon.rs"]
mod pagerank;
#[path = "pi/rayon.rs"]
mod pi;
#[path = "queue/rayon.rs"]
mod queue;
#[path = "search/rayon.rs"]
mod search;
#[path = "smooth/rayon.rs"]
mod smooth;
mod splitmix;
#[path = "sweep/rayon.rs"]
mod sweep;
#[path = "tiles/rayon.rs"]
mod tiles;
#[path = "topk/rayon.rs"]
mod topk;
#[path = "wave/rayon.rs"]
mod wave;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_default();
    match name.as_str() {
        "groupby" => return groupby::main(),
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
            eprintln!("usage: compare_rayon NAME, a folder of examples/compare");
            std::process::exit(2);
        }
    }
    Ok(())
}
