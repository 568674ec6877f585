//! Every documented key that takes part in a verdict makes the probes due when a reload changes it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::super::fetch::fetch;
use super::super::routes::Routes;
use super::super::runtime::{Runtime, Setup};
use super::super::state::{Effect, Event, Now, Settings, Start, State};
use crate::config::parse;
use crate::model::Timestamp;
use crate::source::{Environment, Requests};
use crate::testbed::authority::{Authority, Validity};
use crate::web::Web;

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000);
const DOCUMENTATION: &str = include_str!("../../../docs/configuration.md");
/// Sections of the documentation whose keys are listed in [`EFFECTS`].
const SECTIONS: [&str; 7] = [
    "Top-level keys",
    "sslmate",
    "vantages",
    "trust",
    "defaults",
    "certificates",
    "accept",
];

enum KeyEffect {
    /// The change from the first to the second text makes a probe due. Each is the global part and
    /// the further keys of the entry.
    Probes([(&'static str, &'static str); 2]),
    /// The key takes no part in a verdict, for this reason.
    Irrelevant(&'static str),
}
use KeyEffect::{Irrelevant, Probes};

const fn global(before: &'static str, after: &'static str) -> KeyEffect {
    Probes([(before, ""), (after, "")])
}

const fn own(before: &'static str, after: &'static str) -> KeyEffect {
    Probes([("", before), ("", after)])
}

const ROOT: &str = "trust: {system: false, ca_files: [a.pem]}";
const TARGETS: KeyEffect = Irrelevant("it changes the targets; new ones are probed at once");
const SOURCE: KeyEffect = Irrelevant("the source is fetched again; `sha256` shows the same");

/// Effect of each key, as `section.key`.
const EFFECTS: &[(&str, KeyEffect)] = &[
    ("Top-level keys.sslmate", Irrelevant("section sslmate")),
    ("Top-level keys.vantages", Irrelevant("section vantages")),
    (
        "Top-level keys.trust",
        global(ROOT, "trust: {system: false, ca_files: [b.pem]}"),
    ),
    (
        "Top-level keys.dns",
        global("dns: [127.0.0.1]", "dns: [127.0.0.2]"),
    ),
    (
        "Top-level keys.families",
        global("families: ipv4", "families: [ipv4, ipv6]"),
    ),
    ("Top-level keys.probe", Irrelevant("on-demand probes")),
    (
        "Top-level keys.webhook",
        Irrelevant("notifications of issued certificates"),
    ),
    ("Top-level keys.defaults", Irrelevant("section defaults")),
    ("Top-level keys.include", TARGETS),
    ("Top-level keys.file_sd", TARGETS),
    (
        "Top-level keys.certificates",
        Irrelevant("section certificates"),
    ),
    (
        "sslmate.endpoint",
        Irrelevant("the account is fetched again"),
    ),
    (
        "sslmate.sandbox",
        Irrelevant("the account is fetched again"),
    ),
    (
        "sslmate.api_key_file",
        Irrelevant("the account is fetched again"),
    ),
    (
        "sslmate.username",
        Irrelevant("the account is fetched again"),
    ),
    (
        "sslmate.password_file",
        Irrelevant("the account is fetched again"),
    ),
    (
        "sslmate.refresh_interval",
        global(
            "sslmate: {api_key_file: key, refresh_interval: 20m}",
            "sslmate: {api_key_file: key, refresh_interval: 30m}",
        ),
    ),
    (
        "vantages.name",
        global(
            "vantages: [{name: v, type: certvigil, url: 'https://192.0.2.9'}]",
            "vantages: [{name: w, type: certvigil, url: 'https://192.0.2.9'}]",
        ),
    ),
    (
        "vantages.type",
        global(
            "sslmate: {api_key_file: key}\nvantages: [{name: v, type: certvigil, url: 'https://192.0.2.9'}]",
            "sslmate: {api_key_file: key}\nvantages: [{name: v, type: sslmate}]",
        ),
    ),
    (
        "vantages.url",
        global(
            "vantages: [{name: v, type: certvigil, url: 'https://192.0.2.8'}]",
            "vantages: [{name: v, type: certvigil, url: 'https://192.0.2.9'}]",
        ),
    ),
    (
        "vantages.username",
        Irrelevant("access to the vantage, not its result"),
    ),
    (
        "vantages.password_file",
        Irrelevant("access to the vantage, not its result"),
    ),
    (
        "trust.system",
        global(ROOT, "trust: {system: true, ca_files: [a.pem]}"),
    ),
    (
        "trust.ca_files",
        global(ROOT, "trust: {system: false, ca_files: [a.pem, b.pem]}"),
    ),
    ("defaults.interval", Irrelevant("the schedule follows it")),
    (
        "defaults.timeout",
        global("defaults: {timeout: 4s}", "defaults: {timeout: 5s}"),
    ),
    (
        "defaults.per_address",
        Irrelevant("a limit of concurrent probes"),
    ),
    (
        "defaults.grace",
        global("defaults: {grace: 4h}", "defaults: {grace: 5h}"),
    ),
    ("defaults.history", Irrelevant("stored results")),
    (
        "defaults.port",
        global("defaults: {port: 4430}", "defaults: {port: 4431}"),
    ),
    (
        "defaults.warn",
        global("defaults: {warn: 40d}", "defaults: {warn: 41d}"),
    ),
    (
        "defaults.crit",
        global("defaults: {crit: 4d}", "defaults: {crit: 5d}"),
    ),
    (
        "defaults.key_type",
        global("defaults: {key_type: any}", "defaults: {key_type: rsa}"),
    ),
    (
        "defaults.revocation",
        global(
            "defaults: {revocation: staple}",
            "defaults: {revocation: crl}",
        ),
    ),
    (
        "defaults.dane",
        global("defaults: {dane: false}", "defaults: {dane: true}"),
    ),
    (
        "defaults.labels",
        global(
            "defaults: {labels: {team: a}}",
            "defaults: {labels: {team: b}}",
        ),
    ),
    ("certificates.sslmate", SOURCE),
    ("certificates.download", SOURCE),
    ("certificates.pem", own("pem: a.pem", "pem: b.pem")),
    ("certificates.pem_dir", SOURCE),
    (
        "certificates.sha256",
        own(
            "sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "sha256: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        ),
    ),
    (
        "certificates.pubkey_sha256",
        own(
            "pubkey_sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "pubkey_sha256: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        ),
    ),
    ("certificates.trust", own("trust: true", "pem: a.pem")),
    (
        "certificates.pem_password_file",
        own("pem: a.pem", "pem: a.pem, pem_password_file: key"),
    ),
    (
        "certificates.name",
        own("trust: true", "trust: true, name: b"),
    ),
    ("certificates.hostnames", TARGETS),
    ("certificates.mx", TARGETS),
    ("certificates.srv", TARGETS),
    ("certificates.files", TARGETS),
    (
        "certificates.addresses",
        own("addresses: 192.0.2.2", "addresses: 192.0.2.3"),
    ),
    (
        "certificates.families",
        own("families: ipv4", "families: [ipv4, ipv6]"),
    ),
    (
        "certificates.protocol",
        own("protocol: https", "protocol: smtp"),
    ),
    ("certificates.port", own("port: 4430", "port: 4431")),
    (
        "certificates.ports",
        own("ports: [4430]", "ports: [4430, 4431]"),
    ),
    (
        "certificates.key_type",
        own("key_type: any", "key_type: all"),
    ),
    (
        "certificates.client_cert",
        own(
            "client_cert: a.pem, client_key: a.key",
            "client_cert: same.pem, client_key: a.key",
        ),
    ),
    (
        "certificates.client_key",
        own(
            "client_cert: a.pem, client_key: a.key",
            "client_cert: b.pem, client_key: b.key",
        ),
    ),
    (
        "certificates.client_cert_password_file",
        own(
            "client_cert: a.pem, client_key: a.key",
            "client_cert: a.pem, client_key: a.key, client_cert_password_file: key",
        ),
    ),
    (
        "certificates.proxy_protocol",
        own("proxy_protocol: v1", "proxy_protocol: v2"),
    ),
    ("certificates.alpn", own("alpn: h2", "alpn: http/1.1")),
    ("certificates.sni", own("sni: none", "sni: other.example")),
    (
        "certificates.ehlo",
        own(
            "protocol: smtp, ehlo: a.example",
            "protocol: smtp, ehlo: b.example",
        ),
    ),
    (
        "certificates.xmpp_domain",
        own(
            "protocol: xmpp, xmpp_domain: a.example",
            "protocol: xmpp, xmpp_domain: b.example",
        ),
    ),
    (
        "certificates.source_address",
        own("source_address: 127.0.0.1", "source_address: 127.0.0.2"),
    ),
    ("certificates.dane", own("dane: true", "dane: required")),
    ("certificates.warn", own("warn: 40d", "warn: 41d")),
    ("certificates.crit", own("crit: 4d", "crit: 5d")),
    (
        "certificates.revocation",
        own("revocation: staple", "revocation: off"),
    ),
    (
        "certificates.labels",
        own("labels: {team: a}", "labels: {team: b}"),
    ),
    ("certificates.accept", Irrelevant("section accept")),
    (
        "certificates.ca_files",
        own("ca_files: a.pem", "ca_files: b.pem"),
    ),
    ("certificates.interval", own("interval: 3h", "interval: 4h")),
    ("certificates.timeout", own("timeout: 4s", "timeout: 5s")),
    ("certificates.grace", own("grace: 4h", "grace: 5h")),
    ("certificates.enabled", TARGETS),
    (
        "accept.finding",
        own(
            "accept: [{finding: self_signed, reason: a}]",
            "accept: [{finding: expired, reason: a}]",
        ),
    ),
    (
        "accept.reason",
        own(
            "accept: [{finding: self_signed, reason: a}]",
            "accept: [{finding: self_signed, reason: b}]",
        ),
    ),
    (
        "accept.until",
        own(
            "accept: [{finding: self_signed, reason: a}]",
            "accept: [{finding: self_signed, reason: a, until: 2099-06-01}]",
        ),
    ),
];

/// Returns the documented keys, as `section.key`.
fn documented_keys() -> BTreeSet<String> {
    let mut section = "";
    let mut keys = BTreeSet::new();
    for line in DOCUMENTATION.lines() {
        if let Some(title) = line.trim_start_matches('#').strip_prefix(' ')
            && line.starts_with('#')
        {
            section = title;
        } else if let Some(rest) = line.strip_prefix("| `")
            && let Some((key, _)) = rest.split_once('`')
            && SECTIONS.contains(&section)
        {
            keys.insert(format!("{section}.{key}"));
        }
    }
    keys
}

fn text((shared, entry): (&str, &str)) -> String {
    let is_source = ["trust:", "pem:", "sha256:", "pubkey_sha256:"];
    let source = match is_source.iter().any(|source| entry.starts_with(source)) {
        true => "",
        false => "trust: true,",
    };
    let roots = if shared.contains("trust:") { "" } else { ROOT };
    let name = if entry.contains("name:") {
        ""
    } else {
        "name: a,"
    };
    let addresses = match entry.contains("addresses:") {
        true => "",
        false => "addresses: 192.0.2.1,",
    };
    format!(
        "{roots}\n{shared}\ncertificates:\n  - {{hostnames: a.example, {name} {addresses} {source} {entry}}}\n"
    )
}

/// Writes certificates, each with its key, to a folder.
fn write_files(folder: &Path) {
    let validity = Validity::around(NOW, 1, 1000);
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    for name in ["a", "b"] {
        let root = Authority::root(name, validity).unwrap();
        let pem = root.certificate.to_pem();
        write(&format!("{name}.pem"), &pem);
        write(&format!("{name}.key"), &root.key().to_pem());
        if name == "a" {
            write("same.pem", &pem);
        }
    }
    write("key", "k1_00000000000000000000\n");
}

/// A state with the configuration in a folder. Probes end at once.
struct Monitored<'a> {
    folder: &'a Path,
    runtime: Option<Runtime>,
    state: Option<State>,
    elapsed: Duration,
    probes: usize,
}

