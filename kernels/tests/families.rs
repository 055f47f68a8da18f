//! The house keeps its shape: families of kernels do not import each other, and no file grows too long to
//! read.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// What every family may use, beside itself.
const BASE: [&str; 14] = [
    "error",
    "inline",
    "input",
    "interpolate",
    "lanes",
    "layout",
    "lines",
    "local",
    "number",
    "scale",
    "simd",
    "store",
    "testing",
    "word",
];
/// Lines that a file may have.
const MAX_LINES: usize = 800;

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
    found
}

/// The first names after `crate::`, those of groups in braces included.
fn used(code: &str) -> Vec<String> {
    let name = |text: &str| {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.push(name(rest)),
            Some(group) => {
                let mut depth = 0;
                for part in group.split(',') {
                    if depth == 0 {
                        found.push(name(part));
                    }
                    depth += part.matches('{').count() as i32 - part.matches('}').count() as i32;
                    if depth < 0 {
                        break;
                    }
                }
            }
        }
    }
    found
}

/// The families that stand above the others, made of their kernels.
const ABOVE: [&str; 2] = ["signal", "statistics"];

#[test]
fn families_use_the_base_and_themselves_only() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut families, mut looked_at) = (0, 0);
    for family in
        fs::read_dir(&source).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        families += 1;
        let own = family.file_name().unwrap().to_str().unwrap().to_owned();
        for file in rust_files(&family) {
            let code: String = fs::read_to_string(&file)
                .unwrap()
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .map(|line| format!("{line}\n"))
                .collect();
            for module in used(&code) {
                looked_at += 1;
                let known = BASE.contains(&module.as_str()) || module == own || ABOVE.contains(&own.as_str());
                // Types that the root gives on, and macros, begin no path into a family.
                let of_root = module.starts_with(|c: char| c.is_uppercase()) || module == "INLINE_ELEMENTS";
                assert!(known || of_root, "{}: uses crate::{module}, another family", file.display());
            }
        }
    }
    assert!(families >= 3 && looked_at > 10, "the test must have looked at something");
}

#[test]
fn no_file_is_too_long_to_read() {
    for file in rust_files(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines, more than {MAX_LINES}", file.display());
    }
}
