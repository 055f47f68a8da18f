//! The power iteration: a page's rank is what the pages that link to it pass on, each an equal share of its
//! own rank along each of its links (Brin and Page, 1998). Pages without links pass theirs to all pages.

use crate::graph::Graph;
use bytemuck::{Pod, Zeroable};
use common::Result;
use phalanx::{Pool, SharedArray, Val};

/// When to stop, and the weight of links.
#[derive(Clone, Copy, Debug)]
pub struct Until {
    /// What a page passes on along its links; the rest goes to all pages.
    pub damping: f64,
    /// The sum of all ranks' changes in one step.
    pub tolerance: f64,
    /// Steps at most.
    pub steps: usize,
}

/// Ranks, and how they were found.
pub struct Ranks {
    pub ranks: SharedArray<f64>,
    pub steps: usize,
    /// The sum of all changes in the last step.
    pub change: f64,
}

/// Iterates until the ranks change little. Numbers that are no pages have rank 0.
pub fn iterate(pool: &Pool, graph: &Graph, until: Until) -> Result<Ranks> {
    let (pages, n) = (graph.degrees.len(), graph.present as f64);
    let (mut shares, mut ranks) = (pool.zeros::<f64>(pages)?, pool.zeros::<f64>(pages)?);
    // The first step only sets all ranks to 1 / n.
    let mut weights = Weights { base: 1.0 / n, damping: 0.0 };
    let (mut steps, mut change) = (0, step(pool, graph, &shares, &mut ranks, weights)?);
    while steps < until.steps && change > until.tolerance {
        let operands = (shares.split_out(), ranks.split(), graph.degrees.split());
        let stuck = pool.reduce(
            operands,
            0.0,
            |(shares, ranks, degrees)| {
                let mut stuck = 0.0;
                for ((share, rank), degree) in shares.iter_mut().zip(ranks).zip(degrees) {
                    *share = rank / f64::from((*degree).max(1));
                    stuck += if *degree == 0 { *rank } else { 0.0 };
                }
                stuck
            },
            |a, b| a + b,
        )?;
        weights.damping = until.damping;
        weights.base = (1.0 - until.damping + until.damping * stuck) / n;
        change = step(pool, graph, &shares, &mut ranks, weights)?;
        steps += 1;
    }
    Ok(Ranks { ranks, steps, change })
}

/// What a page receives from all pages, and the weight of what it receives along links.
#[derive(Clone, Copy, Debug, Zeroable, Pod)]
#[repr(C)]
struct Weights {
    base: f64,
    damping: f64,
}

/// Sets each page's rank from the shares of those that link to it. Returns the sum of all changes.
fn step(
    pool: &Pool,
    graph: &Graph,
    shares: &SharedArray<f64>,
    ranks: &mut SharedArray<f64>,
    weights: Weights,
) -> Result<f64> {
    let (pages, parts) = (graph.degrees.len(), &graph.parts);
    let begins = graph.offsets.range(..pages);
    let ends = graph.offsets.range(1..);
    let rows = (begins.split_at(parts), ends.split_at(parts), graph.degrees.split_at(parts));
    let operands = (ranks.split_at_mut(parts), rows, graph.sources.whole(), shares.whole(), Val(weights));
    let change = pool.reduce(
        operands,
        0.0,
        |(ranks, (begins, ends, degrees), sources, shares, weights)| {
            let mut change = 0.0;
            for (((rank, begin), end), degree) in ranks.iter_mut().zip(begins).zip(ends).zip(degrees) {
                let sources = &sources[*begin as usize..*end as usize];
                let received: f64 = sources.iter().map(|source| shares[*source as usize]).sum();
                let is_page = *degree > 0 || !sources.is_empty();
                let new = if is_page { weights.base + weights.damping * received } else { 0.0 };
                change += (new - *rank).abs();
                *rank = new;
            }
            change
        },
        |a, b| a + b,
    )?;
    Ok(change)
}