impl Monitored<'_> {
    fn now(&self) -> Now {
        let seconds = i64::try_from(self.elapsed.as_secs()).unwrap();
        Now {
            elapsed: self.elapsed,
            clock: Timestamp(NOW.0 + seconds),
        }
    }

    /// Applies a configuration, and returns the number of probes that follow from it.
    async fn apply(&mut self, text: String) -> usize {
        let file = self.folder.join("certvigil.yml");
        let inventory = parse(&text, &file).unwrap_or_else(|e| panic!("{text}: {e}"));
        let setup = Setup {
            load: Box::new(move || Ok(inventory.clone())),
            environment: || Environment {
                variable: &|_| None,
                home: None,
            },
            overrides: Vec::new(),
            concurrency: 64,
            clock: || NOW,
            state: None,
            web: Arc::new(Web::open(None).unwrap()),
            routes: Routes::default(),
        };
        let runtime = Runtime::new(&setup, self.runtime.as_ref(), &Requests::default());
        let runtime = runtime.unwrap_or_else(|e| panic!("{text}: {e}"));
        let settings = Settings::from(&runtime);
        self.runtime = Some(runtime);
        self.probes = 0;
        let now = self.now();
        let effects = match &mut self.state {
            Some(state) => state.on(Event::Reload(settings), now),
            None => {
                let start = Start {
                    concurrency: 64,
                    ..Start::default()
                };
                let (state, effects) = State::new(settings, start, now);
                self.state = Some(state);
                effects
            }
        };
        self.carry_out(effects).await;
        // The plan follows a little later.
        self.elapsed += Duration::from_secs(10);
        self.step(Event::Tick).await;
        self.probes
    }

    async fn step(&mut self, event: Event) {
        let now = self.now();
        let effects = self.state.as_mut().unwrap().on(event, now);
        Box::pin(self.carry_out(effects)).await;
    }

    async fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Fetch {
                    request,
                    entry,
                    known,
                    instances,
                } => {
                    let runtime = self.runtime.as_ref().unwrap();
                    let fetched = fetch(&entry, None, &known, &instances, runtime).await;
                    let clock_warning = None;
                    self.step(Event::SourceResult {
                        request,
                        fetched,
                        clock_warning,
                    })
                    .await;
                }
                Effect::Probe { id, .. } => {
                    self.probes += 1;
                    self.step(Event::ProbeDone {
                        id,
                        is_complete: true,
                    })
                    .await;
                }
                Effect::Record(_)
                | Effect::Log(_)
                | Effect::Publish
                | Effect::Reread { .. }
                | Effect::Resume(_) => {}
            }
        }
    }
}

