//! Predicted times on many nodes, from the constants of a network and of one node. Pure functions.
//!
//! | | time of a step on P nodes |
//! |---|---|
//! | all | work of the fullest node + launch + what its driver waits for messages |
//! | heat3d | slabs of planes: two faces to and from the neighbours, which overlap with inner work or do not |
//! | cg | the same exchange for one vector, and two reductions of a number |
//! | map | tasks, dealt out by one driver: no faster than it can send and receive their messages |

use super::loggp::LogGp;
use serde::Serialize;

/// Numbers of nodes of a prediction.
pub const NODES: [usize; 13] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];
/// Cells of an edge: of the whole grid (strong), or of each node's part (weak).
const EDGE: [f64; 2] = [1024.0, 512.0];
/// Bytes of memory that a cell takes in a step of heat3d: read, and written with what was there before.
const HEAT_BYTES: f64 = 24.0;
/// The same in an iteration of CG without a stored matrix: the product, two dot products, three updates.
const CG_BYTES: f64 = 104.0;
/// Tasks: of all (strong), or for each worker (weak); and how long one takes.
const TASKS: [f64; 2] = [1e6, 1e3];
const TASK: f64 = 1e-3;
/// Bytes that a task and its result take in messages, and tasks that go in one message.
const TASK_BYTES: f64 = 64.0;
const TASKS_A_MESSAGE: f64 = 32.0;

/// One node.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Node {
    /// What all its workers together read and write of memory, in bytes a second.
    pub bytes_per_second: f64,
    /// Workers.
    pub workers: f64,
    /// A launch, in seconds.
    pub launch: f64,
}

/// What is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// 7-point stencil, messages before the work.
    Heat3d,
    /// The same, messages during the inner work.
    Heat3dOverlap,
    /// Conjugate gradients; a driver sends its part of a reduction to each other, as the engine does.
    Cg,
    /// The same, if reductions went along a tree.
    CgTree,
    /// Tasks of a millisecond.
    Map,
}

/// All of them.
pub const PROGRAMS: [Program; 5] =
    [Program::Heat3d, Program::Heat3dOverlap, Program::Cg, Program::CgTree, Program::Map];

/// How the work grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// The same work on all numbers of nodes.
    Strong,
    /// The same work for each node.
    Weak,
}

impl Program {
    /// Seconds of a step (of all tasks, for `Map`) on so many nodes.
    pub fn seconds(self, scaling: Scaling, nodes: usize, net: &LogGp, node: &Node) -> f64 {
        let p = nodes as f64;
        match self {
            Program::Map => map(scaling, p, net, node),
            Program::Heat3d => grid(scaling, nodes, HEAT_BYTES, node).seconds(net, false),
            Program::Heat3dOverlap => grid(scaling, nodes, HEAT_BYTES, node).seconds(net, true),
            Program::Cg => grid(scaling, nodes, CG_BYTES, node).seconds(net, false) + 2.0 * direct(p, net),
            Program::CgTree => grid(scaling, nodes, CG_BYTES, node).seconds(net, false) + 2.0 * tree(p, net),
        }
    }

    /// The share of the ideal: a P-th of the time (strong), or the same time (weak).
    pub fn efficiency(self, scaling: Scaling, nodes: usize, net: &LogGp, node: &Node) -> f64 {
        let ratio = self.seconds(scaling, 1, net, node) / self.seconds(scaling, nodes, net, node);
        if scaling == Scaling::Strong { ratio / nodes as f64 } else { ratio }
    }
}

/// A step over a grid in slabs.
struct Slabs {
    work: f64,
    /// The part of the work that needs no ghost planes.
    inner: f64,
    launch: f64,
    /// Bytes of one face, and how many faces a node has.
    face: f64,
    faces: f64,
}

fn grid(scaling: Scaling, nodes: usize, bytes: f64, node: &Node) -> Slabs {
    let (edge, p) = (EDGE[scaling as usize], nodes as f64);
    // Whole planes; nodes beyond their number have none.
    let planes = if scaling == Scaling::Strong { (edge / p).ceil() } else { edge };
    let plane = edge * edge * bytes / node.bytes_per_second;
    let faces = (p - 1.0).min(2.0);
    let inner = plane * (planes - faces).max(0.0);
    Slabs { work: plane * planes, inner, launch: node.launch, face: 8.0 * edge * edge, faces }
}

impl Slabs {
    fn seconds(&self, net: &LogGp, overlaps: bool) -> f64 {
        let Slabs { work, inner, launch, face, faces } = self;
        if *faces == 0.0 {
            return work + launch;
        }
        // A node sends and receives each face, and both ways at once; its faces follow each other.
        let messages = net.latency + 2.0 * faces * net.overhead + faces * face * net.per_byte;
        // With overlap, the planes at the faces take a launch of their own.
        if overlaps { work + 2.0 * launch + (messages - inner).max(0.0) } else { work + launch + messages }
    }
}

