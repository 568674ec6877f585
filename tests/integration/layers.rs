//! The crates of the workspace: each depends only on those below it.

use std::collections::{BTreeMap, BTreeSet};

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
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--locked", "--offline"]);
    let output = cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
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
