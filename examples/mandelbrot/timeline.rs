//! A picture of what each worker did when, from the trace of a pool.

use common::picture;
use phalanx::Pool;
use serde::Deserialize;
use std::path::Path;

/// Width of the picture: the time of the longest launch.
const WIDTH: usize = 1000;
/// Height of a worker's band, and of the gaps below it and below each launch.
const BAND: usize = 16;
const WORKER_GAP: usize = 2;
const LAUNCH_GAP: usize = 12;
const PAPER: [u8; 3] = [255; 3];
const IDLE: [u8; 3] = [220; 3];
const STOLEN: [u8; 3] = [230, 40, 60];

/// What is read of a trace in Chrome's format, as `Pool::write_trace` writes it.
#[derive(Deserialize)]
struct Trace {
    #[serde(rename = "traceEvents")]
    events: Vec<Event>,
}

/// Times are in microseconds.
#[derive(Deserialize)]
struct Event {
    /// `launch`, and for what a worker did of it `chunk` or, if another worker's, `stolen`.
    #[serde(default)]
    cat: String,
    /// 0 for launches, 1 and up for workers.
    #[serde(default)]
    tid: usize,
    #[serde(default)]
    ts: f64,
    #[serde(default)]
    dur: f64,
    args: Arguments,
}

#[derive(Deserialize)]
struct Arguments {
    /// First row of a chunk.
    lo: Option<usize>,
}

/// Draws the last `launches` launches over `rows` rows, one below the other: a band for each worker, in which
/// a chunk has the colour of its place among the rows, and a red foot if it was stolen.
pub fn draw(pool: &Pool, launches: usize, rows: usize, path: &Path) -> common::Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    pool.write_trace(file.path())?;
    let trace: Trace = serde_json::from_slice(&std::fs::read(file.path())?)?;
    let all: Vec<&Event> = trace.events.iter().filter(|event| event.cat == "launch").collect();
    let shown = &all[all.len().saturating_sub(launches)..];
    let scale = WIDTH as f64 / shown.iter().map(|launch| launch.dur).fold(1.0, f64::max);

    let launch_height = pool.workers() * (BAND + WORKER_GAP) + LAUNCH_GAP;
    let height = shown.len() * launch_height;
    let mut canvas = Canvas { rgb: PAPER.repeat(WIDTH * height) };
    for (nth, launch) in shown.iter().enumerate() {
        let top = |event: &Event| nth * launch_height + (event.tid - 1) * (BAND + WORKER_GAP);
        let x = |at: f64| (at - launch.ts) * scale;
        for rank in 0..pool.workers() {
            let top = nth * launch_height + rank * (BAND + WORKER_GAP);
            canvas.fill(0.0..launch.dur * scale, top..top + BAND, IDLE);
        }
        let is_within = |event: &&Event| event.ts >= launch.ts && event.ts < launch.ts + launch.dur;
        for event in trace.events.iter().filter(is_within) {
            let (Some(lo), "chunk" | "stolen") = (event.args.lo, event.cat.as_str()) else { continue };
            let (span, top) = (x(event.ts)..x(event.ts + event.dur), top(event));
            canvas.fill(span.clone(), top..top + BAND, picture::colour(lo as f64 / rows as f64));
            if event.cat == "stolen" {
                canvas.fill(span, top + BAND - 4..top + BAND, STOLEN);
            }
        }
    }
    picture::write_rgb(path, WIDTH, height, &canvas.rgb)
}

struct Canvas {
    rgb: Vec<u8>,
}

impl Canvas {
    /// Fills a rectangle, at least a pixel wide.
    fn fill(&mut self, x: std::ops::Range<f64>, y: std::ops::Range<usize>, colour: [u8; 3]) {
        let from = (x.start as usize).min(WIDTH - 1);
        let to = (x.end.ceil() as usize).clamp(from + 1, WIDTH);
        for y in y {
            let row = &mut self.rgb[3 * (y * WIDTH + from)..3 * (y * WIDTH + to)];
            row.as_chunks_mut().0.fill(colour);
        }
    }
}
