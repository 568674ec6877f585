//! `docs/configuration.md` agrees with the configuration reader.

use std::collections::BTreeSet;
use std::path::Path;

use certvigil::config::{Defaults, parse};

use crate::markdown::{code_spans, document};
use crate::support::certvigil;

/// Each section of the page with a file that has an unknown key at that level. The error lists the
/// keys that are known there.
const PLACES: [(&str, &str); 10] = [
    ("Top-level keys", "qqq: 1"),
    ("sslmate", "sslmate: {qqq: 1}"),
    ("vantages", "vantages: [{name: x, type: sslmate, qqq: 1}]"),
    ("trust", "trust: {qqq: 1}"),
    ("probe", "probe: {qqq: 1}"),
    ("probe.modules", "probe: {modules: {x: {qqq: 1}}}"),
    ("webhook", "webhook: {qqq: 1}"),
    ("defaults", "defaults: {qqq: 1}"),
    ("certificates", "certificates: [{sslmate: a, qqq: 1}]"),
    ("accept", "certificates: [{sslmate: a, accept: [{qqq: 1}]}]"),
];

#[test]
fn every_configuration_key_is_documented() {
    let page = document("docs/configuration.md");
    for (section, text) in PLACES {
        let errors = parse(text, Path::new("f.yml")).unwrap_err();
        let error = errors.errors.iter().find(|e| e.key.ends_with("qqq"));
        let (_, known) = error.unwrap().message.split_once("known keys: ").unwrap();
        let known: BTreeSet<&str> = known.split(", ").collect();
        let rows = page.section(section).rows();
        let told: BTreeSet<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
        assert_eq!(told, known, "{section}");
    }
}

#[test]
fn every_documented_configuration_section_is_compared() {
    let page = document("docs/configuration.md");
    for section in page.sections().iter().filter(|s| !s.rows().is_empty()) {
        let compared = PLACES.iter().any(|(name, _)| *name == section.heading);
        assert!(compared, "{}", section.heading);
    }
}

#[test]
fn documented_configuration_defaults_match_the_program() {
    let page = document("docs/configuration.md");
    let rows = page.section("defaults").rows();
    let told = |key: &str| {
        let row = rows
            .iter()
            .find(|row| row[0] == format!("`{key}`"))
            .unwrap();
        code_spans(&row[2])[0].to_owned()
    };
    let defaults = Defaults::default();
    let duration = |key| humantime::parse_duration(&told(key)).unwrap();
    assert_eq!(duration("interval"), defaults.interval);
    assert_eq!(duration("timeout"), defaults.timeout);
    assert_eq!(duration("grace"), defaults.grace);
    assert_eq!(duration("history"), defaults.history);
    assert_eq!(told("per_address"), defaults.per_address.to_string());
    assert_eq!(told("port"), defaults.port.to_string());
    assert_eq!(told("warn").parse(), Ok(defaults.warn));
    assert_eq!(told("crit").parse(), Ok(defaults.crit));
}

/// `readme.rs` runs the `config check` examples of the page. This test checks that the example has
/// every source.
#[test]
fn example_configuration_is_valid_and_has_every_source() {
    let page = document("docs/configuration.md");
    let blocks = page.blocks();
    let example = blocks.iter().find(|b| b.info == "yaml certvigil.yml");
    let text = example.expect("the example").lines.join("\n");
    let inventory = parse(&text, Path::new("certvigil.yml")).unwrap();
    let kinds: BTreeSet<String> = inventory
        .certificates
        .iter()
        .map(|entry| {
            let debug = format!("{:?}", entry.source);
            debug.split('(').next().unwrap().to_owned()
        })
        .collect();
    let all = [
        "Sslmate",
        "Download",
        "Pem",
        "PemGlob",
        "Fingerprints",
        "PublicKeys",
        "TrustOnly",
    ];
    assert_eq!(kinds, all.map(str::to_owned).into());
}

#[test]
fn configuration_errors_are_one_line_each_with_exit_code_3() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.yml");
    std::fs::write(&file, "dms: []\ncertificates:\n  - {sslmate: a, prot: 1}\n").unwrap();
    for command in [&["config", "check"][..], &["check", "--config"]] {
        let run = certvigil(
            command
                .iter()
                .map(std::ffi::OsStr::new)
                .chain([file.as_os_str()]),
        );
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
        let lines: Vec<&str> = run.stderr.lines().collect();
        let at = |line| format!("error: {}:{line}: ", file.display());
        assert_eq!(lines.len(), 2, "{run:?}");
        assert!(
            lines[0].starts_with(&at(1)) && lines[1].starts_with(&at(3)),
            "{run:?}"
        );
    }
}

#[test]
fn unreadable_configuration_is_reported_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let latin1 = folder.path().join("latin1.yml");
    std::fs::write(&latin1, b"certificates: [] # \xe4\n").unwrap();
    for (file, says) in [
        (folder.path().join("missing.yml"), "No such file"),
        (folder.path().to_owned(), "directory"),
        (latin1, "save it as UTF-8"),
    ] {
        let run = certvigil(["config".as_ref(), "check".as_ref(), file.as_os_str()]);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
        assert!(
            run.stderr.starts_with("error: ") && run.stderr.contains(says),
            "{run:?}"
        );
    }
}
