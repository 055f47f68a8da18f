//! How often each k-mer occurs in a FASTA or FASTQ file.
//!
//! Two launches write the k-mers of all parts side by side: one counts them, so that each part knows its
//! place. `phalanx_kernels::order::unique_counts` sorts and counts them.

mod reads;
#[cfg(test)]
mod tests;

use clap::Parser;
use common::{Closing, Result, Team, bytes, count, grouped, map_bytes, random, refuse};
use flate2::read::MultiGzDecoder;
use phalanx::{Pool, SharedArray};
use phalanx_kernels::order::unique_counts;
use phalanx_kernels::records::Records;
use reads::{Format, each_kmer, letters};
use rustc_hash::FxHashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Bytes of a part, and the most parts.
const PART: usize = 1 << 20;
const MOST_PARTS: usize = 4096;
/// How often a k-mer occurs, up to which the histogram tells.
const MOST_SHOWN: usize = 8;

/// How often each k-mer occurs in a FASTA or FASTQ file.
///
/// A k-mer and its reverse complement count as one, named by the smaller. K-mers with letters other than A,
/// C, G, T and U are left out. Records of FASTQ have four lines. Files may be compressed by gzip. The file
/// must not be changed while the program runs.
///
/// Exit codes: 0 done, 1 a wrong result or a failure, 2 a file or option that cannot be used.
#[derive(Debug, Parser)]
struct Options {
    /// The file [default: sequences are made, of --bases letters]
    file: Option<PathBuf>,

    /// Letters of the sequences that are made
    #[arg(long, value_name = "N", value_parser = count, default_value = "10M")]
    bases: u64,

    /// Length of a k-mer
    #[arg(short, value_name = "K", default_value = "21", value_parser = clap::value_parser!(u32).range(1..=32))]
    k: u32,

    /// K-mers to show, those that occur most often first
    #[arg(long, value_name = "N", value_parser = count, default_value = "5")]
    top: u64,

    /// Leave out the check by a serial pass
    #[arg(long)]
    no_check: bool,

    #[command(flatten)]
    team: Team,
}

fn main() -> ExitCode {
    common::run("kmers", || work(&Options::parse()))
}

fn work(options: &Options) -> Result<()> {
    let pool = options.team.pool("kmers")?;
    let Some(path) = &options.file else {
        let text = make(&pool, options.bases)?;
        return report(options, &pool, &text, "sequences made for this run");
    };
    let what = path.display().to_string();
    let mapped = map_bytes(path)?;
    match mapped.as_deref() {
        Some(packed) if packed.as_slice().starts_with(&[0x1f, 0x8b]) => {
            report(options, &pool, &unpack(&pool, path, packed.as_slice())?, &what)
        }
        Some(text) => report(options, &pool, text, &what),
        None => Err(refuse(format!("{what}: the file is empty"))),
    }
}

/// Unpacks a file in this thread: gzip has no other way.
fn unpack(pool: &Pool, path: &Path, packed: &[u8]) -> Result<SharedArray<u8>> {
    let mut text = Vec::new();
    let outcome = MultiGzDecoder::new(packed).read_to_end(&mut text);
    outcome.map_err(|error| refuse(format!("{}: gzip: {error}", path.display())))?;
    Ok(pool.from_slice(&text)?)
}

/// FASTA of lines of 80 letters, every thousandth of them a header. A quarter of all lines repeat one of 50,
/// and some letters are N.
fn make(pool: &Pool, bases: u64) -> Result<SharedArray<u8>> {
    let len = usize::try_from(bases.div_ceil(80) * 81)?.max(81);
    Ok(pool.from_fn(len, move |i| {
        let (line, column) = (i as u64 / 81, i as u64 % 81);
        match (line % 1000, column) {
            (_, 80) => b'\n',
            (0, 0) => b'>',
            (0, _) => b'.',
            _ => {
                let line_dice = random(0, line);
                let source = if line_dice.is_multiple_of(4) { line_dice / 4 % 50 } else { line };
                let letter = random(0, !(81 * source + column));
                if letter.is_multiple_of(5000) { b'N' } else { b"ACGT"[(letter >> 32) as usize % 4] }
            }
        }
    })?)
}

