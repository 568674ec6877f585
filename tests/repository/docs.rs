//! The documentation agrees with the code: every code has an entry, and every entry has a code.

use std::collections::{BTreeMap, BTreeSet};

use certvigil::finding::{Code, Severity};
use certvigil::instance::SourceKind;
use certvigil::model::Protocol;
use certvigil::observation::{ErrorKind, FileFacts, KeyProof, Status};
use certvigil::report::prometheus::Metric;
use clap::CommandFactory as _;
use serde_json::Value;

use crate::fixture::exporter::Exporter;
use crate::markdown::{Document, FINDINGS, Section, code_spans, document, documents};
use crate::schema;

/// The line below the heading of a code: its severities and its meaning.
fn first_line(code: Code) -> String {
    let severities: Vec<&str> = code.severities().iter().map(|s| s.name()).collect();
    let (last, others) = severities.split_last().unwrap();
    let severities = match others {
        [] => (*last).to_owned(),
        others => format!("{} or {last}", others.join(", ")),
    };
    format!("**{severities}.** {}", code.meaning())
}

#[test]
fn findings_index_lists_every_finding() {
    let page = document("docs/findings.md");
    let sections = page.sections();
    let entries: Vec<&Section<'_>> = sections
        .iter()
        .filter(|s| !s.heading.contains(' '))
        .collect();
    let headings: Vec<&str> = entries.iter().map(|s| s.heading).collect();
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(headings, codes, "each code once, in the order of the table");
    for (&code, entry) in Code::ALL.iter().zip(entries) {
        let link = format!("[What it means, what clients do, how to fix it](findings/{code}.md).");
        assert_eq!(entry.paragraphs(), [first_line(code), link]);
    }
}

/// The sections of a finding's page, in their order.
const SECTIONS: [&str; 4] = [
    "What it means",
    "What clients do",
    "How to fix it",
    "See it",
];

/// The servers that each page covers, in their order. Others may be between them.
const SERVERS: [&str; 5] = [
    "nginx",
    "Apache",
    "HAProxy",
    "Postfix",
    "Kubernetes ingress",
];

#[test]
fn every_finding_has_a_documentation_page() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(root.join(FINDINGS)).unwrap();
    let files: BTreeSet<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let pages: BTreeSet<String> = Code::ALL.iter().map(|code| format!("{code}.md")).collect();
    assert_eq!(files, pages, "a page for each code, and nothing else");

    for &code in Code::ALL {
        let page = document(&format!("{FINDINGS}/{code}.md"));
        let beginning = format!("# {code}\n\n{}\n\n## ", first_line(code));
        assert!(page.text.starts_with(&beginning), "{code}: {beginning}");
        let sections = page.sections();
        let headings: Vec<&str> = sections.iter().map(|s| s.heading).collect();
        assert_eq!(headings, SECTIONS, "{code}");
        for section in sections.iter().filter(|s| s.heading != "See it") {
            assert!(
                !section.paragraphs().is_empty(),
                "{code}: {}",
                section.heading
            );
        }

        let bold = page.section("How to fix it").lines.join(" ");
        let bold = bold.split("**").skip(1).step_by(2);
        let servers: Vec<&str> = bold.filter(|name| SERVERS.contains(name)).collect();
        assert_eq!(servers, SERVERS, "{code}: each server has its word");

        let (_, see_it) = page.text.split_once("\n## See it\n").unwrap();
        let shows = |program: &str| see_it.lines().any(|line| line.starts_with(program));
        assert!(shows("certvigil "), "{code}: how certvigil shows it");
        let says_why_not = see_it.contains("No openssl command");
        assert_ne!(
            shows("openssl "),
            says_why_not,
            "{code}: how openssl shows it, or why not"
        );
    }
}

#[test]
fn every_severity_is_documented() {
    let page = document("docs/findings.md");
    let intro = page.text.split("\n## ").next().unwrap();
    for severity in [
        Severity::Ok,
        Severity::Info,
        Severity::Warning,
        Severity::Unknown,
        Severity::Critical,
    ] {
        let of_findings = Code::ALL.iter().any(|c| c.severities().contains(&severity));
        let word = if of_findings {
            format!("- **{severity}**: ")
        } else {
            format!("`{severity}`")
        };
        assert!(intro.contains(&word), "{word}");
    }
}

