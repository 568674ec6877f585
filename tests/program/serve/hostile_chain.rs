//! A server whose chain is expensive to judge.

use std::sync::Arc;
use std::thread;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P521_SHA512,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::*;
use crate::fixture::dns::{A, DnsResponse, NameServer};
use crate::fixture::tls::config_of;

const ADDRESSES: u8 = 16;
/// CAs of one name in the chain, with keys that are slow to verify with. The maximum of a chain is
/// one hundred certificates.
const AUTHORITIES: usize = 98;
/// Minimum requests that are answered while the chains are judged. A request that waits for one
/// judgement is answered once for each address.
const MIN_ANSWERED: usize = 3 * ADDRESSES as usize;

/// A chain of CAs that have the same name, each signed by the next, the leaf's issuer last.
fn maze(name: &str) -> Arc<ServerConfig> {
    let key = || KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
    let mut authority = CertificateParams::default();
    authority
        .distinguished_name
        .push(DnType::CommonName, "Maze");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut above = key();
    let mut chain = Vec::new();
    for _ in 0..AUTHORITIES {
        let own = key();
        let issuer = Issuer::from_params(&authority, &above);
        let certificate = authority.signed_by(&own, &issuer).unwrap();
        chain.push(certificate.der().to_vec());
        above = own;
    }
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new([name.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &Issuer::from_params(&authority, &above));
    chain.insert(0, leaf.unwrap().der().to_vec());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    Arc::new(config_of(chain, key, rustls::ALL_VERSIONS))
}

#[test]
fn expensive_chains_delay_neither_requests_nor_other_endpoints() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let good = server(&pki, &leaf);
    let hostile = Server::tls("0.0.0.0", maze("maze.example"));
    let name_server = NameServer::start(|asked| {
        let all = (1..=ADDRESSES).filter(|_| asked.kind == A);
        let records = all.map(|n| (asked.name.clone(), A, vec![127, 0, 9, n]));
        Some(DnsResponse {
            records: records.collect(),
            ..DnsResponse::default()
        })
    });
    let settings = format!(
        "dns: ['{}']\nprobe: {{allow: ['*.example', 127.0.9.0/24]}}",
        name_server.address
    );
    let entry = entry(&pki, "web", &leaf, good.port());
    let defaults = "interval: 1s, timeout: 1m";
    let exporter = Exporter::start(&inventory(&pki, defaults, &settings, &[entry]), &[], |_| {});
    exporter.wait_until_ready();

    let path = format!("/probe?target=maze.example:{}", hostile.port());
    let (answered, probe) = thread::scope(|scope| {
        let probe = scope.spawn(|| exporter.probe(&path));
        let mut answered = 0;
        while !probe.is_finished() {
            assert_eq!(exporter.get("/-/healthy").status, 200);
            let metrics = exporter.get("/metrics");
            let correct = metrics.sample("certvigil_endpoint_correct", &[r#"certificate="web""#]);
            assert_eq!(correct, Some(1.0));
            answered += 2;
        }
        (answered, probe.join().unwrap())
    });
    assert!(answered >= MIN_ANSWERED, "{answered}");
    let conclusive = probe.samples("certvigil_endpoint_status", &[r#"status="conclusive""#]);
    let conclusive = conclusive.iter().filter(|line| line.ends_with(" 1"));
    assert_eq!(conclusive.count(), usize::from(ADDRESSES), "{probe:?}");
    assert_eq!(probe.sample("probe_success", &[]), Some(0.0));
    let before = good.connections();
    wait_until("the monitor probes on", || {
        (good.connections() > before).then_some(())
    });
}
