//! The programs of `examples/compare`: the twins of each print the same, and docs/compare.md tells of them
//! what is so.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as the tests may")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Seconds that one run may take before it counts as hanging.
const LIMIT: &str = "300";

/// The twins of a program, in the order of the table's columns.
const TWINS: [&str; 4] = ["phalanx.rs", "rayon.rs", "python.py", "openmp.c"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("compare")
}

/// Names of all programs: the folders that have a twin with Phalanx.
fn names() -> Vec<String> {
    let folders = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let programs = folders.filter(|folder| folder.join(TWINS[0]).exists());
    let mut names: Vec<_> =
        programs.map(|folder| folder.file_name().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    assert!(names.len() >= 15, "only {} programs were found: this test has lost its way", names.len());
    names
}

fn text(name: &str, twin: &str) -> String {
    let path = folder().join(name).join(twin);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn page() -> String {
    fs::read_to_string(folder().join("../../docs/compare.md")).unwrap()
}

/// What a program with these arguments prints. Panics with what it reported if it fails.
fn output(program: impl AsRef<Path>, arguments: &[&str]) -> String {
    let program = program.as_ref();
    let output = Command::new("timeout")
        .arg(LIMIT)
        .arg(program)
        .args(arguments)
        .env("PYTHONPATH", folder())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let [text, errors] = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert!(output.status.success(), "{program:?} {arguments:?}: {}\n{text}{errors}", output.status);
    text
}

/// A Python that has NumPy: the one in `PHALANX_PYTHON`, the gate's own beside the build, or `python3`.
fn python() -> Option<String> {
    let build = Path::new(env!("CARGO_BIN_EXE_compare_phalanx")).ancestors().nth(2).unwrap();
    let own = build.join("python/bin/python").to_string_lossy().into_owned();
    let mut candidates = std::env::var("PHALANX_PYTHON").into_iter().chain([own, "python3".to_owned()]);
    candidates.find(|python| {
        let probe = Command::new(python).args(["-c", "import numpy"]).output();
        probe.is_ok_and(|output| output.status.success())
    })
}

/// Compiles a C program with OpenMP.
fn compile(source: &Path, to: &Path) -> std::io::Result<std::process::Output> {
    Command::new("cc").args(["-O1", "-fopenmp"]).arg(source).arg("-o").arg(to).arg("-lm").output()
}

fn has_openmp(folder: &Path) -> bool {
    let source = folder.join("probe.c");
    fs::write(&source, "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n").unwrap();
    compile(&source, &folder.join("probe")).is_ok_and(|output| output.status.success())
}

#[test]
fn twins_print_the_same() {
    let build = tempfile::tempdir().unwrap();
    let (python, has_openmp) = (python(), has_openmp(build.path()));
    if python.is_none() {
        println!("SKIPPED: the twins in Python, as there is none with numpy (name one in PHALANX_PYTHON)");
    }
    if !has_openmp {
        println!("SKIPPED: the twins in C, as there is no cc that knows -fopenmp");
    }
    for name in names() {
        let printed = output(env!("CARGO_BIN_EXE_compare_phalanx"), &[&name]);
        assert!(
            printed.ends_with('\n') && printed.contains(|c: char| c.is_ascii_digit()),
            "{name}: {printed}"
        );
        assert_eq!(output(env!("CARGO_BIN_EXE_compare_rayon"), &[&name]), printed, "{name}, rayon");
        if let Some(python) = &python {
            let script = folder().join(&name).join("python.py");
            assert_eq!(output(python, &[script.to_str().unwrap()]), printed, "{name}, Python");
        }
        if has_openmp {
            let program = build.path().join(&name);
            let compiled = compile(&folder().join(&name).join("openmp.c"), &program).unwrap();
            assert!(compiled.status.success(), "{name}: {}", String::from_utf8_lossy(&compiled.stderr));
            assert_eq!(output(&program, &[]), printed, "{name}, OpenMP");
        }
    }
}

/// The lines that are neither blank nor a comment alone.
fn count(twin: &str, text: &str) -> usize {
    let comments: &[&str] = if twin.ends_with(".py") { &["#", "\"\"\""] } else { &["//"] };
    let is_code = |line: &&str| !line.is_empty() && !comments.iter().any(|start| line.starts_with(start));
    text.lines().map(str::trim).filter(is_code).count()
}

#[test]
fn the_table_has_the_counts() {
    let mut totals = [0; TWINS.len()];
    let mut expected = BTreeMap::new();
    for name in names() {
        let counts = TWINS.map(|twin| count(twin, &text(&name, twin)));
        totals = std::array::from_fn(|i| totals[i] + counts[i]);
        expected.insert(format!("[{name}](../examples/compare/{name})"), counts);
    }
    expected.insert("all".to_owned(), totals);
    // Its rows: program, what it shows, and a count per twin.
    let page = page();
    let rows = page.lines().filter(|line| line.starts_with("| [") || line.starts_with("| all "));
    let told: BTreeMap<_, _> = rows
        .map(|row| {
            let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
            let counts: Vec<usize> = cells[2..].iter().map(|cell| cell.parse().unwrap()).collect();
            (cells[0].to_owned(), <[usize; TWINS.len()]>::try_from(counts).unwrap())
        })
        .collect();
    assert_eq!(told, expected, "docs/compare.md");
    let [what, is] = ["let x = 1; // one", "# not C"].map(|line| count("openmp.c", line));
    assert_eq!((what, is, count("python.py", "\n  # so\n\"\"\"So.\"\"\"\nx = 1\n")), (1, 1, 1));
}

#[test]
fn excerpts_stand_in_the_programs() {
    let lines = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    let programs: Vec<_> =
        names().iter().flat_map(|name| TWINS.map(|twin| lines(&text(name, twin)))).collect();
    let page = page();
    // Blocks and what stands between them take turns.
    let blocks: Vec<_> =
        page.split("```").skip(1).step_by(2).filter(|block| !block.starts_with("sh")).collect();
    assert!(blocks.len() >= 6, "only {} excerpts were found: this test has lost its way", blocks.len());
    for block in blocks {
        let excerpt = &lines(block)[1..];
        let stands = |program: &Vec<String>| program.windows(excerpt.len()).any(|part| part == excerpt);
        assert!(programs.iter().any(stands), "docs/compare.md shows what is in no program:\n{block}");
    }
}
