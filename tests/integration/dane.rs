//! TLSA records: queried from name servers that respond correctly and incorrectly, and compared
//! with servers. knot signs a zone and unbound validates it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::slice::from_ref;

use serde_json::{Value, json};

use crate::fixture::check::{Check, Row};
use crate::fixture::dns::{A, Asked, CNAME, NameServer, REFUSED, SERVFAIL, Said, TLSA, wire_name};
use crate::fixture::exporter::Exporter;
use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::process::{Process, free_port, run, wait_until};
use crate::fixture::tls::{self, Server};
use crate::nginx;

/// Maximum TLSA records of one endpoint that are judged.
const MAX_RECORDS: u8 = 64;

/// Records by name, with the response flags to send with them.
#[derive(Clone, Default)]
struct Zone {
    said: BTreeMap<(String, u16), Said>,
    silent: Vec<u16>,
}

impl Zone {
    fn add(mut self, name: &str, kind: u16, data: &[u8]) -> Self {
        let said = self.said.entry((name.to_owned(), kind)).or_default();
        said.authenticated = true;
        said.records.push((name.to_owned(), kind, data.to_vec()));
        self
    }

    fn but(mut self, name: &str, kind: u16, change: impl Fn(&mut Said)) -> Self {
        change(self.said.entry((name.to_owned(), kind)).or_default());
        self
    }

    fn serve(self) -> NameServer {
        NameServer::start(move |asked: &Asked| {
            if self.silent.contains(&asked.kind) {
                return None;
            }
            let said = self.said.get(&(asked.name.clone(), asked.kind));
            let mut said = said.cloned().unwrap_or_default();
            // A query without the DO bit gets no AD bit (RFC 6840, section 5.8).
            said.authenticated &= asked.dnssec_ok;
            said.truncated &= !asked.over_tcp;
            if said.truncated {
                said.records.clear();
            }
            Some(said)
        })
    }
}

/// The data of a `3 1 1` record for a leaf.
fn for_key(leaf: &Leaf) -> Vec<u8> {
    tlsa(
        [3, 1, 1],
        &leaf.certificate.public_key_hash().unwrap().to_string(),
    )
}

fn tlsa(numbers: [u8; 3], hex: &str) -> Vec<u8> {
    let bytes = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
    numbers.into_iter().chain(bytes).collect()
}

/// A leaf for [`HOST`], a server with it, and another leaf that no server has.
struct Bench {
    pki: Pki,
    leaf: Leaf,
    other: Leaf,
    server: Server,
}

impl Bench {
    fn new() -> Self {
        let pki = Pki::new();
        let (leaf, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
        let server = Server::tls("127.0.0.1", tls::config(&pki, &leaf));
        Self {
            pki,
            leaf,
            other,
            server,
        }
    }

    /// Owner name of the TLSA records of a host.
    fn owner(&self, host: &str) -> String {
        format!("_{}._tcp.{host}", self.server.port())
    }

    fn zone(&self, records: &[Vec<u8>]) -> Zone {
        let zone = Zone::default().add(HOST, A, &[127, 0, 0, 1]);
        let owner = self.owner(HOST);
        records
            .iter()
            .fold(zone, |zone, data| zone.add(&owner, TLSA, data))
    }

    fn check(&self, dns: SocketAddr) -> Check {
        self.check_at(dns, self.server.port())
            .expect(&self.pki.full_chain(&self.leaf))
    }

    fn check_at(&self, dns: SocketAddr, port: u16) -> Check {
        Check::new(&self.pki).arg(format!("{HOST}:{port}")).args(&[
            "-4",
            "--dns",
            &dns.to_string(),
            "--dane",
        ])
    }

    fn row(&self, zone: Zone) -> Row {
        self.check(zone.serve().address).row()
    }
}

fn told<'a>(row: &'a Row, key: &str) -> &'a str {
    row.finding("tlsa_mismatch")[key].as_str().unwrap()
}