fn report(options: &Options, pool: &Pool, text: &SharedArray<u8>, what: &str) -> Result<()> {
    let Some(format) = Format::of(text.as_slice()) else {
        return Err(refuse(format!(
            "{what}: neither FASTA, which begins with >, nor FASTQ, which begins with @"
        )));
    };
    let start = Instant::now();
    let all = kmers(pool, text, format, options.k)?;
    let (kinds, counts) = unique_counts(pool, &all)?;
    let seconds = start.elapsed().as_secs_f64();
    common::outln!("data        {what}, {}, {format:?}", bytes(text.len() as u64));
    common::outln!(
        "{:<11} {}, {} of them different",
        format!("{}-mers", options.k),
        grouped(all.len() as u64),
        grouped(kinds.len() as u64)
    );
    for (times, kinds) in
        histogram(pool, &counts)?.iter().enumerate().skip(1).filter(|(_, kinds)| **kinds > 0)
    {
        let more = if times == MOST_SHOWN { " or more" } else { "" };
        common::outln!("{:>13}  occur {times}{more} times", grouped(*kinds));
    }
    for [count, kmer] in top(pool, &kinds, &counts, options.top)? {
        common::outln!("{:>13}  {}", grouped(count), letters(kmer, options.k));
    }
    let mut closing = Closing::new(pool, seconds, text.len() as f64, "bytes").memory(pool, text.len() as u64);
    if !options.no_check {
        let start = Instant::now();
        let mut serial = FxHashMap::<u64, u64>::default();
        let whole = text.as_slice();
        each_kmer(whole, 0..whole.len(), format, options.k, |kmer| *serial.entry(kmer).or_default() += 1);
        closing = closing.beside("a serial pass", start.elapsed().as_secs_f64());
        let mut both = kinds.as_slice().iter().zip(counts.as_slice());
        let is_right = both.all(|(kind, count)| serial.get(kind) == Some(count));
        if !is_right || serial.len() != kinds.len() {
            return Err("a serial pass counted other k-mers".into());
        }
        common::outln!("verified    a serial pass counted the same k-mers");
    }
    common::out!("{closing}");
    Ok(())
}

/// All k-mers, in the order of the text.
fn kmers(pool: &Pool, text: &SharedArray<u8>, format: Format, k: u32) -> Result<SharedArray<u64>> {
    let parts = (text.len() / PART).clamp(1, MOST_PARTS);
    let (records, is_fastq) = match format {
        Format::Fasta => (Records::lines(), false),
        Format::Fastq => (Records::fastq(), true),
    };
    let cuts = records.cuts(pool, text, parts)?;
    let spans: Vec<_> = cuts.windows(2).map(|cut| [cut[0] as u64, cut[1] as u64]).collect();
    let spans = pool.from_slice(&spans)?;
    let mut sizes = pool.zeros::<u64>(parts)?;
    let operands = (sizes.split_out(), spans.split(), text.whole(), is_fastq, k);
    pool.launch().chunk(1).retry(2).for_each(operands, |(size, span, text, is_fastq, k)| {
        let (mut kmers, format) = (0, if is_fastq { Format::Fastq } else { Format::Fasta });
        each_kmer(text, span[0][0] as usize..span[0][1] as usize, format, k, |_| kmers += 1);
        size[0] = kmers;
    })?;
    let mut places = vec![0; parts + 1];
    for (part, size) in sizes.as_slice().iter().enumerate() {
        places[part + 1] = places[part] + *size as usize;
    }
    let mut all = pool.zeros::<u64>(places[parts])?;
    let operands = (all.split_at_mut(&places), spans.split(), text.whole(), is_fastq, k);
    // To write the same once more does no harm.
    pool.launch().retry(2).retry_in_place().for_each(operands, |(all, span, text, is_fastq, k)| {
        let (mut places, format) = (all.iter_mut(), if is_fastq { Format::Fastq } else { Format::Fasta });
        each_kmer(text, span[0][0] as usize..span[0][1] as usize, format, k, |kmer| {
            if let Some(place) = places.next() {
                *place = kmer;
            }
        });
    })?;
    Ok(all)
}

/// How many k-mers occur once, twice and so on.
fn histogram(pool: &Pool, counts: &SharedArray<u64>) -> Result<Vec<u64>> {
    let mut table = pool.zeros::<u64>(MOST_SHOWN + 1)?;
    pool.for_each((counts.split(), table.reduce(0, |a, b| a + b)), |(counts, table)| {
        for count in counts {
            table[MOST_SHOWN.min(*count as usize)] += 1;
        }
    })?;
    Ok(table.to_vec())
}

/// The most frequent k-mers, with their counts; of equally frequent ones those that sort first.
fn top(pool: &Pool, kinds: &SharedArray<u64>, counts: &SharedArray<u64>, n: u64) -> Result<Vec<[u64; 2]>> {
    let operands = (kinds.split(), counts.split(), n as usize);
    let mut best = pool.fold(
        operands,
        Vec::new,
        |best, (kinds, counts, n)| {
            best.extend(counts.iter().zip(kinds).map(|(count, kind)| [*count, *kind]));
            keep_best(best, n);
        },
        |best, more: Vec<[u64; 2]>| best.extend(more),
    )?;
    keep_best(&mut best, n as usize);
    Ok(best)
}

fn keep_best(all: &mut Vec<[u64; 2]>, n: usize) {
    all.sort_unstable_by_key(|[count, kind]| (std::cmp::Reverse(*count), *kind));
    all.truncate(n);
}
