//! Reads hwloc's XML, versions 2 and 3.

use super::cpuset::{CpuSet, shortened};
use super::draft::{Draft, Part};
use super::error::TopologyError;
use super::machine::{Cache, Machine, NumaNode, Source};
use roxmltree::{Document, Node, ParsingOptions};

/// More XML nodes than this are not read (a machine of 65536 PUs has about ten per PU).
const MAX_XML_NODES: u32 = 4 << 20;

/// Makes the machine.
pub(super) fn read(text: &str, source: Source) -> Result<Machine, TopologyError> {
    // hwloc writes a DOCTYPE line without entities.
    let options = ParsingOptions { allow_dtd: true, nodes_limit: MAX_XML_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text.trim_start_matches('\u{feff}'), options)
        .map_err(|error| TopologyError::Xml { reason: error.to_string() })?;
    let root = document.root_element();
    check_version(&root)?;
    let mut draft = Draft::default();
    for object in root.descendants().filter(|node| node.has_tag_name("object")) {
        add_object(&mut draft, &object)?;
    }
    add_distances(&mut draft, &root);
    add_kinds(&mut draft, &root);
    draft.finish(source, "the XML")
}

fn check_version(root: &Node) -> Result<(), TopologyError> {
    if !root.has_tag_name("topology") {
        let reason = format!("the outermost element is <{}>", shortened(root.tag_name().name()));
        return Err(TopologyError::Xml { reason });
    }
    let version = root.attribute("version").unwrap_or("1");
    match version.split('.').next() {
        Some("2" | "3") => Ok(()),
        _ => Err(TopologyError::Version { found: shortened(version) }),
    }
}

fn add_object(draft: &mut Draft, object: &Node) -> Result<(), TopologyError> {
    let kind = object.attribute("type").unwrap_or("");
    let os_index = object.attribute("os_index").and_then(|index| index.parse::<u32>().ok());
    let is_data_cache = kind.strip_prefix('L').and_then(|rest| rest.strip_suffix("Cache"));
    match kind {
        "PU" => {
            let Some(os_index) = os_index.filter(|&index| index < CpuSet::LIMIT) else {
                return Err(TopologyError::Xml { reason: "a PU has no usable os_index".to_owned() });
            };
            // A PU outside its own cpuset is offline.
            if cpuset(object)?.contains(os_index) {
                draft.pus.insert(os_index);
            }
        }
        "Core" => draft.cores.push(Part { os_index, cpuset: cpuset(object)? }),
        "Package" => draft.packages.push(Part { os_index, cpuset: cpuset(object)? }),
        "NUMANode" => {
            let Some(os_index) = os_index.filter(|&index| index < CpuSet::LIMIT) else {
                return Err(TopologyError::Xml { reason: "a NUMA node has no usable os_index".to_owned() });
            };
            let memory = object.attribute("local_memory").map_or(Some(0), |memory| memory.parse().ok());
            let cpuset = cpuset(object)?;
            draft.nodes.push(NumaNode { os_index, cpuset, memory_bytes: memory, distances: Vec::new() });
        }
        // "L2Cache" is data or unified, "L1iCache" holds instructions.
        _ => {
            if let Some(level) = is_data_cache.and_then(|level| level.parse().ok()) {
                let size_bytes =
                    object.attribute("cache_size").and_then(|size| size.parse().ok()).unwrap_or(0);
                draft.caches.push(Cache { level, size_bytes, cpuset: cpuset(object)? });
            }
        }
    }
    Ok(())
}

fn cpuset(object: &Node) -> Result<CpuSet, TopologyError> {
    CpuSet::from_bitmap(object.attribute("cpuset").unwrap_or("")).map_err(|source| {
        let kind = shortened(object.attribute("type").unwrap_or("object"));
        TopologyError::Set { place: format!("cpuset of a {kind}"), source }
    })
}

/// Latencies between NUMA nodes: `indexes` and `u64values`, each possibly in several pieces.
fn add_distances(draft: &mut Draft, root: &Node) {
    let is_latency = |node: &Node| {
        // Bit 2 of the kind: the values are latencies (HWLOC_DISTANCES_KIND_VALUE_LATENCY).
        let kind = node.attribute("kind").and_then(|kind| kind.parse::<u64>().ok()).unwrap_or(0);
        node.has_tag_name("distances2")
            && node.attribute("type") == Some("NUMANode")
            && node.attribute("indexing") == Some("os")
            && kind & 4 != 0
    };
    let Some(matrix) = root.descendants().find(is_latency) else {
        return;
    };
    let numbers = |tag: &str| -> Vec<u32> {
        let pieces = matrix.children().filter(|node| node.has_tag_name(tag)).filter_map(|node| node.text());
        let values = pieces.flat_map(str::split_whitespace).map_while(|value| value.parse().ok());
        values.collect()
    };
    draft.distances = Some((numbers("indexes"), numbers("u64values")));
}

/// Kinds of cores, slowest first as hwloc ranks them. A forced efficiency, where all have one, goes before.
fn add_kinds(draft: &mut Draft, root: &Node) {
    let kinds: Vec<Node> = root.descendants().filter(|node| node.has_tag_name("cpukind")).collect();
    let forced: Option<Vec<u32>> =
        kinds.iter().map(|kind| kind.attribute("forced_efficiency")?.parse().ok()).collect();
    for (at, kind) in kinds.iter().enumerate() {
        let rank = forced.as_ref().map_or(at as u32, |forced| forced[at]);
        if let Ok(cpuset) = CpuSet::from_bitmap(kind.attribute("cpuset").unwrap_or("")) {
            draft.kinds.push((cpuset, rank));
        }
    }
}

#[cfg(test)]
mod tests;
