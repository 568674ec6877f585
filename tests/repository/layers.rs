//! The crates of the workspace: each depends only on those below it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::markdown::document;

/// Each crate with the workspace crates that it depends on.
const LAYERS: [(&str, &[&str]); 7] = [
    ("xtask", &["certvigil"]),
    (
        "certvigil",
        &[
            "certvigil-core",
            "certvigil-probe",
            "certvigil-testbed",
            "exporter-web",
            "yaml-config",
        ],
    ),
    (
        "certvigil-testbed",
        &["certvigil-core", "certvigil-probe", "yaml-config"],
    ),
    ("certvigil-probe", &["certvigil-core"]),
    ("certvigil-core", &[]),
    ("exporter-web", &["yaml-config"]),
    ("yaml-config", &[]),
];

/// Crates that do I/O: `certvigil-core` must not depend on any of them.
const OUTSIDE: [&str; 6] = [
    "tokio",
    "hyper",
    "reqwest",
    "rusqlite",
    "hickory-resolver",
    "mio",
];

fn metadata() -> Value {
    let versions = cargo(&["-vV"]);
    let versions = String::from_utf8(versions).unwrap();
    let host = versions
        .lines()
        .find_map(|line| line.strip_prefix("host: "));
    // Dependencies for other platforms may not have been downloaded.
    let platform = ["--filter-platform", host.unwrap()];
    let mut words = vec!["metadata", "--format-version", "1", "--locked", "--offline"];
    words.extend(platform);
    serde_json::from_slice(&cargo(&words)).unwrap()
}

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    output.stdout
}

/// The dependencies of a package in the resolved graph, without those for build scripts and tests.
fn built_with(node: &Value) -> impl Iterator<Item = &str> {
    let is_normal = |dep: &&Value| {
        let kinds = dep["dep_kinds"].as_array().unwrap();
        kinds.iter().any(|kind| kind["kind"].is_null())
    };
    let deps = node["deps"].as_array().unwrap().iter().filter(is_normal);
    deps.map(|dep| dep["pkg"].as_str().unwrap())
}

#[test]
fn a_crate_depends_only_on_the_crates_below_it() {
    let metadata = metadata();
    let members: BTreeSet<&str> = {
        let members = metadata["workspace_members"].as_array().unwrap();
        members.iter().map(|id| id.as_str().unwrap()).collect()
    };
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeMap<&str, &str> = packages
        .iter()
        .map(|package| {
            (
                package["id"].as_str().unwrap(),
                package["name"].as_str().unwrap(),
            )
        })
        .collect();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let mut seen = BTreeMap::new();
    for node in nodes {
        let id = node["id"].as_str().unwrap();
        if members.contains(id) {
            let below = built_with(node).filter(|id| members.contains(id));
            seen.insert(
                names[id],
                below.map(|id| names[id]).collect::<BTreeSet<_>>(),
            );
        }
    }
    let allowed: BTreeMap<&str, BTreeSet<&str>> = LAYERS
        .iter()
        .map(|(name, below)| (*name, below.iter().copied().collect()))
        .collect();
    assert_eq!(seen, allowed);
}

/// docs/installing.md lists the features that a package may leave out.
#[test]
fn every_feature_is_documented() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let program = packages.iter().find(|p| p["name"] == "certvigil").unwrap();
    let features = program["features"].as_object().unwrap();
    let features: BTreeSet<&str> = features.keys().map(String::as_str).collect();
    let page = document("docs/installing.md");
    let rows = page.section("Features").rows();
    let mut listed: BTreeSet<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    listed.insert("default");
    assert_eq!(features, listed);
}

