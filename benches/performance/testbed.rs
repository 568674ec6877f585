//! The measured servers: certificates, and servers in this process if no real server program is
//! needed.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use certvigil::certificate::{Certificate, Fingerprint};
use certvigil::model::Timestamp;
use certvigil::testbed::authority::{Authority, Key, Validity};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::common::{accept, address};

/// The domain of the certificate, which also covers its subdomains.
pub(crate) const DOMAIN: &str = "bench.example";
/// Maximum open connections of the server in this process: two descriptors each use up the limit of
/// a process.
const MAX_CONNECTIONS: usize = 15_000;

/// The name of an endpoint.
pub(crate) fn name(number: usize) -> String {
    format!("h{number}.{DOMAIN}")
}

/// A configuration that trusts the testbed's root, with these settings and defaults, and `count`
/// entries with this expectation. Each entry has its own name and address.
pub(crate) fn inventory(settings: &str, defaults: &str, expected: &str, count: usize) -> String {
    let head = head(settings, defaults);
    format!("{head}certificates:\n{}", entries(expected, 0..count))
}

/// The same without entries.
pub(crate) fn head(settings: &str, defaults: &str) -> String {
    format!("trust: {{system: false, ca_files: root.pem}}\n{settings}defaults: {{{defaults}}}\n")
}

/// Entries with these numbers and this expectation.
pub(crate) fn entries(expected: &str, numbers: Range<usize>) -> String {
    let mut text = String::new();
    for number in numbers {
        let (name, ip) = (name(number), address(number));
        writeln!(
            text,
            "- {{name: h{number}, {expected}, hostnames: {name}, addresses: {ip}}}"
        )
        .unwrap();
    }
    text
}

/// A leaf, an intermediate and a root, in a folder.
pub(crate) struct Testbed {
    folder: TempDir,
    pub(crate) leaf: Fingerprint,
    server: Arc<ServerConfig>,
    runtime: Runtime,
}

impl Testbed {
    pub(crate) fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let validity = Validity::around(Timestamp(since_epoch.as_secs() as i64), 30, 60);
        let root = Authority::root("Bench Root", validity).unwrap();
        let issuing = root.intermediate("Bench Issuing", validity).unwrap();
        let key = Key::generate().unwrap();
        let names = [format!("*.{DOMAIN}"), DOMAIN.to_owned()];
        let leaf = issuing.issue(&names, validity, &key).unwrap().certificate;

        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: String| fs::write(folder.path().join(file), text).unwrap();
        write("root.pem", root.certificate.to_pem());
        write("chain.pem", leaf.to_pem() + &issuing.certificate.to_pem());
        write("key.pem", key.to_pem());

        let der = |c: &Certificate| CertificateDer::from(c.der().to_vec());
        let chain = vec![der(&leaf), der(&issuing.certificate)];
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key.to_der())
            .unwrap();
        // Without resumption, as with nginx.
        server.send_tls13_tickets = 0;
        Self {
            leaf: leaf.sha256(),
            folder,
            server: Arc::new(server),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Serves the certificate at every loopback address.
    pub(crate) fn serve(&self) -> Server {
        let acceptor = TlsAcceptor::from(self.server.clone());
        self.accept(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let _ = stream.set_nodelay(true);
                if let Ok(mut tls) = acceptor.accept(stream).await {
                    let mut sink = [0; 256];
                    while matches!(tls.read(&mut sink).await, Ok(count) if count > 0) {}
                }
            }
        })
    }

    /// Accepts connections at every loopback address, and sends nothing until the client closes.
    pub(crate) fn stall(&self) -> Server {
        self.accept(|mut stream| async move {
            let mut sink = [0; 256];
            while matches!(stream.read(&mut sink).await, Ok(count) if count > 0) {}
        })
    }

    fn accept<F>(&self, each: impl Fn(TcpStream) -> F + Send + 'static) -> Server
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listen = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0));
        let listener = self.runtime.block_on(listen).unwrap();
        let port = listener.local_addr().unwrap().port();
        let held = Arc::new(AtomicUsize::new(0));
        let (sender, accepted) = mpsc::channel();
        let (permits, counter) = (Arc::new(Semaphore::new(MAX_CONNECTIONS)), held.clone());
        let task = self.runtime.spawn(async move {
            loop {
                let permit = permits.clone().acquire_owned().await;
                let stream = accept(&listener).await;
                let at = stream.local_addr().map(|to| (to, Instant::now()));
                // Few callers read the receiver, so errors do not matter.
                let _ = at.map(|at| sender.send(at));
                counter.fetch_add(1, Ordering::Relaxed);
                let (work, counter) = (each(stream), counter.clone());
                tokio::spawn(async move {
                    work.await;
                    counter.fetch_sub(1, Ordering::Relaxed);
                    drop(permit);
                });
            }
        });
        Server {
            port,
            held,
            accepted,
            task,
        }
    }
}

/// A server in this process, which stops when it is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    held: Arc<AtomicUsize>,
    /// Address and time of each connection.
    pub(crate) accepted: mpsc::Receiver<(SocketAddr, Instant)>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Number of open connections.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
