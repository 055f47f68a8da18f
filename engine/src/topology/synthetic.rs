//! Synthetic machines: `package:2 numa:1 l3:1 core:4 pu:2`.

use super::cpuset::{CpuSet, shortened};
use super::draft::{Draft, Part};
use super::error::TopologyError;
use super::machine::{Cache, Machine, NumaNode, Source};

/// Memory of a node that names none, as in hwloc.
const DEFAULT_MEMORY_BYTES: u64 = 1 << 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Package,
    Numa,
    Cache(u8),
    Core,
    Pu,
    /// Multiplies, and is nothing by itself.
    Group,
}

/// One level, or an attached memory node (`count` 1 per object of the level before).
struct Level {
    kind: Kind,
    is_attached: bool,
    /// Objects in the whole machine.
    total: usize,
    size_bytes: Option<u64>,
    indexes: Vec<u32>,
}

/// Makes the machine.
pub(super) fn read(text: &str) -> Result<Machine, TopologyError> {
    let mut levels: Vec<Level> = Vec::new();
    let mut total = 1usize;
    for word in words(text)? {
        let level = level(word, total)?;
        total = level.total;
        if total > CpuSet::LIMIT as usize {
            return Err(TopologyError::TooLarge {
                what: "PUs of a synthetic machine",
                limit: CpuSet::LIMIT as usize,
            });
        }
        if levels.iter().any(|before| before.kind == Kind::Pu) {
            return Err(wrong(word, "nothing can be inside a PU"));
        }
        let is_repeated = levels.iter().any(|before| before.kind == level.kind);
        if is_repeated && !matches!(level.kind, Kind::Group | Kind::Numa) {
            return Err(wrong(word, "this level stands twice"));
        }
        levels.push(level);
    }
    if levels.is_empty() {
        return Err(wrong(text, "nothing is described"));
    }
    draft(&levels, total, text)?.finish(Source::Synthetic, "a synthetic description")
}

fn draft(levels: &[Level], pu_count: usize, text: &str) -> Result<Draft, TopologyError> {
    let pu_level = levels.iter().find(|level| level.kind == Kind::Pu);
    let pus: Vec<u32> = match pu_level {
        Some(level) if !level.indexes.is_empty() => level.indexes.clone(),
        _ => (0..pu_count as u32).collect(),
    };
    let mut draft = Draft { pus: pus.iter().copied().collect(), ..Draft::default() };
    if draft.pus.len() != pu_count || pus.len() != pu_count {
        return Err(wrong(text, "the indexes are not one per PU, each once"));
    }
    for level in levels {
        let width = pu_count / level.total;
        for (at, part) in pus.chunks(width).enumerate() {
            let cpuset: CpuSet = part.iter().copied().collect();
            let os_index = level.indexes.get(at).copied().unwrap_or(at as u32);
            match level.kind {
                Kind::Package => draft.packages.push(Part { os_index: Some(os_index), cpuset }),
                Kind::Core => draft.cores.push(Part { os_index: Some(os_index), cpuset }),
                Kind::Cache(level_number) => draft.caches.push(Cache {
                    level: level_number,
                    size_bytes: level.size_bytes.unwrap_or(0),
                    cpuset,
                }),
                Kind::Numa => {
                    let os_index = match level.indexes.get(at) {
                        Some(&index) => index,
                        None => draft.nodes.len() as u32,
                    };
                    draft.nodes.push(node(os_index, cpuset, level.size_bytes));
                }
                Kind::Pu | Kind::Group => {}
            }
        }
    }
    if draft.nodes.is_empty() {
        draft.nodes.push(node(0, draft.pus.clone(), None));
    }
    let mut indices: Vec<u32> = draft.nodes.iter().map(|node| node.os_index).collect();
    indices.sort_unstable();
    if indices.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(wrong(text, "two NUMA nodes have the same index"));
    }
    Ok(draft)
}

