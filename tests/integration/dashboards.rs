//! The dashboards, rules and provisioning files agree with the metrics, with each other and with the documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use certvigil::report::prometheus::{Kind, Metric};
use saphyr::{LoadableYamlNode as _, Yaml};
use serde_json::Value;

use crate::canned::Canned;
use crate::fixture::process::run;
use crate::fixture::prometheus::Prometheus;
use crate::markdown::document;
use crate::support::certvigil;

/// What Prometheus itself makes at each scrape.
const OF_PROMETHEUS: &[&str] = &["up"];

/// Panels that may have no data over an inventory with planted faults, each with the reason.
const MAY_BE_EMPTY: [(&str, &str, &str); 3] = [
    (
        "certvigil-exporter",
        "Failing probes",
        "Prometheus asks /metrics, not /probe",
    ),
    (
        "certvigil-exporter",
        "Duration of probes",
        "Prometheus asks /metrics, not /probe",
    ),
    (
        "certvigil-fleet",
        "Vantages disagree",
        "the vantages may see the same everywhere",
    ),
];

const DASHBOARDS: [&str; 3] = [
    "certvigil-certificate",
    "certvigil-exporter",
    "certvigil-fleet",
];

/// Where the alerts' pages are.
const RUNBOOK: &str = "docs/alerts.md#";

/// Set to write what a test compares anew: the file of Grafana's alert rules here.
pub(crate) const REWRITE: &str = "CERTVIGIL_REWRITE";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

fn text(path: &str) -> String {
    let path = folder().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn dashboard(uid: &str) -> Value {
    let text = text(&format!("grafana/{uid}.json"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{uid}: {e}"))
}

/// The panels of a dashboard that show something: all but the headings of rows.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let panels = dashboard["panels"].as_array().unwrap();
    panels.iter().filter(|p| p["type"] != "row").collect()
}

fn str_of<'a>(value: &'a Value, key: &str) -> &'a str {
    let found = value[key].as_str();
    found.unwrap_or_else(|| panic!("no {key} in {value:#}"))
}

/// The expressions of a panel.
fn expressions(panel: &Value) -> Vec<&str> {
    let targets = panel["targets"].as_array().unwrap();
    assert!(!targets.is_empty(), "{}", panel["title"]);
    targets.iter().map(|t| str_of(t, "expr")).collect()
}

/// Calls a function for every object and array of a document.
fn walk<'a>(value: &'a Value, visit: &mut impl FnMut(&'a Value)) {
    visit(value);
    match value {
        Value::Object(map) => map.values().for_each(|v| walk(v, visit)),
        Value::Array(list) => list.iter().for_each(|v| walk(v, visit)),
        _ => {}
    }
}

