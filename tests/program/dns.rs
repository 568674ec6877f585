//! Name resolution with the test's own name servers, correct and incorrect.

use crate::common::resolution::{Bench, local, summary};
use crate::fixture::dns::{
    A, AAAA, DnsQuery, DnsResponse, HTTPS, NXDOMAIN, NameServer, REFUSED, Responder, SERVFAIL,
};
use crate::fixture::process::free_port;
use crate::support::for_each_concurrently;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, UdpSocket};

#[test]
fn each_of_500_addresses_in_a_truncated_response_is_probed_once() {
    const ADDRESSES: u16 = 500;
    let bench = Bench::new();
    let ip = |n: u16| [127, 0, 2 + n.to_be_bytes()[0], n.to_be_bytes()[1]];
    let name_server = NameServer::start(move |asked| {
        let records = match (asked.kind, asked.over_tcp) {
            (A, true) => (0..ADDRESSES)
                .map(|n| (asked.name.clone(), A, ip(n).to_vec()))
                .collect(),
            _ => Vec::new(),
        };
        Some(DnsResponse {
            truncated: asked.kind == A && !asked.over_tcp,
            records,
            ..DnsResponse::default()
        })
    });
    let rows = bench.look("crowd.example", &[name_server.address], &[]);
    let once: BTreeMap<IpAddr, usize> = (0..ADDRESSES).map(|n| (ip(n).into(), 1)).collect();
    assert_eq!(rows.len(), once.len());
    rows.iter().for_each(|row| row.assert_right(&[]));
    assert_eq!(bench.server.counts(), once);
}

/// A name server that is bound and never responds.
fn silent() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn answering() -> Responder {
    Responder::start(|kind| match kind {
        A => Ok(vec![[127, 0, 0, 2].into(), [127, 0, 0, 2].into()]),
        _ => Ok(vec![]),
    })
}

#[test]
fn working_name_server_replaces_failing_ones() {
    let bench = Bench::new();
    let good = answering();
    let refuses = Responder::start(|_| Err(REFUSED));
    let fails = Responder::start(|_| Err(SERVFAIL));
    let (_silent, silent) = silent();
    let nobody = local(free_port());
    let cases = [
        vec![silent],
        vec![nobody],
        vec![refuses.address],
        vec![fails.address],
        vec![silent, nobody, refuses.address],
    ];
    for_each_concurrently(cases, |others| {
        let mut first = others.clone();
        first.push(good.address);
        let mut last = others;
        last.insert(0, good.address);
        for servers in [first, last] {
            let rows = bench.look("v4only.example", &servers, &[]);
            assert_eq!(summary(&rows), ["127.0.0.2"], "{servers:?}");
            rows[0].assert_right(&[]);
        }
    });
}

/// A split horizon: the second name server has another address for the name, or does not have the name. The first one
/// decides, as `resolv.conf(5)` says.
#[test]
fn name_servers_are_queried_in_their_order() {
    let bench = Bench::new();
    let first = answering();
    let others: [fn(&DnsQuery) -> Option<DnsResponse>; 2] = [
        |_| {
            Some(DnsResponse {
                code: NXDOMAIN,
                ..DnsResponse::default()
            })
        },
        |asked| {
            let records = (asked.kind == A).then(|| (asked.name.clone(), A, vec![127, 0, 0, 3]));
            Some(DnsResponse {
                records: records.into_iter().collect(),
                ..DnsResponse::default()
            })
        },
    ];
    for other in others {
        let second = NameServer::start(other);
        let servers = [first.address, second.address];
        let rows = bench.look("v4only.example", &servers, &[]);
        assert_eq!(summary(&rows), ["127.0.0.2"]);
        rows[0].assert_right(&[]);
        assert_eq!(second.asked(), []);
    }
    let absent = Responder::start(|_| Err(NXDOMAIN));
    let rows = bench.look("v4only.example", &[absent.address, first.address], &[]);
    assert_eq!(rows[0].text("/error_kind"), "dns_nxdomain", "{rows:?}");
}

/// RFC 6891, section 7; and firewalls that drop queries with EDNS.
#[test]
fn a_name_server_without_edns_is_queried_without_it() {
    const FORMERR: u8 = 1;
    const NOTIMP: u8 = 4;
    let bench = Bench::new();
    for code in [Some(FORMERR), Some(NOTIMP), None] {
        let name_server = NameServer::start(move |asked| {
            if asked.has_edns {
                return code.map(|code| DnsResponse {
                    code,
                    ..DnsResponse::default()
                });
            }
            let records = (asked.kind == A).then(|| (asked.name.clone(), A, vec![127, 0, 0, 2]));
            Some(DnsResponse {
                records: records.into_iter().collect(),
                ..DnsResponse::default()
            })
        });
        let rows = bench.look("v4only.example", &[name_server.address], &[]);
        assert_eq!(summary(&rows), ["127.0.0.2"], "{code:?}");
        rows[0].assert_right(&[]);
        assert!(name_server.asked().iter().any(|asked| asked.has_edns));
    }
}

