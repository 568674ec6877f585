//! A release: the folders that it consists of, and the places where its version is written.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use certvigil::finding::Code;
use clap::CommandFactory as _;

use crate::markdown::document;
use crate::support::{root, text};

/// The folders besides `src` and `crates` whose files are compiled in: by `include_str!`,
/// `include_bytes!` and the build script.
pub(crate) fn folders_compiled_in() -> BTreeSet<String> {
    let mut folders = BTreeSet::new();
    for path in ["src", "crates"].into_iter().flat_map(files_below) {
        if path.extension().is_none_or(|e| e != "rs") {
            continue;
        }
        let text = text(path.to_str().unwrap());
        for macro_call in ["include_str!(", "include_bytes!("] {
            for rest in text.split(macro_call).skip(1) {
                let Some(included) = rest.split('"').nth(1) else {
                    continue;
                };
                let mut place: Vec<&str> = path
                    .parent()
                    .unwrap()
                    .iter()
                    .map(|p| p.to_str().unwrap())
                    .collect();
                for part in included.split('/') {
                    match part {
                        ".." => drop(place.pop()),
                        part => place.push(part),
                    }
                }
                folders.insert(place[0].to_owned());
            }
        }
    }
    let script = text("build.rs");
    let quoted = script.split('"').skip(1).step_by(2);
    let first = quoted.filter_map(|path| path.split('/').next());
    folders.extend(
        first
            .filter(|name| root().join(name).is_dir())
            .map(str::to_owned),
    );
    folders.remove("src");
    folders.remove("crates");
    folders.remove("");
    folders
}

#[test]
fn folders_compiled_in_are_dashboards_and_docs() {
    let folders: Vec<String> = folders_compiled_in().into_iter().collect();
    assert_eq!(folders, ["dashboards", "docs"]);
}

/// Places where the version is written, with `VERSION` instead of it. `RELEASING.md` names each
/// file. (The version of the package has a test of its own.)
const VERSIONS: [(&str, &str); 5] = [
    ("README.md", "/dist/action@vVERSION"),
    ("dist/gitlab-ci.yml", "CERTVIGIL_REVISION: vVERSION"),
    ("docs/ci.md", "/dist/action@vVERSION"),
    ("docs/installing.md", "/certvigil_VERSION-1_"),
    ("docs/installing.md", "newTag: VERSION}"),
];

#[test]
fn every_written_version_matches_the_program() {
    let releasing = document("RELEASING.md");
    let steps = releasing.section("Steps").lines.join(" ");
    for (file, place) in VERSIONS {
        let written = place.replace("VERSION", env!("CARGO_PKG_VERSION"));
        assert!(text(file).contains(&written), "{file}: {written}");
        assert!(steps.contains(&format!("`{file}`")), "RELEASING.md: {file}");
    }
    // No other version is written at such a place.
    let written = ["dist", "docs"].into_iter().flat_map(files_below);
    for path in written.chain([PathBuf::from("README.md")]) {
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue; // a picture
        };
        for (_, place) in VERSIONS {
            let (before, _) = place.split_once("VERSION").unwrap();
            let mut listed = VERSIONS.iter().filter(|(_, other)| *other == place);
            let is_listed = listed.any(|(file, _)| path == Path::new(file));
            for rest in text.split(before).skip(1) {
                let is_written = rest.starts_with(|c: char| c.is_ascii_digit());
                let is_ours = rest.starts_with(env!("CARGO_PKG_VERSION"));
                assert!(
                    !is_written || is_ours && is_listed,
                    "{}: {before}",
                    path.display()
                );
            }
        }
    }
}

/// Numbers on the pages for newcomers match the code.
#[test]
fn documented_counts_match_the_program() {
    let root = certvigil::cli::Cli::command();
    let check = root.find_subcommand("check").unwrap();
    let values = |id: &str| {
        let flag = check.get_arguments().find(|a| a.get_id() == id).unwrap();
        flag.get_possible_values().len()
    };
    let protocols = format!("{} STARTTLS protocols", values("starttls"));
    let notes = text("docs/release-notes.md");
    for counted in [
        &protocols,
        &format!("{} formats", values("format")),
        &format!("{} findings", Code::ALL.len()),
    ] {
        assert!(notes.contains(counted), "docs/release-notes.md: {counted}");
    }
    let comparison = text("docs/comparison.md");
    assert!(
        comparison.contains(&protocols),
        "docs/comparison.md: {protocols}"
    );
}

/// The files of a folder of the repository and of its subfolders, by path from the repository's
/// root.
fn files_below(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files
}
