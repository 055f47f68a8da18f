//! The most frequent words of a text of any size.
//!
//! The file is mapped and cut between lines, by `phalanx_kernels::records`. Each worker folds whole lines
//! into a map of words; maps are merged in order. A serial pass checks the counts.

mod generate;
#[cfg(test)]
mod tests;
mod words;

use clap::{Parser, Subcommand};
use common::{Closing, Meter, Result, Team, bytes, count, grouped, map_bytes, refuse};
use phalanx::{Pool, SharedArray};
use phalanx_kernels::records::Records;
use rayon::prelude::*;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use words::Words;

/// Bytes of a part, and the most parts. Each part has a map of its own, so there should not be too many.
const PART: usize = 4 << 20;
const MOST_PARTS: usize = 32;

/// The most frequent words of a text of any size.
///
/// Words are longest runs of Unicode letters. Bytes that are not UTF-8 are counted, and end words.
/// The file must not be changed while the program runs.
///
/// Exit codes: 0 done, 1 a wrong result or a failure, 2 a file or option that cannot be used.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,

    /// The text [default: one is made, of --bytes bytes]
    file: Option<PathBuf>,

    /// Bytes of the text that is made
    #[arg(long, value_name = "N", value_parser = count, default_value = "100M")]
    bytes: u64,

    /// Words to show
    #[arg(long, value_name = "N", value_parser = count, default_value = "10")]
    top: u64,

    /// Count words in lower case
    #[arg(long)]
    fold_case: bool,

    /// Leave out the check by a serial pass
    #[arg(long)]
    no_check: bool,

    /// Also count by threads of rayon, as many as there are workers, and show their time
    #[arg(long)]
    peer: bool,

    #[command(flatten)]
    team: Team,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a text to try the program on
    Generate {
        /// Bytes, such as 2G
        #[arg(value_parser = count)]
        bytes: u64,
        /// The file to write
        file: PathBuf,
        #[command(flatten)]
        team: Team,
    },
}

fn main() -> ExitCode {
    common::run("wordcount", || work(&Options::parse()))
}

fn work(options: &Options) -> Result<()> {
    if let Some(Command::Generate { bytes, file, team }) = &options.command {
        return generate::generate(&team.pool("wordcount")?, *bytes, file);
    }
    let pool = options.team.pool("wordcount")?;
    let (text, what) = match &options.file {
        Some(path) => (map_bytes(path)?, path.display().to_string()),
        None => {
            let folder = tempfile::tempdir()?;
            let path = folder.path().join("made");
            generate::generate(&pool, options.bytes, &path)?;
            // The file stays as long as it is mapped; its name goes with the folder.
            (map_bytes(&path)?, "a text made for this run".to_owned())
        }
    };
    match text.as_deref() {
        Some(text) => report(options, &pool, text, &what),
        None => Err(refuse(format!("{what}: the file is empty"))),
    }
}

fn report(options: &Options, pool: &Pool, text: &SharedArray<u8>, what: &str) -> Result<()> {
    let start = Instant::now();
    let parts = (text.len() / PART).clamp(1, MOST_PARTS);
    let cuts = Records::lines().cuts(pool, text, parts)?;
    let words = count_words(pool, text, &cuts, options.fold_case)?;
    let seconds = start.elapsed().as_secs_f64();
    common::outln!("data        {what}, {}", bytes(text.len() as u64));
    common::outln!(
        "words       {}, {} of them different",
        grouped(words.total()),
        grouped(words.counts.len() as u64)
    );
    common::outln!("invalid     {} places are not UTF-8", grouped(words.invalid));
    for (word, count) in words.top(usize::try_from(options.top)?) {
        common::outln!("{:>13}  {word}", grouped(count));
    }
    let mut closing = Closing::new(pool, seconds, text.len() as f64, "bytes").memory(pool, text.len() as u64);
    if !options.no_check {
        let start = Instant::now();
        let mut serial = Words::default();
        serial.add_text(text.as_slice(), options.fold_case);
        closing = closing.beside("a serial pass", start.elapsed().as_secs_f64());
        if words != serial {
            return Err("a serial pass counted other words".into());
        }
        common::outln!("verified    a serial pass counted the same words");
    }
    common::out!("{closing}");
    if options.peer {
        let start = Instant::now();
        if words != by_rayon(pool.workers(), text.as_slice(), &cuts, options.fold_case)? {
            return Err("rayon counted other words".into());
        }
        common::outln!("rayon       {:.3} s, the same words", start.elapsed().as_secs_f64());
    }
    Ok(())
}

/// All words, by the workers.
fn count_words(pool: &Pool, text: &SharedArray<u8>, cuts: &[usize], fold_case: bool) -> Result<Words> {
    let meter = Meter::new("counting", text.len() as u64);
    let tell = meter.follow(text.len() as u64);
    Ok(pool.launch().retry(2).progress(&tell).fold(
        (text.split_at(cuts), fold_case),
        Words::default,
        |words, (text, fold_case)| words.add_text(text, fold_case),
        Words::merge,
    )?)
}

/// The same by threads of rayon.
fn by_rayon(threads: usize, text: &[u8], cuts: &[usize], fold_case: bool) -> Result<Words> {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let parts: Vec<_> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
    let add = |mut words: Words, part: &&[u8]| {
        words.add_text(part, fold_case);
        words
    };
    let merge = |mut words: Words, more: Words| {
        words.merge(more);
        words
    };
    Ok(threads.install(|| parts.par_iter().fold(Words::default, add).reduce(Words::default, merge)))
}
