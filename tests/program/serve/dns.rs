//! Name servers that fail while the monitor runs.

use super::*;
use crate::common::monitor::{error, probed};
use crate::common::resolution::srv;
use crate::fixture::dns::{
    A, DnsQuery, DnsResponse, MX, NXDOMAIN, NameServer, SERVFAIL, wire_name,
};
use crate::fixture::exporter::Answer;
use crate::support::command;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

const SRV: u16 = 33;

/// Response of the name server for the names of the zone.
#[derive(Clone, Debug)]
enum Zone {
    /// These addresses.
    Addresses(Vec<Ipv4Addr>),
    /// An error code.
    Error(u8),
    /// No response.
    Silence,
}

/// A name server whose zone can change.
struct Changing {
    name_server: NameServer,
    zone: Arc<Mutex<Zone>>,
}

impl Changing {
    fn start(zone: Zone) -> Self {
        let zone = Arc::new(Mutex::new(zone));
        let current = zone.clone();
        let name_server = NameServer::start(move |asked| {
            let zone = current.lock().unwrap().clone();
            match zone {
                Zone::Addresses(all) => Some(addresses(asked, &all)),
                Zone::Error(code) => Some(error(code)),
                Zone::Silence => None,
            }
        });
        Self { name_server, zone }
    }

    fn set(&self, zone: Zone) {
        *self.zone.lock().unwrap() = zone;
    }

    /// The configuration setting for this name server.
    fn setting(&self) -> String {
        format!("dns: ['{}']", self.name_server.address)
    }
}

fn addresses(asked: &DnsQuery, all: &[Ipv4Addr]) -> DnsResponse {
    let all = all.iter().filter(|_| asked.kind == A);
    let records = all.map(|ip| (asked.name.clone(), A, ip.octets().to_vec()));
    DnsResponse {
        records: records.collect(),
        ..DnsResponse::default()
    }
}

const FIRST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);

const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn last_check(metrics: &Answer, ip: IpAddr) -> f64 {
    let metric = "certvigil_endpoint_last_check_timestamp_seconds";
    let last = metrics.sample(metric, &[&label("ip", &ip.to_string())]);
    last.unwrap_or_default()
}