#[test]
fn a_record_that_fits_is_shown_and_nothing_is_told() {
    let bench = Bench::new();
    let name_server = bench.zone(&[for_key(&bench.leaf)]).serve();
    let row = bench.check(name_server.address).row();
    row.assert_right(&[]);
    let key = bench.leaf.certificate.public_key_hash().unwrap();
    let record = json!({"usage": 3, "selector": 1, "matching_type": 1, "data": key.to_string()});
    assert_eq!(
        row.0["dane"],
        json!({"records": [record], "matched": true, "authenticated": true})
    );
    let owner = bench.owner(HOST);
    let asked = name_server.asked().into_iter();
    let asked: Vec<Asked> = asked.filter(|a| a.kind == TLSA).collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].dnssec_ok && asked[0].name == owner, "{asked:?}");
}

#[test]
fn a_renewal_that_dns_was_not_told_of_is_critical() {
    let bench = Bench::new();
    let row = bench.row(bench.zone(&[for_key(&bench.other)]));
    row.assert_right(&["tlsa_mismatch"]);
    assert_eq!(row.text("/severity"), "critical");
    assert_eq!(row.0["dane"]["matched"], false);
    let key = bench.leaf.certificate.public_key_hash().unwrap();
    let line = format!("`{}. IN TLSA 3 1 1 {key}`", bench.owner(HOST));
    assert!(told(&row, "hint").contains(&line), "{row:?}");

    // DNSSEC does not authenticate the records: a warning. The exit code matches, as the bench
    // checks.
    let owner = bench.owner(HOST);
    let zone = bench.zone(&[for_key(&bench.other)]);
    let row = bench.row(zone.but(&owner, TLSA, |said| said.authenticated = false));
    row.assert_right(&["tlsa_mismatch"]);
    assert_eq!(row.text("/severity"), "warning");
    assert_eq!(row.0["dane"]["authenticated"], false);
    assert!(told(&row, "message").contains("DNSSEC"), "{row:?}");

    // The records match a leaf that the server does not have.
    let server = bench.zone(&[for_key(&bench.other)]).serve();
    let row = bench
        .check_at(server.address, bench.server.port())
        .expect(&bench.pki.full_chain(&bench.other))
        .row();
    assert!(told(&row, "hint").starts_with("install"), "{row:?}");
}

#[test]
fn without_records_or_without_asking_nothing_is_told() {
    let bench = Bench::new();
    let row = bench.row(bench.zone(&[]));
    row.assert_right(&[]);
    assert_eq!(
        row.0["dane"],
        json!({"records": [], "matched": null, "authenticated": false})
    );
    // A name that does not exist counts as a name without records.
    let owner = bench.owner(HOST);
    let row = bench.row(bench.zone(&[]).but(&owner, TLSA, |said| said.code = 3));
    row.assert_right(&[]);
    assert_eq!(row.0["dane"]["records"], json!([]));

    let name_server = bench.zone(&[for_key(&bench.other)]).serve();
    let row = Check::new(&bench.pki)
        .expect(&bench.pki.full_chain(&bench.leaf))
        .arg(format!("{HOST}:{}", bench.server.port()))
        .args(&["-4", "--dns", &name_server.address.to_string()])
        .row();
    row.assert_right(&[]);
    assert_eq!(row.0["dane"], Value::Null);
    assert!(name_server.asked().iter().all(|a| a.kind != TLSA));

    // An IP address has no TLSA records.
    let row = Check::new(&bench.pki)
        .args(&[
            "--fingerprint",
            &bench.leaf.certificate.sha256().to_string(),
        ])
        .arg(format!("127.0.0.1:{}", bench.server.port()))
        .args(&["--dns", &name_server.address.to_string(), "--dane"])
        .row();
    assert_eq!(row.outcome(), "conclusive");
    assert_eq!(row.0["dane"], Value::Null);
}

