//! The program starts itself, kills itself at random moments, and compares.

use crate::{Options, journal_of};
use common::Result;
use std::path::Path;
use std::process::{Command, Stdio};

/// Lets the job be killed so many times, and compares its bits with those of an undisturbed one.
pub fn rehearse(options: &Options, kills: u32) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let whole = folder.path().join("undisturbed.png");
    let expected = digest(command(options, &whole))?;
    let picture = folder.path().join("killed.png");
    let journal = journal_of(&picture);
    let len = || std::fs::metadata(&journal).map_or(0, |about| about.len());
    let (mut done, mut random) = (0, 0x9e37_79b9_7f4a_7c15_u64);
    let size = options.pixels * (options.pixels * 9 + 40);
    while done < kills {
        // Killed when the journal has grown by a random share of what the kills have left for each other.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let share = size.saturating_sub(len()) / u64::from(kills - done + 1);
        let until = len() + 1 + random % share.max(1);
        let mut child = command(options, &picture).spawn()?;
        while len() < until && child.try_wait()?.is_none() {
            std::thread::yield_now();
        }
        if child.try_wait()?.is_some() {
            break;
        }
        child.kill()?;
        child.wait()?;
        done += 1;
    }
    let again = digest(command(options, &picture))?;
    common::outln!("killed      {done} times");
    common::outln!("digest      {again}, undisturbed {expected}");
    if again != expected {
        return Err("the bits differ from those of an undisturbed run; please report this".into());
    }
    common::outln!("verified    the same bits");
    Ok(())
}

fn command(options: &Options, picture: &Path) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(picture).stdout(Stdio::null());
    command.args(["--pixels", &options.pixels.to_string(), "--steps", &options.steps.to_string()]);
    if let Some(workers) = options.team.workers {
        command.args(["--workers", &workers.to_string()]);
    }
    command
}

/// Runs a command to its end, and reads the digest that it prints.
fn digest(mut command: Command) -> Result<String> {
    let output = command.stdout(Stdio::piped()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let digest = text.lines().find_map(|line| line.strip_prefix("digest ")?.split(';').next());
    match digest {
        Some(digest) => Ok(digest.trim().to_owned()),
        None => {
            Err(format!("{} did not end well: {}", command.get_program().display(), output.status).into())
        }
    }
}