fn monitored(folder: &Path) -> Monitored<'_> {
    Monitored {
        folder,
        runtime: None,
        state: None,
        elapsed: Duration::from_secs(1),
        probes: 0,
    }
}

#[test]
fn each_documented_key_is_known_to_take_part_in_a_verdict_or_not() {
    let listed = EFFECTS.iter().map(|(key, _)| (*key).to_owned());
    assert_eq!(listed.collect::<BTreeSet<_>>(), documented_keys());
    for (key, effect) in EFFECTS {
        if let Irrelevant(reason) = effect {
            assert!(!reason.is_empty(), "{key}");
        }
    }
}

#[tokio::test]
async fn changed_key_of_a_verdict_makes_the_probes_due() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path());
    for (key, effect) in EFFECTS {
        let Probes([before, after]) = effect else {
            continue;
        };
        // Without a vantage of the account, no further probe can hide a missing one.
        let mut monitored = monitored(folder.path());
        assert!(
            monitored.apply(text(*before)).await > 0,
            "{key}: the first probe"
        );
        assert_eq!(
            monitored.apply(text(*before)).await,
            0,
            "{key}: without a change"
        );
        if *key == "certificates.interval" {
            continue;
        }
        assert!(
            monitored.apply(text(*after)).await > 0,
            "{key}: after a change"
        );
    }
}