#[test]
fn the_records_of_what_an_alias_stands_for_come_first_if_dnssec_vouches_for_it() {
    let bench = Bench::new();
    let (middle, host) = ("alias.example.net", "host.example.net");
    let (own, canonical) = (bench.owner(HOST), bench.owner(host));
    let zone = |own_records: &[Vec<u8>], canonical_records: &[Vec<u8>]| {
        let zone = bench
            .zone(own_records)
            .add(HOST, CNAME, &wire_name(middle))
            .add(middle, CNAME, &wire_name(host));
        canonical_records
            .iter()
            .fold(zone, |zone, data| zone.add(&canonical, TLSA, data))
    };
    let (right, wrong) = (for_key(&bench.leaf), for_key(&bench.other));
    let matched = |zone: Zone| bench.row(zone).0["dane"]["matched"].clone();
    assert_eq!(matched(zone(from_ref(&wrong), from_ref(&right))), true);
    assert_eq!(matched(zone(from_ref(&right), from_ref(&wrong))), false);
    assert_eq!(matched(zone(from_ref(&right), &[])), true);
    let forged = |zone: Zone, at| zone.but(at, CNAME, |said| said.authenticated = false);
    for at in [HOST, middle] {
        let both = zone(from_ref(&right), from_ref(&wrong));
        assert_eq!(matched(forged(both, at)), true, "{at}");
    }
    // An alias loop has no target: the records are those of the name itself.
    let circle = bench
        .zone(from_ref(&right))
        .add(HOST, CNAME, &wire_name(middle))
        .add(middle, CNAME, &wire_name(HOST));
    assert_eq!(matched(circle), true);

    // The records may be behind an alias, as hosters do.
    let elsewhere = bench.zone(&[]).but(&own, TLSA, |said| {
        let target = "tlsa.hoster.example";
        said.authenticated = true;
        said.records = vec![
            (own.clone(), CNAME, wire_name(target)),
            (target.into(), TLSA, right.clone()),
            ("stranger.example".into(), TLSA, wrong.clone()),
        ];
    });
    let row = bench.row(elsewhere);
    row.assert_right(&[]);
    assert_eq!(row.0["dane"]["records"].as_array().unwrap().len(), 1);
}

#[test]
fn odd_records_are_passed_over() {
    let bench = Bench::new();
    let odd = [
        tlsa([3, 1, 1], "abcd"),
        tlsa([3, 1, 1], ""),
        tlsa([3, 1, 9], &"ab".repeat(32)),
        tlsa([3, 7, 1], &"ab".repeat(32)),
        tlsa([200, 1, 1], &"ab".repeat(32)),
    ];
    let mut with_right = odd.to_vec();
    with_right.push(for_key(&bench.leaf));
    bench.row(bench.zone(&with_right)).assert_right(&[]);
    let row = bench.row(bench.zone(&odd));
    row.assert_right(&["tlsa_mismatch"]);
    assert_eq!(row.text("/severity"), "warning");
    assert_eq!(row.0["dane"]["matched"], Value::Null);
    assert_eq!(
        row.0["dane"]["records"].as_array().unwrap().len(),
        odd.len()
    );
}

#[test]
fn many_records_are_fetched_whole_and_no_more_than_can_be_meant() {
    let bench = Bench::new();
    let owner = bench.owner(HOST);
    let strangers = |count: u8| (0..count).map(|n| tlsa([3, 1, 1], &format!("{n:02x}").repeat(32)));
    let mut records: Vec<Vec<u8>> = strangers(MAX_RECORDS - 1).collect();
    records.push(for_key(&bench.leaf));
    let zone = bench.zone(&records);
    let server = zone.but(&owner, TLSA, |said| said.truncated = true).serve();
    let row = bench.check(server.address).row();
    row.assert_right(&[]);
    assert_eq!(
        row.0["dane"]["records"].as_array().unwrap().len(),
        records.len()
    );
    let mut asked = server.asked().into_iter();
    assert!(asked.any(|a| a.kind == TLSA && a.over_tcp));

    let zone = bench.zone(&strangers(100).collect::<Vec<_>>());
    let server = zone.but(&owner, TLSA, |said| said.truncated = true).serve();
    let rows = bench.check(server.address).rows();
    let [unknown, looked] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    assert_eq!(unknown.outcome(), "internal");
    assert!(
        unknown.text("/error").contains("100 TLSA records"),
        "{unknown:?}"
    );
    looked.assert_right(&[]);
    assert_eq!(looked.0["dane"], Value::Null);
}