/// The words of an expression that name a metric: identifiers outside of braces, brackets, quotes and label lists
/// that are not called.
fn metrics_of(expression: &str) -> BTreeSet<String> {
    const OPERATORS: [&str; 5] = ["or", "and", "unless", "offset", "bool"];
    const LISTS: [&str; 6] = [
        "by",
        "on",
        "without",
        "ignoring",
        "group_left",
        "group_right",
    ];
    let mut found = BTreeSet::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let skip_to = |close: &str| match rest[1..].find(close) {
            Some(at) => &rest[1 + at + close.len()..],
            None => panic!("{close} is missing: {expression}"),
        };
        if first == '"' {
            rest = skip_to("\"");
        } else if first == '[' {
            rest = skip_to("]");
        } else if first == '{' {
            // Quoted braces: `.{12}` in a regular expression is no end.
            let mut quoted = false;
            let end = rest.find(|c| {
                quoted ^= c == '"';
                c == '}' && !quoted
            });
            rest = &rest[end.expect(expression) + 1..];
        } else if first.is_ascii_digit() {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.');
        } else if first.is_ascii_alphabetic() {
            let word_ends = |c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':';
            let (word, after) = rest.split_at(rest.find(word_ends).unwrap_or(rest.len()));
            rest = after;
            let next = after.trim_start();
            // An aggregation may have its labels before what it is called with.
            let is_called = ["(", "by ", "without "].iter().any(|w| next.starts_with(w));
            if LISTS.contains(&word) {
                rest = &after[after.find(')').map_or(0, |at| at + 1)..];
            } else if !is_called && !OPERATORS.contains(&word) {
                found.insert(word.to_owned());
            }
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

/// Fails for a name that nobody exposes.
fn assert_known(expression: &str, place: &str) {
    let names = metrics_of(expression);
    assert!(!names.is_empty(), "{place}: {expression}");
    for name in names {
        let of_histogram = ["_bucket", "_sum", "_count"];
        let stem = of_histogram.iter().find_map(|s| name.strip_suffix(s));
        let is = |metric: &&Metric| match metric.kind() {
            Kind::Histogram => stem == Some(metric.name()),
            Kind::Gauge | Kind::Counter => name == metric.name(),
        };
        let known = Metric::ALL.iter().any(|m| is(&m)) || OF_PROMETHEUS.contains(&name.as_str());
        assert!(known, "{place}: nobody exposes {name}");
    }
}

#[test]
fn the_names_in_an_expression_are_found() {
    for (expression, names) in [
        (
            "sum by (a, b) (rate(x_total{c=\"d\"}[5m])) > 1e3",
            "x_total",
        ),
        ("count(x == 0) or vector(0)", "x"),
        ("a * on (b) group_left (c) d unless ignoring (e) f", "a d f"),
        (
            "label_replace(a{b=~\"}\"}, \"c\", \"$1\", \"d\", \"(.{12}).*\")",
            "a",
        ),
        ("time() - job:a:ratio offset 5m", "job:a:ratio"),
    ] {
        let found: Vec<String> = metrics_of(expression).into_iter().collect();
        assert_eq!(found.join(" "), names, "{expression}");
    }
}

#[test]
fn dashboards_can_be_imported_anywhere() {
    for uid in DASHBOARDS {
        let dashboard = dashboard(uid);
        assert_eq!(dashboard["uid"], uid);
        assert!(dashboard["id"].is_null(), "{uid}");
        assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 38, "{uid}");
        assert!(dashboard.get("__inputs").is_none(), "{uid}");
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        assert_eq!(
            variables[0]["name"], "datasource",
            "{uid}: the others need it"
        );
        assert_eq!(variables[0]["query"], "prometheus");
        let mut seen = 0;
        walk(&dashboard, &mut |value| {
            if let Some(source) = value.get("datasource") {
                seen += 1;
                assert_eq!(source["uid"], "${datasource}", "{uid}: {value:#}");
                assert_eq!(source["type"], "prometheus", "{uid}: {value:#}");
            }
        });
        assert!(seen > 2 * panels(&dashboard).len(), "{uid}: {seen}");
    }
}

#[test]
fn every_panel_explains_itself() {
    for uid in DASHBOARDS {
        let dashboard = dashboard(uid);
        let (mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new());
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(
                ids.insert(panel["id"].as_u64().unwrap()),
                "{uid}: {}",
                panel["id"]
            );
            assert!(!str_of(panel, "title").is_empty(), "{uid}");
        }
        for panel in panels(&dashboard) {
            let title = str_of(panel, "title");
            assert!(titles.insert(title), "{uid}: two panels are called {title}");
            assert!(str_of(panel, "description").len() > 20, "{uid}: {title}");
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(!str_of(defaults, "unit").is_empty(), "{uid}: {title}");
            let can_be_empty = expressions(panel).iter().all(|e| !e.contains("vector(0)"));
            if can_be_empty {
                let says = defaults["noValue"].as_str().unwrap_or_default();
                let of_up = panel["title"] == "Up";
                assert!(
                    !says.is_empty() || of_up,
                    "{uid}: {title}: what if there is nothing?"
                );
            }
            // A table has a column for each label that is wanted, with a name for people.
            if panel["type"] == "table" {
                let organize = panel["transformations"].as_array().unwrap().last().unwrap();
                for (field, heading) in organize["options"]["renameByName"].as_object().unwrap() {
                    let heading = heading.as_str().unwrap();
                    assert!(
                        heading.starts_with(char::is_uppercase),
                        "{uid}: {title}: {field}"
                    );
                }
            }
        }
        assert!(titles.len() > 10, "{uid}");
    }
}

