//! The Python program: started, given rows to work on, waited for. Lines through pipes say whose turn it is;
//! the data go nowhere.

use common::Result;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::Range;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A Python that has mapped the array.
pub struct Partner {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What it works with.
    pub means: String,
}

impl Partner {
    /// Starts the script; `None` where there is no such Python.
    ///
    /// # Errors
    /// If it ends at once.
    pub fn start(python: &str) -> Result<Option<Partner>> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/bridge/partner.py");
        let mut command = Command::new(python);
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Ctrl-C is for this program, which ends the other.
        let mut process = match command.process_group(0).spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            started => started?,
        };
        let orders = process.stdin.take().ok_or("the partner has no input")?;
        let answers = BufReader::new(process.stdout.take().ok_or("the partner has no output")?);
        let mut partner = Partner { process, orders, answers, means: String::new() };
        partner.means = partner.answer()?;
        Ok(Some(partner))
    }

    /// Tells it the array's name, and returns when it has mapped it.
    ///
    /// # Errors
    /// If it cannot.
    pub fn open(&mut self, array: &Path) -> Result<()> {
        writeln!(self.orders, "{}", array.display())?;
        self.wait()
    }

    /// Gives it rows to work on, and returns while it does.
    ///
    /// # Errors
    /// If it has ended.
    pub fn begin(&mut self, rows: Range<usize>) -> Result<()> {
        Ok(writeln!(self.orders, "{} {}", rows.start, rows.end)?)
    }

    /// Waits until it has done what it was told.
    ///
    /// # Errors
    /// If it has ended.
    pub fn wait(&mut self) -> Result<()> {
        match self.answer()?.as_str() {
            "done" => Ok(()),
            other => Err(format!("the partner says {other:?}").into()),
        }
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line)? {
            0 => Err(format!("the partner has ended: {}", self.process.wait()?).into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        // It has nothing to do any more, or has gone already.
        let _ended = self.process.kill();
        let _waited = self.process.wait();
    }
}