#[test]
fn records_that_cannot_be_had_are_told_of_beside_what_was_seen() {
    let bench = Bench::new();
    let owner = bench.owner(HOST);
    let fails = |zone: Zone, name: &str, kind| zone.but(name, kind, |said| said.code = SERVFAIL);
    let right = bench.zone(&[for_key(&bench.leaf)]);
    let silent = Zone {
        silent: vec![TLSA],
        ..right.clone()
    };
    let cut_off = bench.zone(&[vec![3, 1]]);
    for (zone, kind, word) in [
        (
            fails(right.clone(), &owner, TLSA),
            "dns_servfail",
            "DNSSEC signatures",
        ),
        (
            fails(right.clone(), HOST, CNAME),
            "dns_servfail",
            "DNSSEC signatures",
        ),
        (silent, "dns_timeout", "TLSA"),
        (cut_off, "dns_servfail", "TLSA"),
    ] {
        let server = zone.serve();
        let rows = bench
            .check(server.address)
            .args(&["--timeout", "4s"])
            .rows();
        let [unknown, looked] = rows.as_slice() else {
            panic!("{rows:?}")
        };
        assert_eq!((unknown.ip(), unknown.outcome()), ("", kind));
        assert_eq!(unknown.text("/severity"), "unknown");
        assert!(unknown.text("/error").contains(word), "{unknown:?}");
        looked.assert_right(&[]);
        assert_eq!(looked.0["dane"], Value::Null);
    }
    // If the address lookup fails too, one row reports both.
    let zone = fails(fails(right, &owner, TLSA), HOST, A);
    let row = bench.row(zone);
    assert!(row.text("/error").contains("the A records"), "{row:?}");
    // If one name server fails, another is queried.
    let good = bench.zone(&[for_key(&bench.leaf)]).serve();
    for code in [SERVFAIL, REFUSED] {
        let broken = NameServer::start(move |_| {
            Some(Said {
                code,
                ..Said::default()
            })
        });
        let row = bench
            .check(broken.address)
            .args(&["--dns", &good.address.to_string(), "--resolve"])
            .arg(format!("{HOST}:{}:127.0.0.1", bench.server.port()))
            .row();
        row.assert_right(&[]);
        assert_eq!(row.0["dane"]["matched"], true, "{code}");
    }
}

#[test]
fn an_authority_of_usage_2_has_to_be_served() {
    let bench = Bench::new();
    let sha256 = |c: &certvigil::certificate::Certificate| c.sha256().to_string();
    let of_mid = tlsa([2, 0, 1], &sha256(&bench.pki.intermediate.certificate));
    bench.row(bench.zone(&[of_mid])).assert_right(&[]);

    // The server does not send the root, although its file has it.
    let of_root = tlsa([2, 0, 1], &sha256(&bench.pki.root.certificate));
    let chain = bench.pki.chain(&[
        &bench.leaf.certificate,
        &bench.pki.intermediate.certificate,
        &bench.pki.root.certificate,
    ]);
    let server = bench.zone(&[of_root]).serve();
    let row = bench
        .check_at(server.address, bench.server.port())
        .expect(&chain)
        .row();
    row.assert_right(&["tlsa_mismatch"]);
    assert!(told(&row, "message").contains("Test Root"), "{row:?}");
    assert!(told(&row, "hint").contains("append"), "{row:?}");
}

