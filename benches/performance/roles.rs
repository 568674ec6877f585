//! Reference programs for comparison that are part of this benchmark: bare loops. The benchmark
//! starts them as processes of their own, so that their resources can be measured separately.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use certvigil::model::Hostname;
use certvigil::resolve::{AddressQuery, Families, Resolver};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
    verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CipherSuite, ClientConfig, DigitallySignedStruct, Error, NamedGroup, RootCertStore,
    SignatureScheme,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use crate::common::{accept, address};
use crate::testbed::name;

/// Maximum concurrent probes, the default of `check`.
pub(crate) const MAX_CONCURRENT_PROBES: usize = 256;
/// Maximum concurrent DNS lookups. With two datagrams each, a name server's socket can buffer all
/// of them, however busy the machine is. A lost datagram would be waited for in vain.
const MAX_CONCURRENT_LOOKUPS: usize = 64;
/// Timeout of one query.
const PATIENCE: Duration = Duration::from_secs(10);

/// Task of a process of this benchmark.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// Handshakes with the default provider of rustls. The signature is verified, but not the
    /// certificate.
    Handshakes,
    /// The same handshakes with the cipher suites and key shares of `check`.
    SameOffers,
    /// Handshakes with the defaults of tokio-rustls, which verify the certificate path too.
    Library,
    /// certvigil's resolver alone.
    Resolver,
    /// DNS queries over UDP, each from its own socket. Only the ID of the response is checked.
    Questions,
    /// An HTTP server with its response in memory.
    Bytes,
}

const ROLES: [(&str, Role); 6] = [
    ("role-handshakes", Role::Handshakes),
    ("role-same-offers", Role::SameOffers),
    ("role-library", Role::Library),
    ("role-resolver", Role::Resolver),
    ("role-questions", Role::Questions),
    ("role-bytes", Role::Bytes),
];

impl Role {
    /// A command for this role with its arguments.
    pub(crate) fn command(self, arguments: &[&str]) -> Command {
        let (name, _) = ROLES
            .into_iter()
            .find(|(_, role)| std::mem::discriminant(role) == std::mem::discriminant(&self))
            .unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(name).args(arguments);
        command
    }

    /// Runs the role that the command line names, if any.
    pub(crate) fn play(arguments: &[String]) -> Option<()> {
        let (name, rest) = arguments.split_first()?;
        let (_, role) = ROLES.into_iter().find(|(known, _)| known == name)?;
        let text = |at: usize| rest.get(at).expect("an argument").as_str();
        let number = |at: usize| text(at).parse::<usize>().expect("a number");
        let place = |at: usize| text(at).parse::<SocketAddr>().expect("an address");
        // The same number of threads as in certvigil.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            match role {
                Self::Handshakes => {
                    let provider = aws_lc_rs::default_provider();
                    handshakes(checks_signatures(provider), number(0), number(1), number(2)).await;
                }
                Self::SameOffers => {
                    let provider = offers_of_check(aws_lc_rs::default_provider());
                    handshakes(checks_signatures(provider), number(0), number(1), number(2)).await;
                }
                Self::Library => {
                    handshakes(checks_paths(text(3)), number(0), number(1), number(2)).await;
                }
                Self::Resolver => resolver(place(0), number(1)).await,
                Self::Questions => questions(place(0), number(1)).await,
                Self::Bytes => bytes(text(0)).await,
            }
        });
        Some(())
    }
}

/// Runs `work` for each number below `count`, at most `max_concurrent` concurrently.
async fn each<F>(
    count: usize,
    max_concurrent: usize,
    work: impl Fn(usize) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..max_concurrent.min(count) {
        let (next, work) = (next.clone(), work.clone());
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    break;
                }
                work(number).await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a task");
    }
}

