//! An example, as its folder declares it: `args`, `expected.txt` and `README.md` (examples/README.md says
//! what they hold).
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![allow(dead_code, reason = "each test binary uses its own part")]

mod expected;

pub use expected::Expected;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Seconds that one run may take before it counts as hanging.
const LIMIT: &str = "300";

/// The folder that holds the folders of examples.
pub fn examples() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Names of all examples: the folders that have a program.
pub fn names() -> Vec<String> {
    let folders = fs::read_dir(examples()).unwrap().map(|entry| entry.unwrap().path());
    let programs = folders.filter(|folder| folder.join("main.rs").exists());
    let mut names: Vec<_> =
        programs.map(|folder| folder.file_name().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// One example.
pub struct Example {
    name: String,
    folder: PathBuf,
}

impl Example {
    pub fn new(name: &str) -> Example {
        Example { name: name.to_owned(), folder: examples().join(name) }
    }

    /// A file of its folder. Panics, naming the file, if it is missing.
    pub fn text(&self, file: &str) -> String {
        let path = self.folder.join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The arguments of each run, as a user would type them. Without `args` there is one run without
    /// arguments.
    pub fn runs(&self) -> Vec<String> {
        match self.folder.join("args").exists() {
            true => self.text("args").lines().map(str::to_owned).collect(),
            false => vec![String::new()],
        }
    }

    pub fn expected(&self) -> Expected {
        Expected::parse(&self.text("expected.txt"))
    }

    /// Runs the program from the root of the workspace.
    ///
    /// # Errors
    /// What it reported, if it failed or was still running at the time limit (status 124).
    pub fn output(&self, arguments: &str) -> Result<String, String> {
        // All programs of the package lie beside each other, built in the profile of this test.
        let program = Path::new(env!("CARGO_BIN_EXE_hello")).with_file_name(&self.name);
        let output = Command::new("timeout")
            .arg(LIMIT)
            .arg(program)
            .args(arguments.split_whitespace())
            .current_dir(examples().parent().unwrap())
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot be started: {error}"))?;
        let [text, errors] =
            [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
        if output.status.success() { Ok(text) } else { Err(format!("{}\n{text}{errors}", output.status)) }
    }
}