#[tokio::test]
async fn changed_content_of_a_file_makes_the_probes_due() {
    let folder = tempfile::tempdir().unwrap();
    // The last three trust a root of another file, which does not change.
    let other = "trust: {system: false, ca_files: [same.pem]}";
    for (shared, entry) in [
        ("", "trust: true"),
        (other, "ca_files: a.pem"),
        (other, "client_cert: a.pem, client_key: a.key"),
        (other, "pem: a.pem"),
    ] {
        write_files(folder.path());
        let mut monitored = monitored(folder.path());
        let text = text((shared, entry));
        assert!(monitored.apply(text.clone()).await > 0, "{entry}");
        assert_eq!(monitored.apply(text.clone()).await, 0, "{entry}");
        for kind in ["pem", "key"] {
            let [from, to] = ["b", "a"].map(|name| folder.path().join(format!("{name}.{kind}")));
            std::fs::copy(from, to).unwrap();
        }
        assert!(monitored.apply(text).await > 0, "{entry}");
    }
}

#[test]
fn order_of_the_roots_is_not_a_change() {
    use crate::judge::TrustStore;
    let validity = Validity::around(NOW, 1, 1000);
    let roots = ["a", "b"].map(|name| Authority::root(name, validity).unwrap().certificate);
    let digest = |order: &[usize]| {
        let mut store = TrustStore::default();
        for &at in order {
            store.add(&roots[at]).unwrap();
        }
        store.digest()
    };
    assert_eq!(digest(&[0, 1]), digest(&[1, 0, 1]));
    assert_ne!(digest(&[0, 1]), digest(&[0]));
    assert_ne!(digest(&[0]), digest(&[1]));
    assert_ne!(digest(&[]), digest(&[0]));
}
