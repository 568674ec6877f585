//! The shipped dashboards and their queries.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) const DASHBOARDS: [&str; 3] = [
    "certvigil-certificate",
    "certvigil-exporter",
    "certvigil-fleet",
];

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

pub(crate) fn text(path: &str) -> String {
    let path = folder().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub(crate) fn dashboard(uid: &str) -> Value {
    let text = text(&format!("grafana/{uid}.json"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{uid}: {e}"))
}

/// The panels of a dashboard, without the headings of rows.
pub(crate) fn panels(dashboard: &Value) -> Vec<&Value> {
    let panels = dashboard["panels"].as_array().unwrap();
    panels.iter().filter(|p| p["type"] != "row").collect()
}

pub(crate) fn str_of<'a>(value: &'a Value, key: &str) -> &'a str {
    let found = value[key].as_str();
    found.unwrap_or_else(|| panic!("no {key} in {value:#}"))
}

/// The expressions of a panel.
pub(crate) fn expressions(panel: &Value) -> Vec<&str> {
    let targets = panel["targets"].as_array().unwrap();
    assert!(!targets.is_empty(), "{}", panel["title"]);
    targets.iter().map(|t| str_of(t, "expr")).collect()
}

/// An expression with values instead of the dashboard's variables, so that Prometheus accepts it.
pub(crate) fn query_of_panel(uid: &str, title: &str) -> String {
    let dashboard = dashboard(uid);
    let panels = panels(&dashboard);
    let panel = panels.into_iter().find(|panel| panel["title"] == title);
    substituted(expressions(panel.unwrap()).first().unwrap())
}

pub(crate) fn substituted(expression: &str) -> String {
    let mut text = expression.to_owned();
    for (name, value) in [
        ("$__rate_interval", "5m"),
        ("$__interval", "1m"),
        ("$__range", "1h"),
        ("$job", ".*"),
        ("$instance", ".*"),
        ("$certificate", ".*"),
        ("$hostname", ".*"),
    ] {
        text = text.replace(name, value);
    }
    text
}

/// A file of `dashboards/prometheus` with these replacements. Each replaced text must be there, so
/// that the test uses what is shipped.
pub(crate) fn shipped(file: &str, replacements: &[(&str, &str)]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/prometheus");
    let mut text = fs::read_to_string(folder.join(file)).unwrap();
    for (from, to) in replacements {
        assert!(text.contains(from), "{file} has no `{from}`");
        text = text.replace(from, to);
    }
    text
}

pub(crate) fn add_rules(folder: &Path) {
    fs::write(folder.join("rules.yml"), shipped("rules.yml", &[])).unwrap();
}
