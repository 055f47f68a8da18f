//! What comments, documents and the sum of errors say of the code is so: names that are told exist, links
//! lead somewhere.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod sources;

use sources::files;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What follows `keyword` wherever it stands as a word.
fn named<'a>(text: &'a str, keyword: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(keyword).filter_map(move |(at, _)| {
        let is_word = !text[..at].ends_with(is_of_name);
        let rest = text[at + keyword.len()..].strip_prefix(' ')?;
        let name = &rest[..rest.find(|c| !is_of_name(c)).unwrap_or(rest.len())];
        (is_word && !name.is_empty()).then_some(name)
    })
}

/// Names of all functions in the code of all members of the workspace.
fn functions() -> BTreeSet<String> {
    let texts = files(&root(), ".rs").into_iter().map(|path| fs::read_to_string(path).unwrap());
    texts.flat_map(|text| named(&text, "fn").map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Lines of comments that follow each other, as one text each.
fn comments(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in text.lines() {
        match line.trim_start().strip_prefix("//") {
            Some(comment) => {
                let block = blocks.last_mut().unwrap();
                block.push_str(comment.trim_start_matches(['/', '!']));
                block.push(' ');
            }
            None => blocks.push(String::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// What stands in backticks in a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The last part of a path, without brackets.
fn last_name(path: &str) -> &str {
    let path = path.trim_start_matches('[').trim_end_matches(']');
    path.rsplit("::").next().unwrap_or(path)
}

#[test]
fn what_an_ordering_pairs_with_exists() {
    let functions = functions();
    let (mut partners, mut missing) = (0, Vec::new());
    for path in files(&root().join("engine/src"), ".rs") {
        for comment in comments(&fs::read_to_string(&path).unwrap()) {
            for (at, _) in comment.match_indices("airs with") {
                let sentence = &comment[at..];
                let end = sentence.find(['.', ';', ':']).map_or(sentence.len(), |end| {
                    if sentence[end..].starts_with("::") {
                        sentence.find(". ").unwrap_or(sentence.len())
                    } else {
                        end
                    }
                });
                for name in quoted(&sentence[..end]).map(last_name) {
                    partners += 1;
                    if !functions.contains(name) {
                        missing.push(format!("{}: {name}", path.display()));
                    }
                }
            }
        }
    }
    assert!(partners > 40, "only {partners} partners were found: this test has lost its way");
    assert!(missing.is_empty(), "partners that do not exist:\n{}", missing.join("\n"));
}

#[test]
fn tests_that_documents_name_exist() {
    let functions = functions();
    let text = fs::read_to_string(root().join("docs/faults.md")).unwrap();
    let is_test = |name: &&str| {
        name.matches('_').count() >= 3 && name.chars().all(|c| is_of_name(c) && !c.is_uppercase())
    };
    let named: Vec<_> = quoted(&text).map(last_name).filter(is_test).collect();
    assert!(named.len() >= 100, "only {} tests were found: this test has lost its way", named.len());
    let missing: Vec<_> = named.into_iter().filter(|name| !functions.contains(*name)).collect();
    assert!(missing.is_empty(), "docs/faults.md names what does not exist: {missing:#?}");
}

#[test]
fn the_sum_of_errors_has_every_public_one() {
    let src = root().join("engine/src");
    let sum = fs::read_to_string(src.join("error.rs")).unwrap();
    let mut found = 0;
    for path in files(&src, ".rs") {
        let text = fs::read_to_string(&path).unwrap();
        for name in named(&text, "pub enum").chain(named(&text, "pub struct")) {
            if name.ends_with("Error") && name != "Error" {
                found += 1;
                let holds = [format!("({name})"), format!("(#[from] {name})")];
                assert!(
                    holds.iter().any(|held| sum.contains(held)),
                    "phalanx::Error lacks {name} of {}",
                    path.display()
                );
            }
        }
    }
    assert!(found > 20, "only {found} errors were found: this test has lost its way");
}

/// The part of a link that a heading makes.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| is_of_name(*c) || " -".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Lines that are headings; hidden lines of programs begin with `#` too.
fn headings(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        is_code ^= line.trim_start().starts_with("```");
        !is_code && line.starts_with('#')
    })
}

#[test]
fn links_in_documents_lead_somewhere() {
    let (mut links, mut broken) = (0, Vec::new());
    for path in files(&root(), ".md") {
        let text = fs::read_to_string(&path).unwrap();
        for (at, _) in text.match_indices("](") {
            let target = &text[at + 2..];
            let target = &target[..target.find(')').unwrap_or(0)];
            if target.starts_with("http") || target.contains([' ', '\n']) || target.is_empty() {
                continue;
            }
            links += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let to = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let leads = match fs::read_to_string(&to) {
                Ok(text) => heading.is_empty() || headings(&text).any(|line| anchor(line) == heading),
                Err(_) => heading.is_empty() && to.exists(),
            };
            if !leads {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(links > 50, "only {links} links were found: this test has lost its way");
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

/// All pages below docs/, by their path inside it.
fn pages() -> Vec<(String, String)> {
    let docs = root().join("docs");
    let page = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(&docs).unwrap().display().to_string(), text)
    };
    files(&docs, ".md").into_iter().map(page).collect()
}

#[test]
fn every_page_of_the_book_is_listed() {
    let docs = root().join("docs");
    let read = |page: &str| fs::read_to_string(docs.join(page)).unwrap();
    let (contents, summary, guide) = (read("README.md"), read("SUMMARY.md"), read("guide.md"));
    let protocols = files(&root().join("engine/src"), "README.md");
    for protocol in protocols {
        let link = format!("(../{})", protocol.strip_prefix(root()).unwrap().display());
        assert!(contents.contains(&link), "docs/README.md does not list {link}");
    }
    let mut chapters = 0;
    for (page, text) in pages().into_iter().filter(|(page, _)| page != "SUMMARY.md") {
        let link = format!("({page})");
        assert_eq!(summary.matches(&link).count(), 1, "docs/SUMMARY.md must list {page} once");
        if page.starts_with("guide/") {
            chapters += 1;
            assert!(guide.contains(&link), "docs/guide.md does not list {page}");
            let title = text.lines().next().unwrap().trim_start_matches("# ");
            let title = title.split(':').next().unwrap();
            assert!(summary.contains(&format!("[{title}")), "docs/SUMMARY.md has another title for {page}");
        } else if !page.contains('/') && page != "README.md" {
            assert!(contents.contains(&link), "docs/README.md does not list {link}");
        }
    }
    assert!(chapters > 15, "only {chapters} chapters were found: this test has lost its way");
}

#[test]
fn rust_blocks_of_the_book_are_compiled() {
    let compiled = fs::read_to_string(root().join("docs/book.rs")).unwrap();
    let mut programs = 0;
    // compare.md has pieces of programs that examples/compare compiles whole.
    for (page, text) in pages().into_iter().filter(|(page, _)| page != "compare.md") {
        let blocks = text.lines().filter(|line| line.starts_with("```rust")).count();
        programs += blocks;
        let is_compiled = compiled.contains(&format!("\"{page}\""));
        assert!(is_compiled || blocks == 0, "docs/book.rs lacks {page}, which has Rust blocks");
        for skipped in ["```rust,ignore", "```rust,no_run", "```ignore", "```rust,text"] {
            assert!(!text.contains(skipped), "{page}: {skipped}");
        }
    }
    assert!(programs > 50, "only {programs} blocks were found: this test has lost its way");
}

/// The drawing of the floors, from the top, is that of floors.rs; and paths in the two documents for
/// developers exist.
#[test]
fn documents_for_developers_know_the_tree() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let architecture = read("ARCHITECTURE.md");
    let drawn = architecture.split("```text").nth(1).unwrap().split("```").next().unwrap();
    let floors = read("engine/tests/floors.rs");
    let listed = floors.split("const FLOORS").nth(1).unwrap().split("];\n").next().unwrap();
    // What stands further to the right explains.
    let drawn: Vec<&str> = drawn.lines().map(|line| &line[..line.len().min(30)]).collect();
    let modules: Vec<_> = listed.lines().skip(1).flat_map(words).collect();
    for pair in modules.windows(2) {
        let line = |name: &str| drawn.iter().position(|line| words(line).any(|word| word == name));
        let of = |name: &str| line(name).unwrap_or_else(|| panic!("ARCHITECTURE.md lacks {name}"));
        assert!(of(pair[1]) <= of(pair[0]), "ARCHITECTURE.md draws {} below {}", pair[1], pair[0]);
    }
    assert!(modules.len() > 12, "only {modules:?} were found: this test has lost its way");

    let (mut found, mut missing) = (0, Vec::new());
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        for path in quoted(&read(document)).filter(|path| is_path(path)) {
            found += 1;
            let exists = |base: &str| root().join(base).join(path).exists();
            if !["", "engine/src", "docs"].into_iter().any(exists) {
                missing.push(format!("{document}: {path}"));
            }
        }
    }
    assert!(found > 40, "only {found} paths were found: this test has lost its way");
    assert!(missing.is_empty(), "paths that do not exist:\n{}", missing.join("\n"));
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !is_of_name(c)).filter(|word| !word.is_empty())
}

/// Whether it is the path of a file or a folder, and not a pattern or a command.
fn is_path(text: &str) -> bool {
    let is_plain = text.chars().all(|c| is_of_name(c) || "./-".contains(c));
    is_plain
        && text.contains('/')
        && !text.contains("NAME")
        && !text.contains("FAMILY")
        && !text.starts_with('/')
}

#[test]
fn programs_are_listed() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let readme = read("README.md");
    let mut programs = 0;
    let folders = fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    for folder in folders.filter(|folder| folder.join("main.rs").exists()) {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        programs += 1;
        assert!(readme.contains(&format!("`{name}`")), "README.md does not name the example {name}");
    }
    assert!(programs > 5, "only {programs} programs were found: this test has lost its way");
}
