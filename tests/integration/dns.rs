//! Name resolution: knot as a correct name server, and the test's own responder as an incorrect
//! one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;

use crate::fixture::check::{self, Check, Row};
use crate::fixture::dns::{
    A, AAAA, Asked, HTTPS, NXDOMAIN, NameServer, REFUSED, Responder, SERVFAIL, Said,
};
use crate::fixture::pki::{Leaf, Pki};
use crate::fixture::process::{Process, free_port};
use crate::fixture::tls::{self, Server};
use crate::support::Run;

const ZONE: &str = "
$ORIGIN example.
$TTL 60
@        SOA   ns hostmaster 1 3600 600 86400 60
@        NS    ns
ns       A     127.0.0.1
several  A     127.0.0.2
several  A     127.0.0.3
several  A     127.0.0.2
several  AAAA  ::1
v4only   A     127.0.0.4
v6only   AAAA  ::1
first    CNAME second
second   CNAME third
third    CNAME several
dangling CNAME nothing
texts    TXT   \"no address\"
texts    MX    10 several
mail     MX    20 mx2
mail     MX    10 alias
nomail   MX    0 .
alias    CNAME mx1
mx1      A     127.0.0.6
mx2      A     127.0.0.7
xn--bcher-kva A 127.0.0.5
_imaps._tcp SRV 0 0 0 .
_ldaps._tcp SRV 20 0 636 v4only.example.
_ldaps._tcp SRV 10 0 637 alias.example.
";

/// Number of A records, more than fit in one datagram of the name server.
const CROWD: u8 = 120;

pub(crate) fn knot() -> Process {
    knot_with("")
}

/// Starts the name server with further records in the zone `example`.
pub(crate) fn knot_with(records: &str) -> Process {
    Process::start(&["127.0.0.1"], |folder, port| {
        let folder = folder.display();
        let config = format!(
            "server:
    rundir: {folder}
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    udp-max-payload: 1232
database:
    storage: {folder}
log:
  - target: stderr
    any: warning
zone:
  - domain: example
    storage: {folder}
    file: example.zone
  - domain: broken
    storage: {folder}
    file: there-is-no-such-file
"
        );
        let crowd = (1..=CROWD).map(|n| format!("crowd A 127.0.1.{n}\n"));
        let zone = ZONE.to_owned() + &crowd.collect::<String>() + records;
        fs::write(format!("{folder}/example.zone"), zone).unwrap();
        fs::write(format!("{folder}/knot.conf"), config).unwrap();
        let mut command = Command::new("knotd");
        command.arg("-c").arg(format!("{folder}/knot.conf"));
        command
    })
}

/// Servers at every loopback address, and checks that resolve their names with a name server.
struct Bench {
    pki: Pki,
    leaf: Leaf,
    server: Server,
}

