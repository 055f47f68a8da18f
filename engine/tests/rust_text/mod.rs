//! The text of source files, for tests that look at it.

use std::path::Path;

/// Whether the file holds only tests, which may look at the house from above.
pub fn is_test(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_string_lossy();
    name == "tests"
        || name.ends_with("_tests")
        || name.ends_with("models")
        || path.iter().any(|part| part == "tests")
}

/// The text without comments, and without the module of tests at its end.
pub fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end].lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}