#[test]
fn the_core_has_no_runtime_and_no_network() {
    let metadata = metadata();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let nodes: BTreeMap<&str, &Value> = nodes
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let is_core = |id: &&&str| id.contains("certvigil-core");
    let core = nodes.keys().find(is_core).unwrap();
    let mut tree = BTreeSet::new();
    let mut left = vec![*core];
    while let Some(id) = left.pop() {
        if tree.insert(id) {
            left.extend(built_with(nodes[id]));
        }
    }
    let packages = metadata["packages"].as_array().unwrap();
    let in_tree = |package: &&Value| tree.contains(package["id"].as_str().unwrap());
    let names = packages.iter().filter(in_tree);
    let names: BTreeSet<&str> = names.map(|p| p["name"].as_str().unwrap()).collect();
    assert!(names.contains("aws-lc-rs"), "{names:?}");
    for outside in OUTSIDE {
        assert!(
            !names.contains(outside),
            "{outside} is below certvigil-core"
        );
    }
}

/// The top-level modules of a crate, each with those that it imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// Returns the top-level modules of the sources of a crate, without the root and the tests.
fn top_level_modules(sources: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(sources).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let modules = names.map(|name| name.trim_end_matches(".rs").to_owned());
    modules
        .filter(|module| !matches!(module.as_str(), "lib" | "main" | "tests"))
        .collect()
}

