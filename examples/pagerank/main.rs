//! PageRank of a list of links: text to edges (`edges`), edges to compressed rows (`graph`), ranks by the
//! power iteration (`rank`). `generate` makes a list; `peer` has the same with rayon, and the plainest way to
//! check.

mod edges;
mod generate;
mod graph;
mod peer;
mod rank;
#[cfg(test)]
mod tests;

use clap::{Parser, Subcommand};
use common::{Closing, Result, Team, bytes, count, grouped, refuse};
use graph::Graph;
use phalanx::Pool;
use phalanx_kernels::order::top_k;
use rank::{Ranks, Until, iterate};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// PageRank of a list of links
///
/// The same ranks, bit for bit, for any number of workers.
#[derive(Debug, Parser)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  pagerank generate 5M 50M links.txt
  pagerank links.txt --top 5 --ranks ranks.npy
  pagerank links.txt --peer                      also with rayon, to compare

The file has lines of two page numbers, from and to, and must not change meanwhile. Lines that begin with # are
skipped. A name that ends in .gz is unpacked first.
Exit codes: 0 done; 1 a check or the run failed; 2 wrong options or input."
)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,

    /// The links; without it, 20,000 links are made
    file: Option<PathBuf>,

    /// Pages to show
    #[arg(long, value_name = "N", default_value = "10", value_parser = count)]
    top: u64,

    /// Share of its rank that a page passes on along its links
    #[arg(long, value_name = "PART", default_value_t = 0.85)]
    damping: f64,

    /// Stop when the sum of all changes in a step is less
    #[arg(long, default_value_t = 1e-9)]
    tolerance: f64,

    /// Maximum number of steps
    #[arg(long, value_name = "N", default_value = "100", value_parser = count)]
    steps: u64,

    /// Write the ranks by page number, float64
    #[arg(long, value_name = "FILE")]
    ranks: Option<PathBuf>,

    /// Also run with rayon, and compare
    #[arg(long)]
    peer: bool,

    #[command(flatten)]
    team: Team,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a list of links in which few pages have most of the links
    Generate {
        /// Pages
        #[arg(value_parser = count)]
        pages: u64,
        /// Links
        #[arg(value_parser = count)]
        links: u64,
        /// The file
        file: PathBuf,
        /// Seed
        #[arg(long, default_value_t = 1)]
        seed: u64,
        #[command(flatten)]
        team: Team,
    },
}

/// Text up to this is also ranked the plainest way.
const CHECKED_BYTES: usize = 32 << 20;

fn main() -> ExitCode {
    common::run("pagerank", || work(&Options::parse()))
}

fn work(options: &Options) -> Result<()> {
    if let Some(Command::Generate { pages, links, file, seed, team }) = &options.command {
        if !(1..u64::from(u32::MAX)).contains(pages) {
            return Err(refuse(format!("{pages} pages: give 1 to 4294967294")));
        }
        return generate::generate(&team.pool("pagerank")?, *pages, *links, *seed, file);
    }
    if !(0.0..1.0).contains(&options.damping) {
        return Err(refuse(format!("a damping of {}: give 0 to less than 1", options.damping)));
    }
    if let Some(path) = &options.file {
        if options.peer && edges::is_packed(path) {
            return Err(refuse("rayon's twin reads no packed text; unpack it first"));
        }
        // A wrong name is refused before any worker starts.
        std::fs::File::open(path).map_err(|error| refuse(format!("{}: {error}", path.display())))?;
        return run(options, &options.team.pool("pagerank")?, path);
    }
    let (pool, folder) = (options.team.pool("pagerank")?, tempfile::tempdir()?);
    let path = folder.path().join("links.txt");
    generate::generate(&pool, 2000, 20_000, 1, &path)?;
    run(options, &pool, &path)
}

fn run(options: &Options, pool: &Pool, path: &Path) -> Result<()> {
    let mut clock = Instant::now();
    let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed().as_secs_f64();
    let until =
        Until { damping: options.damping, tolerance: options.tolerance, steps: options.steps as usize };
    let edges = edges::read(pool, path)?;
    let (text_bytes, read) = (edges.bytes, lap());
    let graph = Graph::new(pool, edges)?;
    let built = lap();
    let ranks = iterate(pool, &graph, until)?;
    let iterated = lap();
    let mut text = report(pool, &graph, &ranks, options.top as usize)?;
    text += &check(pool, path, text_bytes, &ranks, until)?;
    if let Some(path) = &options.ranks {
        ranks.ranks.save_npy(path).map_err(|error| refuse(error.to_string()))?;
    }
    let _ = writeln!(text, "read        {read:.3} s, {} of text", bytes(text_bytes as u64));
    let _ = writeln!(text, "graph       {built:.3} s");
    let _ = writeln!(text, "ranks       {iterated:.3} s");
    if options.peer {
        text += &compare(pool, path, until, &ranks, [read, built, iterated])?;
    }
    text += &closing(options, pool, &graph, &ranks)?.to_string();
    // A reader that closed the pipe has seen enough.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(())
}