#[test]
fn every_error_kind_and_status_is_documented() {
    let page = document("docs/errors.md");
    let sections = page.sections();
    let entries: Vec<&Section<'_>> = sections
        .iter()
        .filter(|s| s.heading != "Statuses")
        .collect();
    let headings: Vec<&str> = entries.iter().map(|s| s.heading).collect();
    let kinds: Vec<&str> = ErrorKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(headings, kinds, "each kind once, in the order of the table");
    for (kind, entry) in ErrorKind::ALL.iter().zip(entries) {
        let first = format!("`{}`. {}", kind.status().name(), kind.meaning());
        let paragraphs = entry.paragraphs();
        assert_eq!(paragraphs.first(), Some(&first));
        assert!(paragraphs.len() >= 3, "{kind}: an entry says what to do");
    }
    let told: Vec<String> = page
        .section("Statuses")
        .rows()
        .into_iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    assert_eq!(told, Status::ALL.map(Status::name));
}

/// The sections of `docs/metrics.md` that are about a metric, in its order.
fn metric_sections<'a>(page: &'a Document) -> Vec<Section<'a>> {
    let sections = page.sections().into_iter();
    sections.filter(|s| !s.heading.contains(' ')).collect()
}

/// The labels that the entry of a metric names.
fn documented_labels(entry: &Section<'_>) -> BTreeSet<String> {
    let paragraphs = entry.paragraphs();
    let (first, _) = paragraphs[0].split_once(". ").unwrap();
    let mut labels: BTreeSet<String> = code_spans(first).into_iter().map(str::to_owned).collect();
    if first.contains(" by the endpoint") {
        let endpoint = [
            "certificate",
            "hostname",
            "ip",
            "port",
            "key_type",
            "vantage",
        ];
        labels.extend(endpoint.map(str::to_owned));
    }
    labels
}

#[test]
fn every_metric_is_documented() {
    let page = document("docs/metrics.md");
    let entries = metric_sections(&page);
    let headings: Vec<&str> = entries.iter().map(|s| s.heading).collect();
    let names: Vec<&str> = Metric::ALL.iter().map(|m| m.name()).collect();
    assert_eq!(
        headings, names,
        "each metric once, in the order of the table"
    );
    for (metric, entry) in Metric::ALL.iter().zip(&entries) {
        let first = entry.paragraphs().swap_remove(0);
        let (kind, meaning) = first.split_once(". ").unwrap();
        assert_eq!(meaning, metric.help(), "{}", entry.heading);
        let kind = kind.split(" by ").next();
        assert_eq!(
            kind,
            Some(&*format!("**{}**", metric.kind().name())),
            "{}",
            entry.heading
        );
    }
    let queries: Vec<String> = example_queries();
    assert_eq!(queries.len(), names.len(), "each has an example");
    for (query, name) in queries.iter().zip(names) {
        assert!(query.contains(name), "{name}: {query}");
    }
}

/// The example of each metric in `docs/metrics.md`.
pub(crate) fn example_queries() -> Vec<String> {
    let page = document("docs/metrics.md");
    let blocks = page.blocks().into_iter().filter(|b| b.info == "promql");
    blocks.map(|block| block.lines.join("\n")).collect()
}

/// Metrics that the demo does not expose, each with the reason.
const NOT_IN_THE_DEMO: [(&str, &str); 4] = [
    (
        "certvigil_endpoint_interval_seconds",
        "no entry has an interval of its own",
    ),
    ("certvigil_endpoint_revoked", "nothing says whether it is"),
    ("certvigil_state_up", "it has no state folder"),
    ("probe_dns_lookup_time_seconds", "its names are not in DNS"),
];

