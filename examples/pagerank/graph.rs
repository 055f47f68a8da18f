//! Edges to compressed rows: row `to` lists the pages that link to it.

use crate::edges::Edges;
use common::{Result, refuse};
use phalanx::{Pool, SharedArray};
use phalanx_kernels::order::sort;
use std::sync::atomic::Ordering::Relaxed;

/// Edges and pages that a part has about.
const PART_WORK: usize = 1 << 16;

/// Who links to whom.
pub struct Graph {
    /// The links to page `i` come from `sources[offsets[i]..offsets[i + 1]]`, in ascending order; a link that
    /// is given twice counts twice.
    pub offsets: SharedArray<u64>,
    pub sources: SharedArray<u32>,
    /// Links that leave each page.
    pub degrees: SharedArray<u32>,
    /// Part `k` has the pages `parts[k]..parts[k + 1]`; all parts are about equal work.
    pub parts: Vec<usize>,
    /// Pages that have a link, in or out. Numbers between them that do not occur are no pages.
    pub present: u64,
}

impl Graph {
    pub fn new(pool: &Pool, edges: Edges) -> Result<Graph> {
        let Edges { mut words, pages, .. } = edges;
        sort(pool, &mut words)?;
        let links = words.as_slice().partition_point(|word| *word != crate::edges::UNUSED);
        if links == 0 {
            return Err(refuse("there are no edges"));
        }
        let (words, mut sources) = (words.range(..links), pool.zeros::<u32>(links)?);
        let mut degrees = pool.zeros::<u32>(pages)?;
        let operands = (sources.split_out(), words.split(), degrees.atomic());
        pool.for_each(operands, |(sources, words, degrees)| {
            for (source, word) in sources.iter_mut().zip(words) {
                *source = *word as u32;
                degrees[*source as usize].fetch_add(1, Relaxed);
            }
        })?;
        let mut offsets = pool.zeros::<u64>(pages + 1)?;
        pool.for_each((offsets.split_out(), 0..pages + 1, words.whole()), |(offsets, span, words)| {
            let mut at = words.partition_point(|word| (*word >> 32) < span.start as u64);
            for (offset, page) in offsets.iter_mut().zip(span) {
                at += words[at..].iter().take_while(|word| (**word >> 32) < page as u64).count();
                *offset = at as u64;
            }
        })?;
        let operands = (0..pages, offsets.whole(), degrees.split());
        let present = pool.reduce(
            operands,
            0,
            |(span, offsets, degrees)| {
                let present =
                    |(page, degree): (usize, &u32)| *degree > 0 || offsets[page] < offsets[page + 1];
                span.zip(degrees).filter(|each| present(*each)).count() as u64
            },
            |a, b| a + b,
        )?;
        let parts = cut(offsets.as_slice());
        Ok(Graph { offsets, sources, degrees, parts, present })
    }
}

/// Rows in parts of about equal numbers of edges and rows together.
fn cut(offsets: &[u64]) -> Vec<usize> {
    let rows = offsets.len() - 1;
    let work = |row: usize| offsets[row] as usize + row;
    let count = (work(rows) / PART_WORK).max(1);
    let mut parts = vec![0];
    for part in 1..count {
        // The first row at which that share of the work is done, by bisection.
        let share = (work(rows) as u128 * part as u128 / count as u128) as usize;
        let (mut low, mut high) = (parts[part - 1], rows);
        while low < high {
            let middle = low.midpoint(high);
            if work(middle) < share { low = middle + 1 } else { high = middle }
        }
        parts.push(low);
    }
    parts.push(rows);
    parts
}
