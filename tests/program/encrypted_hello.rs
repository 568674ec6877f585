//! Encrypted Client Hello (RFC 9849): HTTPS records with the parameter `ech`, and servers that do not
//! have its key.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use serde_json::json;

use crate::fixture::check::{Check, Row, rows};
use crate::fixture::dns::{
    A, DnsQuery, DnsResponse, HTTPS, NXDOMAIN, NameServer, ech_list, https_record,
};
use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::tls::{self, Server, complete_handshake};
use crate::support::Run;

/// Public name of the configuration.
const COVER: &str = "cover.example.net";
/// SvcParamKey of the parameter `ech`.
const ECH: u16 = 5;

/// A server of [`HOST`], whose HTTPS record has the parameter `ech`.
struct Bench {
    pki: Pki,
    server: Server,
    name_server: NameServer,
}

impl Bench {
    fn new(pki: Pki, server: Server, parameter: Option<Vec<u8>>) -> Self {
        let owner = format!("_{}._https.{HOST}", server.port());
        let name_server = NameServer::start(move |asked: &DnsQuery| {
            let data = match (asked.name.as_str(), asked.kind) {
                (HOST, A) => vec![127, 0, 0, 2],
                (name, HTTPS) if name == owner => match &parameter {
                    Some(value) => https_record(1, "", &[(ECH, value)]),
                    None => https_record(1, "", &[]),
                },
                (HOST, _) => return Some(DnsResponse::default()),
                _ => {
                    return Some(DnsResponse {
                        code: NXDOMAIN,
                        ..DnsResponse::default()
                    });
                }
            };
            Some(DnsResponse {
                records: vec![(asked.name.clone(), asked.kind, data)],
                ..DnsResponse::default()
            })
        });
        Self {
            pki,
            server,
            name_server,
        }
    }

    /// A server with a certificate for these names.
    fn serving(
        names: &[&str],
        versions: &[&'static SupportedProtocolVersion],
        parameter: Option<Vec<u8>>,
    ) -> Self {
        let pki = Pki::new();
        let leaf = pki.leaf(names);
        let config = tls::config_with_key(&pki, &leaf, &leaf, versions);
        let server = Server::tls("127.0.0.2", config);
        Self::new(pki, server, parameter)
    }

    fn check(&self, more: &[&str]) -> Run {
        let dns = self.name_server.address.to_string();
        Check::new(&self.pki)
            .args(&["-4", "--dns", &dns, "--timeout", "20s"])
            .args(more)
            .arg(format!("{HOST}:{}", self.server.port()))
            .run()
    }

    fn row(&self) -> Row {
        let run = self.check(&[]);
        let mut rows = rows(&run);
        assert_eq!(rows.len(), 1, "{run:?}");
        rows.remove(0)
    }

    /// Returns the data of the finding, which must be the only one.
    fn assert_refused(&self, kind: &str) -> serde_json::Value {
        let row = self.row();
        row.assert_right(&["refused_by_clients"]);
        assert_eq!(row.text("/severity"), "warning", "{row:?}");
        for (client, accepts) in [("openssl", true), ("go", true), ("chromium", false)] {
            let found = &row.0["clients"][client]["accepts"];
            assert_eq!(found, &json!(accepts), "{client}: {row:?}");
        }
        let detail = row.finding("refused_by_clients")["detail"].clone();
        assert_eq!(detail["kind"], kind, "{row:?}");
        detail
    }
}

#[test]
fn stale_ech_is_refused_by_browsers_unless_the_certificate_has_the_public_name() {
    for version in [&TLS12, &TLS13] {
        let stale = Bench::serving(&[HOST], &[version], Some(ech_list(COVER)));
        let detail = stale.assert_refused("ech_rejected");
        assert_eq!(detail["public_name"], COVER, "{detail}");
        assert_eq!(detail["refusals"][0]["clients"], json!(["chromium"]));

        let covered = Bench::serving(&[HOST, COVER], &[version], Some(ech_list(COVER)));
        covered.row().assert_right(&[]);
    }
}

#[test]
fn only_a_host_with_a_supported_ech_configuration_has_a_further_handshake() {
    let unsupported = [0, 8, 0xfe, 0x0a, 0, 4, 1, 2, 3, 4].to_vec();
    for (parameter, connections) in [
        (None, 1),
        (Some(unsupported), 1),
        (Some(ech_list(COVER)), 2),
    ] {
        let bench = Bench::serving(&[HOST, COVER], &[&TLS13], parameter.clone());
        bench.row().assert_right(&[]);
        assert_eq!(bench.server.connections(), connections, "{parameter:?}");
    }
    // The user determines the server name.
    let named = Bench::serving(&[HOST], &[&TLS13], Some(ech_list(COVER)));
    let run = named.check(&["--sni", HOST]);
    rows(&run)[0].assert_right(&[]);
    assert_eq!(named.server.connections(), 1);
}

#[test]
fn malformed_ech_is_refused_by_chromium() {
    let bench = Bench::serving(&[HOST, COVER], &[&TLS13], Some(vec![0, 9, 1]));
    bench.assert_refused("ech_malformed");
    assert_eq!(bench.server.connections(), 1);
}

/// A server that refuses every name but its own.
#[derive(Debug)]
struct OnlyHost(Arc<CertifiedKey>);

impl ResolvesServerCert for OnlyHost {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        (hello.server_name() == Some(HOST)).then(|| self.0.clone())
    }
}

fn only_host(pki: &Pki, leaf: &Leaf) -> Arc<ServerConfig> {
    let chain = [&leaf.certificate, &pki.intermediate.certificate];
    let chain = chain.map(|c| c.der().to_vec().into()).to_vec();
    let key = CertifiedKey::new(chain, tls::signing_key(leaf));
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(OnlyHost(Arc::new(key))));
    Arc::new(config)
}

#[test]
fn server_that_refuses_the_public_name_is_refused_by_browsers() {
    let pki = Pki::new();
    let config = only_host(&pki, &pki.leaf(&[HOST, COVER]));
    let server = Server::tls("127.0.0.2", config);
    let bench = Bench::new(pki, server, Some(ech_list(COVER)));
    let detail = bench.assert_refused("ech_failed");
    assert_eq!(detail["public_name"], COVER, "{detail}");
}

/// The failure has another reason.
#[test]
fn server_that_fails_once_or_from_then_on_has_no_finding_about_ech() {
    const CLOSE: fn(&mut TcpStream) = tls::read_some;
    for is_failing in [|index: usize| index == 1, |index: usize| index > 0] {
        let pki = Pki::new();
        let config = tls::config(&pki, &pki.leaf(&[HOST, COVER]));
        let connections = AtomicUsize::new(0);
        let server = Server::start("127.0.0.2", move |stream| {
            match is_failing(connections.fetch_add(1, Ordering::SeqCst)) {
                true => CLOSE(stream),
                false => complete_handshake(stream, &config),
            }
        });
        let bench = Bench::new(pki, server, Some(ech_list(COVER)));
        bench.row().assert_right(&[]);
    }
}