#[test]
fn panels_do_not_overlap() {
    for uid in DASHBOARDS {
        let dashboard = dashboard(uid);
        let mut taken: BTreeMap<(u64, u64), &str> = BTreeMap::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let of = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            let title = str_of(panel, "title");
            assert!(of("x") + of("w") <= 24, "{uid}: {title}");
            for x in of("x")..of("x") + of("w") {
                for y in of("y")..of("y") + of("h") {
                    let other = taken.insert((x, y), title);
                    assert!(other.is_none(), "{uid}: {title} lies on {other:?}");
                }
            }
        }
    }
}

#[test]
fn expressions_use_what_is_exposed() {
    for uid in DASHBOARDS {
        let dashboard = dashboard(uid);
        for panel in panels(&dashboard) {
            for expression in expressions(panel) {
                assert_known(expression, &format!("{uid}: {}", panel["title"]));
            }
        }
        for variable in &dashboard["templating"]["list"].as_array().unwrap()[1..] {
            let query = str_of(&variable["query"], "query");
            let inner = query.strip_prefix("label_values(").expect(query);
            let selector = inner.rsplit_once(", ").expect(query).0;
            assert_known(selector, &format!("{uid}: {query}"));
        }
    }
    for group in ["certvigil-recording", "certvigil"] {
        for rule in rules(group) {
            assert_known(&rule.expr, &rule.name);
        }
    }
}

/// The variables that an expression or a link may name.
#[test]
fn links_and_expressions_name_variables_that_there_are() {
    let names = |dashboard: &Value| -> BTreeSet<String> {
        let list = dashboard["templating"]["list"].as_array().unwrap();
        list.iter().map(|v| str_of(v, "name").to_owned()).collect()
    };
    for uid in DASHBOARDS {
        let dashboard = dashboard(uid);
        let own = names(&dashboard);
        for panel in panels(&dashboard) {
            for expression in expressions(panel) {
                let left = substituted(expression).replace("\"$1\"", "");
                assert!(!left.contains('$'), "{uid}: {left}");
                for name in expression.split("\"$").skip(1) {
                    let name = name.split('"').next().unwrap();
                    assert!(
                        name == "1" || own.contains(name),
                        "{uid}: ${name}: {expression}"
                    );
                }
            }
        }
        let mut links = 0;
        walk(&dashboard, &mut |value| {
            let Some(url) = value.get("url").and_then(Value::as_str) else {
                return;
            };
            links += 1;
            let (target, query) = url.strip_prefix("/d/").expect(url).split_once('?').unwrap();
            let there = names(&self::dashboard(target));
            for part in query.split('&') {
                if let Some(name) = part.strip_suffix(":queryparam}") {
                    let name = name.strip_prefix("${").expect(part);
                    assert!(own.contains(name), "{uid}: {url}: there is no {name} here");
                    assert!(
                        there.contains(name),
                        "{uid}: {url}: there is no {name} there"
                    );
                } else if let Some((name, _)) = part.split_once('=') {
                    let name = name.strip_prefix("var-").expect(part);
                    assert!(
                        there.contains(name),
                        "{uid}: {url}: there is no {name} there"
                    );
                } else {
                    assert_eq!(part, "${__url_time_range}", "{uid}: {url}");
                }
            }
        });
        assert!(links > 0, "{uid}: no way to the others");
    }
}

/// A rule of Prometheus.
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

/// The rules of a group of rules.yml, by their own order.
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

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    let mut names = BTreeSet::new();
    for rule in rules("certvigil") {
        let name = &rule.name;
        assert!(names.insert(name.clone()), "{name} is there twice");
        assert!(name.starts_with("Certvigil"), "{name}");
        assert!(rule.hold.is_some(), "{name}: `for` is missing");
        let severity = rule.labels.iter().find(|(key, _)| key == "severity");
        let of_series = rule
            .expr
            .starts_with("count by (certificate, hostname, severity)");
        match severity {
            Some((_, value)) => {
                assert!(["warning", "critical"].contains(&value.as_str()), "{name}")
            }
            None => assert!(of_series, "{name} has no severity"),
        }
        assert!(!rule.annotation("summary").is_empty(), "{name}");
        assert!(
            rule.annotation("description").contains(". "),
            "{name}: what to do?"
        );
        let anchor = rule.annotation("runbook_url").strip_prefix(RUNBOOK);
        assert_eq!(anchor, Some(name.to_lowercase().as_str()));
    }
    assert!(names.len() > 15, "{names:?}");
}

