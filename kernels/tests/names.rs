//! docs/kernels.md tells of every kernel, and of nothing that does not exist.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Names of a family that others can use, as `family::name`.
#[derive(Default)]
struct Names {
    functions: BTreeSet<String>,
    types: BTreeSet<String>,
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|kind| kind == "rs")).collect()
}

/// The name after a keyword at the beginning of a line.
fn declared<'a>(line: &'a str, keyword: &str) -> Option<&'a str> {
    let rest = line.strip_prefix("pub ")?.strip_prefix(keyword)?.strip_prefix(' ')?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

/// The name of a kernel that a macro makes from a line of a table, as `    name[Bound] -> ..`.
fn made_by_a_macro(line: &str) -> Option<&str> {
    let (name, rest) = line.strip_prefix("    ")?.split_once('[')?;
    let (_, rest) = rest.split_once(']')?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_table = rest.starts_with(" -> ") || rest.starts_with('(') || rest.starts_with(": ");
    (is_table && !name.is_empty() && name.chars().all(is_name)).then_some(name)
}

/// What the modules of the crate's root offer: declared with `pub` in a file of the family, and given on by
/// its `mod.rs` or declared there.
fn offered() -> Names {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let root = fs::read_to_string(source.join("lib.rs")).unwrap();
    let mut names = Names::default();
    for family in root.lines().filter_map(|line| declared(line, "mod")) {
        let folder = source.join(family);
        let head = fs::read_to_string(folder.join("mod.rs")).unwrap();
        let uses: String = head
            .split("pub use ")
            .skip(1)
            .filter_map(|rest| rest.split(';').next())
            .collect::<Vec<_>>()
            .join(" ");
        let given_on: BTreeSet<&str> = uses.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        for file in rust_files(&folder) {
            let text = fs::read_to_string(&file).unwrap();
            // `pub mod batch` in `mod.rs`: what its files offer stands below its own name.
            let inside = file.strip_prefix(&folder).unwrap().iter().next().unwrap();
            let inner = inside.to_str().unwrap().trim_end_matches(".rs");
            let is_module = head.lines().any(|line| declared(line, "mod") == Some(inner));
            let family = if is_module { format!("{family}::{inner}") } else { family.to_owned() };
            let is_head = is_module || file.ends_with("mod.rs");
            let is_offered = |name: &str| is_head || given_on.contains(name);
            for line in text.lines() {
                let name = declared(line, "fn").or_else(|| made_by_a_macro(line));
                if let Some(name) = name.filter(|name| is_offered(name)) {
                    names.functions.insert(format!("{family}::{name}"));
                }
                let kinds = ["struct", "enum", "trait"].into_iter();
                for name in kinds.filter_map(|kind| declared(line, kind)).filter(|name| is_offered(name)) {
                    names.types.insert(format!("{family}::{name}"));
                }
            }
        }
    }
    names
}

/// All `family::name` in backticks in the second columns of the page, and how many rows there are.
fn told() -> (BTreeSet<String>, usize) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/kernels.md");
    let text = fs::read_to_string(page).unwrap();
    let rows: Vec<&str> =
        text.lines().filter(|line| line.starts_with("| ") && !line.ends_with(" here |")).collect();
    let mut found = BTreeSet::new();
    for row in &rows {
        let columns: Vec<&str> = row.split(" | ").collect();
        assert_eq!(columns.len(), 2, "a row has two columns: {row}");
        let quoted = columns[1].split('`').skip(1).step_by(2);
        let paths = quoted.filter(|text| text.contains("::"));
        let before = found.len();
        for path in paths {
            // Methods are looked up by their type.
            let names: Vec<&str> = path.split("::").collect();
            let is_type = names[1].starts_with(|c: char| c.is_uppercase());
            found.insert(names[..names.len().min(if is_type { 2 } else { 3 })].join("::"));
        }
        assert!(found.len() > before || columns[1].contains("::"), "a row names a kernel: {row}");
    }
    (found, rows.len())
}

#[test]
fn every_name_told_exists() {
    let (told, rows) = told();
    let names = offered();
    assert!(rows > 30 && told.len() > 60, "the test must have looked at something");
    for name in &told {
        let exists = names.functions.contains(name) || names.types.contains(name);
        assert!(exists, "docs/kernels.md tells of `{name}`, which does not exist");
    }
}

#[test]
fn no_kernel_is_left_out() {
    let (told, _) = told();
    for name in &offered().functions {
        assert!(told.contains(name), "docs/kernels.md does not tell of `{name}`");
    }
}
