//! The lab: a stand-in for the SSLMate API and TLS servers on loopback, one right and the others each
//! wrong in one way. `demo` ships it, and the tests use it.

mod account;
mod api;
pub mod authority;
mod scenario;
mod server;
pub mod wares;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use crate::certificate::Certificate;
use crate::config::{
    Entry, Inventory, SourceSettings, SslmateSettings, VantageKind, VantageSettings,
};
use crate::finding::Code;
use crate::judge::{Judged, TrustStore, agree};
use crate::look::Looker;
use crate::model::{Timestamp, Vantage};
use crate::resolve::{Families, Override, Resolver};
use crate::revocation::Revocations;
use crate::scan::{Manner, Permits, Scanner};
use crate::source::{API_KEY_VARIABLE, Environment, Requests, Sources};

pub use account::{Account, AccountCertificate, AccountInstance, Expand};
pub use api::{Api, BASE_PATH, Credentials, Tester};
pub use scenario::{Chain, Expect, Host, Scenario, Serve, Server};

use wares::{Pki, Wares};

/// The API key of the lab's account.
pub const API_KEY: &str = "1_demo";
/// How long the stand-in's `/test` waits for a server; less than a client does, so that it answers.
const TEST_TIMEOUT: Duration = Duration::from_secs(1);
/// Looks of `/test` at a time, in all and at one address.
const TEST_CONCURRENCY: usize = 64;
const TEST_PER_ADDRESS: usize = 4;
/// Ports that are tried until one is free at every address.
const MAX_TRIES: usize = 20;

/// A lab under way. It ends when it is dropped.
pub struct Lab {
    hosts: Vec<Host>,
    left_out: Vec<Host>,
    port: u16,
    endpoint: String,
    api: Arc<Api>,
    root: Certificate,
    folder: tempfile::TempDir,
    /// Where nothing is to listen, the port is held so that nobody else does.
    _held: Vec<TcpSocket>,
    _servers: JoinSet<()>,
}

impl Lab {
    /// Starts everything that a scenario plants, as of `now`.
    ///
    /// # Errors
    /// Where no server can be started: loopback addresses or ports cannot be had.
    pub async fn start(scenario: Scenario, now: Timestamp) -> Result<Self, String> {
        let Places {
            port,
            bound,
            left_out,
        } = bind(&scenario.hosts)?;
        let hosts: Vec<Host> = scenario
            .hosts
            .iter()
            .filter(|h| !left_out.contains(h))
            .cloned()
            .collect();
        let folder = tempfile::tempdir().map_err(|e| format!("no folder for the lab: {e}"))?;
        let pki = Pki::new(now).map_err(|e| format!("the lab's authority failed: {e}"))?;
        let root = pki.root.certificate.clone();
        write(&folder.path().join("ca.pem"), &root.to_pem())?;

        let mut account = Account::default();
        let mut servers = JoinSet::new();
        let mut held = Vec::new();
        let mut bound = bound.into_iter();
        for (number, host) in (1..).zip(&hosts) {
            let name = host.name.to_string();
            let wares = Wares::new(&pki, &name, now)
                .map_err(|e| format!("the lab's certificate for {name} failed: {e}"))?;
            if host.expect == Expect::Sslmate {
                account
                    .certificates
                    .insert(name, wares.account_certificate(number, host.issued));
            }
            for (server, socket) in host.servers.iter().zip(bound.by_ref()) {
                let behaviour = match server.serve {
                    Serve::Nothing => {
                        held.push(socket);
                        continue;
                    }
                    Serve::Silence => server::Behaviour::Silence,
                    shown => {
                        let leaf = wares.leaf(shown);
                        let mut chain = vec![leaf.certificate.clone()];
                        chain.extend(pki.chain(shown, server.chain));
                        if host.expect == Expect::Pem {
                            let pem: String = chain.iter().map(Certificate::to_pem).collect();
                            write(&pem_file(folder.path(), host), &pem)?;
                        }
                        server::handshake(&chain, &leaf.key)?
                    }
                };
                servers.spawn(server::serve(listen(socket)?, behaviour));
            }
        }

        let listener = TcpListener::bind((IpAddr::from([127, 0, 0, 1]), 0)).await;
        let listener = listener.map_err(|e| format!("no port for the stand-in API: {e}"))?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        let origin = format!("http://{address}");
        let credentials = Credentials {
            api_key: API_KEY.into(),
            username: "demo".into(),
            password: "demo".into(),
        };
        let endpoint = format!("{origin}{BASE_PATH}");
        let tester = tester(&hosts, port, &root)?;
        let api = Api::new(account, credentials, origin, tester, now);
        servers.spawn(api.clone().serve(listener));
        Ok(Self {
            hosts,
            left_out,
            port,
            endpoint,
            api,
            root,
            folder,
            _held: held,
            _servers: servers,
        })
    }

    /// What has to be checked to find what is planted.
    pub fn inventory(&self) -> Inventory {
        let entry = |host: &Host| {
            let name = host.name.to_string();
            let mut entry = Entry::new(match host.expect {
                Expect::Sslmate => SourceSettings::Sslmate(name.clone()),
                Expect::Pem => SourceSettings::Pem(vec![pem_file(self.folder.path(), host)]),
                Expect::Trust => SourceSettings::TrustOnly,
            });
            entry.name = Some(name);
            entry.hostnames = vec![host.name.clone()];
            entry.ports = vec![self.port];
            entry
        };
        Inventory {
            sslmate: Some(SslmateSettings {
                endpoint: Some(self.endpoint.clone()),
                ..SslmateSettings::default()
            }),
            vantages: vec![VantageSettings {
                name: Vantage::SSLMATE.into(),
                kind: VantageKind::Sslmate,
            }],
            certificates: self.hosts.iter().map(entry).collect(),
            ..Inventory::default()
        }
    }

