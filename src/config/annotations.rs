//! Labels of entries, and the findings that they accept.

use std::collections::BTreeMap;

use yaml_config::{Fields, Item, Problems};

use crate::finding::{Acceptance, Code};
use crate::model::parse_date;

use super::values::{ValueError, non_empty};

/// Labels that the metrics of an endpoint, Prometheus or the alerts have already.
const RESERVED: [&str; 30] = [
    "alertname",
    "alertstate",
    "cert",
    "certificate",
    "cipher_suite",
    "client",
    "code",
    "error_kind",
    "family",
    "hostname",
    "instance",
    "instance_id",
    "ip",
    "issuer",
    "job",
    "key",
    "key_type",
    "le",
    "port",
    "protocol",
    "quantile",
    "serial",
    "severity",
    "sha256",
    "source",
    "state",
    "status",
    "subject",
    "tls_version",
    "vantage",
];
/// Maximum labels of an entry. Each is part of every series of the entry.
pub(super) const MAX_LABELS: usize = 32;

/// Reads `labels`: names and values.
pub(super) fn labels(fields: &mut Fields<'_>, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let Some(item) = fields.take("labels") else {
        return labels;
    };
    for (name, value) in item.fields(problems).rest() {
        if let Err(error) = label_name(name) {
            problems.at(&value, error.to_string());
            continue;
        }
        if let Some(text) = value.parse(problems, non_empty) {
            labels.insert(name.to_owned(), text);
        }
    }
    if labels.len() > MAX_LABELS {
        problems.at(&item, format!("more than {MAX_LABELS} labels; remove some"));
    }
    labels
}

/// Checks that a name is a label name of Prometheus' data model that is not in use.
fn label_name(name: &str) -> Result<(), ValueError> {
    if !is_label_name(name) {
        return Err(ValueError::LabelName(name.to_owned()));
    }
    if name.starts_with("__") || is_reserved(name) {
        return Err(ValueError::ReservedLabel(name.to_owned()));
    }
    Ok(())
}

/// Returns true for a label name of Prometheus' data model.
pub(super) fn is_label_name(name: &str) -> bool {
    let mut characters = name.chars();
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    characters.next().is_some_and(is_first) && characters.all(|c| is_first(c) || c.is_ascii_digit())
}

/// Returns true for a label that certvigil, Prometheus or the alerts set.
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// Reads `accept`: findings with a reason and the last day.
pub(super) fn accept(fields: &mut Fields<'_>, problems: &mut Problems) -> Vec<Acceptance> {
    let Some(item) = fields.take("accept") else {
        return Vec::new();
    };
    let items = item.list(problems).into_iter();
    items
        .filter_map(|item| acceptance(&item, problems))
        .collect()
}

fn acceptance(item: &Item<'_>, problems: &mut Problems) -> Option<Acceptance> {
    let mut fields = item.fields(problems);
    let mapping = fields.item();
    let finding = fields.take("finding");
    let reason = fields.take("reason");
    let until = fields.read("until", problems, parse_date);
    fields.finish(problems);
    for (name, field) in [("finding", &finding), ("reason", &reason)] {
        if field.is_none() {
            problems.at(&mapping, format!("`{name}` is missing"));
        }
    }
    Some(Acceptance {
        code: finding?.parse(problems, code)?,
        reason: reason?.parse(problems, non_empty)?,
        until,
    })
}

/// Parses the code of a finding.
fn code(text: &str) -> Result<Code, ValueError> {
    if let Some(code) = Code::ALL.iter().find(|code| code.name() == text) {
        return Ok(*code);
    }
    let names = Code::ALL.iter().map(|code| code.name());
    Err(ValueError::Finding {
        text: text.to_owned(),
        near: yaml_config::nearest(text, names),
    })
}