#[test]
fn every_alert_has_its_page() {
    let page = document("docs/alerts.md");
    let sections = page.sections();
    let entries = sections
        .iter()
        .filter(|s| s.heading.starts_with("Certvigil"));
    let rules = rules("certvigil");
    let mut shown = Vec::new();
    for (section, rule) in entries.zip(&rules) {
        shown.push(section.heading);
        let severity = rule.labels.iter().find(|(key, _)| key == "severity");
        let severity = severity.map_or("warning or critical", |(_, value)| value);
        let first = format!("**{severity}**, after {}.", rule.hold.as_ref().unwrap());
        let paragraphs = section.paragraphs();
        assert!(paragraphs[0].starts_with(&first), "{}: {first}", rule.name);
        for part in ["**See more.**", "**Mend it.**", "**A false alarm?**"] {
            let has = paragraphs.iter().any(|p| p.starts_with(part));
            assert!(has, "{}: {part}", rule.name);
        }
    }
    let names: Vec<&str> = rules.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(shown, names, "docs/alerts.md, in the order of rules.yml");
}

/// A text as a YAML string on one line. JSON's strings are YAML's double-quoted ones.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The alerts of rules.yml as Grafana's file provisioning takes them.
fn grafana_rules() -> String {
    let mut out = String::from(
        "# The alerts of prometheus/rules.yml as rules that Grafana itself evaluates. Load either, not both.\n\
         # This file is made from that one; see CONTRIBUTING.md.\n\
         apiVersion: 1\n\
         groups:\n  - orgId: 1\n    name: certvigil\n    folder: certvigil\n    interval: 1m\n    rules:\n",
    );
    for rule in rules("certvigil") {
        // Grafana's `$value` is a text of all values; that of the query is asked for by its letter.
        let translated = |text: &str| text.replace("$value", "$values.A.Value");
        let hold = rule.hold.as_ref().unwrap();
        let uid = rule.name.to_lowercase();
        writeln!(
            out,
            "      - uid: {uid}\n        title: {}\n        condition: B",
            rule.name
        )
        .unwrap();
        out.push_str(
            "        data:\n          - refId: A\n            relativeTimeRange: {from: 600, to: 0}\n            \
             datasourceUid: certvigil-prometheus\n            model:\n              refId: A\n              \
             instant: true\n              range: false\n              expr: |\n",
        );
        assert!(
            !rule.expr.contains('$'),
            "Grafana takes it for a variable of its environment"
        );
        for line in rule.expr.lines() {
            writeln!(out, "                {line}").unwrap();
        }
        out.push_str(
            "          - refId: B\n            relativeTimeRange: {from: 600, to: 0}\n            datasourceUid: __expr__\n            \
             model:\n              refId: B\n              type: threshold\n              expression: A\n              \
             conditions:\n                - evaluator: {type: gt, params: [0]}\n",
        );
        // No series is no trouble: what is missing altogether is CertvigilDown, which asks for it.
        writeln!(
            out,
            "        noDataState: OK\n        execErrState: Error\n        for: {hold}"
        )
        .unwrap();
        if !rule.labels.is_empty() {
            out.push_str("        labels:\n");
            for (key, value) in &rule.labels {
                assert!(
                    !value.contains('$'),
                    "Grafana takes it for a variable of its environment"
                );
                writeln!(out, "          {key}: {value}").unwrap();
            }
        }
        out.push_str("        annotations:\n");
        for (key, value) in &rule.annotations {
            writeln!(out, "          {key}: {}", quoted(&translated(value))).unwrap();
        }
    }
    out
}

