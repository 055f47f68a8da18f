//! The same job by threads of rayon, in one process: fast, and gone with the first file that crashes it.

use crate::Options;
use crate::job::{Job, Wrong, process};
use common::Result;
use rayon::prelude::*;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// All files, by as many threads as there are workers. Returns how many are bad, if it returns.
pub fn by_threads(options: &Options, jobs: &[Job]) -> Result<usize> {
    let threads = options.team.workers.map_or_else(rayon::current_num_threads, |workers| workers as usize);
    // One limit for all of them, so that a leak does not eat the machine's memory.
    common::limit_memory(options.memory.saturating_mul(threads as u64))?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let begin = Instant::now();
    let outcomes: Vec<_> = pool.install(|| jobs.par_iter().with_max_len(1).cloned().map(process).collect());
    let seconds = begin.elapsed().as_secs_f64();
    if let Some(Err(Wrong::Out(why))) = outcomes.iter().find(|outcome| matches!(outcome, Err(Wrong::Out(_))))
    {
        return Err(why.clone().into());
    }
    let bad = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    common::outln!("{} of {} files are done", outcomes.len() - bad, outcomes.len());
    common::outln!("seconds {seconds:.3}");
    Ok(bad)
}

/// Starts this program with rayon for the same files, and tells how that ended.
pub fn beside(options: &Options, first: &Job, files: usize, workers: usize, seconds: f64) -> Result<()> {
    let folder = Path::new(&first.from).parent().unwrap_or(Path::new("."));
    let out = tempfile::tempdir()?;
    let mut command = Command::new("/proc/self/exe");
    command.arg(folder).arg(out.path()).args(["--runtime", "rayon"]);
    command.args(["--workers", &workers.to_string(), "--memory", &options.memory.to_string()]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    // Nothing tells a thread that works long from one that never ends.
    let patience = Duration::from_secs_f64(5.0 + 4.0 * seconds);
    let (status, text) = wait(child, patience)?;
    let written = std::fs::read_dir(out.path())?.count();
    let time = text.lines().find_map(|line| line.strip_prefix("seconds ")?.parse::<f64>().ok());
    match (status, time) {
        (Some(status), Some(time)) if status.success() => {
            common::outln!("rayon       {time:.3} s, {:.2} x", time / seconds);
        }
        (Some(status), _) => {
            common::outln!("rayon       ended with {status}: {written} of {files} files are done");
        }
        (None, _) => common::outln!(
            "rayon       had not ended after {:.1} s: {written} of {files} files are done",
            patience.as_secs_f64()
        ),
    }
    Ok(())
}

/// Waits for it to end, or ends it. Returns its status if it ended by itself, and what it printed.
fn wait(mut child: Child, patience: Duration) -> Result<(Option<ExitStatus>, String)> {
    let begin = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if begin.elapsed() > patience => {
                child.kill()?;
                child.wait()?;
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let mut text = String::new();
    // It has ended, and it starts nobody who could hold the pipe open.
    child.stdout.take().map_or(Ok(0), |mut out| out.read_to_string(&mut text))?;
    Ok((status, text))
}
