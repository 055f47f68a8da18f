//! `doctor`: what limits this machine, what it costs, and what to do about it.

mod cpus;
mod finding;
mod group;
mod host;
mod load;
mod memory;
mod pages;
mod rights;

use crate::bench::Inspection;
use crate::harness::{Options, Outcome};
use clap::Args;
use finding::{Finding, Verdict};
use host::Host;
use phalanx::topology::{Limits, Machine};

/// What limits this machine: CPUs, memory, rights and load, what each costs, and what to do
#[derive(Debug, Args)]
pub struct Doctor {
    /// Show only findings that cost something or are worth knowing
    #[arg(long)]
    brief: bool,
}

impl Inspection for Doctor {
    const NAME: &'static str = "doctor";

    fn run(&self, _: &Options, json: bool) -> Outcome<usize> {
        let (host, machine, limits) = (Host::here(), Machine::detect()?, Limits::detect());
        let looks: [&dyn Fn() -> Vec<Finding>; 4] = [
            &|| cpus::look(&host, &machine, &limits),
            &|| memory::look(&host, &machine),
            &|| rights::look(&host),
            &|| load::look(&host, &limits.allowed),
        ];
        let mut dear = 0;
        for look in looks {
            for finding in look() {
                dear += usize::from(finding.is_dear());
                if json {
                    println!("{}", serde_json::to_string(&finding)?);
                } else if !self.brief || finding.verdict != Verdict::Good {
                    println!("{finding}");
                }
            }
        }
        if !json {
            println!(
                "{}",
                match dear {
                    0 => "nothing costs more than a tenth of the machine".to_owned(),
                    1 => "one finding costs more than a tenth of the machine".to_owned(),
                    dear => format!("{dear} findings cost more than a tenth of the machine each"),
                }
            );
        }
        Ok(dear)
    }
}
