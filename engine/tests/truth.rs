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
                Ok(text) => {
                    heading.is_empty()
                        || text.lines().any(|line| line.starts_with('#') && anchor(line) == heading)
                }
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

#[test]
fn every_page_of_the_book_is_listed() {
    let docs = root().join("docs");
    let contents = fs::read_to_string(docs.join("README.md")).unwrap();
    let pages = files(&docs, ".md").into_iter().filter(|path| path.parent() == Some(&docs));
    let protocols = files(&root().join("engine/src"), "README.md");
    for path in pages.chain(protocols).filter(|path| !path.ends_with("docs/README.md")) {
        let link = path.strip_prefix(&docs).map_or_else(
            |_| format!("(../{})", path.strip_prefix(root()).unwrap().display()),
            |page| format!("({})", page.display()),
        );
        assert!(contents.contains(&link), "docs/README.md does not list {link}");
    }
    let guide = fs::read_to_string(docs.join("guide.md")).unwrap();
    for heading in guide.lines().filter(|line| line.starts_with("## ")) {
        let link = format!("(#{})", anchor(heading));
        assert!(guide.contains(&link), "the contents of docs/guide.md lack {heading}");
    }
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
