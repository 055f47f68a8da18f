//! No two files need each other, but for the few circles listed here: a file can be read when those below it
//! are known.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

mod rust_text;
mod sources;

use rust_text::{code, is_test};
use sources::files;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module's place: the names on the way to it from the crate's root.
type Module = Vec<String>;

/// Circles that are there on purpose, or still there: the files of each. Take one out when it is gone.
const ALLOWED: [&[&str]; 10] = [
    // A format's description, reader and writer.
    &["engine/base/notation", "engine/base/notation/read", "engine/base/notation/write"],
    &["engine/array/npy/dtype", "engine/array/npy/spelling"],
    // A segment names itself in the registry, which leads to segments.
    &["engine/memory/registry", "engine/memory/segment"],
    &["engine/memory/error", "engine/memory/room"],
    &["engine/topology/placement", "engine/topology/places"],
    // One protocol over one struct, in three files.
    &["engine/channel/core", "engine/channel/hand", "engine/channel/inside"],
    // A type and its builder, or its guard.
    &["engine/channel/claimed", "engine/channel/queue"],
    &["engine/process/builder", "engine/process/handle"],
    &["engine/pool", "engine/pool/builder"],
    &["engine/task/audit", "engine/task/calls", "engine/task/queue"],
];

/// One crate's modules, and what each brings into scope.
struct Crate {
    texts: BTreeMap<Module, String>,
    names: BTreeMap<Module, BTreeMap<String, Module>>,
    uses: BTreeMap<Module, Vec<Module>>,
}

fn parts(path: &str) -> Module {
    path.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// The paths of a `use` tree, one for each leaf, with the name that each gets.
fn leaves(tree: &str) -> Vec<(Module, String)> {
    let Some((before, rest)) = tree.split_once('{') else {
        let (path, name) = tree.split_once(" as ").unwrap_or((tree, ""));
        let mut path = parts(path);
        if path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name =
            if name.is_empty() { path.last().cloned().unwrap_or_default() } else { name.trim().into() };
        return vec![(path, name)];
    };
    let (mut all, mut depth, mut start) = (Vec::new(), 1, 0);
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 1 => depth -= 1,
            ',' | '}' if depth == 1 => {
                if !rest[start..at].trim().is_empty() {
                    all.extend(leaves(&format!("{before}{}", rest[start..at].trim())));
                }
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    all
}

impl Crate {
    fn read(root: &Path) -> Crate {
        let mut texts = BTreeMap::new();
        for path in files(root, ".rs") {
            let inside = path.strip_prefix(root).unwrap();
            if is_test(inside) {
                continue;
            }
            let text = inside.with_extension("");
            let mut module: Module = text.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            if ["mod", "lib", "main"].contains(&module.last().unwrap().as_str()) {
                module.pop();
            }
            texts.insert(module, code(&fs::read_to_string(&path).unwrap()));
        }
        let mut read = Crate { texts, names: BTreeMap::new(), uses: BTreeMap::new() };
        for module in read.texts.keys().cloned().collect::<Vec<_>>() {
            read.look_at(&module);
        }
        read
    }

    /// The place that a path written in `module` names, if it is one of this crate by its first part.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Module> {
        let mut base = module.to_vec();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => return Some(path[1..].to_vec()),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            child => {
                let own = [module, &[child.to_owned()]].concat();
                if !self.texts.contains_key(&own) {
                    let known = self.names.get(module)?.get(child)?;
                    return Some([known.as_slice(), &path[1..]].concat());
                }
            }
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    fn look_at(&mut self, module: &[String]) {
        let (mut names, mut uses, mut rest) = (BTreeMap::new(), Vec::new(), String::new());
        for statement in self.texts[module].split_inclusive(';') {
            let Some((before, tree)) = statement.rsplit_once("use ").filter(|(before, tree)| {
                !tree.contains('(') && (before.is_empty() || before.ends_with(char::is_whitespace))
            }) else {
                rest.push_str(statement);
                continue;
            };
            rest.push_str(before);
            let is_public = before.trim_end().ends_with("pub") || before.trim_end().ends_with(')');
            for (path, name) in leaves(tree.trim_end_matches(';')) {
                let is_child = path.first().is_some_and(|first| {
                    self.texts.contains_key([module, std::slice::from_ref(first)].concat().as_slice())
                });
                let Some(place) = self.absolute(module, &path) else { continue };
                names.insert(name, place.clone());
                if !(is_public && is_child) {
                    uses.push(place);
                }
            }
        }
        self.names.insert(module.to_vec(), names);
        let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        for path in rest.split(|c| !is_path(c)).filter(|path| path.contains("::")) {
            uses.extend(self.absolute(module, &parts(path)));
        }
        self.uses.insert(module.to_vec(), uses);
    }

    /// The file in which a place is, by way of what modules hand on.
    fn file_of(&self, place: &[String], steps: u8) -> Option<Module> {
        let module =
            (0..=place.len()).rev().map(|end| &place[..end]).find(|at| self.texts.contains_key(*at))?;
        let name = place.get(module.len());
        if let Some(handed_on) = name.and_then(|name| self.names[module].get(name)).filter(|_| steps < 8) {
            let place = [handed_on.as_slice(), &place[module.len() + 1..]].concat();
            return self.file_of(&place, steps + 1);
        }
        Some(module.to_vec())
    }

    /// The files that each file needs, over any number of steps.
    fn reached(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let direct = |module: &Module| -> BTreeSet<Module> {
            let files = self.uses[module].iter().filter_map(|place| self.file_of(place, 0));
            files.filter(|file| file != module && !file.is_empty()).collect()
        };
        let edges: BTreeMap<_, _> =
            self.texts.keys().map(|module| (module.clone(), direct(module))).collect();
        let from = |start: &Module| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![start.clone()]);
            while let Some(module) = next.pop() {
                next.extend(edges[&module].iter().filter(|file| seen.insert((*file).clone())).cloned());
            }
            seen
        };
        edges.keys().map(|module| (module.clone(), from(module))).collect()
    }
}

