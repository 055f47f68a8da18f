//! `memory-map`: how far each level of memory is from a core, how much it delivers, and what the topology
//! says.

mod bandwidth;
mod chase;
mod ladder;
pub mod nodes;
mod show;

use crate::bench::Bench;
use crate::described::Described;
use crate::harness::{Outcome, Setup};
use crate::peers::pin::{Unpin, pin};
use crate::report::{Record, Report};
use crate::sizing::bootstrap::{Bootstrap, Interval, Random};
use crate::sizing::chart;
use crate::sizing::foreign::{self, Foreign};
use crate::sizing::line::Line;
use crate::watchdog;
use bandwidth::{Arrays, Way};
use clap::{Args, ValueEnum};
use ladder::{Level, compare, levels, size, sizes};
use nodes::{Origin, Plan};
use phalanx::topology::CpuSet;
use phalanx::{ArrayOptions, Backend, CancelToken, HugePages, PagePlacement, Placement, Pool, SharedArray};
use serde_json::{Value, json};
use show::{Ladder, Matrix, Measured};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Names of its records.
const LATENCY: &str = "memory_latency";
const BANDWIDTH: &str = "memory_bandwidth";
const NODE_LATENCY: &str = "node_latency";
const NODE_BANDWIDTH: &str = "node_bandwidth";
const LEVELS: &str = "memory_levels";

/// Largest size of the ladders, and the same with `--quick`.
const MOST: (usize, usize) = (1 << 30, 64 << 20);
/// The share of what is free that the largest size may take.
const FREE: u64 = 4;

/// Pages that the latency ladder is measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Pages {
    /// The smallest pages of the machine.
    Base,
    /// Pages of 2 MiB, where the kernel has them.
    Huge,
}

impl Pages {
    fn name(self) -> &'static str {
        match self {
            Pages::Base => "base",
            Pages::Huge => "huge",
        }
    }

    fn wish(self) -> HugePages {
        match self {
            Pages::Base => HugePages::Never,
            Pages::Huge => HugePages::Try,
        }
    }
}

/// How far each level of memory is and how much it delivers: ladders over sizes, and every node's memory from
/// every node
#[derive(Debug, Args)]
pub struct MemoryMap {
    /// MiB of the largest size [default: 1024, or a quarter of what is free]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    most: Option<u64>,

    /// Pages that latencies are measured on
    #[arg(long, value_name = "PAGES", value_delimiter = ',', default_value = "base,huge")]
    pages: Vec<Pages>,

    /// Fewer and smaller sizes, and less time: for a first look, not for results
    #[arg(long)]
    quick: bool,

    /// Seed of the random order, and of the resampling that intervals come from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Show what would be measured, and measure nothing
    #[arg(long)]
    plan: bool,

    #[command(flatten)]
    described: Described,

    /// Also draw both ladders into this file
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
}

impl Bench for MemoryMap {
    const NAME: &'static str = "memory-map";
    // Minutes, and all of it about the machine.
    const IN_ALL: bool = false;
    const HAS_ONE_TEAM: bool = false;

    fn measures() -> Vec<&'static str> {
        vec![LATENCY, BANDWIDTH, NODE_LATENCY, NODE_BANDWIDTH, LEVELS]
    }

    fn run(&self, setup: &Setup, report: &mut Report) -> Outcome<()> {
        chart::check(self.svg.as_deref())?;
        if self.described.is_elsewhere() && !self.plan {
            return Err(
                "--from and --synthetic describe another machine: add --plan, nothing can be measured there"
                    .into(),
            );
        }
        let (machine, limits) = self.described.machine()?;
        let nodes = Plan::of(&machine, &limits);
        let cpu = limits.allowed.first().ok_or("this process may use no CPU")?;
        let own = levels(&machine, cpu);
        if self.plan {
            self.show_plan(&nodes, &own, report);
            return Ok(());
        }
        report.remark(&format!("memory-map on {}", Report::machine()));
        let run = Run { options: self, setup, report, stop: CancelToken::on_ctrl_c()?, levels: &own };
        let foreign = Foreign::watch();
        let latencies = run.latencies(cpu)?;
        let bandwidths = if run.stop.is_cancelled() { Vec::new() } else { run.bandwidths()? };
        if !run.stop.is_cancelled() {
            run.matrices(&nodes)?;
        }
        let shares = foreign.shares();
        if report.is_json() {
            report.object(&foreign::json(MemoryMap::NAME, shares));
        }
        report.remark(&format!("\n  {}", foreign::text(shares)));
        if let Some(file) = &self.svg {
            let mut pictures = vec![show::chart("Latency of a load", "ns", &latencies, &own)];
            // A picture for each team: more curves than colours cannot be told apart.
            let of_team = |team: &[Ladder]| show::chart("Bandwidth", "GB/s", team, &own);
            pictures.extend(bandwidths.chunks(Way::ALL.len()).map(of_team));
            chart::save_all(file, &pictures)?;
        }
        if run.stop.is_cancelled() {
            return Err("interrupted: the figures above are those until then".into());
        }
        Ok(())
    }
}

