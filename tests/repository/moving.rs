//! `docs/moving.md`: the configuration files that it shows, used unchanged by both programs side by
//! side.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use certvigil::certificate::Certificate;
use certvigil::model::Timestamp;
use certvigil::testbed::authority::{Authority, Validity};

use crate::common::nginx::{nginx, server};
use crate::fixture::exporter::Exporter;
use crate::fixture::pki::{HOST, Pki, now};
use crate::fixture::process::Process;
use crate::fixture::prometheus::{Prometheus, Sample};
use crate::fixture::tls::{self, Server};
use crate::markdown::{code_spans, document};

const ADDRESSES: [&str; 2] = ["127.0.0.1", "127.0.0.2"];

/// A file that the page shows.
fn file(name: &str) -> String {
    let page = document("docs/moving.md");
    let info = format!("yaml {name}");
    let blocks = page.blocks();
    let block = blocks.iter().find(|b| b.info == info).expect(name);
    block.lines.join("\n") + "\n"
}

/// Replaces each of these parts, all of which the text must contain.
fn replaced(text: &str, parts: &[(&str, &str)]) -> String {
    parts.iter().fold(text.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "{old}: {text}");
        text.replace(old, new)
    })
}

/// Starts blackbox_exporter with a hosts file in which the host has the two addresses. It resolves
/// names with the system resolver only, so it runs in its own mount namespace.
fn blackbox(config: &str) -> Process {
    Process::start(&["127.0.0.1"], |folder, port| {
        let hosts: String = ADDRESSES.map(|at| format!("{at} {HOST}\n")).concat();
        fs::write(folder.join("hosts"), hosts).unwrap();
        fs::write(folder.join("blackbox.yml"), config).unwrap();
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--mount", "sh", "-c"])
            .arg("mount --bind hosts /etc/hosts && exec prometheus-blackbox-exporter \"$@\"")
            .arg("sh")
            .arg("--config.file=blackbox.yml")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command
    })
}

/// The only series of a metric for a job and a target, if there is one.
fn one<'a>(samples: &'a [Sample], metric: &str, job: &str, target: &str) -> Option<&'a Sample> {
    let mut of = samples.iter().filter(|s| {
        let is = |name: &str, value: &str| s.label(name) == value;
        is("__name__", metric) && is("job", job) && is("instance", target)
    });
    let first = of.next();
    assert!(of.next().is_none(), "{metric} of {job} at {target}");
    first
}

#[test]
fn scrape_configurations_differ_only_in_the_address() {
    let before = file("before.yml");
    let after = replaced(&before, &[("localhost:9115", "localhost:10843")]);
    assert_eq!(file("after.yml"), after);
}

/// The samples of both exporters, and their expected values.
struct Bench {
    samples: Vec<Sample>,
    targets: [String; 3],
}

impl Bench {
    fn value(&self, job: &str, metric: &str, target: usize) -> Option<f64> {
        let sample = one(&self.samples, metric, job, &self.targets[target]);
        sample.map(|s| s.value)
    }

    fn label(&self, job: &str, metric: &str, name: &str) -> String {
        let sample = one(&self.samples, metric, job, &self.targets[0]);
        sample.expect(metric).label(name).to_owned()
    }

    fn has(&self, job: &str, prefix: &str) -> bool {
        let mut of = self.samples.iter().filter(|s| s.label("job") == job);
        of.any(|s| s.label("__name__").starts_with(prefix))
    }
}

