//! ARCHITECTURE.md matches the repository: its crates, their lines, and every path that it names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::markdown::{code_spans, document};

/// Relative difference in lines above which the table must be rewritten, unless the difference is
/// only that of rounding.
const TOLERANCE: f64 = 0.2;
/// Unit to which the table rounds lines.
const ROUNDING: usize = 100;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Lines of Rust in a directory and its subdirectories.
fn lines_below(directory: &Path) -> usize {
    let mut lines = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            lines += lines_below(&path);
        } else if path.extension().is_some_and(|e| e == "rs") {
            lines += fs::read_to_string(&path).unwrap().lines().count();
        }
    }
    lines
}

/// The directory of a crate's sources, by its directory in the table.
fn sources(directory: &str) -> String {
    match directory {
        "src/" => directory.to_owned(),
        other => format!("{other}src"),
    }
}

#[test]
fn crate_table_lists_every_crate_with_its_line_count() {
    let page = document("ARCHITECTURE.md");
    let rows = page.section("Crates").rows();
    let listed: BTreeSet<String> = rows
        .iter()
        .map(|row| row[1].trim_matches('`').to_owned())
        .collect();
    let crates = fs::read_dir(root().join("crates")).unwrap();
    let mut existing: BTreeSet<String> = crates
        .map(|entry| format!("crates/{}/", entry.unwrap().file_name().to_str().unwrap()))
        .collect();
    existing.insert("src/".into());
    assert_eq!(listed, existing);

    let rewrite = std::env::var_os("CERTVIGIL_REWRITE").is_some();
    let mut text = page.text;
    for row in rows {
        let directory = row[1].trim_matches('`');
        let lines = lines_below(&root().join(sources(directory)));
        let written: usize = row[2].parse().unwrap();
        if rewrite {
            let rounded = lines.div_ceil(ROUNDING) * ROUNDING;
            let old = format!("| `{directory}` | {written} |");
            text = text.replace(&old, &format!("| `{directory}` | {rounded} |"));
            continue;
        }
        let tolerated = (lines as f64 * TOLERANCE).max(ROUNDING as f64);
        assert!(
            lines.abs_diff(written) as f64 <= tolerated,
            "{directory} has {lines} lines, ARCHITECTURE.md has {written}; run \
             CERTVIGIL_REWRITE=1 cargo test --test repository architecture::"
        );
    }
    if rewrite {
        fs::write(root().join("ARCHITECTURE.md"), text).unwrap();
    }
}

/// Paths in code spans, such as `src/cli/mod.rs`.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    code_spans(text).into_iter().filter(|span| {
        let is_path = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        span.contains('/') && span.chars().all(is_path)
    })
}

#[test]
fn every_path_in_architecture_exists() {
    let page = document("ARCHITECTURE.md");
    let mut checked = 0;
    for (line, text) in page.prose() {
        for path in paths(text).filter(|path| !path.contains("CODE")) {
            assert!(root().join(path).exists(), "line {line}: {path}");
            checked += 1;
        }
    }
    assert!(checked > 40, "{checked}");
}

/// Maximum lines of a file. A longer file has more than one concern.
const MAX_FILE_LINES: usize = 500;
/// Longer files, each with the reason. Their length is data.
const TABLES: [(&str, &str); 3] = [
    (
        "crates/certvigil-core/src/finding/detail.rs",
        "the data of each finding, one variant a code",
    ),
    (
        "crates/certvigil-core/src/judge/clients/rules.rs",
        "the table of the clients' rules",
    ),
    (
        "crates/certvigil-probe/src/probe/cleartext/suites.rs",
        "the table of cipher suites",
    ),
];

/// Directories of tests: modules with `#[cfg(test)]`.
const TESTS: [&str; 2] = ["tests", "simulation"];

/// Adds the Rust files below a directory that are not tests, with their lines.
fn code_files(directory: &Path, files: &mut Vec<(String, usize)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !TESTS.contains(&name) {
                code_files(&path, files);
            }
        } else if name.ends_with(".rs") && name != "tests.rs" {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            let path = path.strip_prefix(root()).unwrap();
            files.push((path.to_str().unwrap().to_owned(), lines));
        }
    }
}

#[test]
fn no_file_is_long_except_tables_and_tests() {
    let mut files = Vec::new();
    code_files(&root().join("src"), &mut files);
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        code_files(&entry.unwrap().path().join("src"), &mut files);
    }
    assert!(files.len() > 350, "{}", files.len());
    let is_long = |file: &&(String, usize)| file.1 > MAX_FILE_LINES;
    let long: BTreeSet<&str> = files.iter().filter(is_long).map(|f| f.0.as_str()).collect();
    let tables: BTreeSet<&str> = TABLES.iter().map(|(file, _)| *file).collect();
    assert_eq!(
        long, tables,
        "split the file by concern into modules; list it in TABLES only if it is a table"
    );
}

#[test]
fn path_extraction_ignores_other_code_spans() {
    let text = "`src/a.rs` and `--flag`, `make lint`, `a b/c`, `docs/x/`";
    assert_eq!(paths(text).collect::<Vec<_>>(), ["src/a.rs", "docs/x/"]);
}

/// The tests of a directory that are ignored, each with its reason.
fn ignored(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(ignored(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let reasons = text
                .lines()
                .filter_map(|l| l.trim().strip_prefix("#[ignore"));
            found.extend(reasons.map(|reason| (path.clone(), reason.to_owned())));
        }
    }
    found
}

#[test]
fn tests_of_the_program_need_cargo_alone() {
    assert_eq!(ignored(&root().join("tests/program")), []);
    let servers = ignored(&root().join("tests/servers"));
    assert!(servers.len() > 50, "{servers:?}");
    for (path, reason) in servers {
        assert!(
            reason.starts_with(" = \"needs "),
            "{}: {reason}",
            path.display()
        );
    }
}