#[test]
fn failed_dns_lookup_has_its_error_kind() {
    let bench = Bench::new();
    let (_silent, silent) = silent();
    let refuses = Responder::start(|_| Err(REFUSED));
    for (server, kind) in [
        (silent, "dns_timeout"),
        (local(free_port()), "dns_timeout"),
        (refuses.address, "dns_servfail"),
    ] {
        let timeout = if kind == "dns_timeout" { "2s" } else { "30s" };
        let rows = bench.look("v4only.example", &[server], &["--timeout", timeout]);
        assert_eq!(summary(&rows), [kind], "{rows:?}");
        assert_eq!(rows[0].text("/severity"), "unknown");
    }
}

/// A name server that computes its response from the question: its header, and one name with type
/// and class.
fn raw(answer: fn(&[u8]) -> Vec<u8>) -> SocketAddr {
    const HEADER: usize = 12;
    let (socket, address) = silent();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((count, client)) = socket.recv_from(&mut query) {
            let name = query[HEADER..count].iter().position(|byte| *byte == 0);
            let end = HEADER + name.unwrap() + 1 + 4;
            let _ = socket.send_to(&answer(&query[..end]), client);
        }
    });
    address
}

/// A response with one record of this type for the name in the question.
fn record(question: &[u8], kind: u8, data: &[u8]) -> Vec<u8> {
    let mut answer = question.to_vec();
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    answer.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0]);
    answer.push(u8::try_from(data.len()).unwrap());
    answer.extend(data);
    answer
}

#[test]
fn forged_circular_and_contradictory_dns_responses_yield_no_address() {
    let bench = Bench::new();
    let right = raw(|question| match question[question.len() - 3] {
        1 => record(question, 1, &[127, 0, 0, 2]),
        _ => record(question, 5, &[0]),
    });
    let rows = bench.look("v4only.example", &[right], &["-4"]);
    assert_eq!(summary(&rows), ["127.0.0.2"], "what the others differ from");
    let forged = raw(|question| {
        let mut answer = record(question, 1, &[127, 0, 0, 2]);
        answer[0] ^= 1;
        answer
    });
    // A record of a name that does not exist: resolvers ignore it.
    let nonexistent = raw(|question| {
        let mut answer = record(question, 1, &[127, 0, 0, 2]);
        answer[3] |= 3;
        answer
    });
    // An alias that points to itself.
    let circular = raw(|question| record(question, 5, &[0xc0, 12]));
    let cut_short =
        raw(|question| record(question, 1, &[127, 0, 0, 2])[..question.len() + 5].to_vec());
    for (what, server, kind) in [
        ("another id", forged, "dns_timeout"),
        ("no such name", nonexistent, "dns_nxdomain"),
        ("a circle", circular, "dns_no_address"),
        ("cut short", cut_short, "dns_servfail"),
    ] {
        let timeout = if kind == "dns_timeout" { "2s" } else { "30s" };
        let rows = bench.look("v4only.example", &[server], &["-4", "--timeout", timeout]);
        assert_eq!(summary(&rows), [kind], "{what}: {rows:?}");
        assert_eq!(rows[0].text("/status"), "connect_error", "{what}");
    }
}

#[test]
fn dns_failure_of_one_family_does_not_hide_the_other() {
    let bench = Bench::new();
    for (broken, flag) in [(AAAA, "-4"), (A, "-6")] {
        let responder = Responder::start(move |kind| match kind {
            kind if kind == broken => Err(SERVFAIL),
            A => Ok(vec![[127, 0, 0, 2].into()]),
            _ => Ok(vec![std::net::Ipv6Addr::LOCALHOST.into()]),
        });
        let address = if broken == A { "::1" } else { "127.0.0.2" };
        let rows = bench.look("several.example", &[responder.address], &[]);
        let seen: BTreeSet<&str> = summary(&rows).into_iter().collect();
        assert_eq!(seen, ["dns_servfail", address].into(), "{rows:?}");
        // A query for the other family alone is not affected.
        let rows = bench.look("several.example", &[responder.address], &[flag]);
        assert_eq!(summary(&rows), [address]);
    }
}

#[test]
fn localhost_resolves_to_a_loopback_address() {
    let bench = Bench::new();
    let rows = bench.look("localhost", &[], &[]);
    assert!(summary(&rows).contains(&"127.0.0.1"), "{rows:?}");
}

/// RFC 6761, section 6.3.
#[test]
fn localhost_names_are_not_sent_to_a_name_server() {
    let bench = Bench::new();
    let name_server = NameServer::start(|_| Some(DnsResponse::default()));
    let rows = bench.look("a.localhost", &[name_server.address], &[]);
    assert_eq!(summary(&rows), ["127.0.0.1", "::1"], "{rows:?}");
    assert_eq!(name_server.asked(), []);
    let rows = bench.look("localhost.example", &[name_server.address], &[]);
    assert_eq!(summary(&rows), ["dns_no_address"], "{rows:?}");
    let asked = name_server.asked().into_iter().map(|asked| asked.kind);
    assert_eq!(asked.collect::<BTreeSet<u16>>(), [A, AAAA, HTTPS].into());
}