/// Adds the Rust files below a directory, without tests, each with its module path.
fn module_files(directory: &Path, above: &[String], files: &mut Vec<(Vec<String>, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut module = above.to_vec();
        if path.is_dir() && name != "tests" {
            module.push(name.to_owned());
            module_files(&path, &module, files);
        } else if let Some(stem) = name.strip_suffix(".rs").filter(|stem| *stem != "tests") {
            if stem != "mod" {
                module.push(stem.to_owned());
            }
            files.push((module, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Returns the code of a file without comments and without its tests.
fn without_comments_and_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().filter(|l| !l.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the first names of the paths after each `prefix`, such as `a` and `b` of
/// `crate::{a::C, b}`.
fn names_after(code: &str, prefix: &str) -> Vec<String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].ends_with(is_part) {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            names.push(
                rest.split(|c: char| !is_part(c) || c == ':')
                    .next()
                    .unwrap(),
            );
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (end, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    let path = list[start..end].trim();
                    names.push(path.split("::").next().unwrap());
                    start = end + 1;
                    if c == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    names.into_iter().map(str::to_owned).collect()
}

/// Returns the imports between the top-level modules of a crate.
fn imports(sources: &Path) -> Imports {
    let modules = top_level_modules(sources);
    let mut files = Vec::new();
    module_files(sources, &[], &mut files);
    let mut imports: Imports = modules
        .iter()
        .map(|m| (m.clone(), BTreeSet::new()))
        .collect();
    for (module, text) in files {
        let Some(importer) = module.first().filter(|top| modules.contains(*top)) else {
            continue;
        };
        let code = without_comments_and_tests(&text);
        let to_root = "super::".repeat(module.len());
        let named = ["crate::", &to_root].into_iter();
        let named = named.flat_map(|prefix| names_after(&code, prefix));
        let others = named.filter(|name| modules.contains(name) && name != importer);
        imports.get_mut(importer).unwrap().extend(others);
    }
    imports
}

/// Returns the groups of modules that import each other, directly or through others: the strongly
/// connected components of more than one module.
fn circles(imports: &Imports) -> BTreeSet<BTreeSet<&str>> {
    let reached_from = |module: &str| {
        let mut reached = BTreeSet::new();
        let mut left: Vec<&str> = imports[module].iter().map(String::as_str).collect();
        while let Some(next) = left.pop() {
            if reached.insert(next) {
                left.extend(imports[next].iter().map(String::as_str));
            }
        }
        reached
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> = imports
        .keys()
        .map(|module| (module.as_str(), reached_from(module)))
        .collect();
    let groups = reached.iter().map(|(module, others)| {
        let is_mutual = |other: &&&str| reached[**other].contains(module);
        others.iter().filter(is_mutual).copied().collect()
    });
    groups
        .filter(|group: &BTreeSet<&str>| !group.is_empty())
        .collect()
}

#[test]
fn no_modules_of_a_crate_import_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut crates = vec![root.join("src")];
    for entry in fs::read_dir(root.join("crates")).unwrap() {
        crates.push(entry.unwrap().path().join("src"));
    }
    let mut edges = 0;
    for sources in crates {
        let imports = imports(&sources);
        edges += imports.values().map(BTreeSet::len).sum::<usize>();
        let circles = circles(&imports);
        assert!(circles.is_empty(), "{}: {circles:?}", sources.display());
    }
    // Fewer edges mean that imports are no longer recognised.
    assert!(edges > 50, "{edges}");
}

#[test]
fn circles_between_modules_are_found() {
    let names = names_after(
        "use crate::{a::{X, Y}, b};\nfn f() { crate::c::g(mycrate::d) }",
        "crate::",
    );
    assert_eq!(names, ["a", "b", "c"]);
    let module = |name: &str, imports: &[&str]| {
        let imports = imports.iter().map(|i| (*i).to_owned()).collect();
        (name.to_owned(), imports)
    };
    let imports = Imports::from([
        module("a", &["b"]),
        module("b", &["c"]),
        module("c", &["a", "d"]),
        module("d", &[]),
    ]);
    let circle = BTreeSet::from(["a", "b", "c"]);
    assert_eq!(circles(&imports), BTreeSet::from([circle]));
}

/// Returns the `Result` types in code whose error is a `String`, such as `Result<A, String>`.
fn results_with_a_string_error(code: &str) -> Vec<&str> {
    const NAME: &str = "Result<";
    let mut found = Vec::new();
    for (start, _) in code.match_indices(NAME) {
        let arguments = &code[start + NAME.len()..];
        let (mut depth, mut last) = (0_usize, None);
        for (at, c) in arguments.char_indices() {
            match c {
                '<' | '(' | '[' => depth += 1,
                // The arrow of a function type.
                '>' if arguments[..at].ends_with('-') => {}
                '>' if depth == 0 => {
                    let error = last.map(|comma: usize| arguments[comma + 1..at].trim());
                    if error.is_some_and(|error| error.trim_end_matches(',') == "String") {
                        found.push(&code[start..=start + NAME.len() + at]);
                    }
                    break;
                }
                '>' | ')' | ']' => depth -= 1,
                // A comma before the closing bracket, in a type over several lines.
                ',' if depth == 0 && !arguments[at + 1..].trim_start().starts_with('>') => {
                    last = Some(at);
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn errors_are_types_and_not_strings() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut crates = vec![root.join("src")];
    for entry in fs::read_dir(root.join("crates")).unwrap() {
        crates.push(entry.unwrap().path().join("src"));
    }
    let mut results = 0;
    for sources in crates {
        let mut files = Vec::new();
        module_files(&sources, &[], &mut files);
        for (module, text) in files {
            let code = without_comments_and_tests(&text);
            results += code.matches("Result<").count();
            let found = results_with_a_string_error(&code);
            assert!(
                found.is_empty(),
                "{}, {}: {found:?}; make the error an enum with `thiserror`",
                sources.display(),
                module.join("::")
            );
        }
    }
    // Fewer results mean that files are no longer read.
    assert!(results > 500, "{results}");
}

#[test]
fn results_with_a_string_error_are_found() {
    let found = results_with_a_string_error(
        "fn a() -> Result<Vec<(u8, String)>, String>; fn b() -> Result<String, E>; \
         fn c() -> Result<fn() -> A, String>; fn d() -> Result<\n A,\n String,\n>; \
         fn e() -> Result<String>; fn f() -> Result<Result<A, String>, E>",
    );
    assert_eq!(
        found,
        [
            "Result<Vec<(u8, String)>, String>",
            "Result<fn() -> A, String>",
            "Result<\n A,\n String,\n>",
            "Result<A, String>",
        ]
    );
}
