//! Conway's life on a torus full of glider guns: launches over two-dimensional tiles and their neighbours,
//! and pictures by another thread from snapshots.

mod rule;

use clap::Parser;
use common::picture::write_rgb;
use common::{Closing, Meter, Result, Team, bytes, count, grouped, refuse};
use ndarray::{Array2, ArrayView2, Ix2, s};
use phalanx::shared::Snapshot;
use phalanx::{Edge, Pool, SharedArray};
use rule::{BLOCK, advance, block};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Rows and columns of a tile: two of them fit into a core's second-level cache.
const TILE: (usize, usize) = (128, 1024);
/// Width and height of a picture.
const PIXELS: usize = 512;

/// Conway's game of life on a torus full of glider guns.
#[derive(Debug, Parser)]
#[command(
    name = "life",
    after_help = "Examples:\n  \
        life --side 16384 --generations 300\n  \
        life --generations 600 --frames pictures --every 30\n\n\
        Exit codes: 0 done, 1 a cell is wrong or a worker died, 2 an option is wrong."
)]
struct Options {
    /// Rows and columns of the torus, a multiple of 256; each block of 256 x 256 has a gun
    #[arg(long, value_name = "N", default_value = "4096", value_parser = count)]
    side: u64,

    /// Generations
    #[arg(long, value_name = "N", default_value = "300", value_parser = count)]
    generations: u64,

    /// Write pictures of a corner of the torus into this folder while it runs
    #[arg(long, value_name = "FOLDER")]
    frames: Option<PathBuf>,

    /// Generations between two pictures
    #[arg(long, value_name = "N", default_value = "30", value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,

    #[command(flatten)]
    team: Team,
}

fn main() -> ExitCode {
    common::run("life", || work(&Options::parse()))
}

fn work(options: &Options) -> Result<()> {
    let side = usize::try_from(options.side)?;
    if !(BLOCK..=1 << 17).contains(&side) || !side.is_multiple_of(BLOCK) {
        return Err(refuse(format!("--side takes multiples of {BLOCK} up to {}", 1 << 17)));
    }
    if let Some(folder) = &options.frames {
        let made = std::fs::create_dir_all(folder);
        made.map_err(|error| refuse(format!("{} cannot be made: {error}", folder.display())))?;
    }
    let pool = options.team.pool("life")?;
    let mut cells = tiled(&pool, side)?;
    common::outln!(
        "{side} x {side} cells, {}, guns: {}",
        bytes(cells.len() as u64),
        grouped((side / BLOCK).pow(2) as u64)
    );
    let start = Instant::now();
    cells = play(&pool, cells, options)?;
    let seconds = start.elapsed().as_secs_f64();
    let alive = check(&pool, &cells, options.generations)?;
    common::outln!("{} generations: {} cells are alive", grouped(options.generations), grouped(alive));
    common::outln!("verified    each block is what a block alone becomes");

    let sample = Options { generations: options.generations.div_ceil(10), frames: None, ..*options };
    let alone = options.team.pool_of("life", 1)?;
    let (memory, start) = (2 * cells.len() as u64, Instant::now());
    let cells = play(&alone, cells, &sample)?;
    let one = start.elapsed().as_secs_f64() * options.generations as f64 / sample.generations.max(1) as f64;
    let closing = Closing::new(&pool, seconds, cells.len() as f64 * options.generations as f64, "updates");
    common::out!(
        "{}",
        closing.beside("one worker, from a tenth of the generations", one).memory(&pool, memory)
    );
    Ok(())
}

/// A torus of blocks, all the same.
fn tiled(pool: &Pool, side: usize) -> Result<SharedArray<u8, Ix2>> {
    let block = pool.from_slice(block().as_slice().unwrap_or_default())?;
    let mut cells = pool.zeros_nd::<u8, _>((side, side))?;
    pool.for_each((cells.split_out(), 0..side, block.whole()), |(mut rows, at, block)| {
        for (mut row, i) in rows.rows_mut().into_iter().zip(at) {
            let line = &block[i % BLOCK * BLOCK..][..BLOCK];
            row.iter_mut().zip(line.iter().cycle()).for_each(|(cell, first)| *cell = *first);
        }
    })?;
    Ok(cells)
}