#[test]
fn a_dns_failure_keeps_the_known_addresses_and_is_reported_beside_them() {
    let pki = Pki::new();
    let (leaf, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let server = server(&pki, &other);
    let dns = Changing::start(Zone::Addresses(vec![FIRST]));
    let place = format!("hostnames: {HOST}, port: {}", server.port());
    let entry = expecting(&pki, "web", &leaf, &place);
    let config = inventory(&pki, SHORT_INTERVAL, &dns.setting(), &[entry]);
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    let before = exporter.log().len();
    let finding = [r#"ip="127.0.0.1""#, r#"code="wrong_certificate""#];
    let count = |line: &str| exporter.log()[before..].matches(line).count();

    for (outages, (zone, kind)) in [
        (Zone::Error(SERVFAIL), "dns_servfail"),
        (Zone::Silence, "dns_timeout"),
    ]
    .into_iter()
    .enumerate()
    {
        dns.set(zone);
        let failing = [r#"ip="""#, &label("error_kind", kind)];
        let metrics = exporter.wait_for_metrics("the failure is reported", |metrics| {
            metrics.sample("certvigil_endpoint_error", &failing) == Some(1.0)
        });
        let seen = last_check(&metrics, FIRST.into());
        let metrics = exporter.wait_for_metrics("the address is probed again", |metrics| {
            assert_eq!(probed(metrics), ["", "127.0.0.1"]);
            let reported = metrics.sample("certvigil_endpoint_finding", &finding);
            assert_eq!(reported, Some(1.0));
            last_check(metrics, FIRST.into()) > seen + 1.0
        });
        let of_host = [&label("hostname", HOST), r#"family="ipv4""#];
        let known = metrics.sample("certvigil_hostname_addresses", &of_host);
        assert_eq!(known, Some(1.0));
        let page = exporter.get("/").text();
        assert!(page.contains(kind), "{page}");
        assert_eq!(count("DNS lookup failed"), outages + 1);

        dns.set(Zone::Addresses(vec![FIRST]));
        exporter.wait_for_metrics("the lookup recovers", |metrics| {
            probed(metrics) == ["127.0.0.1"]
        });
        wait_until("the recovery is logged", || {
            (count("DNS lookup ok again") == outages + 1).then_some(())
        });
    }
    assert_eq!(count("initial=true"), 0, "{}", exporter.log());
}

#[test]
fn addresses_returned_after_a_dns_failure_replace_the_known_ones() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let (server, _other) = two_servers(&pki, &leaf);
    let dns = Changing::start(Zone::Addresses(vec![FIRST]));
    let place = format!("hostnames: {HOST}, port: {}", server.port());
    let entry = expecting(&pki, "web", &leaf, &place);
    let config = inventory(&pki, SHORT_INTERVAL, &dns.setting(), &[entry]);
    let exporter = Exporter::start(&config, &[], |_| {});
    let wait_for = |zone: Zone, addresses: &[&str]| {
        dns.set(zone);
        exporter.wait_for_metrics("the addresses of DNS", |m| probed(m) == addresses);
    };
    wait_for(Zone::Addresses(vec![FIRST]), &["127.0.0.1"]);
    wait_for(Zone::Error(SERVFAIL), &["", "127.0.0.1"]);
    wait_for(Zone::Addresses(vec![SECOND]), &["127.0.0.2"]);
    wait_for(Zone::Error(SERVFAIL), &["", "127.0.0.2"]);
    // A name that does not exist has no addresses, and a later failure does not restore them.
    wait_for(Zone::Error(NXDOMAIN), &[""]);
    wait_until("the removal is logged", || {
        let removed = "DNS lookup returns no address";
        exporter.log().contains(removed).then_some(())
    });
    wait_for(Zone::Error(SERVFAIL), &[""]);
    let failing = [r#"error_kind="dns_servfail""#];
    exporter.wait_for_metrics("the failure is reported", |metrics| {
        metrics.sample("certvigil_endpoint_error", &failing) == Some(1.0) && probed(metrics) == [""]
    });
}

#[test]
fn a_dns_failure_at_the_start_is_a_host_without_addresses() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let dns = Changing::start(Zone::Error(SERVFAIL));
    let place = format!("hostnames: {HOST}, port: {}", server.port());
    let entry = expecting(&pki, "web", &leaf, &place);
    let config = inventory(&pki, SHORT_INTERVAL, &dns.setting(), &[entry]);
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    assert_eq!(probed(&exporter.get("/metrics")), [""]);
    let log = exporter.log();
    assert!(
        log.contains("initial=true error_kind=dns_servfail"),
        "{log}"
    );
    dns.set(Zone::Addresses(vec![FIRST]));
    exporter.wait_for_metrics("the lookup recovers", |m| probed(m) == ["127.0.0.1"]);
    wait_until("the recovery is logged", || {
        exporter.log().contains("DNS lookup ok again").then_some(())
    });
}

#[test]
fn a_dns_failure_keeps_the_known_mail_hosts_and_nxdomain_removes_them() {
    let pki = Pki::new();
    let leaf = pki.leaf(&["mx.one.example", "mx.two.example"]);
    let server = server(&pki, &leaf);
    // The code of the MX lookup of the second domain.
    let code = Arc::new(Mutex::new(0));
    let current = code.clone();
    let name_server = NameServer::start(move |asked| {
        let code = *current.lock().unwrap();
        let exchange = [
            &[0, 10],
            wire_name(&format!("mx.{}", asked.name)).as_slice(),
        ]
        .concat();
        match (asked.kind, asked.name.as_str()) {
            (MX, "two.example") if code != 0 => Some(error(code)),
            (MX, name) => Some(DnsResponse {
                records: vec![(name.to_owned(), MX, exchange)],
                ..DnsResponse::default()
            }),
            _ => Some(addresses(asked, &[FIRST])),
        }
    });
    let mail = format!(
        "mx: [one.example, two.example], protocol: https, port: {}",
        server.port()
    );
    let entry = expecting(&pki, "post", &leaf, &mail);
    let dns = format!("dns: ['{}']", name_server.address);
    let exporter = Exporter::start(
        &inventory(&pki, SHORT_INTERVAL, &dns, &[entry]),
        &[],
        |_| {},
    );
    // The probed hosts, and the domains whose mail hosts are unknown.
    let wait_for = |codes: u8, hosts: &[&str], unknown: &[&str]| {
        *code.lock().unwrap() = codes;
        assert_eq!(exporter.post("/-/reload", "").status, 200);
        let names = ["mx.one.example", "mx.two.example", "two.example"];
        let with = |metrics: &Answer, metric: &str| -> Vec<&str> {
            let is_there = |host: &&str| {
                let labels = [&*label("hostname", host), r#"port=""#];
                metrics.sample(metric, &labels) == Some(1.0)
            };
            names.into_iter().filter(is_there).collect()
        };
        exporter.wait_for_metrics("the mail hosts", |metrics| {
            with(metrics, "certvigil_endpoint_correct") == hosts
                && with(metrics, "certvigil_endpoint_error") == unknown
        });
    };
    let both = ["mx.one.example", "mx.two.example"];
    wait_for(0, &both, &[]);
    wait_for(SERVFAIL, &both, &["two.example"]);
    wait_for(0, &both, &[]);
    wait_for(NXDOMAIN, &both[..1], &["two.example"]);
    wait_for(SERVFAIL, &both[..1], &["two.example"]);
}

#[test]
fn a_dns_failure_keeps_the_known_hosts_of_a_service_and_nxdomain_removes_them() {
    const OWNER: &str = "_imaps._tcp.example.com";
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let port = server.port();
    let code = Arc::new(Mutex::new(0));
    let current = code.clone();
    let name_server = NameServer::start(move |asked| {
        Some(match (asked.kind, *current.lock().unwrap()) {
            (SRV, 0) => DnsResponse {
                records: vec![(asked.name.clone(), SRV, srv(0, port, HOST))],
                ..DnsResponse::default()
            },
            (SRV, code) => error(code),
            _ => addresses(asked, &[FIRST]),
        })
    });
    let dns = format!("dns: ['{}']", name_server.address);
    let entry = expecting(&pki, "post", &leaf, &format!("srv: [{OWNER}]"));
    let config = inventory(&pki, SHORT_INTERVAL, &dns, &[entry]);
    let exporter = Exporter::start(&config, &[], |_| {});
    // Whether the host is probed, and whether it is reported that the service's hosts are unknown.
    let wait_for = |codes: u8, is_probed: bool, is_unknown: bool| {
        *code.lock().unwrap() = codes;
        assert_eq!(exporter.post("/-/reload", "").status, 200);
        exporter.wait_for_metrics("the hosts of the service", |metrics| {
            let host = [&*label("hostname", HOST), r#"ip="127.0.0.1""#];
            let service = label("hostname", OWNER);
            (metrics.sample("certvigil_endpoint_correct", &host) == Some(1.0)) == is_probed
                && metrics
                    .sample("certvigil_endpoint_error", &[&service])
                    .is_some()
                    == is_unknown
        });
    };
    wait_for(0, true, false);
    wait_for(SERVFAIL, true, true);
    wait_for(0, true, false);
    wait_for(NXDOMAIN, false, true);
    wait_for(SERVFAIL, false, true);
}

#[test]
fn nxdomain_removes_the_mail_hosts_of_a_domain() {
    let pki = Pki::new();
    let leaf = pki.leaf(&["mx.one.example"]);
    let server = server(&pki, &leaf);
    let code = Arc::new(Mutex::new(0));
    let current = code.clone();
    let name_server = NameServer::start(move |asked| {
        let exchange = [&[0, 10], wire_name("mx.one.example").as_slice()].concat();
        Some(match (asked.kind, *current.lock().unwrap()) {
            (MX, 0) => DnsResponse {
                records: vec![(asked.name.clone(), MX, exchange)],
                ..DnsResponse::default()
            },
            (MX, code) => error(code),
            _ => addresses(asked, &[FIRST]),
        })
    });
    let mail = format!("mx: one.example, protocol: https, port: {}", server.port());
    let entry = expecting(&pki, "post", &leaf, &mail);
    let dns = format!("dns: ['{}']", name_server.address);
    let exporter = Exporter::start(
        &inventory(&pki, SHORT_INTERVAL, &dns, &[entry]),
        &[],
        |_| {},
    );
    for (codes, is_probed, is_unknown) in [
        (0, true, false),
        (SERVFAIL, true, true),
        (NXDOMAIN, false, true),
    ] {
        *code.lock().unwrap() = codes;
        assert_eq!(exporter.post("/-/reload", "").status, 200);
        exporter.wait_for_metrics("the mail host", |metrics| {
            let probed = metrics.samples("certvigil_endpoint_correct", &[]);
            let unknown =
                metrics.samples("certvigil_endpoint_error", &["hostname=\"one.example\""]);
            probed.is_empty() != is_probed && unknown.is_empty() != is_unknown
        });
    }
}

/// The operator of a domain decides on the number of its mail hosts. Those that are not probed are
/// unknown, for `serve` and `check`.
#[test]
fn mail_hosts_beyond_the_maximum_are_reported_as_unknown() {
    const HOSTS: usize = 60;
    /// Maximum hosts of a domain (`src/scan/host_limits.rs`).
    const PROBED: usize = 50;
    let pki = Pki::new();
    let leaf = pki.leaf(&["*.one.example"]);
    let server = server(&pki, &leaf);
    let name_server = NameServer::start(move |asked| {
        let exchange = |number| {
            let host = wire_name(&format!("mx{number}.{}", asked.name));
            let exchange = [&[0, 10], host.as_slice()].concat();
            (asked.name.clone(), MX, exchange)
        };
        Some(match asked.kind {
            MX => DnsResponse {
                truncated: !asked.over_tcp,
                records: match asked.over_tcp {
                    true => (0..HOSTS).map(exchange).collect(),
                    false => Vec::new(),
                },
                ..DnsResponse::default()
            },
            _ => addresses(asked, &[FIRST]),
        })
    });
    let mail = format!("mx: one.example, protocol: https, port: {}", server.port());
    let entry = expecting(&pki, "post", &leaf, &mail);
    let dns = format!("dns: ['{}']", name_server.address);
    let config = inventory(&pki, LONG_INTERVAL, &dns, &[entry]);
    let exporter = Exporter::start(&config, &[], |_| {});
    exporter.wait_until_ready();
    let metrics = exporter.get("/metrics");
    let correct = metrics.samples("certvigil_endpoint_correct", &[]);
    assert_eq!(correct.len(), PROBED, "{}", metrics.text());
    let unknown = ["hostname=\"one.example\"", "error_kind=\"internal\""];
    let unknown = metrics.sample("certvigil_endpoint_error", &unknown);
    assert_eq!(unknown, Some(1.0), "{}", metrics.text());
    let check: crate::support::Run = command()
        .args(["check", "--config", "certvigil.yml", "--format", "json"])
        .current_dir(exporter.folder.path())
        .output()
        .unwrap()
        .into();
    assert_eq!(check.code, 3, "{}", check.stderr);
    let reason = "10 of the 60 hosts of one.example in DNS were not probed: at most 50 are";
    assert!(check.stdout.contains(reason), "{}", check.stdout);
}