#[test]
fn documented_metric_labels_match_the_exposed_ones() {
    let demo = Exporter::demo(&[]);
    let metrics = demo.wait_for_metrics("a whole cycle", |metrics| {
        metrics
            .sample("certvigil_cycle_duration_seconds", &[])
            .is_some()
    });
    let target = format!(
        "/probe?target={}",
        demo.get("/sd").json()[0]["targets"][0].as_str().unwrap()
    );
    let text = metrics.text() + &demo.probe(&target).text();
    let mut exposed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
        let parts = ["_bucket", "_sum", "_count"];
        let stem = parts
            .iter()
            .find_map(|part| name.strip_suffix(part))
            .unwrap_or(name);
        // No label value of the demo contains this sequence.
        let labels = rest
            .split("=\"")
            .filter_map(|part| part.rsplit(['{', ',']).next());
        let mut labels: BTreeSet<String> = labels.map(str::to_owned).collect();
        labels.retain(|label| {
            label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b"_0123456789".contains(&b))
                && !label.is_empty()
        });
        labels.remove("le");
        exposed.entry(stem.to_owned()).or_default().extend(labels);
    }
    let page = document("docs/metrics.md");
    for entry in metric_sections(&page) {
        let name = entry.heading;
        let is_left_out = NOT_IN_THE_DEMO
            .iter()
            .any(|(left_out, _)| *left_out == name);
        assert_ne!(exposed.contains_key(name), is_left_out, "{name}");
        if !is_left_out {
            assert_eq!(documented_labels(&entry), exposed[name], "{name}");
        }
    }
    assert_eq!(
        exposed.len() + NOT_IN_THE_DEMO.len(),
        Metric::ALL.len(),
        "{exposed:?}"
    );
}

/// The values of an enumeration of the schema.
fn words(pointer: &str) -> Vec<String> {
    let schema = schema::schema();
    let list = schema
        .pointer(pointer)
        .unwrap_or_else(|| panic!("{pointer}"));
    let words = list.as_array().unwrap().iter().map(Value::as_str);
    words.map(|word| word.unwrap().to_owned()).collect()
}

#[test]
fn json_schema_lists_every_enum_value() {
    let row = "/$defs/row/properties";
    let names = |all: &[ErrorKind]| all.iter().map(|k| k.name()).collect::<Vec<_>>();
    assert_eq!(
        words(&format!("{row}/error_kind/enum")),
        names(ErrorKind::ALL)
    );
    assert_eq!(
        words(&format!("{row}/status/enum")),
        Status::ALL.map(Status::name)
    );
    let all = Protocol::ALL.iter().copied().chain([Protocol::File]);
    let protocols: Vec<_> = all.map(Protocol::name).collect();
    assert_eq!(words(&format!("{row}/protocol/enum")), protocols);

    let codes: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(words("/$defs/finding/properties/code/enum"), codes);
    let severities: BTreeSet<_> = Code::ALL.iter().flat_map(|c| c.severities()).collect();
    let severities: Vec<_> = severities.into_iter().map(|s| s.name()).collect();
    assert_eq!(words("/$defs/finding/properties/severity/enum"), severities);

    let sources = [
        SourceKind::Sslmate,
        SourceKind::Download,
        SourceKind::Pem,
        SourceKind::Fingerprint,
        SourceKind::PublicKey,
        SourceKind::Trust,
    ];
    assert_eq!(
        words("/$defs/expected/properties/source/enum"),
        sources.map(SourceKind::name)
    );
    assert_eq!(
        words("/$defs/served/properties/key_proof/enum"),
        [
            KeyProof::Handshake,
            KeyProof::BareKey,
            KeyProof::None,
            KeyProof::File(FileFacts::default()),
        ]
        .map(KeyProof::name)
    );
}

/// Rows of the tables under a heading of docs/protocols.md: the protocol and the port.
fn protocol_rows(heading: &str) -> Vec<(String, String)> {
    let page = document("docs/protocols.md").text;
    let section = page.split("\n## ").find(|part| part.starts_with(heading));
    let rows = section.unwrap_or_else(|| panic!("{heading}")).lines();
    let rows = rows.filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.trim_end_matches('`').to_owned();
        let port = cells.next()?.to_owned();
        // Each row names what the protocol was tested with.
        let is_tested = cells.last().is_some_and(|cell| cell.len() > " |".len());
        assert!(is_tested, "{line}");
        Some((name, port))
    });
    rows.collect()
}

#[test]
fn protocols_have_rows_in_their_order_with_their_ports() {
    for (heading, is_clear) in [("STARTTLS\n", true), ("TLS first\n", false)] {
        let all = Protocol::ALL.iter();
        let expected: Vec<(String, String)> = all
            .filter(|p| p.uses_starttls() == is_clear)
            .map(|p| {
                let port = p.default_port().to_string();
                let udp = if p.is_quic() { ", UDP" } else { "" };
                (p.name().to_owned(), port + udp)
            })
            .collect();
        assert_eq!(protocol_rows(heading), expected);
    }
    let page = document("docs/protocols.md").text;
    for alias in Protocol::aliases() {
        let is_named = [format!("`{alias}`"), format!("`{alias}://`")];
        let is_named = is_named.iter().any(|name| page.contains(name));
        assert!(is_named, "docs/protocols.md does not name `{alias}`");
    }
}