#[test]
#[ignore = "needs prometheus-blackbox-exporter, prometheus and nginx"]
fn blackbox_exporter_and_certvigil_agree_on_common_metrics() {
    const BOTH: [&str; 2] = ["before", "after"];
    let pki = Pki::new();
    let (right, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let (whole, bare) = (pki.full_chain(&right), pki.chain(&[&right.certificate]));
    let serving = |first: &_, (second, key): (&_, &_)| {
        let blocks = [
            server(ADDRESSES[0], first, &right.key, ""),
            server(ADDRESSES[1], second, key, ""),
        ];
        let directory = "root /nonexistent; location / { return 200; }\n}";
        nginx(&ADDRESSES, &blocks.map(|b| b.replace('}', directory)))
    };
    let elsewhere = pki.full_chain(&other);
    let servers = [
        serving(&whole, (&whole, &right.key)),
        serving(&whole, (&elsewhere, &other.key)),
        serving(&bare, (&bare, &right.key)),
    ];
    let targets = [0, 1, 2].map(|i| format!("https://{HOST}:{}", servers[i].port));

    let root = pki.path("root.pem").display().to_string();
    let ca = ("internal-ca.pem", &*root);
    let blackbox = blackbox(&replaced(&file("blackbox.yml"), &[ca]));
    let ports = [0, 1, 2].map(|i: usize| servers[i].port.to_string());
    let places = format!(
        "hostnames: [{HOST}], addresses: [{}], ports: [{}]",
        ADDRESSES.join(", "),
        ports.join(", ")
    );
    let expected = whole.display().to_string();
    let config = replaced(
        &file("certvigil.yml"),
        &[
            ca,
            ("www.pem", &expected),
            ("hostnames: [www.example.com]", &places),
        ],
    );
    let certvigil = Exporter::start(&config, &[], |_| {});

    let all = format!("[{}]", targets.clone().map(|t| format!("'{t}'")).join(", "));
    let job = |name: &str, replaced_by: &str, at: &str, name_of_job: &str| {
        let text = replaced(
            &file(name),
            &[
                (replaced_by, at),
                ("job_name: websites", &format!("job_name: {name_of_job}")),
                ("[\"https://www.example.com\"]", &all),
            ],
        );
        text.replacen("scrape_configs:\n", "", 1)
    };
    let at = format!("127.0.0.1:{}", blackbox.port);
    let config = format!(
        "global: {{scrape_interval: 2s, scrape_timeout: 2s}}\nscrape_configs:\n{}{}",
        job("before.yml", "localhost:9115", &at, BOTH[0]),
        job(
            "after.yml",
            "localhost:10843",
            &certvigil.address.to_string(),
            BOTH[1]
        ),
    );
    let prometheus = Prometheus::start(&config, |_| {});
    prometheus.wait_for("probe_success", |found| found.len() == 6);
    let bench = Bench {
        samples: prometheus.query("{job=~\"before|after\"}"),
        targets,
    };

    // Both addresses serve the expected certificate.
    for job in BOTH {
        assert_eq!(bench.value(job, "probe_success", 0), Some(1.0), "{job}");
        assert!(bench.value(job, "probe_duration_seconds", 0) > Some(0.0));
    }
    let [before, after] = BOTH;
    for metric in [
        "probe_ssl_earliest_cert_expiry",
        "probe_ssl_last_chain_expiry_timestamp_seconds",
    ] {
        let value = bench.value(after, metric, 0);
        assert!(value.is_some());
        assert_eq!(value, bench.value(before, metric, 0), "{metric}");
    }
    for (metric, label) in [
        ("probe_ssl_last_chain_info", "fingerprint_sha256"),
        ("probe_ssl_last_chain_info", "subjectalternative"),
        ("probe_tls_version_info", "version"),
    ] {
        let [before, after] = BOTH.map(|job| bench.label(job, metric, label));
        assert_eq!(before, after, "{metric}: {label}");
        assert!(!after.is_empty(), "{metric}: {label}");
    }

    // One address is wrong; blackbox_exporter probes the other one.
    assert_eq!(bench.value(before, "probe_success", 1), Some(1.0));
    assert_eq!(bench.value(after, "probe_success", 1), Some(0.0));
    // The intermediate is missing.
    let expiry = "probe_ssl_earliest_cert_expiry";
    for job in BOTH {
        assert_eq!(bench.value(job, "probe_success", 2), Some(0.0), "{job}");
    }
    assert_eq!(bench.value(before, expiry, 2), None);
    assert_eq!(bench.value(after, expiry, 2), bench.value(after, expiry, 0));
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let critical = bench.samples.iter().filter(|s| {
        s.label("__name__") == "certvigil_endpoint_finding" && s.label("severity") == "critical"
    });
    for sample in critical {
        let codes = found.entry(sample.label("instance")).or_default();
        codes.push(sample.label("code"));
    }
    assert_eq!(found.get(&*bench.targets[0]), None);
    assert_eq!(found[&*bench.targets[1]], ["wrong_certificate"]);
    assert_eq!(found[&*bench.targets[2]], ["missing_intermediate"; 2]);

    // The table: a metric that is listed as unchanged is reported by both, and one that is listed
    // as missing is not.
    let page = document("docs/moving.md");
    let rows = page.section("Metrics").rows();
    assert!(rows.len() > 8, "{rows:?}");
    for row in rows {
        for name in code_spans(&row[0]) {
            let prefix = name.trim_end_matches('*');
            // Neither of the two queries DNS here.
            if name != "probe_dns_lookup_time_seconds" {
                assert!(bench.has(before, prefix), "{name}");
                assert_eq!(
                    bench.has(after, prefix),
                    !row[1].starts_with("none"),
                    "{name}"
                );
            }
        }
    }
}

const LAST_CHAIN: &str = "probe_ssl_last_chain_expiry_timestamp_seconds";

/// The value of a metric without labels from an exporter at this port for this probe.
fn probed(port: u16, parameters: &str, metric: &str) -> Option<f64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET /probe?{parameters} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 200 OK"), "{answer}");
    let value = answer
        .lines()
        .find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    value.map(|text| text.parse().unwrap())
}

