//! The JSON of the dashboards: panels with expressions of exposed metrics.

use std::collections::{BTreeMap, BTreeSet};

use certvigil::report::prometheus::{Kind, Metric};

use super::*;

/// Metrics that Prometheus itself creates at each scrape.
const OF_PROMETHEUS: &[&str] = &["up"];

/// The metric names in an expression: identifiers that are not called and are outside of braces,
/// brackets, quotes and label lists.
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
            // Braces in quotes, such as `.{12}` in a regular expression, do not end the list.
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
            // An aggregation may have its labels before its argument.
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

/// Fails for a metric name that is not exposed.
fn assert_known(expression: &str, place: &str) {
    let names = metrics_of(expression);
    let groups = ["certvigil-recording", "certvigil"];
    let recorded = groups.into_iter().flat_map(rules).map(|r| r.name);
    let recorded: BTreeSet<String> = recorded.collect();
    assert!(!names.is_empty(), "{place}: {expression}");
    for name in names {
        let of_histogram = ["_bucket", "_sum", "_count"];
        let stem = of_histogram.iter().find_map(|s| name.strip_suffix(s));
        let is = |metric: &&Metric| match metric.kind() {
            Kind::Histogram => stem == Some(metric.name()),
            Kind::Gauge | Kind::Counter => name == metric.name(),
        };
        let known = Metric::ALL.iter().any(|m| is(&m))
            || OF_PROMETHEUS.contains(&name.as_str())
            || recorded.contains(&name);
        assert!(known, "{place}: nobody exposes {name}");
    }
}

#[test]
fn metric_names_are_extracted_from_expressions() {
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
fn every_panel_has_title_description_and_unit() {
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
            // A table has a column for each label to show, with a readable name.
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
fn expressions_use_only_exposed_metrics() {
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

/// Links and expressions use only variables that exist.
#[test]
fn links_and_expressions_use_existing_variables() {
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
                    let name = name.split(['"', '|']).next().unwrap();
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
            // Pages of the monitor.
            if let Some(page) = url.strip_prefix("http://localhost:10843/") {
                let page = page.split("/$").next().unwrap();
                assert!(
                    ["", "docs/alerts", "docs/findings"].contains(&page),
                    "{url}"
                );
                return;
            }
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
