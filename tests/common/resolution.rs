//! Knot as a correct name server, and checks that resolve names with name servers of the test.

use crate::fixture::check::{Check, Row};
use crate::fixture::dns::wire_name;
use crate::fixture::pki::{Leaf, Pki};
use crate::fixture::process::Process;
use crate::fixture::tls::{self, Server};
use crate::support::Run;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

pub(crate) const ZONE: &str = "
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
pub(crate) const CROWD: u8 = 120;

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
pub(crate) struct Bench {
    pub(crate) pki: Pki,
    pub(crate) leaf: Leaf,
    pub(crate) server: Server,
}

impl Bench {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn look(&self, host: &str, name_servers: &[SocketAddr], more: &[&str]) -> Vec<Row> {
        self.check(host, name_servers, more).rows()
    }

    pub(crate) fn check(&self, host: &str, name_servers: &[SocketAddr], more: &[&str]) -> Check {
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

pub(crate) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The addresses of the rows, and the error kinds of rows without an address.
pub(crate) fn summary(rows: &[Row]) -> Vec<&str> {
    rows.iter()
        .map(|row| match row.ip() {
            "" => row.outcome(),
            ip => ip,
        })
        .collect()
}

/// `certvigil check` of `www.example.com` on a machine with loopback only and without IPv6.
pub(crate) fn check_without_ipv6(args: &[&str]) -> Run {
    const ALONE: &str =
        "ip link set lo up && echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "sh", "-ec", ALONE, "sh"]);
    command.arg(env!("CARGO_BIN_EXE_certvigil"));
    command.args(["check", "--format", "json"]).args(args);
    command.output().unwrap().into()
}

/// The data of an SRV record (RFC 2782).
pub(crate) fn srv(priority: u16, port: u16, target: &str) -> Vec<u8> {
    let numbers = [priority, 1, port].map(u16::to_be_bytes).concat();
    [numbers, wire_name(target)].concat()
}

pub(crate) fn places(rows: &[Row]) -> Vec<(String, String)> {
    let place = |row: &Row| (row.text("/hostname").to_owned(), row.ip().to_owned());
    rows.iter().map(place).collect()
}