impl Bench {
    fn new() -> Self {
        let pki = Pki::new();
        let hosts = [
            "several",
            "v4only",
            "v6only",
            "first",
            "crowd",
            "xn--bcher-kva",
        ];
        let names: Vec<String> = hosts.iter().map(|h| format!("{h}.example")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let leaf = pki.leaf(&names);
        let server = Server::tls("::", tls::config(&pki, &leaf));
        Self { pki, leaf, server }
    }

    fn look(&self, host: &str, name_servers: &[SocketAddr], more: &[&str]) -> Vec<Row> {
        self.check(host, name_servers, more).rows()
    }

    fn check(&self, host: &str, name_servers: &[SocketAddr], more: &[&str]) -> Check {
        let mut check = Check::new(&self.pki)
            .expect(&self.pki.full_chain(&self.leaf))
            .arg(format!("{host}:{}", self.server.port()))
            .args(more);
        for server in name_servers {
            check = check.args(&["--dns", &server.to_string()]);
        }
        check
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The addresses of the rows, and the error kinds of rows without an address.
fn summary(rows: &[Row]) -> Vec<&str> {
    rows.iter()
        .map(|row| match row.ip() {
            "" => row.outcome(),
            ip => ip,
        })
        .collect()
}

#[test]
#[ignore = "needs knot"]
fn every_address_of_a_name_is_looked_at_once() {
    let knot = knot();
    let bench = Bench::new();
    for (host, flag, expected) in [
        (
            "several.example",
            "",
            ["127.0.0.2", "127.0.0.3", "::1"].as_slice(),
        ),
        ("several.example", "-4", &["127.0.0.2", "127.0.0.3"]),
        ("several.example", "-6", &["::1"]),
        ("several.example.", "", &["127.0.0.2", "127.0.0.3", "::1"]),
        ("SEVERAL.Example", "-6", &["::1"]),
        ("first.example", "", &["127.0.0.2", "127.0.0.3", "::1"]),
        ("v4only.example", "", &["127.0.0.4"]),
        ("v6only.example", "", &["::1"]),
        ("v6only.example", "-4", &["dns_no_address"]),
        ("bücher.example", "", &["127.0.0.5"]),
        ("xn--bcher-kva.example", "", &["127.0.0.5"]),
        ("nothing.example", "", &["dns_nxdomain"]),
        ("dangling.example", "", &["dns_nxdomain"]),
        ("texts.example", "", &["dns_no_address"]),
        ("texts.example", "-6", &["dns_no_address"]),
        ("www.broken", "", &["dns_servfail"]),
        ("www.elsewhere", "", &["dns_servfail"]),
    ] {
        let before = bench.server.connections();
        let more = Vec::from_iter(Some(flag).filter(|f| !f.is_empty()));
        let rows = bench.look(host, &[local(knot.port)], &more);
        assert_eq!(summary(&rows), expected, "{host} {flag}: {rows:?}");
        let looks = bench.server.connections() - before;
        let addresses = expected.iter().filter(|e| !e.starts_with("dns")).count();
        assert_eq!(looks, addresses, "{host} {flag}");
        for row in &rows {
            if row.ip().is_empty() {
                assert_eq!(row.text("/status"), "connect_error", "{row:?}");
                assert_eq!(row.text("/severity"), "unknown", "{row:?}");
                assert!(row.0["ip_address"].is_null());
                if host.starts_with("dangling") {
                    let words = "an alias for nothing.example, and that name does not exist";
                    assert!(row.text("/error").contains(words), "{row:?}");
                }
            } else {
                row.assert_right(&[]);
                assert_eq!(row.flag("trusted"), Some(true));
            }
        }
    }
}

#[test]
#[ignore = "needs knot"]
fn an_answer_that_does_not_fit_into_a_datagram_is_fetched_whole() {
    let knot = knot();
    let bench = Bench::new();
    let rows = bench.look("crowd.example", &[local(knot.port)], &[]);
    let seen: BTreeSet<&str> = summary(&rows).into_iter().collect();
    let all: Vec<String> = (1..=CROWD).map(|n| format!("127.0.1.{n}")).collect();
    assert_eq!(seen, all.iter().map(String::as_str).collect());
    assert_eq!(rows.len(), usize::from(CROWD));
}

#[test]
fn five_hundred_addresses_of_a_truncated_answer_are_each_looked_at_once() {
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
        Some(Said {
            truncated: asked.kind == A && !asked.over_tcp,
            records,
            ..Said::default()
        })
    });
    let rows = bench.look("crowd.example", &[name_server.address], &[]);
    let once: BTreeMap<IpAddr, usize> = (0..ADDRESSES).map(|n| (ip(n).into(), 1)).collect();
    assert_eq!(rows.len(), once.len());
    rows.iter().for_each(|row| row.assert_right(&[]));
    assert_eq!(bench.server.counts(), once);
}

/// `certvigil check` of `www.example.com` on a machine with loopback only and without IPv6.
fn check_without_ipv6(args: &[&str]) -> Run {
    const ALONE: &str =
        "ip link set lo up && echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "sh", "-ec", ALONE, "sh"]);
    command.arg(env!("CARGO_BIN_EXE_certvigil"));
    command.args(["check", "--format", "json"]).args(args);
    command.output().unwrap().into()
}

#[test]
#[ignore = "needs iproute2"]
fn a_family_that_the_machine_lacks_is_skipped_with_one_notice_unless_it_is_requested() {
    const NOTICE: &str = "has no route for IPv6";
    let two = |host: &str| format!("{host}:443:127.0.0.1,2001:db8::1");
    let hosts = ["www.example.com", "api.example.com"];
    let resolve = hosts.map(two);
    let targets = [
        "--resolve",
        &resolve[0],
        "--resolve",
        &resolve[1],
        hosts[0],
        hosts[1],
    ];
    let run = check_without_ipv6(&targets);
    assert_eq!(summary(&check::rows(&run)), ["127.0.0.1", "127.0.0.1"]);
    assert_eq!(run.stderr.matches(NOTICE).count(), 1, "{}", run.stderr);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("certvigil.yml");
    let entry = "{trust: true, hostnames: www.example.com, addresses: [127.0.0.1, '2001:db8::1']";
    let both = ["127.0.0.1", "2001:db8::1"].as_slice();
    for (settings, of_entry, flags, addresses) in [
        ("", "", [].as_slice(), ["127.0.0.1"].as_slice()),
        ("", "", &["-6"], &["2001:db8::1"]),
        ("families: [ipv4, ipv6]", "", &[], both),
        ("families: ipv6", "", &[], &["2001:db8::1"]),
        ("families: ipv6", ", families: [ipv6, ipv4]", &[], both),
        ("", ", families: [ipv6]", &[], &["2001:db8::1"]),
        ("", ", families: [ipv6]", &["-4"], &["127.0.0.1"]),
    ] {
        let text = format!("{settings}\ncertificates:\n- {entry}{of_entry}}}\n");
        fs::write(&file, &text).unwrap();
        let config = ["--config", file.to_str().unwrap()];
        let run = check_without_ipv6(&[config.as_slice(), flags].concat());
        assert_eq!(summary(&check::rows(&run)), addresses, "{text} {flags:?}");
        let is_skipped = of_entry.is_empty() && settings.is_empty() && flags.is_empty();
        assert_eq!(run.stderr.contains(NOTICE), is_skipped, "{}", run.stderr);
    }
}

#[test]
#[ignore = "needs iproute2"]
fn a_machine_without_ipv6_says_that_it_has_none() {
    let check = |address: &str| {
        let resolve = format!("www.example.com:443:{address}");
        check_without_ipv6(&["www.example.com", "--resolve", &resolve])
    };
    for (address, kind, words) in [
        ("2001:db8::1", "connect_unreachable", "has no IPv6"),
        ("::1", "connect_unreachable", "has no IPv6"),
        // The address from which the others differ.
        ("127.0.0.1", "connect_refused", "nothing listens"),
    ] {
        let rows = check::rows(&check(address));
        assert_eq!(rows[0].ip(), address);
        assert_eq!(rows[0].outcome(), kind, "{rows:?}");
        assert_eq!(rows[0].text("/status"), "connect_error");
        assert!(rows[0].text("/error").contains(words), "{rows:?}");
        // The host has no other address, so its state is unknown.
        assert_eq!(rows[0].text("/severity"), "unknown", "{rows:?}");
    }
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
fn a_name_server_that_works_stands_in_for_those_that_do_not() {
    let bench = Bench::new();
    let good = answering();
    let refuses = Responder::start(|_| Err(REFUSED));
    let fails = Responder::start(|_| Err(SERVFAIL));
    let (_silent, silent) = silent();
    let nobody = local(free_port());
    for others in [
        vec![silent],
        vec![nobody],
        vec![refuses.address],
        vec![fails.address],
        vec![silent, nobody, refuses.address],
    ] {
        let mut first = others.clone();
        first.push(good.address);
        let mut last = others;
        last.insert(0, good.address);
        for servers in [first, last] {
            let rows = bench.look("v4only.example", &servers, &[]);
            assert_eq!(summary(&rows), ["127.0.0.2"], "{servers:?}");
            rows[0].assert_right(&[]);
        }
    }
}

/// A split horizon: the second name server has another address for the name, or does not have the name. The first one
/// decides, as `resolv.conf(5)` says.
#[test]
fn name_servers_are_queried_in_their_order() {
    let bench = Bench::new();
    let first = answering();
    let others: [fn(&Asked) -> Option<Said>; 2] = [
        |_| {
            Some(Said {
                code: NXDOMAIN,
                ..Said::default()
            })
        },
        |asked| {
            let records = (asked.kind == A).then(|| (asked.name.clone(), A, vec![127, 0, 0, 3]));
            Some(Said {
                records: records.into_iter().collect(),
                ..Said::default()
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
                return code.map(|code| Said {
                    code,
                    ..Said::default()
                });
            }
            let records = (asked.kind == A).then(|| (asked.name.clone(), A, vec![127, 0, 0, 2]));
            Some(Said {
                records: records.into_iter().collect(),
                ..Said::default()
            })
        });
        let rows = bench.look("v4only.example", &[name_server.address], &[]);
        assert_eq!(summary(&rows), ["127.0.0.2"], "{code:?}");
        rows[0].assert_right(&[]);
        assert!(name_server.asked().iter().any(|asked| asked.has_edns));
    }
}

#[test]
fn why_there_is_no_answer_is_told() {
    let bench = Bench::new();
    let (_silent, silent) = silent();
    let refuses = Responder::start(|_| Err(REFUSED));
    for (server, kind) in [
        (silent, "dns_timeout"),
        (local(free_port()), "dns_timeout"),
        (refuses.address, "dns_servfail"),
    ] {
        let rows = bench.look("v4only.example", &[server], &["--timeout", "2s"]);
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
fn forged_and_circular_answers_are_no_addresses() {
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
    // An alias that points to itself.
    let circular = raw(|question| record(question, 5, &[0xc0, 12]));
    let cut_short =
        raw(|question| record(question, 1, &[127, 0, 0, 2])[..question.len() + 5].to_vec());
    for (what, server, kind) in [
        ("another id", forged, "dns_timeout"),
        ("a circle", circular, "dns_no_address"),
        ("cut short", cut_short, "dns_servfail"),
    ] {
        let rows = bench.look("v4only.example", &[server], &["-4", "--timeout", "2s"]);
        assert_eq!(summary(&rows), [kind], "{what}: {rows:?}");
        assert_eq!(rows[0].text("/status"), "connect_error", "{what}");
    }
}

#[test]
fn one_family_that_fails_does_not_hide_the_other() {
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
fn the_hosts_file_is_asked_first() {
    let bench = Bench::new();
    let rows = bench.look("localhost", &[], &[]);
    assert!(summary(&rows).contains(&"127.0.0.1"), "{rows:?}");
}

/// RFC 6761, section 6.3.
#[test]
fn names_of_this_machine_are_not_asked_of_a_name_server() {
    let bench = Bench::new();
    let name_server = NameServer::start(|_| Some(Said::default()));
    let rows = bench.look("a.localhost", &[name_server.address], &[]);
    assert_eq!(summary(&rows), ["127.0.0.1", "::1"], "{rows:?}");
    assert_eq!(name_server.asked(), []);
    let rows = bench.look("localhost.example", &[name_server.address], &[]);
    assert_eq!(summary(&rows), ["dns_no_address"], "{rows:?}");
    let asked = name_server.asked().into_iter().map(|asked| asked.kind);
    assert_eq!(asked.collect::<BTreeSet<u16>>(), [A, AAAA, HTTPS].into());
}
