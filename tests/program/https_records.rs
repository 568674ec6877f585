//! HTTPS records (RFC 9460): addresses and ports that address records lack.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use certvigil::model::{Families, Hostname};
use certvigil::resolve::{AddressQuery, Resolver};
use tokio::time::Instant;

use crate::fixture::check::{Check, rows};
use crate::fixture::dns::{
    A, DnsQuery, DnsResponse, HTTPS, NXDOMAIN, NameServer, SERVFAIL, ech_list, https_record,
};
use crate::fixture::pki::{HOST, Pki};
use crate::fixture::tls::{self, Server};
use crate::support::Run;

const CDN: &str = "cdn.example.net";
const IPV4_HINT: u16 = 4;
const ECH: u16 = 5;
const PORT: u16 = 3;

/// A name server at which [`HOST`] is 127.0.0.2 and [`CDN`] 127.0.0.4, with this response to
/// queries for HTTPS records of a name.
fn name_server(
    respond: impl Fn(&str) -> Option<Result<Vec<Vec<u8>>, u8>> + Send + Sync + 'static,
) -> NameServer {
    NameServer::start(move |asked: &DnsQuery| {
        let answer = match (asked.name.as_str(), asked.kind) {
            (name, HTTPS) => respond(name)?,
            (HOST, A) => Ok(vec![vec![127, 0, 0, 2]]),
            (CDN, A) => Ok(vec![vec![127, 0, 0, 4]]),
            (HOST | CDN, _) => Ok(Vec::new()),
            _ => Err(NXDOMAIN),
        };
        let records = |data| (asked.name.clone(), asked.kind, data);
        Some(match answer {
            Ok(all) => DnsResponse {
                records: all.into_iter().map(records).collect(),
                ..DnsResponse::default()
            },
            Err(code) => DnsResponse {
                code,
                ..DnsResponse::default()
            },
        })
    })
}

/// A certificate for [`HOST`] at every loopback address, or at one.
struct Bench {
    pki: Pki,
    server: Server,
}

impl Bench {
    fn at(address: &str) -> Self {
        let pki = Pki::new();
        let server = Server::tls(address, tls::config(&pki, &pki.leaf(&[HOST])));
        Self { pki, server }
    }

    fn owner(&self) -> String {
        format!("_{}._https.{HOST}", self.server.port())
    }

    fn check(&self, name_server: &NameServer) -> Run {
        let dns = name_server.address.to_string();
        Check::new(&self.pki)
            .args(&["-4", "--dns", &dns, "--timeout", "8s"])
            .arg(format!("{HOST}:{}", self.server.port()))
            .run()
    }
}

fn addresses(run: &Run) -> Vec<String> {
    let rows = rows(run);
    rows.iter().for_each(|row| row.assert_right(&[]));
    rows.iter().map(|row| row.ip().to_owned()).collect()
}

#[test]
fn addresses_of_https_records_are_probed_too() {
    let bench = Bench::at("0.0.0.0");
    let owner = bench.owner();
    let hints = name_server(move |name| {
        let hint: &[u8] = &[127, 0, 0, 2, 127, 0, 0, 3];
        Some(match name == owner {
            true => Ok(vec![https_record(1, "", &[(IPV4_HINT, hint)])]),
            false => Err(NXDOMAIN),
        })
    });
    assert_eq!(addresses(&bench.check(&hints)), ["127.0.0.2", "127.0.0.3"]);

    let owner = bench.owner();
    let alias = name_server(move |name| {
        Some(match name == owner {
            true => Ok(vec![https_record(0, CDN, &[])]),
            false => Ok(Vec::new()),
        })
    });
    assert_eq!(addresses(&bench.check(&alias)), ["127.0.0.2", "127.0.0.4"]);
}

#[test]
fn a_circle_of_aliases_ends() {
    let bench = Bench::at("0.0.0.0");
    let (owner, back) = (bench.owner(), bench.owner());
    let circle = name_server(move |name| {
        Some(Ok(match name {
            CDN => vec![https_record(0, &back, &[])],
            name if name == owner => vec![https_record(0, CDN, &[])],
            _ => Vec::new(),
        }))
    });
    assert_eq!(addresses(&bench.check(&circle)), ["127.0.0.2"]);
    let asked = circle.asked();
    assert!(
        asked.iter().filter(|a| a.kind == HTTPS).count() <= 9,
        "{asked:?}"
    );
}

/// A record with another target says nothing about the addresses of the host.
#[test]
fn ech_is_offered_at_the_addresses_of_its_record_only() {
    let bench = Bench::at("0.0.0.0");
    let owner = bench.owner();
    let ech = ech_list("cover.example.net");
    let mixed = name_server(move |name| {
        Some(match name == owner {
            true => Ok(vec![
                https_record(2, HOST, &[]),
                https_record(1, CDN, &[(ECH, &ech)]),
            ]),
            false => Err(NXDOMAIN),
        })
    });
    let rows = rows(&bench.check(&mixed));
    let found: Vec<_> = rows.iter().map(|row| (row.ip(), row.codes())).collect();
    let expected = [
        ("127.0.0.2", vec![]),
        ("127.0.0.4", vec!["refused_by_clients"]),
    ];
    assert_eq!(found, expected);
}

