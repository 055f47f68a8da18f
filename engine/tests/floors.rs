//! The house keeps its shape: modules import only from lower floors, and no file grows too long to read.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

mod rust_text;
mod sources;

use rust_text::{code, is_test};
use sources::files;
use std::fs;
use std::path::Path;

/// The floors of `engine/src`, lowest first: a module may use those on floors below its own, and itself.
/// `handle` and `sync` stand half a floor above `memory`, in whose arena they live, and `shared` as much
/// above `array`, whose elements it shares.
const FLOORS: [&[&str]; 11] = [
    &["base"],
    &["sys"],
    &["code", "topology", "memory"],
    &["handle", "tuning"],
    &["sync"],
    &["array", "channel"],
    &["shared"],
    &["spawn"],
    &["team"],
    &["launch", "process"],
    &["task", "manager"],
];

/// Every other module of the crate's root, and the root itself: they may use everything.
const TOP: usize = FLOORS.len();

/// Lines that a file may have.
const MAX_LINES: usize = 600;

fn floor_of(module: &str) -> usize {
    FLOORS.iter().position(|modules| modules.contains(&module)).unwrap_or(TOP)
}

/// The first names after `crate::`, also those of a group in braces.
fn modules_used(code: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            used.push(name(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = 0;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    used.push(name(&group[start..at]));
                    start = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    used.retain(|name| !name.is_empty());
    used
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = files(&root, ".rs");
    let (mut wrong, mut looked_at) = (Vec::new(), 0);
    for path in files.iter().filter(|path| !is_test(path.strip_prefix(&root).unwrap())) {
        let inside = path.strip_prefix(&root).unwrap();
        let own = inside.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned();
        for used in modules_used(&code(&fs::read_to_string(path).unwrap())) {
            looked_at += 1;
            if used != own && floor_of(&own) != TOP && floor_of(&used) >= floor_of(&own) {
                wrong.push(format!("{} uses crate::{used}, which is not below {own}", inside.display()));
            }
        }
    }
    assert!(looked_at > 100, "only {looked_at} imports were found: this test has lost its way");
    assert!(wrong.is_empty(), "upward imports:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let files = files(house, ".rs");
    assert!(files.len() > 50, "only {} files were found: this test has lost its way", files.len());
    let long: Vec<String> = files
        .iter()
        .map(|path| (path, fs::read_to_string(path).unwrap().lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| format!("{}: {lines} lines", path.strip_prefix(house).unwrap().display()))
        .collect();
    assert!(long.is_empty(), "more than {MAX_LINES} lines:\n{}", long.join("\n"));
}

/// Calls that make descriptors. They stand in `sys` alone, where each result passes `descriptor::kept`.
const DOORS: [&str; 10] = [
    "File::open(",
    "File::create(",
    "std::fs::read(",
    "fs::read_to_string(",
    "fs::memfd_create(",
    "eventfd(",
    "socketpair(",
    "process::pidfd_open(",
    "libc::open(",
    "rustix::fs::open(",
];

#[test]
fn descriptors_come_through_one_door() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for path in files(&house, ".rs").iter().filter(|path| !is_test(path)) {
        let text = code(&fs::read_to_string(path).unwrap());
        let inside = path.strip_prefix(&house).unwrap();
        let mut found: Vec<&str> = DOORS.into_iter().filter(|call| text.contains(call)).collect();
        if inside.starts_with("sys") {
            assert!(
                found.is_empty() || text.contains("kept("),
                "{}: {found:?} beside the door",
                inside.display()
            );
            continue;
        }
        // That of `sys::process` has passed the door.
        found.retain(|call| *call != "process::pidfd_open(");
        // `OpenOptions` are opened by `descriptor::open`.
        let opens = text.contains("OpenOptions") && text.contains(".open(");
        found.extend(opens.then_some(".open("));
        found.iter().for_each(|call| wrong.push(format!("{}: {call}", inside.display())));
    }
    assert!(wrong.is_empty(), "descriptors that may be 0, 1 or 2:\n{}", wrong.join("\n"));
}

/// Names of the statics and thread-locals in a file's code.
fn statics(code: &str) -> Vec<&str> {
    let names = code.lines().filter_map(|line| {
        let line = line.trim_start();
        let line =
            line.strip_prefix("pub").map_or(line, |rest| rest.split_once(' ').map_or(rest, |(_, rest)| rest));
        let line = line.strip_prefix("thread_local!(").unwrap_or(line);
        let name = line.strip_prefix("static ")?.trim_start_matches("ref ").split(':').next()?;
        name.starts_with(char::is_uppercase).then_some(name)
    });
    names.collect()
}

#[test]
fn what_a_fork_makes_of_every_static_is_written_down() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(house.parent().unwrap().join("docs/memory-model.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let mut found = 0;
    let mut missing = Vec::new();
    for path in files(&house.join("src"), ".rs").iter().filter(|path| !is_test(path)) {
        let text = code(&fs::read_to_string(path).unwrap());
        let inside = path.strip_prefix(house.join("src")).unwrap().to_string_lossy().into_owned();
        for name in statics(&text) {
            found += 1;
            let is_listed =
                |row: &&&str| row.contains(&format!("`{inside}`")) && row.contains(&format!("`{name}`"));
            if rows.iter().find(is_listed).is_none() {
                missing.push(format!("{inside}: {name}"));
            }
        }
    }
    assert!(found > 40, "only {found} statics were found: this test has lost its way");
    assert!(missing.is_empty(), "not in docs/memory-model.md, \"Forks\":\n{}", missing.join("\n"));
    let forms = "static A: u8 = 0;\npub(crate) static B: u8 = 0;\n thread_local!(static C: u8 = 0);\n    static ref D: u8 = 0;";
    assert_eq!(statics(forms), ["A", "B", "C", "D"]);
}

/// Whether a file's sums are held to their ends by the linter.
fn is_watched(code: &str) -> bool {
    code.split("#![deny(")
        .skip(1)
        .any(|rest| rest.trim_start().starts_with("clippy::arithmetic_side_effects"))
}

#[test]
fn sums_beside_unsafe_code_are_watched() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut unwatched = Vec::new();
    for (part, least) in [("engine/src", 80), ("kernels/src", 8)] {
        let files = files(&house.join(part), ".rs");
        let texts = files.iter().filter(|path| !is_test(path.strip_prefix(house).unwrap()));
        let texts = texts.map(|path| (path, code(&fs::read_to_string(path).unwrap())));
        let unsafe_ones: Vec<_> = texts.filter(|(_, text)| text.contains("allow(unsafe_code)")).collect();
        let found = unsafe_ones.len();
        assert!(found >= least, "only {found} files of {part} have unsafe code: this test has lost its way");
        unwatched.extend(
            unsafe_ones.into_iter().filter(|(_, text)| !is_watched(text)).map(|(path, _)| path.clone()),
        );
    }
    let unwatched: Vec<_> = unwatched.iter().map(|path| path.display().to_string()).collect();
    assert!(
        unwatched.is_empty(),
        "unsafe code without `#![deny(clippy::arithmetic_side_effects)]`:\n{}",
        unwatched.join("\n")
    );
    assert!(is_watched("#![deny(clippy::arithmetic_side_effects)]") && !is_watched("#![deny(unused)]"));
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::{base::Span, sys::{a, b}, Error};\nlet x = crate::team::f(); // crate::pool\n";
    assert_eq!(modules_used(&code(text)), ["base", "sys", "Error", "team"]);
}