/// All generations, each a launch. Pictures are written meanwhile, by a thread that looks at snapshots.
fn play(pool: &Pool, mut now: SharedArray<u8, Ix2>, options: &Options) -> Result<SharedArray<u8, Ix2>> {
    let mut next = pool.zeros_nd::<u8, _>(now.view().dim())?;
    let corner = PIXELS.min(now.shape()[0]);
    let (mut publisher, snapshot) = pool.snapshot::<u8, _>((corner, corner))?;
    let meter = Meter::counting("generations", options.generations);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let folder = options.frames.as_deref();
        let painter = folder
            .map(|folder| scope.spawn(|| paint(snapshot, folder, &is_over).map_err(|why| why.to_string())));
        let played = (1..=options.generations).try_for_each(|generation| -> Result<()> {
            let operands = (next.tiles_out(TILE), now.tiles_halo(TILE, [1, 1], Edge::Wrap));
            pool.for_each(operands, |(next, now)| advance(next.view, &now.view))?;
            std::mem::swap(&mut now, &mut next);
            if painter.is_some() && generation % u64::from(options.every) == 0 {
                publisher.publish(generation, now.view().slice(s![..corner, ..corner]))?;
            }
            meter.advance(1);
            Ok(())
        });
        is_over.store(true, Ordering::Release);
        let painted = painter.map_or(Ok(()), |painter| painter.join().expect("it does not panic"));
        played.and_then(|()| Ok(painted?))
    })?;
    Ok(now)
}

/// Writes what is published, until all is over.
fn paint(mut snapshot: Snapshot<u8, Ix2>, folder: &Path, is_over: &AtomicBool) -> Result<()> {
    loop {
        let was_over = is_over.load(Ordering::Acquire);
        if let Some(frame) = snapshot.next_timeout(Duration::from_millis(50))? {
            let path = folder.join(format!("generation-{:08}.png", frame.step));
            let (rows, columns) = frame.data.dim();
            let shade = |cell: &u8| if *cell == 1 { [20, 24, 60] } else { [244, 246, 250] };
            let rgb: Vec<u8> = frame.data.iter().flat_map(shade).collect();
            write_rgb(&path, columns, rows, &rgb)?;
        } else if was_over {
            return Ok(());
        }
    }
}

/// Plays one block alone, in this thread, and compares all others with it. Returns how many cells are alive.
fn check(pool: &Pool, cells: &SharedArray<u8, Ix2>, generations: u64) -> Result<u64> {
    let alone = pool.from_slice(block_after(generations).as_slice().unwrap_or_default())?;
    let operands = (cells.split(), 0..cells.shape()[0], alone.whole());
    let [wrong, alive] = pool.reduce(
        operands,
        [0u64; 2],
        |(rows, at, block)| {
            let mut found = [0, 0];
            for (row, i) in rows.rows().into_iter().zip(at) {
                let line = &block[i % BLOCK * BLOCK..][..BLOCK];
                found[0] +=
                    row.iter().zip(line.iter().cycle()).filter(|(cell, exact)| cell != exact).count() as u64;
                found[1] += row.iter().map(|cell| u64::from(*cell)).sum::<u64>();
            }
            found
        },
        |a: [u64; 2], b| [a[0] + b[0], a[1] + b[1]],
    )?;
    if wrong > 0 {
        return Err(format!("{wrong} cells are not what a block alone becomes; please report this").into());
    }
    Ok(alive)
}

/// A block as a torus of its own.
fn block_after(generations: u64) -> Array2<u8> {
    let mut now = block();
    let framed = |now: &ArrayView2<'_, u8>| {
        Array2::from_shape_fn((BLOCK + 2, BLOCK + 2), |(i, j)| {
            now[[(i + BLOCK - 1) % BLOCK, (j + BLOCK - 1) % BLOCK]]
        })
    };
    for _ in 0..generations {
        let mut next = Array2::zeros(now.dim());
        advance(next.view_mut(), &framed(&now.view()).view());
        now = next;
    }
    now
}