/// The pages of the highest ranks, and what the graph is like.
fn report(pool: &Pool, graph: &Graph, ranks: &Ranks, top: usize) -> Result<String> {
    let mut text = String::new();
    let links = grouped(graph.sources.len() as u64);
    let _ = writeln!(text, "graph       {} pages, {links} links", grouped(graph.present));
    let _ = writeln!(text, "steps       {}, the last changed the ranks by {:.1e}", ranks.steps, ranks.change);
    let top = top.min(graph.present as usize);
    let mut best = pool.zeros::<f64>(top)?;
    top_k(pool, &mut best, &ranks.ranks)?;
    let least = best.as_slice().last().copied().unwrap_or(f64::INFINITY);
    let mut order: Vec<(f64, usize)> = pool.fold(
        (ranks.ranks.split(), 0..ranks.ranks.len(), least),
        Vec::new,
        |found, (ranks, span, least)| {
            found.extend(ranks.iter().copied().zip(span).filter(|(rank, _)| *rank >= least));
        },
        |found, more| found.extend(more),
    )?;
    order.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    for (place, (rank, page)) in order.into_iter().take(top).enumerate() {
        let received = graph.offsets.as_slice()[page + 1] - graph.offsets.as_slice()[page];
        let _ = writeln!(
            text,
            "{:>4}        page {page:<10} rank {rank:.6e}, linked {} times",
            place + 1,
            grouped(received)
        );
    }
    Ok(text)
}

/// That the ranks sum to 1, and for short lists are those that the definition gives.
fn check(pool: &Pool, path: &Path, text_bytes: usize, ranks: &Ranks, until: Until) -> Result<String> {
    let total = phalanx_kernels::reduce::sum_compensated(pool, &ranks.ranks)?;
    if (total - 1.0).abs() > 1e-9 {
        return Err(format!("the ranks sum to {total}, not 1").into());
    }
    if text_bytes > CHECKED_BYTES || edges::is_packed(path) {
        return Ok("checked     the ranks sum to 1\n".into());
    }
    let edges = peer::naive_edges(&std::fs::read_to_string(path)?);
    let naive = peer::naive(&edges, ranks.ranks.len(), until, ranks.steps);
    match difference(ranks.ranks.as_slice(), &naive) {
        Some(why) => Err(format!("edge by edge, {why}").into()),
        None => Ok("checked     the ranks sum to 1; edge by edge they are the same\n".into()),
    }
}

/// The first rank in which two results differ by more than the rounding of sums in another order.
fn difference(ours: &[f64], others: &[f64]) -> Option<String> {
    if ours.len() != others.len() {
        return Some(format!("there are {} pages, not {}", others.len(), ours.len()));
    }
    let mut pairs = ours.iter().zip(others).enumerate();
    let wrong = pairs.find(|(_, (a, b))| (*a - *b).abs() > 1e-10 * a.max(**b));
    wrong.map(|(page, (a, b))| format!("page {page} has rank {b}, not {a}"))
}

/// Seconds of rayon beside ours.
fn compare(pool: &Pool, path: &Path, until: Until, ranks: &Ranks, ours: [f64; 3]) -> Result<String> {
    let until = Until { steps: ranks.steps, tolerance: 0.0, ..until };
    let peer = peer::run(pool.workers(), path, until)?;
    if let Some(why) = difference(ranks.ranks.as_slice(), &peer.ranks) {
        return Err(format!("with rayon, {why}").into());
    }
    let mut text = String::new();
    for ((what, ours), other) in ["read", "graph", "ranks"].iter().zip(ours).zip(peer.seconds) {
        let ratio = other / ours.max(1e-9);
        let _ = writeln!(text, "rayon       {what}: {other:.3} s, {ratio:.2} x of ours");
    }
    Ok(text)
}

/// A few steps by the team and by one worker, who must find the same.
fn closing(options: &Options, pool: &Pool, graph: &Graph, ranks: &Ranks) -> Result<Closing> {
    let until = Until { damping: options.damping, tolerance: 0.0, steps: ranks.steps.min(3) };
    let timed = |pool: &Pool| -> Result<(Ranks, f64)> {
        let begun = Instant::now();
        Ok((iterate(pool, graph, until)?, begun.elapsed().as_secs_f64()))
    };
    let (team, seconds) = timed(pool)?;
    let (alone, seconds_alone) = timed(&options.team.pool_of("pagerank", 1)?)?;
    if team.ranks.as_slice() != alone.ranks.as_slice() {
        return Err("one worker found other ranks".into());
    }
    let done = (graph.sources.len() * until.steps.max(1)) as f64;
    let closing = Closing::new(pool, seconds, done, "links").beside("one worker", seconds_alone);
    Ok(closing.memory(pool, graph.sources.len_bytes() as u64))
}
