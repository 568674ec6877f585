//! Files of targets in the format of Prometheus' `file_sd_configs`.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use yaml_config::{ConfigErrors, Item, Problems, with_root};

use crate::finding::EntryNotes;
use crate::model::TargetAddress;

use super::annotations::{MAX_LABELS, is_label_name, is_reserved};
use super::values::ValueError;
use super::{Defaults, Entry, SourceSettings};

/// Maximum targets of one file.
const MAX_TARGETS: usize = 100_000;

/// Content of a file of targets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetFile {
    /// Trust-only entries, one for each target, in the order of the file.
    pub entries: Vec<Entry>,
    /// Labels that are ignored, each with the reason; each once.
    pub ignored: Vec<String>,
}

/// Reads the text of a file of targets: JSON or YAML, which includes JSON.
///
/// # Errors
/// All problems, each with its line and key.
pub fn parse_targets(
    text: &str,
    file: &Path,
    defaults: &Defaults,
) -> Result<TargetFile, ConfigErrors> {
    with_root(text, file, |root, problems| {
        let mut content = TargetFile::default();
        let mut seen = HashSet::new();
        for group in root.list(problems) {
            add_group(&mut content, &mut seen, &group, defaults, problems);
            if content.entries.len() > MAX_TARGETS {
                let what = format!("more than {MAX_TARGETS} targets; split the file");
                problems.at(&group, what);
                break;
            }
        }
        content
    })?
    .ok_or_else(|| ConfigErrors::empty(file, "a list of targets, or [] for none"))
}

fn add_group(
    content: &mut TargetFile,
    seen: &mut HashSet<(TargetAddress, Arc<BTreeMap<String, String>>)>,
    group: &Item<'_>,
    defaults: &Defaults,
    problems: &mut Problems,
) {
    let mut fields = group.fields(problems);
    let targets = fields.take("targets");
    let labels = fields.take("labels");
    fields.finish(problems);
    let mut notes = EntryNotes {
        labels: defaults.labels.clone(),
        ..EntryNotes::default()
    };
    if let Some(labels) = labels.filter(|labels| !labels.is_null()) {
        add_labels(&mut notes, &mut content.ignored, &labels, problems);
    }
    let labels = Arc::new(notes.labels.clone());
    let notes = Arc::new(notes);
    let Some(targets) = targets else {
        return;
    };
    for item in targets.list(problems) {
        let Some(target) = item.parse(problems, target) else {
            continue;
        };
        if content.entries.len() <= MAX_TARGETS && seen.insert((target.clone(), labels.clone())) {
            content.entries.push(entry(target, defaults, &notes));
        }
    }
}

/// Parses a target: `HOST`, `HOST:PORT` or a URL.
fn target(text: &str) -> Result<TargetAddress, ValueError> {
    let target = TargetAddress::from_str(text).map_err(ValueError::model)?;
    match &target.zone {
        Some(zone) => Err(ValueError::Zone(zone.clone())),
        None => Ok(target),
    }
}

fn entry(target: TargetAddress, defaults: &Defaults, notes: &Arc<EntryNotes>) -> Entry {
    let mut entry = Entry::by(defaults, SourceSettings::TrustOnly);
    if let Some(protocol) = target.protocol
        && protocol != entry.protocol
    {
        entry.protocol = protocol;
        entry.ports = vec![protocol.default_port()];
    }
    if let Some(port) = target.port {
        entry.ports = vec![port];
    }
    entry.hostnames = vec![target.hostname];
    entry.notes = notes.clone();
    entry
}

/// Adds the labels of a group. Meta labels and reserved names are ignored, because files that
/// Prometheus reads have them.
fn add_labels(
    notes: &mut EntryNotes,
    ignored: &mut Vec<String>,
    item: &Item<'_>,
    problems: &mut Problems,
) {
    let mut ignore = |reason: String| {
        if ignored.len() < MAX_LABELS && !ignored.contains(&reason) {
            ignored.push(reason);
        }
    };
    for (name, value) in item.fields(problems).rest() {
        if name.starts_with("__") {
            ignore(format!(
                "the label `{name}` is ignored: labels that begin with __ are settings of Prometheus"
            ));
        } else if !is_label_name(name) {
            let what = format!("`{name}` is not a label name of Prometheus; rename it");
            problems.at(&value, what);
        } else if is_reserved(name) {
            ignore(format!(
                "the label `{name}` is ignored: certvigil or Prometheus sets it"
            ));
        } else if value.is_null() || value.text() == Some("") {
            // An empty label is the same as none (Prometheus' data model).
            notes.labels.remove(name);
        } else if let Some(text) = value.map(problems, str::to_owned) {
            notes.labels.insert(name.to_owned(), text);
        }
    }
    if notes.labels.len() > MAX_LABELS {
        problems.at(item, format!("more than {MAX_LABELS} labels; remove some"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TargetFile, ConfigErrors> {
        let file = Path::new("t.yml");
        parse_targets(text, file, &Defaults::default())
    }

    fn targets(content: &TargetFile) -> Vec<String> {
        let entries = content.entries.iter();
        entries
            .map(|e| {
                let labels: Vec<_> = e.notes.labels.iter().collect();
                format!(
                    "{}:{} {} {labels:?}",
                    e.hostnames[0], e.ports[0], e.protocol
                )
            })
            .collect()
    }

    #[test]
    fn json_and_yaml_have_the_same_targets() {
        let json = r#"[{"targets": ["a.example:8443", "smtp://b.example", "[2001:db8::1]:443"],
            "labels": {"team": "x", "n": 1}}, {"targets": ["c.example"]}]"#;
        let yaml = "- targets:\n  - a.example:8443\n  - smtp://b.example\n  - '[2001:db8::1]:443'\n  labels:\n    team: x\n    n: 1\n- targets: [c.example]\n";
        let json = read(json).unwrap();
        assert_eq!(json, read(yaml).unwrap());
        assert_eq!(
            targets(&json),
            [
                r#"a.example:8443 https [("n", "1"), ("team", "x")]"#,
                r#"b.example:25 smtp [("n", "1"), ("team", "x")]"#,
                r#"2001:db8::1:443 https [("n", "1"), ("team", "x")]"#,
                "c.example:443 https []",
            ]
        );
        assert!(json.ignored.is_empty());
    }

    #[test]
    fn meta_labels_and_reserved_labels_are_ignored_with_their_reason() {
        let content = read(
            "[{targets: [a.example], labels: {__param_module: smtp, job: j, env: e, none: ''}}]",
        );
        let content = content.unwrap();
        assert_eq!(targets(&content), [r#"a.example:443 https [("env", "e")]"#]);
        assert_eq!(
            content.ignored,
            [
                "the label `__param_module` is ignored: labels that begin with __ are settings of Prometheus",
                "the label `job` is ignored: certvigil or Prometheus sets it",
            ]
        );
    }

    #[test]
    fn equal_targets_are_one_entry() {
        let content = read("[{targets: [a.example, a.example]}, {targets: [a.example]}]");
        assert_eq!(content.unwrap().entries.len(), 1);
        assert!(read("[]").unwrap().entries.is_empty());
    }

    #[test]
    fn broken_file_is_an_error_with_its_line() {
        for (text, wanted) in [
            (
                "",
                "t.yml:1: the file is empty; add `a list of targets, or [] for none`",
            ),
            ("[{targets: [a.example]", "t.yml:"),
            ("- targets: [a b]", "t.yml:1:"),
            ("- targets: ['fe80::1%eth0']", "zone"),
            ("- labels: {a-b: c}", "not a label name"),
            ("- target: [a.example]", "targets"),
            ("a.example", "t.yml:1:"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
