//! `cluster --model`: constants of the network and of a node, and the times that they predict.

use super::installed::Installed;
use super::job::{Job, needed};
use super::loggp::LogGp;
use super::model::{NODES, Node, PROGRAMS, Program, Scaling};
use crate::harness::{Outcome, Setup};
use crate::report::Report;
use crate::statistics::median;
use clap::Args;
use phalanx::Backend;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;
use tempfile::TempDir;

/// Names of its records.
pub const CONSTANTS: &str = "cluster_constants";
pub const PREDICTION: &str = "cluster_prediction";

/// Lengths of the messages that the constants are fitted to.
const SIZES: [usize; 8] = [8, 64, 512, 4 << 10, 32 << 10, 128 << 10, 512 << 10, 1 << 20];
/// Elements of each array of the triad that measures the memory: 3 x 128 MiB.
const TRIAD: usize = 16 << 20;

/// Constants that replace the measured ones.
#[derive(Debug, Default, Args)]
pub struct Options {
    /// With --model: a network's latency, overhead and gap in us, and GB/s, as "1.5,0.3,0.3,12.5"
    #[arg(long, value_name = "L,o,g,GB/s", value_parser = network, requires = "model")]
    network: Option<LogGp>,

    /// With --model: a node's memory in GB/s and its workers, as "200,64"
    #[arg(long, value_name = "GB/s,N", value_parser = node, requires = "model")]
    node: Option<(f64, f64)>,
}

fn numbers<const N: usize>(text: &str) -> Result<[f64; N], String> {
    let numbers: Vec<f64> = text.split(',').filter_map(|number| number.trim().parse().ok()).collect();
    let all: Option<[f64; N]> = numbers.try_into().ok();
    all.filter(|all| all.iter().all(|number| number.is_finite() && *number > 0.0))
        .ok_or_else(|| format!("give {N} numbers above 0, with commas between them"))
}

fn network(text: &str) -> Result<LogGp, String> {
    let [latency, overhead, gap, rate] = numbers::<4>(text)?;
    Ok(LogGp { latency: latency * 1e-6, overhead: overhead * 1e-6, gap: gap * 1e-6, per_byte: 1e-9 / rate })
}

fn node(text: &str) -> Result<(f64, f64), String> {
    let [rate, workers] = numbers::<2>(text)?;
    Ok((rate * 1e9, workers))
}

impl Options {
    /// Measures what was not given, and prints the predictions.
    pub fn run(
        &self,
        found: &[Installed],
        launch: Option<&str>,
        folder: &TempDir,
        setup: &Setup,
        report: &mut Report,
    ) -> Outcome<()> {
        let node = self.measured_node(setup)?;
        if let Some(net) = &self.network {
            show("given", net, None, &node, report);
            return Ok(());
        }
        if found.is_empty() {
            return Err("no MPI here to measure with: name its folder with --mpi, or give --network".into());
        }
        for mpi in found {
            let peer = mpi.compile(folder).map_err(|why| format!("the C program of {}: {why}", mpi.name))?;
            let job = Job { mpi, launch, own: PathBuf::new(), peer: Some(peer), futures: None };
            let named = job.constants(&SIZES)?.unwrap_or_default();
            let seconds = |name: &str| -> Outcome<f64> {
                let mut samples = needed(&named, name)?;
                samples.sort_unstable_by(f64::total_cmp);
                Ok(median(&samples) * 1e-9)
            };
            let time = |bytes: &usize| Ok((*bytes, seconds(&format!("oneway_{bytes}"))?));
            let times = SIZES.iter().map(time).collect::<Outcome<Vec<_>>>()?;
            let net = LogGp::fit(&times, seconds("overhead")?, seconds("gap")?);
            let net = net.ok_or("the times of messages fit no constants")?;
            show(mpi.name, &net, Some(net.worst(&times)), &node, report);
        }
        Ok(())
    }

    fn measured_node(&self, setup: &Setup) -> Outcome<Node> {
        let pool = setup.pool(Backend::Processes)?;
        let mut launches = Vec::new();
        for _ in 0..500 {
            let began = Instant::now();
            pool.broadcast((), |_, ()| ())?;
            launches.push(began.elapsed().as_secs_f64());
        }
        launches.sort_unstable_by(f64::total_cmp);
        let launch = median(&launches);
        if let Some((bytes_per_second, workers)) = self.node {
            return Ok(Node { bytes_per_second, workers, launch });
        }
        let (b, c) = (pool.from_fn(TRIAD, |i| i as f64)?, pool.from_fn(TRIAD, |_| 2.0)?);
        let mut a = pool.zeros::<f64>(TRIAD)?;
        let mut best = f64::INFINITY;
        for _ in 0..10 {
            let began = Instant::now();
            pool.for_each((a.split_out(), b.split(), c.split()), |(a, b, c)| {
                a.iter_mut().zip(b).zip(c).for_each(|((a, b), c)| *a = b + 0.4 * c);
            })?;
            best = best.min(began.elapsed().as_secs_f64());
        }
        Ok(Node { bytes_per_second: 24.0 * TRIAD as f64 / best, workers: setup.workers() as f64, launch })
    }
}