/// Connects, completes the handshake and closes.
async fn handshakes(config: ClientConfig, port: usize, count: usize, max_concurrent: usize) {
    let connector = TlsConnector::from(Arc::new(config));
    let port = u16::try_from(port).unwrap();
    each(count, max_concurrent, move |number| {
        let connector = connector.clone();
        async move {
            let server = ServerName::try_from(name(number)).unwrap();
            let stream = TcpStream::connect((address(number), port)).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let tls = connector.connect(server, stream).await.unwrap();
            assert!(tls.get_ref().1.peer_certificates().is_some());
        }
    })
    .await;
}

/// Orders the cipher suites and groups as `check` does: AES-128-GCM first, and no ML-KEM in the
/// ClientHello (`crates/certvigil-probe/src/probe/setup.rs`).
fn offers_of_check(mut provider: CryptoProvider) -> CryptoProvider {
    let hybrids = [NamedGroup::X25519MLKEM768, NamedGroup::secp256r1MLKEM768];
    provider
        .kx_groups
        .sort_by_key(|group| hybrids.contains(&group.name()));
    let first = CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != first);
    provider
}

/// A rustls configuration with this provider and its signature algorithms. It accepts every
/// certificate whose key signs the handshake, without resumption.
fn checks_signatures(provider: CryptoProvider) -> ClientConfig {
    let verifier = SignaturesOnly(provider.signature_verification_algorithms);
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config
}

/// The default configuration of rustls.
fn checks_paths(root: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_file(root).unwrap();
    roots.add(root).unwrap();
    ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[derive(Debug)]
struct SignaturesOnly(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for SignaturesOnly {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

async fn resolver(server: SocketAddr, count: usize) {
    let resolver = Arc::new(Resolver::new(Families::Both, Vec::new(), vec![server]));
    each(count, MAX_CONCURRENT_LOOKUPS, move |number| {
        let resolver = resolver.clone();
        async move {
            let hostname: Hostname = name(number).parse().unwrap();
            let deadline = Instant::now() + PATIENCE;
            let query = AddressQuery::new(&hostname, 443);
            let found = resolver.resolve(&query, deadline).await;
            assert!(found.failure.is_none(), "{found:?}");
            assert_eq!(found.addresses.len(), 2);
        }
    })
    .await;
}

/// Queries both families at once from an unpredictable port, as the resolver does.
async fn questions(server: SocketAddr, count: usize) {
    each(count, MAX_CONCURRENT_LOOKUPS, move |number| async move {
        let name = name(number);
        let (v4, v6) = tokio::join!(
            question(server, &name, number, 1),
            question(server, &name, number, 28)
        );
        v4.and(v6).unwrap();
    })
    .await;
}

async fn question(server: SocketAddr, name: &str, number: usize, kind: u16) -> std::io::Result<()> {
    let id = u16::try_from(number & 0xffff).unwrap().to_be_bytes();
    // RFC 1035, section 4.1: one question, recursion desired.
    let mut query = id.to_vec();
    query.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.as_bytes());
    }
    query.push(0);
    query.extend(kind.to_be_bytes());
    query.extend([0, 1]);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.connect(server).await?;
    socket.send(&query).await?;
    let mut answer = [0; 512];
    let count = timeout(PATIENCE, socket.recv(&mut answer)).await??;
    assert_eq!(answer.get(..2), Some(&id[..]));
    assert!(count > query.len(), "no address of {name}");
    Ok(())
}

/// Responds to every request with a file, and prints its own port first.
async fn bytes(file: &str) {
    let body = fs::read(file).unwrap();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", listener.local_addr().unwrap()).unwrap();
    let body = Arc::new(body);
    loop {
        let mut stream = accept(&listener).await;
        let (head, body) = (head.clone(), body.clone());
        tokio::spawn(async move {
            let mut request = [0; 4096];
            // A request is small and arrives in one read.
            while matches!(stream.read(&mut request).await, Ok(count) if count > 0) {
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(&body).await.unwrap();
            }
        });
    }
}
