//! Every example prints what its folder says, and its folder is whole.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as the tests may")]

mod example;

use example::{Example, Expected, examples, names};
use std::fs;

#[test]
fn examples_print_what_is_expected() {
    let mut wrong = Vec::new();
    for name in names() {
        let example = Example::new(&name);
        let expected = example.expected();
        for arguments in example.runs() {
            let run = format!("{name} {arguments}").trim_end().to_owned();
            match example.output(&arguments).and_then(|printed| expected.compare(&printed)) {
                Ok(()) => println!("as expected: {run}"),
                Err(why) => wrong.push(format!("{run}: {why}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The lines of the README's blocks in that language.
fn blocks<'a>(readme: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("```{language}\n");
    let blocks = readme.split(&start).skip(1).map(|rest| rest.split("```").next().unwrap_or(rest));
    blocks.flat_map(str::lines).collect()
}

#[test]
fn every_example_is_whole() {
    let read = |file: &str| fs::read_to_string(examples().join(file)).unwrap();
    let (index, manifest) = (read("README.md"), read("Cargo.toml"));
    let names = names();
    assert!(names.len() >= 9, "only {} examples were found: this test has lost its way", names.len());
    for name in &names {
        assert!(
            index.contains(&format!("| [{name}]({name}/README.md) |")),
            "examples/README.md lacks {name}"
        );
        assert!(manifest.contains(&format!("path = \"{name}/main.rs\"")), "Cargo.toml lacks {name}");
        let example = Example::new(name);
        let (expected, runs) = (example.expected(), example.runs());
        assert!(!expected.is_empty() && !runs.is_empty(), "{name}: nothing is checked");
        // The README shows the first run, and lines that this run prints.
        let readme = example.text("README.md");
        let arguments = if runs[0].is_empty() { String::new() } else { format!(" -- {}", runs[0]) };
        let command = format!("cargo run --release -p phalanx-examples --bin {name}{arguments}");
        assert!(blocks(&readme, "sh").contains(&command.as_str()), "{name}/README.md lacks: {command}");
        let shown = blocks(&readme, "text");
        assert!(!shown.is_empty(), "{name}/README.md does not show what the example prints");
        for line in shown.into_iter().filter(|line| *line != "...") {
            assert!(expected.has(line), "{name}/README.md shows a line that is not printed: {line}");
        }
    }
    // Every row of the index has its example.
    let rows = index.lines().filter(|line| line.starts_with("| [")).count();
    assert_eq!(rows, names.len(), "examples/README.md lists what does not exist");
}

#[test]
fn what_differs_is_seen() {
    let expected = Expected::parse("a\n[any order]\nb [..]\nb 2\n[end]\n[..]c[..]d\n");
    for right in ["a\nb 1\nb 2\ncd\n", "a\nb 2\nb 7\n1c2c3d\n"] {
        expected.compare(right).unwrap();
    }
    for wrong in [
        "",
        "a\nb 1\nb 2\n",
        "a\nb 1\nb 2\ncd\ncd\n",
        "a\nb 1\nb 1\ncd\n",
        "b 1\nb 2\na\ncd\n",
        "a\nb 1\nb 2\ncde\n",
        "a\nb 1\nb 2\ndc\n",
        "A\nb 1\nb 2\ncd\n",
    ] {
        assert!(expected.compare(wrong).is_err(), "{wrong:?}");
    }
    assert!(expected.has("b é") && expected.has("cd") && !expected.has("b") && !expected.has(""));
}
