//! The machine as boxes inside boxes, once for each placement, with the workers on their cores.

use super::planned::Planned;
use super::table::workers_on;
use phalanx::topology::{CpuSet, Machine};
use svg::Document;
use svg::node::element::{Group, Rectangle, Style, Text, Title};

const CORE: (f64, f64) = (64.0, 40.0);
/// Letters that fit a core's box.
const FITS: usize = 9;
/// Cores in a row of one L3 cache.
const IN_ROW: usize = 8;
/// Between boxes, and from a box's border to what is in it.
const GAP: f64 = 8.0;
/// Room for the name of a box.
const NAME: f64 = 18.0;

/// Colours that a page in the dark can change.
const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#222}.name{font-weight:600}.box{fill:none;stroke:#888}\
    .idle{fill:#eee;stroke:#aaa}.used{fill:#cfe3ff;stroke:#3574c4}.ground{fill:#fff}\
    @media(prefers-color-scheme:dark){text{fill:#ddd}.ground{fill:#161616}.idle{fill:#2a2a2a;stroke:#555}\
    .used{fill:#1d3a63;stroke:#6ea3e8}}";

/// Something that takes this much room.
struct Drawn {
    group: Group,
    width: f64,
    height: f64,
}

/// Draws the machine once for each plan, side by side.
pub fn draw(machine: &Machine, plans: &[Planned]) -> Document {
    let panels: Vec<Drawn> = plans.iter().map(|planned| panel(machine, planned)).collect();
    let (content, width, height) = beside(panels);
    let (width, height) = (width + 2.0 * GAP, height + 2.0 * GAP);
    Document::new()
        .set("viewBox", (0.0, 0.0, width, height))
        .set("width", width)
        .set("height", height)
        .set("role", "img")
        .add(Title::new("A machine, and where workers sit on it"))
        .add(Style::new(STYLE))
        .add(Rectangle::new().set("class", "ground").set("width", width).set("height", height))
        .add(moved(content, GAP, GAP))
}

fn panel(machine: &Machine, planned: &Planned) -> Drawn {
    let packages = machine.packages().iter().enumerate().map(|(number, package)| {
        // By the node that each PU belongs to: nodes may share PUs, and every core is drawn once.
        let mut nodes: Vec<(Option<u32>, CpuSet)> = Vec::new();
        for pu in machine.pus().iter().filter(|pu| package.cpuset.contains(pu.os_index)) {
            match nodes.iter_mut().find(|(node, _)| *node == pu.node) {
                Some((_, cpus)) => drop(cpus.insert(pu.os_index)),
                None => nodes.push((pu.node, CpuSet::single(pu.os_index))),
            }
        }
        let inside = nodes.iter().map(|(node, cpus)| match node {
            Some(node) => boxed(&format!("NUMA node {node}"), caches(machine, planned, cpus)),
            None => caches(machine, planned, cpus),
        });
        let inside: Vec<Drawn> = inside.collect();
        let (group, width, height) = stacked(inside);
        boxed(&format!("Package {number}"), Drawn { group, width, height })
    });
    let (group, width, height) = stacked(packages.collect());
    let name = format!("{}: {} workers", planned.policy, planned.plan.workers.len());
    boxed(&name, Drawn { group, width, height })
}

/// The L3 caches among these PUs with their cores, or the cores alone.
fn caches(machine: &Machine, planned: &Planned, cpus: &CpuSet) -> Drawn {
    let shared = machine.caches().iter().filter(|cache| cache.level == 3 && cache.cpuset.intersects(cpus));
    let inside: Vec<Drawn> = shared
        .map(|cache| {
            let name = match cache.size_bytes {
                0 => "L3".to_owned(),
                bytes => format!("L3 {} MiB", bytes >> 20),
            };
            boxed(&name, cores(machine, planned, &cache.cpuset.intersection(cpus)))
        })
        .collect();
    if inside.is_empty() {
        return cores(machine, planned, cpus);
    }
    let (group, width, height) = stacked(inside);
    Drawn { group, width, height }
}

fn cores(machine: &Machine, planned: &Planned, cpus: &CpuSet) -> Drawn {
    let inside: Vec<_> = machine.cores().iter().filter(|core| core.cpuset.intersects(cpus)).collect();
    let mut group = Group::new();
    for (at, core) in inside.iter().enumerate() {
        let (column, row) = ((at % IN_ROW) as f64, (at / IN_ROW) as f64);
        let workers = workers_on(planned, &core.cpuset);
        let class = if workers == "-" { "idle" } else { "used" };
        let one = Group::new()
            .add(Rectangle::new().set("class", class).set("width", CORE.0).set("height", CORE.1).set("rx", 3))
            .add(Text::new(short(&workers, ' ')).set("x", 6).set("y", 16).set("class", "name"))
            .add(Text::new(short(&format!("PU {}", core.cpuset), ',')).set("x", 6).set("y", 32))
            .add(Title::new(format!("PUs {}: {workers}", core.cpuset)));
        group = group.add(moved(one, column * (CORE.0 + GAP), row * (CORE.1 + GAP)));
    }
    let (columns, rows) = (inside.len().min(IN_ROW) as f64, inside.len().div_ceil(IN_ROW) as f64);
    let extent = |count: f64, size: f64| (count * (size + GAP) - GAP).max(0.0);
    Drawn { group, width: extent(columns, CORE.0), height: extent(rows, CORE.1) }
}

/// As much of a list as fits a core's box; the whole of it is in the box's title.
fn short(list: &str, between: char) -> String {
    if list.len() <= FITS {
        return list.to_owned();
    }
    let cut = list[..FITS - 2].rfind(between).unwrap_or(FITS - 2);
    format!("{}..", &list[..cut])
}

/// Side by side: the group, its width and its height.
fn beside(parts: Vec<Drawn>) -> (Group, f64, f64) {
    let (mut group, mut width, mut height) = (Group::new(), 0.0, 0.0_f64);
    for part in parts {
        if width > 0.0 {
            width += GAP;
        }
        group = group.add(moved(part.group, width, 0.0));
        (width, height) = (width + part.width, height.max(part.height));
    }
    (group, width, height)
}

/// One below the other: the group, its width and its height.
fn stacked(parts: Vec<Drawn>) -> (Group, f64, f64) {
    let (mut group, mut width, mut height) = (Group::new(), 0.0_f64, 0.0);
    for part in parts {
        if height > 0.0 {
            height += GAP;
        }
        group = group.add(moved(part.group, 0.0, height));
        (width, height) = (width.max(part.width), height + part.height);
    }
    (group, width, height)
}

/// A box with a name around it.
fn boxed(name: &str, inside: Drawn) -> Drawn {
    // Seven to a letter: no name is wider than its box.
    let width = (inside.width + 2.0 * GAP).max(name.len() as f64 * 7.0 + 2.0 * GAP);
    let height = inside.height + NAME + 2.0 * GAP;
    let group = Group::new()
        .add(Rectangle::new().set("class", "box").set("width", width).set("height", height).set("rx", 4))
        .add(Text::new(name).set("class", "name").set("x", GAP).set("y", NAME))
        .add(moved(inside.group, GAP, GAP + NAME));
    Drawn { group, width, height }
}

fn moved(group: Group, x: f64, y: f64) -> Group {
    Group::new().set("transform", format!("translate({x},{y})")).add(group)
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx::topology::{Limits, Request, plan};

    #[test]
    fn every_core_is_drawn_once_for_each_plan() {
        let machine = Machine::from_synthetic("package:2 numa:2 l3:2 core:3 pu:2").unwrap();
        let limits = Limits::of(machine.cpuset().clone());
        let planned = |workers| {
            let request = Request { workers: Some(workers), ..Request::default() };
            Planned { policy: "per-core".into(), plan: plan(&machine, &limits, &request).unwrap() }
        };
        let text = draw(&machine, &[planned(24), planned(5)]).to_string();
        let count = |what: &str| text.matches(what).count();
        assert_eq!((count("class=\"used\""), count("class=\"idle\"")), (24 + 5, 19));
        assert_eq!((count("NUMA node"), count("Package"), count(">\nL3")), (8, 4, 16));
    }
}
