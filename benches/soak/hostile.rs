//! Attacking peers: a name with 1,500 silent addresses, chains that are expensive to judge, and a
//! malicious vantage. The vantage floods, sends false results, or does not respond.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use certvigil::model::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P521_SHA512,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::clock::Chance;
use super::common::accept;
use super::names::{Script, Zone};

/// The hostile vantage's name in the configuration.
pub(crate) const HOSTILE_VANTAGE: &str = "hostile";
/// A name with many addresses that accept connections and stay silent.
const CROWD: &str = "crowd.attack.example";
const SILENT_ADDRESSES: usize = 1500;
/// A name whose servers have chains that are expensive to judge.
const MAZE: &str = "maze.attack.example";
const EXPENSIVE_CHAIN_ADDRESSES: usize = 16;
/// CAs with the same name in such a chain, each signed by the next.
const SAME_NAME_CAS: usize = 98;
/// Rows of the hostile vantage for one host name.
const ROWS: usize = 46_000;
/// The hostile vantage floods the results of one host in so many; floods for all hosts would fill
/// the exposition.
const FLOODED: usize = 64;
/// Maximum rows of the hostile vantage that certvigil may report for one host name.
pub(crate) const MAX_ROWS_REPORTED: usize = 101;
/// Maximum length of a request.
const MAX_REQUEST: usize = 32 << 10;

/// The attackers.
pub(crate) struct Hostile {
    /// The address of the hostile vantage.
    pub(crate) vantage: SocketAddr,
    /// Targets of the attacking on-demand probes.
    pub(crate) targets: [String; 2],
}

impl Hostile {
    pub(crate) async fn start(
        zone: &Zone,
        seed: u64,
        clock: Timestamp,
        max_connection_time: Duration,
    ) -> Self {
        let silent = everywhere().await;
        let maze = everywhere().await;
        let of = |name: &str, listener: &TcpListener| {
            format!("{name}:{}", listener.local_addr().unwrap().port())
        };
        let targets = [of(CROWD, &silent), of(MAZE, &maze)];
        zone.set(CROWD, Script::Truncated, addresses(17, SILENT_ADDRESSES));
        zone.set(
            MAZE,
            Script::Right,
            addresses(18, EXPENSIVE_CHAIN_ADDRESSES),
        );
        tokio::spawn(async move {
            loop {
                let stream = accept(&silent).await;
                tokio::spawn(timeout(max_connection_time, stay_silent(stream)));
            }
        });
        let config = same_name_chain_config(clock);
        tokio::spawn(async move {
            loop {
                let stream = accept(&maze).await;
                let acceptor = TlsAcceptor::from(config.clone());
                tokio::spawn(timeout(max_connection_time, async move {
                    if let Ok(mut tls) = acceptor.accept(stream).await {
                        let _ = tls.read(&mut [0; 64]).await;
                    }
                }));
            }
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let vantage = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut chance = Chance(seed ^ 3);
            loop {
                let stream = accept(&listener).await;
                let drawn = chance.below(100);
                tokio::spawn(timeout(max_connection_time, answer(stream, drawn)));
            }
        });
        Self { vantage, targets }
    }
}

/// A listener at one port of every loopback address.
async fn everywhere() -> TcpListener {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap()
}

fn addresses(second: u8, count: usize) -> Vec<Ipv4Addr> {
    let byte = |number: usize| u8::try_from(number).unwrap();
    let address = |n: usize| Ipv4Addr::new(127, second, byte(n / 250), 1 + byte(n % 250));
    (0..count).map(address).collect()
}

async fn stay_silent(mut stream: TcpStream) {
    let mut sink = [0; 1024];
    while stream.read(&mut sink).await.is_ok_and(|count| count > 0) {}
}

/// A server configuration whose chain has many P-521 CAs with the same name, the leaf's issuer
/// last.
fn same_name_chain_config(clock: Timestamp) -> Arc<ServerConfig> {
    let time = |days: i64| {
        let at = clock.0 + days * 86_400;
        time::OffsetDateTime::from_unix_timestamp(at).unwrap()
    };
    let params = |name: &str, is_ca: bool| {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (time(-10), time(80));
        if is_ca {
            params.subject_alt_names.clear();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params
    };
    let key = || KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
    let authority = params("Maze", true);
    let mut above = key();
    let mut chain = Vec::new();
    for _ in 0..SAME_NAME_CAS {
        let own = key();
        let issuer = Issuer::from_params(&authority, &above);
        chain.push(authority.signed_by(&own, &issuer).unwrap().der().clone());
        above = own;
    }
    let leaf_key = KeyPair::generate().unwrap();
    let issuer = Issuer::from_params(&authority, &above);
    let leaf = params(MAZE, false).signed_by(&leaf_key, &issuer).unwrap();
    let shown: Vec<CertificateDer<'static>> =
        std::iter::once(leaf.der().clone()).chain(chain).collect();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            shown,
            PrivatePkcs8KeyDer::from(leaf_key.serialize_der()).into(),
        );
    Arc::new(config.unwrap())
}

/// Responds to a test request to the hostile vantage; `drawn` is a random number below 100.
async fn answer(mut stream: TcpStream, drawn: usize) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|w| w == b"\r\n\r\n") && request.len() < MAX_REQUEST {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let text = String::from_utf8_lossy(&request);
    let hosts: Vec<&str> = text
        .split(['?', '&', ' '])
        .filter_map(|part| part.strip_prefix("hostname="))
        .collect();
    let body = match drawn {
        0..5 => {
            stay_silent(stream).await;
            return Ok(());
        }
        5..10 => "\u{1}{]".to_owned(),
        10..15 => {
            let head = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
            return stream.write_all(head).await;
        }
        _ => rows(&hosts),
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await
}

/// False rows for the hosts, and for some hosts that were not requested.
fn rows(hosts: &[&str]) -> String {
    let row = |host: &str, ip: &str, correct: bool| {
        format!(
            r#"{{"hostname":"{host}","ip_address":"{ip}","status":"conclusive","correct":{correct},"chained":true,"dummy":false}}"#
        )
    };
    let mut rows = vec![row("other.attack.example", "192.0.2.9", false)];
    for host in hosts {
        let digits: String = host.chars().filter(char::is_ascii_digit).collect();
        let number: usize = digits.parse().unwrap_or(1);
        if number.is_multiple_of(FLOODED) {
            let flood = (0..ROWS).map(|n| {
                let (a, b) = (n / 256, n % 256);
                format!(r#"{{"hostname":"{host}","ip_address":"10.{a}.{b}.1","status":"connect_error"}}"#)
            });
            rows.extend(flood);
        }
        rows.push(row(host, "192.0.2.1", true));
        rows.push(row(host, "192.0.2.2", true));
        // Contradictory rows.
        rows.push(row(host, "192.0.2.2", false));
        rows.push(row(host, "everywhere", true));
    }
    format!(r#"{{"result":[{}]}}"#, rows.join(","))
}