impl MemoryMap {
    /// The largest size.
    fn most(&self) -> usize {
        let asked = match (self.most, self.quick) {
            (Some(mib), _) => return (mib as usize) << 20,
            (None, true) => MOST.1,
            (None, false) => MOST.0,
        };
        asked.min(free_bytes().map_or(asked, |free| (free / FREE) as usize))
    }

    fn show_plan(&self, nodes: &Plan, levels: &[Level], report: &Report) {
        let sizes = sizes(self.most(), !self.quick);
        if report.is_json() {
            let pairs = nodes.pairs();
            let pair = |(at, to): (usize, u32)| json!({"from": nodes.origins[at].node, "to": to, "cpus": nodes.origins[at].cpus});
            report.object(&json!({
                "bench": MemoryMap::NAME, "planned": true, "sizes": sizes,
                "levels": levels.iter().map(|own| json!({"level": own.level, "bytes": own.bytes})).collect::<Vec<_>>(),
                "nodes": pairs.into_iter().map(pair).collect::<Vec<_>>()
            }));
            return;
        }
        let caches: Vec<String> =
            levels.iter().map(|own| format!("L{} {}", own.level, size(own.bytes))).collect();
        println!(
            "memory-map would measure {} sizes up to {}; caches: {}",
            sizes.len(),
            size(sizes.last().map_or(0, |most| *most as u64)),
            if caches.is_empty() { "none known".to_owned() } else { caches.join(", ") }
        );
        print!("{}", nodes.text());
    }
}

/// Bytes that programs can still have, as the kernel estimates it.
fn free_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// One run of the bench.
struct Run<'r> {
    options: &'r MemoryMap,
    setup: &'r Setup,
    report: &'r Report,
    stop: CancelToken,
    levels: &'r [Level],
}