#[test]
#[ignore = "needs nginx"]
fn nginx_without_its_intermediate_fulfils_no_record_of_usage_2() {
    let bench = Bench::new();
    let (pki, leaf) = (&bench.pki, &bench.leaf);
    let of_mid = tlsa(
        [2, 1, 1],
        &pki.intermediate
            .certificate
            .public_key_hash()
            .unwrap()
            .to_string(),
    );
    for (chain, codes) in [
        (pki.full_chain(leaf), &[][..]),
        (
            pki.chain(&[&leaf.certificate]),
            &["missing_intermediate", "tlsa_mismatch"],
        ),
    ] {
        let block = nginx::server("127.0.0.1", &chain, &leaf.key, "");
        let server = nginx::nginx(&["127.0.0.1"], &[block]);
        let owner = format!("_{}._tcp.{HOST}", server.port);
        let dns = Zone::default()
            .add(HOST, A, &[127, 0, 0, 1])
            .add(&owner, TLSA, &of_mid)
            .serve();
        let row = bench
            .check_at(dns.address, server.port)
            .expect(&pki.full_chain(leaf))
            .row();
        assert_eq!(row.codes(), codes, "{row:?}");
    }
}

#[test]
fn the_monitor_and_its_probe_judge_by_them_where_the_configuration_says_so() {
    let bench = Bench::new();
    let dns = bench.zone(&[for_key(&bench.other)]).serve();
    let port = bench.server.port();
    let config = |defaults: &str, entry: &str| {
        format!(
            "trust: {{system: false, ca_files: [{}]}}\ndns: [\"{}\"]\ndefaults: {{interval: 1h{defaults}}}\n\
             certificates:\n  - {{pem: {}, hostnames: [{HOST}], port: {port}{entry}}}\n",
            bench.pki.path("root.pem").display(),
            dns.address,
            bench.pki.full_chain(&bench.leaf).display(),
        )
    };
    let mismatch = [r#"code="tlsa_mismatch""#, r#"severity="critical""#];
    for (defaults, entry, is_told) in [
        (", dane: true", "", true),
        ("", ", dane: true", true),
        (", dane: true", ", dane: false", false),
        ("", "", false),
    ] {
        let exporter = Exporter::start(&config(defaults, entry), &[], |_| {});
        let metrics = exporter.wait_for_metrics("the look", |metrics| {
            !metrics
                .samples("certvigil_endpoint_correct", &[])
                .is_empty()
        });
        let expected = is_told.then_some(1.0);
        let finding = "certvigil_endpoint_finding";
        assert_eq!(
            metrics.sample(finding, &mismatch),
            expected,
            "{defaults}{entry}"
        );
        let probe = exporter.get(&format!("/probe?target={HOST}:{port}"));
        assert_eq!(
            probe.sample(finding, &mismatch),
            expected,
            "{}",
            probe.text()
        );
    }
}

/// Starts knot with a signed zone `example` that has these records.
fn signed(records: &str) -> Process {
    zones(records, "")
}

/// Starts knot with a signed zone `example` and an unsigned zone `unsigned`.
pub(crate) fn zones(records: &str, unsigned: &str) -> Process {
    Process::start(&["127.0.0.1"], |folder, port| {
        let at = folder.display();
        for (name, records) in [("example", records), ("unsigned", unsigned)] {
            let zone = format!(
                "$ORIGIN {name}.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n{records}"
            );
            fs::write(folder.join(format!("{name}.zone")), zone).unwrap();
        }
        let config = format!(
            "server:
    rundir: {at}
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {at}
log:
  - target: stderr
    any: warning
policy:
  - id: now
    single-type-signing: on
zone:
  - domain: example
    storage: {at}
    file: example.zone
    zonefile-load: difference
    journal-content: all
    dnssec-signing: on
    dnssec-policy: now
  - domain: unsigned
    storage: {at}
    file: unsigned.zone
"
        );
        fs::write(folder.join("knot.conf"), config).unwrap();
        let mut command = Command::new("knotd");
        command.arg("-c").arg(folder.join("knot.conf"));
        command
    })
}

/// The DS record of the zone's key.
pub(crate) fn anchor(knot: &Process) -> String {
    // The server creates its key after it starts.
    wait_until("the zone has a key", || {
        let ds = run(Command::new("keymgr")
            .arg("-c")
            .arg(knot.path("knot.conf"))
            .args(["example", "ds"]));
        // One DS record for each digest; any of them works.
        ds.lines().last().map(str::to_owned)
    })
}

/// Starts unbound, which queries knot for the zone and validates it with this trust anchor.
fn validating(knot: &Process, anchor: &str) -> Process {
    validating_at(knot, anchor, "")
}

/// Starts it with further settings of its server.
pub(crate) fn validating_at(knot: &Process, anchor: &str, settings: &str) -> Process {
    let knot_port = knot.port;
    Process::start(&["127.0.0.1"], |folder, port| {
        let config: PathBuf = folder.join("unbound.conf");
        let text = format!(
            "server:
    interface: 127.0.0.1
    port: {port}
    do-daemonize: no
    username: \"\"
    chroot: \"\"
    directory: \"{at}\"
    pidfile: \"\"
    use-syslog: no
    do-not-query-localhost: no
    module-config: \"validator iterator\"
    trust-anchor: \"{anchor}\"
    domain-insecure: \"elsewhere.\"
    {settings}
remote-control:
    control-enable: no
stub-zone:
    name: example.
    stub-addr: 127.0.0.1@{knot_port}
stub-zone:
    name: unsigned.
    stub-addr: 127.0.0.1@{knot_port}
",
            at = folder.display()
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("unbound");
        command.arg("-d").arg("-c").arg(config);
        command
    })
}

pub(crate) fn local(port: u16) -> SocketAddr {
    (IpAddr::from(Ipv4Addr::LOCALHOST), port).into()
}

#[test]
#[ignore = "needs knot and unbound"]
fn what_a_validating_name_server_vouches_for_is_told_apart() {
    let pki = Pki::new();
    let host = "mail.example";
    let leaf = pki.leaf(&[host, "alias.example"]);
    let server = Server::tls("127.0.0.1", tls::config(&pki, &leaf));
    let port = server.port();
    let key = leaf.certificate.public_key_hash().unwrap();
    let knot = signed(&format!(
        "mail A 127.0.0.1\nalias CNAME mail\n_{port}._tcp.mail TLSA 3 1 1 {key}\n"
    ));
    let right = anchor(&knot);
    let unbound = validating(&knot, &right);
    let look = |host: &str, dns: u16| {
        Check::new(&pki)
            .expect(&pki.full_chain(&leaf))
            .arg(format!("{host}:{port}"))
            .args(&["-4", "--dane", "--dns", &local(dns).to_string()])
            .rows()
    };
    for host in [host, "alias.example"] {
        let rows = look(host, unbound.port);
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows[0].assert_right(&[]);
        assert_eq!(rows[0].0["dane"]["matched"], true, "{host}: {rows:?}");
        assert_eq!(rows[0].0["dane"]["authenticated"], true, "{host}");
    }
    // The authoritative server does not validate, so its responses have no AD bit.
    let rows = look(host, knot.port);
    rows[0].assert_right(&[]);
    assert_eq!(rows[0].0["dane"]["matched"], true);
    assert_eq!(rows[0].0["dane"]["authenticated"], false);
    // With another trust anchor, every signature is invalid.
    let (start, digest) = right.rsplit_once(' ').unwrap();
    let forged = digest.replace(|c: char| c.is_ascii_hexdigit(), "0");
    let unbound = validating(&knot, &format!("{start} {forged}"));
    let rows = look(host, unbound.port);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0].outcome(), "dns_servfail");
    // Nothing listens at this port.
    assert_eq!(look(host, free_port())[0].outcome(), "dns_timeout");
}
