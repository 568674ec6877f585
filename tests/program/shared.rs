//! Certificates that many servers share are parsed and kept once.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use certvigil::model::{KeyType, Protocol, Target};
use certvigil::observation::{Outcome, Served};
use certvigil::probe::{Prober, Reach, Request};
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::quic::QuicServer;
use crate::fixture::tls::{Server, config};

const TIMEOUT: Duration = Duration::from_secs(20);

async fn request(prober: &Prober, protocol: Protocol, port: u16) -> Served {
    let target = Target {
        certificate: "web".into(),
        hostname: HOST.parse().unwrap(),
        port,
        protocol,
        names: Box::default(),
    };
    let request = Request {
        target: &target,
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        key_type: KeyType::Any,
        reach: &Reach::default(),
    };
    match prober.probe(request, Instant::now() + TIMEOUT).await.0 {
        Outcome::Served(served) => *served,
        other => panic!("{other:?}"),
    }
}

/// Addresses in memory of each certificate's bytes.
fn places(served: &Served) -> Vec<*const u8> {
    let all = std::iter::once(&served.leaf).chain(&served.rest);
    all.map(|c| c.der().as_ptr()).collect()
}

#[test]
fn equal_certificates_of_two_servers_are_shared_in_memory() {
    let pki = Pki::new();
    let (leaf, other): (Leaf, Leaf) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let servers = [&leaf, &leaf, &other].map(|l| Server::tls("127.0.0.1", config(&pki, l)));
    let quic = QuicServer::start("127.0.0.1", &config(&pki, &leaf));
    let prober = Prober::new().unwrap();
    Runtime::new().unwrap().block_on(async {
        let mut seen = Vec::new();
        for server in &servers {
            seen.push(request(&prober, Protocol::Https, server.port()).await);
        }
        seen.push(request(&prober, Protocol::H3, quic.port()).await);
        let [first, second, third, fourth] = &seen[..] else {
            panic!("{} looks", seen.len());
        };
        assert_eq!(first.leaf, leaf.certificate);
        assert_eq!(first.rest[0], pki.intermediate.certificate);
        assert_eq!(places(first), places(second));
        assert_eq!(places(first), places(fourth));
        assert_eq!(third.leaf, other.certificate);
        assert_ne!(places(first)[0], places(third)[0]);
        assert_eq!(places(first)[1], places(third)[1]);
    });
}