fn show(network: &str, net: &LogGp, worst: Option<f64>, node: &Node, report: &mut Report) {
    if report.is_json() {
        report.object(&json!({
            "bench": CONSTANTS, "variant": network, "network": net, "node": node, "worst_error": worst,
        }));
    }
    report.remark(&format!(
        "\nLogGP of {network}: L {:.2} us, o {:.2} us, g {:.2} us, {:.2} GB/s{}; a node: {:.1} GB/s, {} workers, launch {:.2} us",
        net.latency * 1e6,
        net.overhead * 1e6,
        net.gap * 1e6,
        1e-9 / net.per_byte.max(1e-18),
        worst.map_or(String::new(), |worst| format!(" (up to {:.0} % off the times)", worst * 100.0)),
        node.bytes_per_second * 1e-9,
        node.workers,
        node.launch * 1e6,
    ));
    report.remark(
        "PREDICTED, not measured: all nodes and their network alike, without other jobs and congestion",
    );
    for scaling in [Scaling::Strong, Scaling::Weak] {
        let rows: Vec<(Program, Vec<(f64, f64)>)> =
            PROGRAMS.iter().map(|program| (*program, row(*program, scaling, net, node))).collect();
        if report.is_json() {
            for (program, row) in &rows {
                for (nodes, (seconds, efficiency)) in NODES.iter().zip(row) {
                    report.object(&json!({
                        "bench": PREDICTION, "predicted": true, "variant": network, "program": program,
                        "scaling": scaling, "nodes": nodes, "seconds": seconds, "efficiency": efficiency,
                    }));
                }
            }
        }
        report.remark(&format!("\n{}", head(scaling)));
        for (number, nodes) in NODES.iter().enumerate() {
            let cells =
                rows.iter().map(|(_, row)| format!("{:>12} {:>5.2}", shown(row[number].0), row[number].1));
            report.remark(&format!("{nodes:>6}{}", cells.collect::<String>()));
        }
    }
}

fn row(program: Program, scaling: Scaling, net: &LogGp, node: &Node) -> Vec<(f64, f64)> {
    let at = |nodes: &usize| {
        (program.seconds(scaling, *nodes, net, node), program.efficiency(scaling, *nodes, net, node))
    };
    NODES.iter().map(at).collect()
}

fn head(scaling: Scaling) -> String {
    let what = match scaling {
        Scaling::Strong => "strong: 1024^3 cells, a million tasks of 1 ms",
        Scaling::Weak => "weak: 512^3 cells a node, a thousand tasks a worker",
    };
    let columns = ["heat3d", "overlapped", "CG", "CG, by tree", "map"].map(|name| format!("{name:>18}"));
    format!("{what}; seconds a step, and efficiency\n  {:>6}{}", "nodes", columns.concat())
}

fn shown(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.1} us", s * 1e6),
        s if s < 1.0 => format!("{:.2} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_read_in_the_units_that_the_help_names() {
        let net = network("1.5,0.3,0.4,12.5").unwrap();
        assert!((net.latency - 1.5e-6).abs() < 1e-18 && (net.per_byte - 8e-11).abs() < 1e-22, "{net:?}");
        assert_eq!(node("200,64"), Ok((2e11, 64.0)));
        for bad in ["", "1,2,3", "1,2,3,0", "1,2,3,x", "1,2,3,4,5", "1,2,3,nan"] {
            assert!(network(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_row_has_a_time_for_each_number_of_nodes() {
        let node = Node { bytes_per_second: 2e11, workers: 64.0, launch: 2e-6 };
        let row = row(Program::Cg, Scaling::Strong, &network("1.5,0.3,0.3,12.5").unwrap(), &node);
        assert_eq!((row.len(), row[0].1), (NODES.len(), 1.0));
        assert_eq!(
            (shown(1.5e-6), shown(0.0025), shown(3.0)),
            ("1.5 us".into(), "2.50 ms".into(), "3.00 s".into())
        );
    }
}