impl Run<'_> {
    fn budget(&self) -> Duration {
        self.setup.budget / if self.options.quick { 10 } else { 2 }
    }

    fn median(&self, samples: &[f64]) -> Interval {
        let samples = [samples.to_vec()];
        let resamples = if self.options.quick { 100 } else { 500 };
        Bootstrap { samples: &samples, resamples, seed: self.options.seed }.medians()[0]
    }

    /// Prints a line of JSON, and returns the median.
    fn line(
        &self,
        (bench, variant, unit): (&str, &str, &'static str),
        workers: usize,
        samples: Vec<f64>,
        parameters: Value,
    ) -> Interval {
        let median = self.median(&samples);
        if self.report.is_json() {
            let record = Record::of(bench, variant, workers, samples, unit);
            self.report.object(&Line::of(record, parameters, median));
        }
        median
    }

    /// Says how far it is, where a person may be waiting, and to the watchdog.
    fn progress(&self, what: String) {
        let mut terminal = std::io::stderr();
        if terminal.is_terminal() && !self.report.is_json() {
            let _ = write!(terminal, "\r{what}\x1b[K\r");
        }
        watchdog::note_long(what);
    }

    /// Samples of loads on one CPU over so many bytes of such memory, and what the pages are.
    fn chase(&self, cpu: u32, bytes: usize, options: &ArrayOptions) -> Outcome<(Vec<f64>, SharedArray<u64>)> {
        let mut words = SharedArray::<u64>::zeros_with(bytes / size_of::<u64>(), options)?;
        chase::link(words.as_mut_slice(), &mut Random(self.options.seed));
        let _unpin = Unpin::later()?;
        pin(&CpuSet::single(cpu));
        Ok((chase::samples(words.as_slice(), self.budget(), &self.stop)?, words))
    }

    /// The latency ladders, and what they say of the caches.
    fn latencies(&self, cpu: u32) -> Outcome<Vec<Ladder>> {
        let mut ladders = Vec::new();
        for pages in &self.options.pages {
            let options = ArrayOptions::new().huge_pages(pages.wish());
            let mut rungs = Vec::new();
            let mut pages_of_last = String::new();
            for bytes in sizes(self.options.most(), !self.options.quick) {
                self.progress(format!("latency on {} pages: {}", pages.name(), size(bytes as u64)));
                let (samples, words) = self.chase(cpu, bytes, &options)?;
                if self.stop.is_cancelled() {
                    break;
                }
                pages_of_last = words.pages().to_string();
                let parameters = json!({"bytes": bytes, "cpu": cpu, "pages": pages_of_last});
                let median = self.line((LATENCY, pages.name(), "ns"), 1, samples, parameters);
                rungs.push(Measured { bytes, median });
            }
            self.progress(String::new());
            let ladder = Ladder { name: format!("{} pages", pages.name()), rungs };
            if !ladder.rungs.is_empty() {
                self.tell(&ladder, cpu, &pages_of_last);
            }
            ladders.push(ladder);
            if self.stop.is_cancelled() {
                break;
            }
        }
        Ok(ladders)
    }

    /// Shows a latency ladder and compares it with the topology.
    fn tell(&self, ladder: &Ladder, cpu: u32, pages: &str) {
        let rungs: Vec<_> = ladder.rungs.iter().map(|rung| (rung.bytes, rung.median.value)).collect();
        let found = compare(&rungs, self.levels);
        if self.report.is_json() {
            for own in &found {
                self.report.object(&json!({
                    "bench": LEVELS, "variant": ladder.name, "finding": own.text(), "mismatch": own.is_mismatch(),
                    "machine": crate::sizing::line::machine()
                }));
            }
            return;
        }
        let title = Ladder { name: format!("latency from CPU {cpu}, {}", ladder.name), ..ladder.clone() };
        print!("{}", show::text(&title, "ns", self.levels));
        self.report.remark(&format!("pages of the largest: {pages}"));
        found.iter().for_each(|own| self.report.remark(&own.text()));
        if self.levels.is_empty() {
            self.report.remark("the topology knows no cache of this CPU to compare with");
        }
    }

    /// The bandwidth ladders of one worker and of all.
    fn bandwidths(&self) -> Outcome<Vec<Ladder>> {
        let mut ladders = Vec::new();
        let mut teams = vec![1, self.setup.workers()];
        teams.dedup();
        for workers in teams {
            let pool = Setup::pool_of(workers, Backend::Processes)?;
            let mut own: Vec<Ladder> = Way::ALL
                .iter()
                .map(|way| Ladder { name: show::name(*way, workers), rungs: Vec::new() })
                .collect();
            for bytes in sizes(self.options.most(), false) {
                let mut arrays = Arrays::make(&pool, bytes, &ArrayOptions::new())?;
                for (way, ladder) in Way::ALL.into_iter().zip(&mut own) {
                    self.progress(format!("{} of {}", ladder.name, size(bytes as u64)));
                    let samples = arrays.samples(&pool, way, self.budget(), &self.stop);
                    if self.stop.is_cancelled() {
                        break;
                    }
                    let parameters = json!({"bytes": bytes});
                    let median = self.line((BANDWIDTH, way.name(), "GB/s"), workers, samples?, parameters);
                    ladder.rungs.push(Measured { bytes, median });
                }
                if self.stop.is_cancelled() {
                    break;
                }
            }
            self.progress(String::new());
            if !self.report.is_json() {
                // The parts of several workers lie in several caches: no one level.
                let levels = if workers == 1 { self.levels } else { &[] };
                own.iter().for_each(|ladder| print!("{}", show::text(ladder, "GB/s", levels)));
            }
            ladders.extend(own);
        }
        Ok(ladders)
    }

    /// Every node's memory from every node.
    fn matrices(&self, plan: &Plan) -> Outcome<()> {
        let bytes = self.options.most().min(MOST.0 / 4);
        let mut latencies = Matrix {
            title: format!("latency of {} on huge pages where there are [ns]", size(bytes as u64)),
            values: Vec::new(),
        };
        let title = format!("bandwidth of reads of {} by all cores of a node [GB/s]", size(bytes as u64));
        let mut bandwidths = Matrix { title, values: Vec::new() };
        for (at, to) in plan.pairs() {
            if self.stop.is_cancelled() {
                break;
            }
            let Origin { node, cpus } = &plan.origins[at];
            self.progress(format!("from node {node} to the memory of node {to}"));
            let options = ArrayOptions::new().placement(PagePlacement::Bind(to)).huge_pages(HugePages::Try);
            let (variant, parameters) =
                (format!("{node}-{to}"), json!({"from": node, "to": to, "bytes": bytes}));
            let (samples, words) = self.chase(cpus[0], bytes, &options)?;
            let there = words.residency().on_node(to);
            if there < words.len_bytes() as u64 {
                let all = words.len_bytes();
                self.report
                    .remark(&format!("node {to}: {there} of {all} bytes lie there, the rest elsewhere"));
            }
            drop(words);
            latencies
                .values
                .push(self.line((NODE_LATENCY, &variant, "ns"), 1, samples, parameters.clone()).value);
            let placement = Placement::Cpus(cpus.clone());
            let pool = Pool::builder().placement(placement).workers(cpus.len()).build()?;
            let samples =
                Arrays::make(&pool, bytes, &options)?.samples(&pool, Way::Read, self.budget(), &self.stop);
            if self.stop.is_cancelled() {
                break;
            }
            let median = self.line((NODE_BANDWIDTH, &variant, "GB/s"), cpus.len(), samples?, parameters);
            bandwidths.values.push(median.value);
        }
        self.progress(String::new());
        if !self.report.is_json() {
            print!("{}{}", show::matrix(plan, &latencies), show::matrix(plan, &bandwidths));
            print!("{}", plan.text());
        }
        Ok(())
    }
}
