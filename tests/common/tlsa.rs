//! Name servers with TLSA records, and servers to compare with them: knot signs a zone, and
//! unbound validates it.

use crate::fixture::check::{Check, Row};
use crate::fixture::dns::{A, DnsQuery, DnsResponse, NameServer, SERVFAIL, TLSA};
use crate::fixture::pki::{HOST, Leaf, Pki};
use crate::fixture::process::{Process, run, wait_until};
use crate::fixture::tls::{self, Server};
use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

/// Records by name, with the response flags to send with them.
#[derive(Clone, Default)]
pub(crate) struct Zone {
    pub(crate) said: BTreeMap<(String, u16), DnsResponse>,
    pub(crate) silent: Vec<u16>,
}

impl Zone {
    pub(crate) fn add(mut self, name: &str, kind: u16, data: &[u8]) -> Self {
        let said = self.said.entry((name.to_owned(), kind)).or_default();
        said.authenticated = true;
        said.records.push((name.to_owned(), kind, data.to_vec()));
        self
    }

    pub(crate) fn but(mut self, name: &str, kind: u16, change: impl Fn(&mut DnsResponse)) -> Self {
        change(self.said.entry((name.to_owned(), kind)).or_default());
        self
    }

    pub(crate) fn serve(self) -> NameServer {
        self.serve_failing(|_| false)
    }

    /// Starts a name server that answers these queries with SERVFAIL.
    pub(crate) fn serve_failing(
        self,
        fails: impl Fn(&DnsQuery) -> bool + Send + Sync + 'static,
    ) -> NameServer {
        NameServer::start(move |asked: &DnsQuery| {
            if self.silent.contains(&asked.kind) {
                return None;
            }
            if fails(asked) {
                return Some(DnsResponse {
                    code: SERVFAIL,
                    ..DnsResponse::default()
                });
            }
            let said = self.said.get(&(asked.name.clone(), asked.kind));
            let mut said = said.cloned().unwrap_or_default();
            // A query without the DO bit gets no AD bit (RFC 6840, section 5.8).
            said.authenticated &= asked.dnssec_ok;
            said.truncated &= !asked.over_tcp;
            if said.truncated {
                said.records.clear();
            }
            Some(said)
        })
    }
}

pub(crate) fn tlsa(numbers: [u8; 3], hex: &str) -> Vec<u8> {
    let bytes = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
    numbers.into_iter().chain(bytes).collect()
}

/// A leaf for [`HOST`], a server with it, and another leaf that no server has.
pub(crate) struct Bench {
    pub(crate) pki: Pki,
    pub(crate) leaf: Leaf,
    pub(crate) other: Leaf,
    pub(crate) server: Server,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let pki = Pki::new();
        let (leaf, other) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
        let server = Server::tls("127.0.0.1", tls::config(&pki, &leaf));
        Self {
            pki,
            leaf,
            other,
            server,
        }
    }

    /// Owner name of the TLSA records of a host.
    pub(crate) fn owner(&self, host: &str) -> String {
        format!("_{}._tcp.{host}", self.server.port())
    }

    pub(crate) fn zone(&self, records: &[Vec<u8>]) -> Zone {
        let zone = Zone::default().add(HOST, A, &[127, 0, 0, 1]);
        let owner = self.owner(HOST);
        records
            .iter()
            .fold(zone, |zone, data| zone.add(&owner, TLSA, data))
    }

    pub(crate) fn check(&self, dns: SocketAddr) -> Check {
        self.check_at(dns, self.server.port())
            .expect(&self.pki.full_chain(&self.leaf))
    }

    pub(crate) fn check_at(&self, dns: SocketAddr, port: u16) -> Check {
        Check::new(&self.pki).arg(format!("{HOST}:{port}")).args(&[
            "-4",
            "--dns",
            &dns.to_string(),
            "--dane",
        ])
    }

    pub(crate) fn row(&self, zone: Zone) -> Row {
        self.check(zone.serve().address).row()
    }
}

/// Starts knot with a signed zone `example` that has these records.
pub(crate) fn signed(records: &str) -> Process {
    zones(records, "")
}

/// Starts knot with a signed zone `example` and an unsigned zone `unsigned`.
pub(crate) fn zones(records: &str, unsigned: &str) -> Process {
    Process::start(&["127.0.0.1"], |folder, port| {
        let at = folder.display();
        for (name, records) in [("example", records), ("unsigned", unsigned)] {
            let zone = format!(
                "$ORIGIN {name}.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n{records}"
            );
            fs::write(folder.join(format!("{name}.zone")), zone).unwrap();
        }
        let config = format!(
            "server:
    rundir: {at}
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {at}
log:
  - target: stderr
    any: warning
policy:
  - id: now
    single-type-signing: on
zone:
  - domain: example
    storage: {at}
    file: example.zone
    zonefile-load: difference
    journal-content: all
    dnssec-signing: on
    dnssec-policy: now
  - domain: unsigned
    storage: {at}
    file: unsigned.zone
"
        );
        fs::write(folder.join("knot.conf"), config).unwrap();
        let mut command = Command::new("knotd");
        command.arg("-c").arg(folder.join("knot.conf"));
        command
    })
}

/// The DS record of the zone's key.
pub(crate) fn anchor(knot: &Process) -> String {
    // The server creates its key after it starts.
    wait_until("the zone has a key", || {
        let ds = run(Command::new("keymgr")
            .arg("-c")
            .arg(knot.path("knot.conf"))
            .args(["example", "ds"]));
        // One DS record for each digest; any of them works.
        ds.lines().last().map(str::to_owned)
    })
}

/// Starts unbound, which queries knot for the zone and validates it with this trust anchor.
pub(crate) fn validating(knot: &Process, anchor: &str) -> Process {
    validating_at(knot, anchor, "")
}

/// Starts it with further settings of its server.
pub(crate) fn validating_at(knot: &Process, anchor: &str, settings: &str) -> Process {
    let knot_port = knot.port;
    Process::start(&["127.0.0.1"], |folder, port| {
        let config: PathBuf = folder.join("unbound.conf");
        let text = format!(
            "server:
    interface: 127.0.0.1
    port: {port}
    do-daemonize: no
    username: \"\"
    chroot: \"\"
    directory: \"{at}\"
    pidfile: \"\"
    use-syslog: no
    do-not-query-localhost: no
    module-config: \"validator iterator\"
    trust-anchor: \"{anchor}\"
    domain-insecure: \"elsewhere.\"
    {settings}
remote-control:
    control-enable: no
stub-zone:
    name: example.
    stub-addr: 127.0.0.1@{knot_port}
stub-zone:
    name: unsigned.
    stub-addr: 127.0.0.1@{knot_port}
",
            at = folder.display()
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("unbound");
        command.arg("-d").arg("-c").arg(config);
        command
    })
}

pub(crate) fn local(port: u16) -> SocketAddr {
    (IpAddr::from(Ipv4Addr::LOCALHOST), port).into()
}