#[test]
fn grafana_has_the_same_alerts() {
    const FILE: &str = "grafana/provisioning/alerting/rules.yml";
    let wanted = grafana_rules();
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(folder().join(FILE), &wanted).unwrap();
    }
    let is_same = text(FILE) == wanted;
    assert!(
        is_same,
        "dashboards/{FILE} is not what rules.yml says: run this test with {REWRITE}=1"
    );

    let document = Yaml::load_from_str(&wanted).unwrap().remove(0);
    let group = &document["groups"].as_vec().unwrap()[0];
    let titles = group["rules"].as_vec().unwrap().iter();
    let found: Vec<(&str, &str)> = titles
        .map(|r| {
            let uid = r["uid"].as_str().unwrap();
            assert!(uid.len() <= 40, "{uid}: Grafana refuses longer ones");
            let query = &r["data"].as_vec().unwrap()[0];
            (
                r["title"].as_str().unwrap(),
                query["model"]["expr"].as_str().unwrap().trim_end(),
            )
        })
        .collect();
    let rules = rules("certvigil");
    let wanted: Vec<(&str, &str)> = rules
        .iter()
        .map(|r| (r.name.as_str(), r.expr.as_str()))
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn provisioning_files_fit_together() {
    let load = |path: &str| {
        let text = text(&format!("grafana/provisioning/{path}"));
        let loaded = Yaml::load_from_str(&text)
            .unwrap_or_else(|e| panic!("{path}: {e}"))
            .remove(0);
        assert_eq!(loaded["apiVersion"].as_integer(), Some(1), "{path}");
        // What is loaded borrows from its text.
        loaded.into_owned_json()
    };
    let source = load("datasources/prometheus.yml");
    let uid = str_of(&source["datasources"][0], "uid").to_owned();
    assert!(
        grafana_rules().contains(&format!("datasourceUid: {uid}\n")),
        "{uid}"
    );
    let points = load("alerting/contact-points.yml");
    let names: BTreeSet<&str> = points["contactPoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| str_of(p, "name"))
        .collect();
    let policies = load("alerting/policies.yml");
    let mut receivers = BTreeSet::new();
    walk(&policies, &mut |value| {
        receivers.extend(value.get("receiver").and_then(Value::as_str));
    });
    assert_eq!(receivers, names);
    let provider = load("dashboards/certvigil.yml");
    let folder = str_of(&provider["providers"][0], "folder");
    assert!(grafana_rules().contains(&format!("folder: {folder}\n")));
    let told = policies["policies"][0]["routes"][0]["object_matchers"][0][2].as_str();
    assert_eq!(told, Some(folder), "the folder that the routes ask for");
}

#[test]
fn the_examples_have_the_jobs_that_alerts_ask_for() {
    let jobs = |path: &str| -> Vec<String> {
        let text = text(path);
        let names = text
            .lines()
            .filter_map(|l| l.trim_start().strip_prefix("- job_name: "));
        let name = |n: &str| n.split_whitespace().next().unwrap().to_owned();
        names.map(name).collect()
    };
    assert_eq!(jobs("prometheus/prometheus.yml"), ["certvigil"]);
    assert_eq!(
        jobs("prometheus/prometheus-sharded.yml"),
        ["certvigil", "certvigil-probe"]
    );
    let rules = rules("certvigil");
    let asked = |job: &str| rules.iter().any(|r| r.expr.contains(job));
    assert!(asked("up{job=\"certvigil\"}") && asked("up{job=~\"certvigil-.+\"}"));
}

/// As much of YAML as these files have, as JSON.
trait IntoJson {
    fn into_owned_json(self) -> Value;
}

impl IntoJson for Yaml<'_> {
    fn into_owned_json(self) -> Value {
        if let Some(map) = self.as_mapping() {
            let pairs = map
                .iter()
                .map(|(k, v)| (k.as_str().unwrap().to_owned(), v.clone().into_owned_json()));
            return Value::Object(pairs.collect());
        }
        if let Some(list) = self.as_vec() {
            return list.iter().map(|v| v.clone().into_owned_json()).collect();
        }
        if let Some(number) = self.as_integer() {
            return number.into();
        }
        if let Some(is) = self.as_bool() {
            return is.into();
        }
        self.as_str().map_or(Value::Null, Value::from)
    }
}

