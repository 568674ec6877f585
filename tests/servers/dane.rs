//! TLSA records in a zone that knot signs and unbound validates.

use crate::common::nginx;
use crate::common::tlsa::{Bench, Zone, anchor, local, signed, tlsa, validating};
use crate::fixture::check::Check;
use crate::fixture::dns::{A, TLSA};
use crate::fixture::pki::{HOST, Pki};
use crate::fixture::process::free_port;
use crate::fixture::tls::{self, Server};

#[test]
#[ignore = "needs nginx"]
fn nginx_without_its_intermediate_matches_no_usage_2_record() {
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
#[ignore = "needs knot and unbound"]
fn validated_tlsa_records_are_reported_as_authenticated() {
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