/// Clients go on with the addresses of A and AAAA records.
#[test]
fn an_address_of_an_https_record_that_does_not_respond_is_no_fault() {
    let bench = Bench::at("127.0.0.2");
    let owner = bench.owner();
    let hints = name_server(move |name| {
        let hint: &[u8] = &[127, 0, 0, 3];
        Some(match name == owner {
            true => Ok(vec![https_record(1, "", &[(IPV4_HINT, hint)])]),
            false => Err(NXDOMAIN),
        })
    });
    let run = bench.check(&hints);
    assert_eq!(addresses(&run), ["127.0.0.2"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("ip=127.0.0.3"), "{}", run.stderr);
}

/// A server that responds shows a fault to the clients that use the address.
#[test]
fn a_failed_handshake_at_an_address_of_an_https_record_is_reported() {
    let bench = Bench::at("127.0.0.2");
    let owner = bench.owner();
    let closing = TcpListener::bind(("127.0.0.3", bench.server.port())).unwrap();
    std::thread::spawn(move || closing.incoming().for_each(drop));
    let hints = name_server(move |name| {
        let hint: &[u8] = &[127, 0, 0, 3];
        Some(match name == owner {
            true => Ok(vec![https_record(1, "", &[(IPV4_HINT, hint)])]),
            false => Err(NXDOMAIN),
        })
    });
    let run = bench.check(&hints);
    let rows = rows(&run);
    assert_eq!(rows.len(), 2, "{rows:?}");
    rows[0].assert_right(&[]);
    assert_eq!(rows[1].ip(), "127.0.0.3");
    assert_eq!(rows[1].text("/status"), "handshake_error", "{rows:?}");
}

#[test]
fn https_records_are_queried_for_https_only() {
    let bench = Bench::at("0.0.0.0");
    let hints = name_server(|_| Some(Ok(Vec::new())));
    let (dns, port) = (hints.address.to_string(), bench.server.port());
    for protocol in ["imaps", "h3", "xmpps"] {
        let check = Check::new(&bench.pki).args(&["-4", "--dns", &dns, "--timeout", "1s"]);
        check.arg(format!("{protocol}://{HOST}:{port}")).run();
    }
    let asked = hints.asked();
    assert!(asked.iter().any(|query| query.kind == A), "{asked:?}");
    assert!(asked.iter().all(|query| query.kind != HTTPS), "{asked:?}");
}

#[test]
fn another_port_in_an_https_record_is_reported() {
    let bench = Bench::at("0.0.0.0");
    let owner = bench.owner();
    let port = name_server(move |name| {
        let params: [(u16, &[u8]); 2] = [(PORT, &[0x20, 0xfb]), (IPV4_HINT, &[127, 0, 0, 3])];
        Some(match name == owner {
            true => Ok(vec![https_record(1, "", &params)]),
            false => Err(NXDOMAIN),
        })
    });
    let run = bench.check(&port);
    assert_eq!(addresses(&run), ["127.0.0.2"]);
    let wanted = format!("probe https://{HOST}:8443 beside it");
    assert!(run.stderr.contains(&wanted), "{}", run.stderr);
}

#[test]
fn a_name_server_that_does_not_know_https_records_changes_nothing() {
    let bench = Bench::at("0.0.0.0");
    for response in [None, Some(SERVFAIL), Some(NXDOMAIN)] {
        let server = name_server(move |_| response.map(Err));
        assert_eq!(
            addresses(&bench.check(&server)),
            ["127.0.0.2"],
            "{response:?}"
        );
    }
    let garbage = name_server(|_| Some(Ok(vec![vec![0, 1, 0, 0, 4, 0, 4, 192]])));
    assert_eq!(addresses(&bench.check(&garbage)), ["127.0.0.2"]);
}

/// A name server that fails for a while must not remove an address with a wrong certificate.
#[tokio::test]
async fn addresses_of_https_records_stay_while_their_lookup_fails() {
    let is_failing = Arc::new(AtomicBool::new(false));
    let state = is_failing.clone();
    let dns = name_server(move |_| {
        let hint: &[u8] = &[127, 0, 0, 3];
        let ech = ech_list("cover.example.net");
        Some(match state.load(Ordering::SeqCst) {
            false => Ok(vec![https_record(1, "", &[(IPV4_HINT, hint), (ECH, &ech)])]),
            true => Err(SERVFAIL),
        })
    });
    let resolver = Resolver::new(Families::Both, Vec::new(), vec![dns.address]);
    let host: Hostname = HOST.parse().unwrap();
    let query = AddressQuery {
        is_https: true,
        ..AddressQuery::new(&host, 443)
    };
    let hinted = async || {
        let deadline = Instant::now() + Duration::from_secs(30);
        let resolution = resolver.resolve(&query, deadline).await;
        (resolution.hinted, resolution.ech)
    };
    let before = hinted().await;
    assert_eq!(before.0.len(), 1);
    assert!(before.1.of(before.0[0], false).is_some());
    is_failing.store(true, Ordering::SeqCst);
    // More than the failures after which the records are not queried for some time.
    for _ in 0..5 {
        assert_eq!(hinted().await, before);
    }
}