/// The files of a folder and of those in it, by their path from there.
fn files_below(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(folder)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

fn export(to: &Path, more: &[&str]) -> crate::support::Run {
    let to = to.to_str().unwrap();
    certvigil(["dashboards", "export", to].iter().chain(more))
}

#[test]
fn the_program_writes_the_whole_folder() {
    let place = tempfile::tempdir().unwrap();
    let to = place.path().join("a/new/folder");
    let run = export(&to, &[]);
    assert_eq!(run.code, 0, "{run:?}");
    let wanted = files_below(&folder());
    assert!(files_below(&to) == wanted, "not the same: {run:?}");
    let told: BTreeSet<String> = run.stdout.lines().map(str::to_owned).collect();
    let lines = wanted
        .keys()
        .map(|name| format!("wrote {}", to.join(name).display()));
    assert_eq!(told, lines.collect::<BTreeSet<_>>());
    assert_eq!(run.stderr, "");

    let again = export(&to, &[]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(
        again.stdout.lines().all(|l| l.starts_with("unchanged ")),
        "{again:?}"
    );
}

#[test]
fn what_the_user_changed_is_not_overwritten() {
    let place = tempfile::tempdir().unwrap();
    let to = place.path().join("out");
    let changed = to.join("prometheus/rules.yml");
    std::fs::create_dir_all(changed.parent().unwrap()).unwrap();
    // It begins alike: as long as the whole, and a byte more.
    let longer = text("prometheus/rules.yml") + "#";
    for mine in ["groups: []\n", &longer] {
        std::fs::write(&changed, mine).unwrap();
        let run = export(&to, &[]);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
        assert!(
            run.stderr.contains("prometheus/rules.yml") && run.stderr.contains("--force"),
            "{run:?}"
        );
        assert_eq!(files_below(&to).len(), 1, "nothing is written by halves");
        assert_eq!(std::fs::read_to_string(&changed).unwrap(), mine);
    }
    let run = export(&to, &["--force"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        files_below(&to) == files_below(&folder()),
        "not the same: {run:?}"
    );
}

#[test]
fn a_place_that_cannot_be_written_is_told_in_one_line() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    let run = export(&file, &[]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    assert!(run.stderr.contains(file.to_str().unwrap()), "{run:?}");
}

fn promtool(arguments: &[&str]) -> String {
    run(Command::new("promtool")
        .args(arguments)
        .current_dir(folder().join("prometheus")))
}

#[test]
#[ignore = "needs prometheus"]
fn promtool_has_nothing_to_say_of_the_files() {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", "rules.yml"]);
    for file in ["prometheus.yml", "prometheus-sharded.yml"] {
        promtool(&["check", "config", "--lint=all", "--lint-fatal", file]);
    }
}

#[test]
#[ignore = "needs prometheus"]
fn every_alert_fires_and_does_not_fire_as_it_should() {
    promtool(&["test", "rules", "rules_test.yml"]);
}

#[test]
fn every_alert_has_a_case_in_which_it_fires() {
    let cases = text("prometheus/rules_test.yml");
    for rule in rules("certvigil") {
        let fires = format!("alertname=\"{}\", alertstate=\"firing\"", rule.name);
        assert!(cases.contains(&fires), "{}", rule.name);
    }
}

/// An expression with values for the variables of a dashboard, so that Prometheus takes it.
fn substituted(expression: &str) -> String {
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

/// Runs every expression of every dashboard against a Prometheus (`http://HOST:PORT`), and names those that found
/// nothing as `dashboard: panel: expression`, but for the panels that may be empty. An expression that Prometheus
/// refuses fails the test.
pub(crate) fn panels_without_data(prometheus: &str) -> Vec<String> {
    let mut empty = Vec::new();
    for uid in DASHBOARDS {
        let dashboard = dashboard(uid);
        for panel in panels(&dashboard) {
            let title = str_of(panel, "title");
            let may_be_empty = MAY_BE_EMPTY
                .iter()
                .any(|(of, panel, _)| (*of, *panel) == (uid, title));
            for expression in expressions(panel) {
                let answer = promtool(&["query", "instant", prometheus, &substituted(expression)]);
                if answer.trim().is_empty() && !may_be_empty {
                    empty.push(format!("{uid}: {title}: {expression}"));
                }
            }
        }
    }
    empty
}

/// What certvigil might say of two hosts with faults, seen from two vantages.
fn exposition() -> String {
    let mut out = String::new();
    let hosts = [
        ("shop", "www.shop.example", "192.0.2.1"),
        ("mail", "mx.mail.example", "2001:db8::1"),
    ];
    for (at, (certificate, hostname, ip)) in hosts.into_iter().enumerate() {
        let entry = format!("certificate=\"{certificate}\"");
        let address = format!("{entry},hostname=\"{hostname}\",ip=\"{ip}\",port=\"443\"");
        for vantage in ["local", "sslmate"] {
            let labels = format!("{address},key_type=\"any\",vantage=\"{vantage}\"");
            let mut endpoint = |name: &str, more: &str, value: u64| {
                writeln!(out, "certvigil_endpoint_{name}{{{labels}{more}}} {value}").unwrap();
            };
            let is_judged = at == 0 || vantage == "local";
            endpoint("status", ",status=\"conclusive\"", is_judged.into());
            endpoint("status", ",status=\"connect_error\"", (!is_judged).into());
            endpoint("last_check_timestamp_seconds", "", 1_800_000_000);
            if !is_judged {
                endpoint("error", ",error_kind=\"connect_timeout\"", 1);
                continue;
            }
            endpoint("correct", "", 1);
            endpoint("chained", "", 0);
            endpoint(
                "finding",
                ",code=\"missing_intermediate\",severity=\"critical\"",
                1,
            );
            endpoint(
                "finding",
                ",code=\"unrelated_certificate\",severity=\"warning\"",
                1,
            );
            if vantage == "local" {
                endpoint("trusted", "", 0);
                endpoint("hostname_match", "", 1);
                endpoint("not_before_timestamp_seconds", "", 1_700_000_000);
                endpoint("not_after_timestamp_seconds", "", 2_000_000_000);
                endpoint("chain_not_after_timestamp_seconds", "", 1_900_000_000);
                // One serves the instance that is known, the other one that is not.
                let served = format!(
                    ",sha256=\"{at:064}\",issuer=\"CN=CA\",tls_version=\"1.3\",cipher_suite=\"TLS_AES_128_GCM_SHA256\",protocol=\"https\""
                );
                endpoint("info", &served, 1);
            }
        }
        let known = format!(
            "{entry},source=\"sslmate\",instance_id=\"{at}\",sha256=\"{:064}\"",
            at * 7
        );
        // Two replicas may not agree on the state for a while.
        for state in ["active", "pending"] {
            writeln!(
                out,
                "certvigil_certificate_info{{{known},state=\"{state}\"}} 1"
            )
            .unwrap();
        }
        writeln!(
            out,
            "certvigil_certificate_not_before_timestamp_seconds{{{entry}}} 1700000000"
        )
        .unwrap();
        writeln!(
            out,
            "certvigil_certificate_not_after_timestamp_seconds{{{entry}}} 2000000000"
        )
        .unwrap();
        writeln!(out, "certvigil_vantages_disagree{{{address}}} {at}").unwrap();
        writeln!(
            out,
            "certvigil_hostname_addresses{{{entry},hostname=\"{hostname}\",family=\"ipv4\"}} 1"
        )
        .unwrap();
    }
    out.push_str(
        "certvigil_source_up{source=\"sslmate\"} 1
certvigil_source_last_success_timestamp_seconds{source=\"sslmate\"} 1800000000
certvigil_source_requests_total{source=\"sslmate\",code=\"200\"} 7
certvigil_probe_phase_duration_seconds_bucket{phase=\"connect\",le=\"0.1\"} 3
certvigil_probe_phase_duration_seconds_bucket{phase=\"connect\",le=\"+Inf\"} 4
certvigil_probes_total{vantage=\"local\",status=\"conclusive\"} 4
certvigil_probes_in_flight 0
certvigil_cycle_duration_seconds 2
certvigil_cycle_lag_seconds 0
certvigil_config_last_reload_successful 1
certvigil_config_last_reload_success_timestamp_seconds 1800000000
certvigil_build_info{version=\"0.1.0\"} 1
process_cpu_seconds_total 1
process_open_fds 9
process_max_fds 1024
process_resident_memory_bytes 1e7
process_start_time_seconds 1800000000
",
    );
    out
}

#[test]
#[ignore = "needs prometheus"]
fn every_panel_finds_what_is_exposed() {
    let text = exposition();
    let length = text.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
    );
    let exporter = Canned::start(move |_, _| answer.clone().into_bytes());
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: certvigil\n    static_configs: [{{targets: [\"{}\"]}}]\n",
        exporter.address
    );
    let prometheus = Prometheus::start(&config, |_| {});
    // A rate needs two scrapes.
    prometheus.wait_for("sum_over_time(up[5m]) >= 2", |enough| !enough.is_empty());
    assert_eq!(panels_without_data(&prometheus.url()), Vec::<String>::new());
}
