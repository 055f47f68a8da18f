//! `report`: results as one page.

mod bars;
mod html;
mod lines;

use crate::bench::Inspection;
use crate::harness::{Options, Outcome};
use crate::sizing::chart;
use clap::Args;
use std::io::Read;
use std::path::PathBuf;

/// Results of --json as one page of HTML, with pictures, the machine and the commands
#[derive(Debug, Args)]
pub struct Page {
    /// Files with lines that --json printed, in the order of the page; `-` is standard input
    #[arg(value_name = "FILES", required = true)]
    files: Vec<PathBuf>,

    /// Write the page here [default: to standard output]
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,

    /// Title of the page
    #[arg(long, value_name = "TEXT", default_value = "Results of phalanx-bench")]
    title: String,
}

impl Inspection for Page {
    const NAME: &'static str = "report";

    fn run(&self, _: &Options, json: bool) -> Outcome<usize> {
        if json {
            return Err(
                "report reads JSON and makes a page: leave --json to the commands that measure".into()
            );
        }
        chart::check(self.out.as_deref())?;
        let mut runs = Vec::new();
        for file in &self.files {
            let name = file.display().to_string();
            let text = if name == "-" {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).map(|_| text)
            } else {
                std::fs::read_to_string(file)
            };
            let text = text.map_err(|error| format!("cannot read {name}: {error}"))?;
            let own = lines::read(&name, &text)?;
            if own.is_empty() {
                return Err(format!("{name} has no results").into());
            }
            runs.extend(own);
        }
        let page = html::page(&self.title, &runs);
        match &self.out {
            Some(file) => std::fs::write(file, page)
                .map_err(|error| format!("cannot write {}: {error}", file.display()))?,
            None => print!("{page}"),
        }
        Ok(0)
    }
}
