//! The same program with rayon, to compare with; and the same ranks the plainest way, to check.

use crate::edges::{UNUSED, cuts, parse_part};
use crate::rank::Until;
use common::{Result, map_bytes, refuse};
use rayon::prelude::*;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

/// Ranks, and seconds for reading, for the graph, and for all steps.
pub struct Peer {
    pub ranks: Vec<f64>,
    pub seconds: [f64; 3],
}

/// The whole run with rayon.
pub fn run(threads: usize, path: &Path, until: Until) -> Result<Peer> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let Some(text) = map_bytes(path)? else { return Err(refuse("there is no text")) };
    let text = text.as_slice();
    Ok(pool.install(|| rank(text, until))?)
}

fn rank(text: &[u8], until: Until) -> std::result::Result<Peer, String> {
    let mut clock = Instant::now();
    let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed().as_secs_f64();
    let parse = |cut: &[usize]| {
        let part = &text[cut[0]..cut[1]];
        let mut words = vec![0; part.iter().filter(|byte| **byte == b'\n').count() + 1];
        let highest = parse_part(part, &mut words)?;
        words.truncate(words.partition_point(|word| *word != UNUSED));
        Ok((words, highest))
    };
    let parsed = cuts(text).par_windows(2).map(parse).collect::<std::result::Result<Vec<_>, String>>()?;
    let pages = parsed.iter().map(|(_, highest)| *highest as usize).max().unwrap_or(0);
    let mut words: Vec<u64> = parsed.par_iter().flat_map_iter(|(words, _)| words.iter().copied()).collect();
    drop(parsed);
    let read = lap();
    words.par_sort_unstable();
    let sources: Vec<u32> = words.par_iter().map(|word| *word as u32).collect();
    let degrees: Vec<AtomicU32> = (0..pages).map(|_| AtomicU32::new(0)).collect();
    sources.par_iter().for_each(|source| {
        degrees[*source as usize].fetch_add(1, Relaxed);
    });
    let degrees: Vec<u32> = degrees.into_iter().map(AtomicU32::into_inner).collect();
    let begin = |page: usize| words.partition_point(|word| (*word >> 32) < page as u64);
    let offsets: Vec<usize> = (0..pages + 1).into_par_iter().with_min_len(1024).map(begin).collect();
    let present =
        (0..pages).into_par_iter().filter(|page| degrees[*page] > 0 || offsets[*page] < offsets[*page + 1]);
    let n = present.count() as f64;
    let built = lap();
    let ranks = steps(&offsets, &sources, &degrees, n, until);
    Ok(Peer { ranks, seconds: [read, built, lap()] })
}

fn steps(offsets: &[usize], sources: &[u32], degrees: &[u32], n: f64, until: Until) -> Vec<f64> {
    let is_page = |page: usize| degrees[page] > 0 || offsets[page] < offsets[page + 1];
    let first = |page| if is_page(page) { 1.0 / n } else { 0.0 };
    let mut ranks: Vec<f64> = (0..degrees.len()).into_par_iter().map(first).collect();
    let mut shares = Vec::new();
    for _ in 0..until.steps {
        let share = |(rank, degree): (&f64, &u32)| rank / f64::from((*degree).max(1));
        ranks.par_iter().zip(degrees).map(share).collect_into_vec(&mut shares);
        let stuck = ranks.par_iter().zip(degrees).filter(|(_, degree)| **degree == 0);
        let base = (1.0 - until.damping + until.damping * stuck.map(|(rank, _)| rank).sum::<f64>()) / n;
        let rows = ranks.par_iter_mut().with_min_len(1024).enumerate();
        let change = rows.map(|(page, rank)| {
            let sources = &sources[offsets[page]..offsets[page + 1]];
            let received: f64 = sources.iter().map(|source| shares[*source as usize]).sum();
            let new = if is_page(page) { base + until.damping * received } else { 0.0 };
            let change = (new - *rank).abs();
            *rank = new;
            change
        });
        if change.sum::<f64>() <= until.tolerance {
            break;
        }
    }
    ranks
}

/// Ranks by the definition: edge by edge, from a list of (from, to).
pub fn naive(edges: &[(usize, usize)], pages: usize, until: Until, steps: usize) -> Vec<f64> {
    let (mut degrees, mut present) = (vec![0.0; pages], vec![false; pages]);
    for &(from, to) in edges {
        degrees[from] += 1.0;
        (present[from], present[to]) = (true, true);
    }
    let n = present.iter().filter(|present| **present).count() as f64;
    let mut ranks: Vec<f64> = present.iter().map(|present| f64::from(*present) / n).collect();
    for _ in 0..steps {
        let stuck: f64 = ranks.iter().zip(&degrees).filter(|(_, d)| **d == 0.0).map(|(rank, _)| rank).sum();
        let base = (1.0 - until.damping + until.damping * stuck) / n;
        let mut next: Vec<f64> = present.iter().map(|present| base * f64::from(*present)).collect();
        for &(from, to) in edges {
            next[to] += until.damping * ranks[from] / degrees[from];
        }
        ranks = next;
    }
    ranks
}

/// The edges of a text, read the plainest way.
pub fn naive_edges(text: &str) -> Vec<(usize, usize)> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let edge = |line: &str| {
        let mut numbers = line.split_whitespace().map_while(|number| number.parse().ok());
        Some((numbers.next()?, numbers.next()?))
    };
    lines.filter_map(edge).collect()
}
