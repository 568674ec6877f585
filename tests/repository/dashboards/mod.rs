//! The dashboards, rules and provisioning files agree with the metrics, with each other and with
//! the documentation.

mod alertmanager;
mod export;
mod panels;
mod prometheus;
mod rules;
mod severities;

use crate::common::dashboards::{
    DASHBOARDS, dashboard, expressions, folder, panels, str_of, substituted, text,
};
use std::path::Path;

use saphyr::{LoadableYamlNode as _, Yaml};
use serde_json::Value;

pub(crate) use prometheus::panels_without_data;

/// Calls a function for every object and array of a document.
fn walk<'a>(value: &'a Value, visit: &mut impl FnMut(&'a Value)) {
    visit(value);
    match value {
        Value::Object(map) => map.values().for_each(|v| walk(v, visit)),
        Value::Array(list) => list.iter().for_each(|v| walk(v, visit)),
        _ => {}
    }
}

/// A Prometheus rule.
struct Rule {
    name: String,
    expr: String,
    hold: Option<String>,
    labels: Vec<(String, String)>,
    annotations: Vec<(String, String)>,
}

impl Rule {
    fn annotation(&self, name: &str) -> &str {
        let found = self.annotations.iter().find(|(key, _)| key == name);
        &found
            .unwrap_or_else(|| panic!("{}: {name} is missing", self.name))
            .1
    }
}

/// The alerting rules of rules.yml, in the order of the file.
fn alerts() -> Vec<Rule> {
    let rules = rules("certvigil").into_iter();
    rules.filter(|r| r.name.starts_with("Certvigil")).collect()
}

/// The rules of a group of rules.yml, in the order of the file.
fn rules(group: &str) -> Vec<Rule> {
    let text = text("prometheus/rules.yml");
    let document = Yaml::load_from_str(&text).unwrap().remove(0);
    let groups = document["groups"].as_vec().unwrap();
    let group = groups.iter().find(|g| g["name"].as_str() == Some(group));
    let get = |rule: &Yaml<'_>, key: &str| {
        let value = rule.as_mapping_get(key)?;
        value.as_str().map(str::to_owned)
    };
    let pairs = |rule: &Yaml<'_>, key: &str| -> Vec<(String, String)> {
        let Some(map) = rule.as_mapping_get(key).and_then(Yaml::as_mapping) else {
            return Vec::new();
        };
        let word = |y: &Yaml<'_>| y.as_str().unwrap().to_owned();
        map.iter().map(|(k, v)| (word(k), word(v))).collect()
    };
    let rules = group.unwrap()["rules"].as_vec().unwrap();
    rules
        .iter()
        .map(|rule| Rule {
            name: get(rule, "alert").or_else(|| get(rule, "record")).unwrap(),
            expr: get(rule, "expr").unwrap().trim_end().to_owned(),
            hold: get(rule, "for"),
            labels: pairs(rule, "labels"),
            annotations: pairs(rule, "annotations"),
        })
        .collect()
}
