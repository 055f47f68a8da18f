//! On which NUMA node the pages of an array really lie, and how they are asked to lie there.
#![deny(clippy::arithmetic_side_effects)]

use super::{AllocError, Mapping, PagePlacement};
use crate::sys::descriptor;
use crate::sys::memory::{self, Hint, NodePolicy};
use std::collections::BTreeMap;
use std::ops::Range;

/// The NUMA nodes on which the pages of an array lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Residency {
    /// Bytes on each node that holds pages, in order of node number.
    pub nodes: Vec<(u32, u64)>,
    /// Bytes without a page in memory: untouched pages of a file, or swapped out.
    pub absent_bytes: u64,
    /// Why the report is incomplete, if it is: the system refused the query or the requested placement.
    pub notes: Vec<String>,
}

impl Residency {
    /// Returns the bytes on one node.
    pub fn on_node(&self, node: u32) -> u64 {
        self.nodes.iter().find(|(n, _)| *n == node).map_or(0, |&(_, bytes)| bytes)
    }
}

/// NUMA nodes whose memory this process may use.
pub(super) fn allowed_nodes() -> Vec<u32> {
    let status = descriptor::read_text("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|l| l.strip_prefix("Mems_allowed_list:")).unwrap_or("0");
    let nodes = parse_list(list.trim());
    if nodes.is_empty() { vec![0] } else { nodes }
}

/// A list such as `0-2,5`.
fn parse_list(list: &str) -> Vec<u32> {
    let mut nodes = Vec::new();
    for part in list.split(',') {
        let (lo, hi) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(lo), Ok(hi)) = (lo.trim().parse::<u32>(), hi.trim().parse::<u32>()) {
            // No machine has more nodes (CONFIG_NODES_SHIFT is at most 10).
            nodes.extend(lo..=hi.min(1023));
        }
    }
    nodes
}

/// Refuses a node that there is not.
pub(super) fn check_placement(placement: PagePlacement) -> Result<(), AllocError> {
    let PagePlacement::Bind(node) = placement else { return Ok(()) };
    let allowed = allowed_nodes();
    if allowed.contains(&node) { Ok(()) } else { Err(AllocError::Node { node, allowed }) }
}

/// Asks the kernel to place the pages to come of a mapping; says why where that was refused.
#[expect(clippy::arithmetic_side_effects, reason = "a node is a u32")]
pub(super) fn place(mapping: &Mapping, placement: PagePlacement) -> Result<(), String> {
    let (policy, nodes) = match placement {
        PagePlacement::Local => return Ok(()),
        PagePlacement::Interleave => (NodePolicy::Interleave, allowed_nodes()),
        PagePlacement::Bind(node) => (NodePolicy::Preferred, vec![node]),
    };
    let mut mask = vec![0u64; nodes.iter().max().map_or(1, |&n| n as usize / 64 + 1)];
    for node in nodes {
        mask[node as usize / 64] |= 1 << (node % 64);
    }
    mapping.bind(policy, &mask).map_err(|e| match e.raw_os_error() {
        Some(libc::EPERM) => format!("page placement was refused (mbind: {e}); a container may deny it"),
        _ => format!("page placement failed (mbind: {e})"),
    })
}

/// How many pages are asked for in one call.
const PAGES_PER_CALL: usize = 4096;

/// Looks the pages of a byte range up. `touch` maps them here first, without which a page that only others
/// touched counts as absent.
#[expect(clippy::arithmetic_side_effects, reason = "the pages of a range of addresses")]
pub(super) fn probe(mapping: &Mapping, range: Range<usize>, touch: bool) -> Residency {
    let page = memory::page_size();
    let mut residency = Residency::default();
    if range.is_empty() {
        return residency;
    }
    if touch && let Err(error) = mapping.advise(range.start, range.len(), Hint::PopulateRead) {
        residency.notes.push(format!("some pages could not be touched ({error}) and count as absent"));
    }
    let mut by_node = BTreeMap::<u32, u64>::new();
    let base = mapping.base().as_ptr().cast_const();
    let (first, last) = (range.start / page, range.end.div_ceil(page));
    for chunk in (first..last).step_by(PAGES_PER_CALL) {
        let pages: Vec<_> = (chunk..last.min(chunk + PAGES_PER_CALL))
            .map(|number| base.wrapping_add(number * page))
            .collect();
        let mut nodes = vec![0; pages.len()];
        if let Err(error) = memory::page_nodes(&pages, &mut nodes) {
            residency.notes.push(format!("the system does not say where pages lie (move_pages: {error})"));
            return from_numa_maps(mapping, residency);
        }
        for node in nodes {
            match u32::try_from(node) {
                Ok(node) => *by_node.entry(node).or_default() += page as u64,
                Err(_) => residency.absent_bytes += page as u64,
            }
        }
    }
    residency.nodes = by_node.into_iter().collect();
    residency
}

/// The answer for the whole mapping from /proc, where the call is denied.
fn from_numa_maps(mapping: &Mapping, mut residency: Residency) -> Residency {
    match descriptor::read_text("/proc/self/numa_maps") {
        Ok(text) => {
            residency.nodes = parse_numa_maps(&text, mapping.base().addr().get());
            residency.notes.push("numbers are of the whole segment, from /proc/self/numa_maps".into());
        }
        Err(error) => residency.notes.push(format!("/proc/self/numa_maps cannot be read: {error}")),
    }
    residency
}

fn parse_numa_maps(text: &str, base: usize) -> Vec<(u32, u64)> {
    let ours = |line: &&str| {
        let start = line.split(' ').next().and_then(|s| usize::from_str_radix(s, 16).ok());
        start == Some(base)
    };
    let Some(line) = text.lines().find(ours) else { return Vec::new() };
    let field = |name: &str| line.split(' ').find_map(|w| w.strip_prefix(name));
    let page =
        field("kernelpagesize_kB=").and_then(|n| n.parse::<u64>().ok()).unwrap_or(4).saturating_mul(1 << 10);
    line.split(' ')
        .filter_map(|word| word.strip_prefix('N')?.split_once('='))
        .filter_map(|(node, pages)| {
            Some((node.parse().ok()?, pages.parse::<u64>().ok()?.saturating_mul(page)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_lists_are_read() {
        assert_eq!(parse_list("0"), [0]);
        assert_eq!(parse_list("0-2,5,7-8"), [0, 1, 2, 5, 7, 8]);
        assert_eq!(parse_list(""), [0u32; 0]);
    }

    #[test]
    fn numa_maps_are_read() {
        let text = "7f00 default anon=1 N0=1 kernelpagesize_kB=4\n\
                    8f00 interleave:0-1 file=/memfd:phalanx dirty=5 N0=2 N1=3 kernelpagesize_kB=2048\n";
        assert_eq!(parse_numa_maps(text, 0x8f00), [(0, 4 << 20), (1, 6 << 20)]);
        assert_eq!(parse_numa_maps(text, 0x1), []);
    }
}