/// blackbox_exporter computes the earliest expiry of each path that Go has verified, including the
/// root, and reports the latest of those.
#[test]
#[ignore = "needs prometheus-blackbox-exporter"]
fn last_chain_expiry_is_that_of_the_longest_valid_path() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let ends = |days: i64| Validity::around(Timestamp(now().0 + 3600), 90, days);
    let end = |c: &Certificate| c.facts().unwrap().not_after.0 as f64;
    let second_root = Authority::root("Second Root", ends(45)).unwrap();
    let under = |root: &Authority, days| root.cross_sign(&pki.intermediate, ends(days)).unwrap();
    let (brief, second) = (under(&pki.root, 30), under(&second_root, 50));
    let (of_leaf, of_brief) = (end(&leaf.certificate), end(&brief));
    let of_root = end(&second_root.certificate);
    assert!(of_brief < of_root && of_root < end(&second) && end(&second) < of_leaf);

    let (first, both) = (
        pki.root.certificate.to_pem(),
        second_root.certificate.to_pem(),
    );
    let roots = [&first, &both, &(first.clone() + &both)].map(|pem| pki.file(pem));
    let [first, second_alone, both] = roots.map(|file| file.display().to_string());
    let module = |name: &str, tls: &str| {
        format!(
            "  {name}: {{prober: tcp, tcp: {{tls: true, tls_config: {{server_name: {HOST}, {tls}}}}}}}\n"
        )
    };
    let config: String = [
        module("first", &format!("ca_file: {first}")),
        module("second", &format!("ca_file: {second_alone}")),
        module("both", &format!("ca_file: {both}")),
        module("unverified", "insecure_skip_verify: true"),
    ]
    .concat();
    let blackbox = blackbox(&format!("modules:\n{config}"));
    let module = |name: &str, root: &str| {
        format!("    {name}: {{protocol: https, trust: {{system: false, ca_files: [{root}]}}}}\n")
    };
    let config: String = [
        module("first", &first),
        module("second", &second_alone),
        module("both", &both),
    ]
    .concat();
    let certvigil = Exporter::start(
        &format!(
            "probe:\n  allow: [127.0.0.1/32]\n  modules:\n{config}certificates:\n\
             - {{name: other, pem: {}, hostnames: [{HOST}], addresses: [127.0.0.1], ports: [9]}}\n",
            pki.full_chain(&leaf).display()
        ),
        &[],
        |_| {},
    );
    certvigil.wait_until_ready();
    let intermediate = &pki.intermediate.certificate;
    let serving = |above: &[&Certificate]| {
        let all = [&[&leaf.certificate], above].concat();
        let all = all.iter().map(|c| c.der().to_vec()).collect();
        let config = tls::config_of(all, tls::signing_key(&leaf), rustls::ALL_VERSIONS);
        Server::tls("127.0.0.1", std::sync::Arc::new(config))
    };
    for (what, above, module, last, agrees) in [
        (
            "one path",
            &[intermediate][..],
            "first",
            Some(of_leaf),
            true,
        ),
        (
            "a brief intermediate",
            &[&brief],
            "first",
            Some(of_brief),
            true,
        ),
        ("a brief root", &[&second], "second", Some(of_root), true),
        (
            "the longer of two paths",
            &[&brief, &second],
            "both",
            Some(of_root),
            true,
        ),
        (
            "one long path",
            &[intermediate, &second],
            "both",
            Some(of_leaf),
            true,
        ),
        ("no path", &[], "first", None, true),
        // The zero value of Go's time, in the year 1.
        (
            "nothing verified",
            &[intermediate],
            "unverified",
            Some(-62_135_596_800.0),
            false,
        ),
    ] {
        let server = serving(above);
        let target = format!("target=127.0.0.1:{}&module={module}", server.port());
        assert_eq!(probed(blackbox.port, &target, LAST_CHAIN), last, "{what}");
        // certvigil has no probe without verification.
        if agrees {
            let target = format!("{target}&hostname={HOST}");
            let ours = probed(certvigil.address.port(), &target, LAST_CHAIN);
            assert_eq!(ours, last, "{what}");
        }
    }
}
