//! Sandbox of the SSLMate API, and TLS servers on loopback: one is correct, and each of the
//! others has one fault. The program includes it for `demo`, and the tests use it.

mod account;
pub use certvigil_core::authority;
pub mod certificates;
pub mod sandbox;
mod scenario;
mod server;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use certvigil_probe::resolve::Override;

use crate::certificate::Certificate;
use crate::finding::Code;
use crate::judge::{Judged, agree};

pub use account::{AccountCertificate, AccountInstance};
pub use sandbox::{BASE_PATH, Credentials, HostTester, Sandbox, TestRequest};
pub use scenario::{Chain, Expect, Host, Scenario, Serve, Server, UnknownKeyword};

use certificates::{HostCertificates, Pki};
use sandbox::account::{ApiError, IssuingError, Policy};
use sandbox::{Clock, SandboxAuthority, SandboxError, Settings};

// Modules of `certvigil-core`, imported under their own names.
use certvigil_core::{certificate, finding, instance, judge, model, observation};

/// API key of the testbed's account.
pub const API_KEY: &str = "1_demo";
/// Maximum ports to try until one is free at all addresses.
const MAX_TRIES: usize = 20;

/// Reason for which a testbed cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestbedError {
    /// No address of the scenario exists on this machine.
    #[error("this machine has none of the loopback addresses that the testbed needs")]
    NoAddress,
    /// Other programs use the ports.
    #[error("no port is free at all addresses of the testbed; try again")]
    NoPort,
    /// There is no temporary directory.
    #[error("cannot create a directory for the testbed: {0}")]
    Folder(io::Error),
    /// A file cannot be written.
    #[error("{}: {error}", .file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Cause.
        error: io::Error,
    },
    /// The root or an intermediate certificate cannot be created.
    #[error("cannot create the testbed's authority: {0}")]
    Authority(rcgen::Error),
    /// A leaf certificate cannot be created.
    #[error("cannot create the testbed's certificate for {name}: {error}")]
    Certificate {
        /// Host name.
        name: String,
        /// Cause.
        error: rcgen::Error,
    },
    /// A server cannot use its certificate.
    #[error("cannot set up a server of the testbed: {0}")]
    Server(rustls::Error),
    /// A server cannot listen.
    #[error("a server of the testbed cannot listen: {0}")]
    Listen(io::Error),
    /// The API cannot listen.
    #[error("no port for the API: {0}")]
    ApiPort(io::Error),
    /// The address of the API is unknown.
    #[error("{0}")]
    ApiAddress(io::Error),
    /// The authority of the API cannot be created.
    #[error(transparent)]
    Issuing(#[from] IssuingError),
    /// The API refuses a certificate of the scenario.
    #[error(transparent)]
    Account(#[from] ApiError),
    /// The API cannot start.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// Running testbed. It stops when it is dropped.
pub struct Testbed {
    hosts: Vec<Host>,
    left_out: Vec<Host>,
    port: u16,
    endpoint: String,
    api: Arc<Sandbox>,
    root: Certificate,
    folder: tempfile::TempDir,
    /// Sockets that hold the port where no server may listen, so that no other program uses it.
    _held: Vec<TcpSocket>,
    _servers: JoinSet<()>,
}

impl Testbed {
    /// Starts all servers of a scenario, with certificates valid as of `clock`'s first time, which
    /// is also that of the API. `tester` creates the prober for the API's `/test` from the addresses
    /// of the host names and the root.
    ///
    /// # Errors
    /// If a server cannot be started, because loopback addresses or ports are not available.
    pub async fn start<T, E>(
        scenario: Scenario,
        clock: Clock,
        tester: impl FnOnce(Vec<Override>, &Certificate) -> Result<T, E>,
    ) -> Result<Self, TestbedError>
    where
        T: HostTester + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
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
        let folder = tempfile::tempdir().map_err(TestbedError::Folder)?;
        let now = clock();
        let pki = Pki::new(now).map_err(TestbedError::Authority)?;
        let root = pki.root.certificate.clone();
        write(&folder.path().join("ca.pem"), &root.to_pem())?;

        let mut account = Vec::new();
        let mut servers = JoinSet::new();
        let mut held = Vec::new();
        let mut bound = bound.into_iter();
        for (number, host) in (1..).zip(&hosts) {
            let name = host.name.to_string();
            let certificates = HostCertificates::new(&pki, &name, now).map_err(|error| {
                TestbedError::Certificate {
                    name: name.clone(),
                    error,
                }
            })?;
            if host.expect == Expect::Sslmate {
                account.push((name, certificates.account_certificate(number, host.issued)));
            }
            for (server, socket) in host.servers.iter().zip(bound.by_ref()) {
                let behaviour = match server.serve {
                    Serve::Nothing => {
                        held.push(socket);
                        continue;
                    }
                    Serve::Silence => server::Behaviour::Silence,
                    shown => {
                        let leaf = certificates.leaf(shown);
                        let mut chain = vec![leaf.certificate.clone()];
                        chain.extend(pki.chain(shown, server.chain));
                        if host.expect == Expect::Pem {
                            let pem: String = chain.iter().map(Certificate::to_pem).collect();
                            write(&pem_file(folder.path(), host), &pem)?;
                        }
                        server::handshake(&chain, &leaf.key).map_err(TestbedError::Server)?
                    }
                };
                servers.spawn(server::serve(listen(socket)?, behaviour));
            }
        }

        let listener = TcpListener::bind((IpAddr::from([127, 0, 0, 1]), 0)).await;
        let listener = listener.map_err(TestbedError::ApiPort)?;
        let address = listener.local_addr().map_err(TestbedError::ApiAddress)?;
        let origin = format!("http://{address}");
        let credentials = Credentials {
            api_key: API_KEY.into(),
            username: "demo".into(),
            password: "demo".into(),
        };
        let endpoint = format!("{origin}{BASE_PATH}");
        let authority = SandboxAuthority::with(Arc::new(pki), origin.clone());
        let settings = Settings {
            credentials,
            policy: Policy::new(origin),
            scenario: None,
            state_dir: None,
            authority: Some(authority?),
            clock,
            // The demo sends most of them.
            logs_requests: false,
        };
        let api = Sandbox::open(settings, |root| tester(overrides(&hosts, port), root))?;
        for (cn, certificate) in account {
            api.plant(&cn, certificate)?;
        }
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

    /// Returns the PEM file with the certificates of a host's first server, for a host that expects
    /// it.
    pub fn pem_file(&self, host: &Host) -> PathBuf {
        pem_file(self.folder.path(), host)
    }

    /// Returns the addresses of the host names, which do not exist in DNS.
    pub fn overrides(&self) -> Vec<Override> {
        overrides(&self.hosts, self.port)
    }

    /// Returns the testbed's root.
    pub fn root(&self) -> &Certificate {
        &self.root
    }

    /// Returns the path of a PEM file with the testbed's root.
    pub fn root_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Returns the port of all servers of the testbed.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the base URL of the API.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Returns the sandbox with the testbed's account.
    pub fn api(&self) -> &Sandbox {
        &self.api
    }

    /// Returns the hosts that are running.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Returns the hosts that are not running, because this machine lacks one of their addresses.
    pub fn left_out(&self) -> &[Host] {
        &self.left_out
    }

    /// Returns the differences between the expected findings of the scenario and the results of a
    /// scan.
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
                let results = of(host, server);
                counted += results.len();
                let place = format!("{} at {}", host.name, server.at);
                let Some(local) = results.iter().find(|j| j.observation.vantage.is_local()) else {
                    differences.push(format!("{place} was not probed"));
                    continue;
                };
                let named: BTreeSet<Code> = local.findings.iter().map(|f| f.code()).collect();
                for code in server.findings.difference(&named) {
                    differences.push(format!("{place}: {code} was not named"));
                }
                for code in named.difference(&server.findings) {
                    differences.push(format!("{place}: {code} was named, but is not planted"));
                }
                for other in results.iter().filter(|result| !agree(local, result)) {
                    let vantage = &other.observation.vantage;
                    differences.push(format!("{place}: `{vantage}` saw something else"));
                }
            }
        }
        if counted < results.len() {
            differences.push("an endpoint was probed that is not planted".into());
        }
        differences
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

fn write(file: &Path, text: &str) -> Result<(), TestbedError> {
    std::fs::write(file, text).map_err(|error| TestbedError::Write {
        file: file.to_owned(),
        error,
    })
}

fn pem_file(folder: &Path, host: &Host) -> PathBuf {
    folder.join(format!("{}.pem", host.name))
}

/// Addresses of the servers, and a port that is free at all of them.
struct Places {
    port: u16,
    /// Sockets in the order of hosts and servers.
    bound: Vec<TcpSocket>,
    left_out: Vec<Host>,
}

/// Binds a socket at each address, with the same port for all.
fn bind(hosts: &[Host]) -> Result<Places, TestbedError> {
    let has = |ip: IpAddr| bound_socket(SocketAddr::new(ip, 0)).is_ok();
    let can_be = |host: &Host| host.servers.iter().all(|s| has(s.at));
    let (there, left_out): (Vec<&Host>, Vec<&Host>) = hosts.iter().partition(|h| can_be(h));
    let addresses: Vec<IpAddr> = there
        .iter()
        .flat_map(|h| &h.servers)
        .map(|s| s.at)
        .collect();
    let Some((first, others)) = addresses.split_first() else {
        return Err(TestbedError::NoAddress);
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
    Err(TestbedError::NoPort)
}

fn bound_socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.bind(address)?;
    Ok(socket)
}

fn listen(socket: TcpSocket) -> Result<TcpListener, TestbedError> {
    socket.listen(1024).map_err(TestbedError::Listen)
}