fn node(os_index: u32, cpuset: CpuSet, size_bytes: Option<u64>) -> NumaNode {
    let memory_bytes = Some(size_bytes.unwrap_or(DEFAULT_MEMORY_BYTES));
    NumaNode { os_index, cpuset, memory_bytes, distances: Vec::new() }
}

/// Splits at white space outside parentheses and brackets.
fn words(text: &str) -> Result<Vec<&str>, TopologyError> {
    let (mut depth, mut start) = (0usize, None);
    let mut words = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.checked_sub(1).ok_or_else(|| wrong(&text[at..], "closes nothing"))?,
            _ => {}
        }
        let is_gap = c.is_whitespace() && depth == 0;
        match (start, is_gap) {
            (None, false) => start = Some(at),
            (Some(from), true) => {
                words.push(&text[from..at]);
                start = None;
            }
            _ => {}
        }
    }
    if depth != 0 {
        return Err(wrong(text, "a parenthesis or bracket stays open"));
    }
    words.extend(start.map(|from| &text[from..]));
    Ok(words)
}

/// Reads `name:count(attributes)` or `[name(attributes)]`.
fn level(word: &str, parents: usize) -> Result<Level, TopologyError> {
    let attached = word.strip_prefix('[').and_then(|word| word.strip_suffix(']'));
    let body = attached.unwrap_or(word);
    let (head, attributes) = match body.split_once('(') {
        None => (body, ""),
        Some((head, rest)) => {
            (head, rest.strip_suffix(')').ok_or_else(|| wrong(word, "text after the attributes"))?)
        }
    };
    let (name, count) = match (head.split_once(':'), attached) {
        (Some((name, count)), None) => {
            let count: usize = count.parse().map_err(|_| wrong(word, "the count is no number"))?;
            (name, count)
        }
        (None, Some(_)) => (head, 1),
        _ => return Err(wrong(word, "a level is name:count, a memory node [numa]")),
    };
    let kind = kind(name).ok_or_else(|| wrong(word, "no such kind of object"))?;
    if count == 0 || (attached.is_some() && kind != Kind::Numa) {
        return Err(wrong(word, "a count is at least 1, and only numa can be attached"));
    }
    let total = parents.saturating_mul(count);
    let mut level =
        Level { kind, is_attached: attached.is_some(), total, size_bytes: None, indexes: Vec::new() };
    for attribute in attributes.split_whitespace() {
        let (key, value) =
            attribute.split_once('=').ok_or_else(|| wrong(word, "an attribute is key=value"))?;
        match (key, kind) {
            ("memory", Kind::Numa) | ("size", Kind::Cache(_)) => {
                level.size_bytes = Some(bytes(value).ok_or_else(|| wrong(word, "no size"))?);
            }
            ("indexes", Kind::Pu | Kind::Numa) => {
                level.indexes = CpuSet::parse_ordered(value)
                    .map_err(|source| TopologyError::Set { place: shortened(word), source })?;
                if level.indexes.len() != total {
                    return Err(wrong(word, "the indexes are not one per object"));
                }
            }
            _ => return Err(wrong(word, "no such attribute here")),
        }
    }
    debug_assert!(!level.is_attached || level.total == parents);
    Ok(level)
}

fn kind(name: &str) -> Option<Kind> {
    Some(match name.to_ascii_lowercase().as_str() {
        "package" | "pack" | "socket" => Kind::Package,
        "numa" | "numanode" | "node" => Kind::Numa,
        "l1" | "l1d" | "l1cache" => Kind::Cache(1),
        "l2" | "l2cache" => Kind::Cache(2),
        "l3" | "l3cache" => Kind::Cache(3),
        "l4" | "l4cache" => Kind::Cache(4),
        "core" => Kind::Core,
        "pu" => Kind::Pu,
        "die" | "group" => Kind::Group,
        _ => return None,
    })
}

/// A size in bytes: `16GB` is decimal and `16GiB` binary, as in hwloc.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn wrong(part: &str, reason: &str) -> TopologyError {
    TopologyError::Synthetic { part: shortened(part), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
