//! A web server of the monitor and clients that connect to it, with and without TLS.

use certvigil::web::{Request, Response, Service, Web, serve, whole};
use hyper::StatusCode;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use std::fs;
use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Timeout of waits: what a test waits for happens long before this, or never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) struct Site;

impl Service for Site {
    async fn answer(&self, request: Request) -> Response {
        Response::new(whole(format!("this is {}", request.uri().path())))
    }

    fn is_exempt(&self, path: &str) -> bool {
        path == "/open"
    }

    fn refused(&self, _: &str, _: StatusCode, words: &str, _: Option<u64>) -> Response {
        Response::new(whole(words.to_owned()))
    }
}

/// A CA for servers and clients, and the folder with their files.
pub(crate) struct Setup {
    pub(crate) folder: TempDir,
    pub(crate) root: CertificateDer<'static>,
    pub(crate) issuer: Issuer<'static, KeyPair>,
}

pub(crate) struct Issued {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: KeyPair,
    pub(crate) pem: String,
}

impl Setup {
    /// Creates `cert.pem`, `key.pem` and `ca.pem`.
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Root");
        let root = params.self_signed(&key).unwrap();
        let setup = Self {
            folder: tempfile::tempdir().unwrap(),
            root: root.der().clone(),
            issuer: Issuer::new(params, key),
        };
        setup.write("ca.pem", &root.pem());
        setup.write_pair();
        setup
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            key,
        }
    }

    /// Writes a new certificate for the server.
    pub(crate) fn write_pair(&self) -> Issued {
        let issued = self.issue(|_| {});
        self.write("cert.pem", &issued.pem);
        self.write("key.pem", &issued.key.serialize_pem());
        issued
    }

    pub(crate) fn configure(&self, text: &str) -> PathBuf {
        self.write("web.yml", text);
        self.path("web.yml")
    }

    pub(crate) fn open(&self, text: &str) -> Arc<Web> {
        let file = self.configure(text);
        Arc::new(Web::open(Some(&file)).unwrap_or_else(|e| panic!("{e}")))
    }

    pub(crate) fn client(&self) -> Client<'_> {
        Client {
            setup: self,
            identity: None,
            versions: vec![&TLS12, &TLS13],
        }
    }
}

/// A web file with TLS and these fields.
pub(crate) fn over_tls(fields: &str) -> String {
    format!("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n{fields}")
}

pub(crate) async fn start(web: Arc<Web>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(web, vec![listener], Site, pending()));
    address
}

#[derive(Clone)]
pub(crate) struct Client<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) identity: Option<Arc<CertifiedKey>>,
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
}

impl Client<'_> {
    /// Sends this certificate and signs with this key, even if they do not belong together.
    pub(crate) fn with(mut self, certificate: &Issued, key: &Issued) -> Self {
        let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.key.serialize_der()));
        let key = aws_lc_rs::sign::any_supported_type(&der).unwrap();
        let chain = vec![certificate.certificate.clone()];
        self.identity = Some(Arc::new(CertifiedKey::new(chain, key)));
        self
    }

    pub(crate) fn speaking(mut self, version: &'static SupportedProtocolVersion) -> Self {
        self.versions = vec![version];
        self
    }

    pub(crate) async fn connect(
        &self,
        address: SocketAddr,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.setup.root.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let identity = Arc::new(Identity(self.identity.clone()));
        let config = builder.with_client_cert_resolver(identity);
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    /// Returns the response, or the error that closed the connection. With TLS 1.3, a server
    /// refuses a client after the handshake.
    pub(crate) async fn get(&self, address: SocketAddr) -> std::io::Result<String> {
        ask(self.connect(address).await?, "/", "").await
    }

    /// The served certificate.
    pub(crate) async fn served(&self, address: SocketAddr) -> CertificateDer<'static> {
        let stream = self.connect(address).await.expect("a handshake");
        stream.get_ref().1.peer_certificates().unwrap()[0]
            .clone()
            .into_owned()
    }
}

#[derive(Debug)]
pub(crate) struct Identity(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

pub(crate) async fn ask<S>(mut stream: S, path: &str, headers: &str) -> std::io::Result<String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut heard = String::new();
    let reading = stream.read_to_string(&mut heard);
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("an end")?;
    Ok(heard)
}