/// The flag in a word of a table cell or of code, such as `--cert` or `-4`.
fn flag_of(word: &str) -> Option<String> {
    let name = word.split(['=', ',']).next()?;
    let is_flag = name.len() > 1 && name.starts_with('-') && !name.starts_with("---");
    is_flag.then(|| name.to_owned())
}

/// Each command with the page that documents its flags.
const COMMANDS: [(&str, &str); 7] = [
    ("check", "docs/check.md"),
    ("verify", "docs/verify.md"),
    ("inspect", "docs/inspect.md"),
    ("chain", "docs/chain.md"),
    ("history", "docs/history.md"),
    ("sandbox", "docs/sandbox.md"),
    ("serve", "docs/prometheus.md"),
];

/// The command as clap builds it.
fn command(name: &str) -> clap::Command {
    let mut root = certvigil::cli::Cli::command();
    root.build();
    root.find_subcommand(name).unwrap().clone()
}

#[test]
fn every_flag_is_documented() {
    for (name, path) in COMMANDS {
        let mut flags = BTreeSet::new();
        for argument in command(name).get_arguments() {
            flags.extend(argument.get_long().map(|long| format!("--{long}")));
            flags.extend(argument.get_short().map(|short| format!("-{short}")));
        }

        let page = document(path);
        let sections = page.sections();
        let in_tables: BTreeSet<String> = sections
            .iter()
            .flat_map(Section::rows)
            .flat_map(|row| {
                let spans: Vec<String> =
                    code_spans(&row[0]).into_iter().map(str::to_owned).collect();
                spans
            })
            .filter_map(|span| flag_of(span.split_whitespace().next()?))
            .collect();
        assert_eq!(
            in_tables, flags,
            "the tables of {path} have each flag, and no other"
        );

        for (line, text) in page.prose() {
            for span in code_spans(text) {
                for word in span.split_whitespace().filter_map(flag_of) {
                    assert!(
                        flags.contains(&word),
                        "{path}: line {line}: there is no {word}"
                    );
                }
            }
        }
    }
}

#[test]
fn documented_flag_defaults_match_the_program() {
    for (name, path, least) in [
        ("check", "docs/check.md", 6),
        ("verify", "docs/verify.md", 5),
        ("inspect", "docs/inspect.md", 2),
        ("chain", "docs/chain.md", 1),
        ("history", "docs/history.md", 1),
        ("sandbox", "docs/sandbox.md", 5),
        ("serve", "docs/prometheus.md", 2),
    ] {
        let command = command(name);
        let page = document(path);
        let mut compared = 0;
        for row in page.sections().iter().flat_map(Section::rows) {
            let [flag, default, _] = row.as_slice() else {
                continue;
            };
            let (Some(flag), [default]) =
                (code_spans(flag).first().copied(), &*code_spans(default))
            else {
                continue;
            };
            let Some(name) = flag.strip_prefix("--") else {
                continue;
            };
            let name = name.split_whitespace().next().unwrap();
            let argument = command
                .get_arguments()
                .find(|a| a.get_long() == Some(name))
                .unwrap_or_else(|| panic!("{flag}"));
            let help = argument.get_help().unwrap().to_string();
            let by_clap = argument.get_default_values().iter().any(|v| v == default);
            assert!(
                by_clap || help.contains(&format!("[default: {default}]")),
                "{flag}: {default}"
            );
            compared += 1;
        }
        assert!(compared >= least, "{path}: {compared}");
    }
}

