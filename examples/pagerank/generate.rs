//! Makes an edge list in which few pages have most of the links.

use common::{Draft, Meter, Result, random};
use phalanx::{CancelToken, Pool};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// Edges that one task makes, as text.
const BLOCK: u64 = 1 << 18;

/// Writes `edges` edges between `pages` pages. The text depends on the numbers only; it is made by the
/// workers, written in order, and appears under its name when it is whole.
pub fn generate(pool: &Pool, pages: u64, edges: u64, seed: u64, path: &Path) -> Result<()> {
    // After Ctrl-C the draft is dropped, which removes it.
    let stop = CancelToken::on_ctrl_c()?;
    let mut draft = Draft::create(path)?;
    writeln!(draft.file(), "# {pages} pages, {edges} edges, seed {seed}\n# from\tto")?;
    let meter = Meter::new("generate", edges);
    let blocks = (0..edges.div_ceil(BLOCK))
        .map(|block| (pages, seed, block * BLOCK, ((block + 1) * BLOCK).min(edges)));
    let text = |(pages, seed, first, end): (u64, u64, u64, u64)| {
        let mut text = String::with_capacity((end - first) as usize * 16);
        for i in first..end {
            let (from, to) = edge(pages, seed, i);
            let _ = writeln!(text, "{from}\t{to}");
        }
        text
    };
    for text in pool.imap(text, blocks) {
        if stop.is_cancelled() {
            return Err("interrupted".into());
        }
        draft.file().write_all(text?.as_bytes())?;
        meter.advance(BLOCK);
    }
    draft.finish()
}

/// Edge `i`: from any page but every eighth, which thus has no links; to page x N with a density of x^(-2/3),
/// so that a tenth of the pages receives about half of the links, in an order that is no longer seen.
fn edge(pages: u64, seed: u64, i: u64) -> (u64, u64) {
    let (a, b) = (random(seed, 2 * i), random(seed, 2 * i + 1));
    let below = |bits: u64, end: u64| ((u128::from(bits) * u128::from(end)) >> 64) as u64;
    let from = below(a, pages);
    let x = (b >> 11) as f64 / (1u64 << 53) as f64;
    let to = ((x * x * x * pages as f64) as u64).min(pages - 1);
    // A prime spreads neighbours over all numbers.
    let spread = |page: u64| (u128::from(page) * 2_654_435_761 % u128::from(pages)) as u64;
    (if from % 8 == 7 { from - 7 } else { from }, spread(to))
}