/// The sets of files that need each other.
fn circles(root: &Path) -> (BTreeSet<Vec<String>>, usize) {
    let read = Crate::read(root);
    let reached = read.reached();
    let of = |module: &Module| -> Vec<String> {
        let back = reached[module].iter().filter(|other| reached[*other].contains(module));
        back.map(|module| module.join("/")).collect()
    };
    let found = reached.keys().filter(|module| reached[*module].contains(*module)).map(of).collect();
    (found, reached.values().map(BTreeSet::len).sum())
}

#[test]
fn files_need_each_other_only_where_it_is_listed() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = BTreeSet::new();
    for (name, at) in [("engine", "engine/src"), ("kernels", "kernels/src"), ("benches", "benches/src")] {
        let (circles, looked_at) = circles(&house.join(at));
        assert!(looked_at > 100, "only {looked_at} uses were found in {name}: this test has lost its way");
        found.extend(
            circles
                .into_iter()
                .map(|files| -> Vec<String> { files.iter().map(|file| format!("{name}/{file}")).collect() }),
        );
    }
    let allowed: BTreeSet<Vec<String>> =
        ALLOWED.iter().map(|files| files.iter().map(ToString::to_string).collect()).collect();
    let new: Vec<_> = found.difference(&allowed).collect();
    assert!(new.is_empty(), "files that need each other: {new:#?}");
    let gone: Vec<_> = allowed.difference(&found).collect();
    assert!(gone.is_empty(), "listed, and not there any more: {gone:#?}");
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let folder = std::env::temp_dir().join(format!("phalanx-circles-{}", std::process::id()));
    fs::create_dir_all(folder.join("deep")).unwrap();
    let write = |file: &str, text: &str| fs::write(folder.join(file), text).unwrap();
    write("lib.rs", "mod a; mod b; mod c; mod deep;");
    write("a.rs", "use crate::{b::{self, X as Y}, c};\nfn f() { c::g() }");
    write("b.rs", "fn f() { crate::deep::handed_on() }");
    write("c.rs", "pub fn g() {}");
    write("deep/mod.rs", "mod low;\npub use low::handed_on;");
    write("deep/low.rs", "pub fn handed_on() { super::super::a::f() }");
    let (found, _) = circles(&folder);
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(found, [vec!["a".to_owned(), "b".into(), "deep/low".into()]].into());
}