/// A reduction in which each sends to all.
fn direct(p: f64, net: &LogGp) -> f64 {
    let others = p - 1.0;
    others.min(1.0) * net.latency + others * (net.overhead + net.overhead.max(net.gap))
}

/// A reduction up a tree, and down again.
fn tree(p: f64, net: &LogGp) -> f64 {
    2.0 * p.log2().ceil() * net.message(8.0)
}

fn map(scaling: Scaling, p: f64, net: &LogGp, node: &Node) -> f64 {
    let workers = p * node.workers;
    let tasks = if scaling == Scaling::Strong { TASKS[0] } else { TASKS[1] * workers };
    // What leaves driver 0: the shares of the other nodes.
    let messages = 2.0 * (tasks * (p - 1.0) / p / TASKS_A_MESSAGE).ceil();
    let dealt = messages * net.overhead.max(net.gap) + tasks * (p - 1.0) / p * TASK_BYTES * net.per_byte;
    let first = if p > 1.0 { 2.0 * net.message(TASKS_A_MESSAGE * TASK_BYTES) } else { 0.0 };
    ((tasks / workers).ceil() * TASK + node.launch + first).max(dealt)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NET: LogGp = LogGp { latency: 1e-6, overhead: 0.25e-6, gap: 0.3e-6, per_byte: 0.8e-10 };
    const NODE: Node = Node { bytes_per_second: 2e11, workers: 64.0, launch: 2e-6 };

    #[test]
    fn one_node_waits_for_nobody() {
        for program in PROGRAMS {
            for scaling in [Scaling::Strong, Scaling::Weak] {
                assert_eq!(program.efficiency(scaling, 1, &NET, &NODE), 1.0, "{program:?}");
            }
        }
        let heat = Program::Heat3d.seconds(Scaling::Strong, 1, &NET, &NODE);
        assert!((heat - (1024f64.powi(3) * 24.0 / 2e11 + 2e-6)).abs() < 1e-12, "{heat}");
    }

    #[test]
    fn faces_cost_what_the_network_takes_unless_work_hides_them() {
        // 16 nodes: 64 planes of 1024 x 1024 cells, two faces of 8 MiB.
        let work = 64.0 * 1024.0 * 1024.0 * 24.0 / 2e11;
        let messages = 1e-6 + 1e-6 + 2.0 * 8.0 * 1024.0 * 1024.0 * 0.8e-10;
        let plain = Program::Heat3d.seconds(Scaling::Strong, 16, &NET, &NODE);
        assert!((plain - (work + 2e-6 + messages)).abs() < 1e-9, "{plain}");
        let overlapped = Program::Heat3dOverlap.seconds(Scaling::Strong, 16, &NET, &NODE);
        assert!((overlapped - (work + 4e-6)).abs() < 1e-9, "{overlapped}");
        // More nodes than planes change nothing.
        let [at, beyond] = [1024, 4096].map(|p| Program::Heat3d.seconds(Scaling::Strong, p, &NET, &NODE));
        assert_eq!(at, beyond);
    }

    #[test]
    fn a_faster_network_or_a_tree_is_never_slower() {
        let fast = LogGp { per_byte: NET.per_byte / 10.0, latency: NET.latency / 10.0, ..NET };
        for nodes in NODES {
            for program in PROGRAMS {
                for scaling in [Scaling::Strong, Scaling::Weak] {
                    let [slow, fast] = [NET, fast].map(|net| program.seconds(scaling, nodes, &net, &NODE));
                    assert!(fast <= slow && fast > 0.0, "{program:?} {nodes}");
                    assert!(
                        program.efficiency(scaling, nodes, &NET, &NODE) <= 1.0 + 1e-9,
                        "{program:?} {nodes}"
                    );
                }
            }
        }
        let cg = |program: Program| program.efficiency(Scaling::Weak, 4096, &NET, &NODE);
        assert!(cg(Program::CgTree) > cg(Program::Cg));
    }

    #[test]
    fn one_driver_deals_out_only_so_many_tasks() {
        let map = |nodes| Program::Map.seconds(Scaling::Weak, nodes, &NET, &NODE);
        assert!(map(16) < 1.1, "{}", map(16));
        let tasks = 4096.0 * 64.0 * 1e3;
        assert!(map(4096) >= tasks * (4095.0 / 4096.0) / 16.0 * 0.3e-6, "{}", map(4096));
    }
}