    /// The addresses of the planted names, which no name server knows.
    pub fn overrides(&self) -> Vec<Override> {
        overrides(&self.hosts, self.port)
    }

    /// The lab's root.
    pub fn root(&self) -> &Certificate {
        &self.root
    }

    /// A PEM file with the lab's root.
    pub fn root_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The port that every server of the lab listens at.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The base URL of the stand-in API.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The stand-in API.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The hosts that are there.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The hosts that could not be planted, since this machine lacks an address of theirs.
    pub fn left_out(&self) -> &[Host] {
        &self.left_out
    }

    /// What a scan got wrong: what is planted and was not named, and what was named beside it.
    pub fn differences(&self, results: &[Judged]) -> Vec<String> {
        let mut differences = Vec::new();
        let of = |host: &Host, server: &Server| -> Vec<&Judged> {
            let here = |j: &&Judged| {
                j.observation.target.hostname == host.name && j.observation.ip == Some(server.at)
            };
            results.iter().filter(here).collect()
        };
        let mut counted = 0;
        for host in &self.hosts {
            for server in &host.servers {
                let looks = of(host, server);
                counted += looks.len();
                let place = format!("{} at {}", host.name, server.at);
                let Some(local) = looks.iter().find(|j| j.observation.vantage.is_local()) else {
                    differences.push(format!("{place} was not looked at"));
                    continue;
                };
                let named: BTreeSet<Code> = local.findings.iter().map(|f| f.code).collect();
                for code in server.findings.difference(&named) {
                    differences.push(format!("{place}: {code} was not named"));
                }
                for code in named.difference(&server.findings) {
                    differences.push(format!("{place}: {code} was named, but is not planted"));
                }
                for other in looks.iter().filter(|look| !agree(local, look)) {
                    let vantage = &other.observation.vantage;
                    differences.push(format!("{place}: `{vantage}` saw something else"));
                }
            }
        }
        if counted < results.len() {
            differences.push("something was looked at that is not planted".into());
        }
        differences
    }
}

/// The environment of a process that has the lab's API key and nothing else.
pub fn environment() -> Environment<'static> {
    Environment {
        variable: &|name| (name == API_KEY_VARIABLE).then(|| API_KEY.to_owned()),
        home: None,
    }
}

fn overrides(hosts: &[Host], port: u16) -> Vec<Override> {
    let one = |host: &Host| Override {
        hostname: Some(host.name.clone()),
        port,
        addresses: host.servers.iter().map(|s| s.at).collect(),
    };
    hosts.iter().map(one).collect()
}

/// What the stand-in's `/test` looks with.
fn tester(hosts: &[Host], port: u16, root: &Certificate) -> Result<Tester, String> {
    let mut trust = TrustStore::default();
    trust.add(root).map_err(|e| e.to_string())?;
    let sources = Sources::new(&Inventory::default(), &environment(), Requests::default())?;
    let resolver = Resolver::new(Families::Both, overrides(hosts, port), Vec::new());
    Ok(Tester {
        scanner: Scanner {
            revocations: Arc::new(Revocations::new(&sources)),
            sources: Arc::new(sources),
            resolver: Arc::new(resolver),
            looker: Arc::new(Looker::new()?),
            local: true,
            remotes: Arc::new([]),
            permits: Arc::new(Permits::new(TEST_CONCURRENCY, TEST_PER_ADDRESS)),
        },
        manner: Manner {
            timeout: TEST_TIMEOUT,
            trust: Arc::new(trust),
            reaches: Arc::default(),
        },
    })
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|e| format!("{}: {e}", file.display()))
}

fn pem_file(folder: &Path, host: &Host) -> PathBuf {
    folder.join(format!("{}.pem", host.name))
}

/// Where the servers are: one port, free at every address.
struct Places {
    port: u16,
    /// In the order of hosts and servers.
    bound: Vec<TcpSocket>,
    left_out: Vec<Host>,
}

/// Binds a socket at each address, all at one port.
fn bind(hosts: &[Host]) -> Result<Places, String> {
    let has = |ip: IpAddr| bound_socket(SocketAddr::new(ip, 0)).is_ok();
    let can_be = |host: &Host| host.servers.iter().all(|s| has(s.at));
    let (there, left_out): (Vec<&Host>, Vec<&Host>) = hosts.iter().partition(|h| can_be(h));
    let addresses: Vec<IpAddr> = there
        .iter()
        .flat_map(|h| &h.servers)
        .map(|s| s.at)
        .collect();
    let Some((first, others)) = addresses.split_first() else {
        return Err("this machine has none of the loopback addresses that the lab needs".into());
    };
    for _ in 0..MAX_TRIES {
        let attempt = || -> io::Result<(u16, Vec<TcpSocket>)> {
            let socket = bound_socket(SocketAddr::new(*first, 0))?;
            let port = socket.local_addr()?.port();
            let mut bound = vec![socket];
            for ip in others {
                bound.push(bound_socket(SocketAddr::new(*ip, port))?);
            }
            Ok((port, bound))
        };
        if let Ok((port, bound)) = attempt() {
            return Ok(Places {
                port,
                bound,
                left_out: left_out.into_iter().cloned().collect(),
            });
        }
    }
    Err("no port is free at all of the lab's addresses; try again".into())
}

fn bound_socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.bind(address)?;
    Ok(socket)
}

fn listen(socket: TcpSocket) -> Result<TcpListener, String> {
    socket
        .listen(1024)
        .map_err(|e| format!("a server of the lab cannot listen: {e}"))
}