/// Link targets exist: the files, and the headings in them.
#[test]
fn every_documentation_link_resolves() {
    let all = documents();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut links = 0;
    for page in &all {
        let text: Vec<&str> = page.prose().into_iter().map(|(_, line)| line).collect();
        for target in text.join(" ").split("](").skip(1) {
            let target = target.split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = page.path.parent().unwrap();
            let path = if file.is_empty() {
                page.path.clone()
            } else {
                folder.join(file)
            };
            let from = page.path.display();
            assert!(root.join(&path).exists(), "{from}: {target}");
            if !anchor.is_empty() {
                let clean = |p: &std::path::Path| root.join(p).canonicalize().unwrap();
                let page = all.iter().find(|d| clean(&d.path) == clean(&path));
                let anchors = page.expect(target).anchors();
                assert!(anchors.iter().any(|a| a == anchor), "{from}: {target}");
            }
        }
    }
    assert!(links > 10, "{links}");
}

/// Maximum size of a picture: it is in the repository, and loaded with its page.
const MAX_PICTURE_BYTES: u64 = 150_000;

/// Every picture that is shown exists, is small, in the Debian package too, and every picture is shown.
#[test]
fn every_picture_is_shown_and_packaged() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("docs/pictures");
    let mut shown = BTreeSet::new();
    for page in documents() {
        for (_, line) in page.prose() {
            for target in line.split("![").skip(1) {
                let (_, rest) = target.split_once("](").expect(line);
                let (file, _) = rest.split_once(')').expect(line);
                let path = root.join(page.path.parent().unwrap()).join(file);
                let path = path
                    .canonicalize()
                    .unwrap_or_else(|e| panic!("{line}: {e}"));
                shown.insert(path.strip_prefix(&folder).expect(line).to_owned());
            }
        }
    }
    let there = std::fs::read_dir(&folder).unwrap();
    let there: BTreeSet<_> = there
        .map(|entry| entry.unwrap().file_name().into())
        .collect();
    assert_eq!(shown, there);
    for file in &there {
        let size = std::fs::metadata(folder.join(file)).unwrap().len();
        assert!(size < MAX_PICTURE_BYTES, "{}: {size}", file.display());
    }
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let asset = r#"["docs/pictures/*", "usr/share/doc/certvigil/docs/pictures/", "644"]"#;
    assert!(manifest.contains(asset), "{asset}");
}

/// The table of contents of the book links to every page. The pages of findings have a table of
/// their own.
#[test]
fn docs_index_links_to_every_page() {
    let contents = document("docs/README.md").text;
    let mut pages = 0;
    for page in documents() {
        let in_docs = page.path.parent() == Some(std::path::Path::new("docs"));
        let name = page.path.file_name().unwrap().to_str().unwrap();
        if in_docs && name != "README.md" {
            let links = contents.matches(&format!("]({name})")).count();
            assert_eq!(links, 1, "docs/README.md: {name}");
            pages += 1;
        }
    }
    assert!(pages > 20, "{pages}");
}

/// The function names of all tests.
pub(crate) fn functions() -> BTreeSet<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src"), root.join("crates"), root.join("tests")];
    let mut functions = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            // The `test` attribute is above its function, perhaps with another attribute between
            // them.
            let after = text.split("test]\n").skip(1);
            let names = after.filter_map(|rest| rest.split_once("fn ")?.1.split('(').next());
            functions.extend(names.map(str::to_owned));
        }
    }
    functions
}

#[test]
fn every_reliability_row_names_an_existing_test() {
    let page = document("docs/reliability.md");
    let functions = functions();
    let mut promises = 0;
    for row in page.sections().iter().flat_map(Section::rows) {
        let [fault, what, tests] = row.as_slice() else {
            panic!("{row:?}: a fault, what happens, and the test");
        };
        assert!(!what.is_empty(), "{fault}");
        let tests = code_spans(tests);
        assert!(!tests.is_empty(), "{fault}: without a test");
        for test in tests {
            assert!(functions.contains(test), "{fault}: there is no {test}");
        }
        let known = |word: &str| {
            let is_kind = ErrorKind::ALL.iter().any(|kind| kind.name() == word);
            let is_status = Status::ALL.iter().any(|status| status.name() == word);
            is_kind || is_status || Code::ALL.iter().any(|code| code.name() == word)
        };
        for word in code_spans(what).into_iter().filter(|w| w.contains('_')) {
            let is_other = ["ip_address", "retry_after"];
            let is_metric = Metric::ALL.iter().any(|metric| metric.name() == word);
            assert!(
                known(word) || is_metric || is_other.contains(&word),
                "{fault}: {word}"
            );
        }
        promises += 1;
    }
    assert!(promises > 40, "{promises}");
}
