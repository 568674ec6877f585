//! The web server of the monitor, from outside: real clients over real sockets.

use std::collections::BTreeSet;
use std::fs;
use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use certvigil::web::{Request, Response, Service, Web, serve, whole};
use hyper::StatusCode;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::markdown::document;
use crate::support::{Run, command};

/// Timeout of waits: what a test waits for happens long before this, or never.
const PATIENCE: Duration = Duration::from_secs(60);

struct Site;

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
struct Setup {
    folder: TempDir,
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

struct Issued {
    certificate: CertificateDer<'static>,
    key: KeyPair,
    pem: String,
}

impl Setup {
    /// Creates `cert.pem`, `key.pem` and `ca.pem`.
    fn new() -> Self {
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

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Issued {
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
    fn write_pair(&self) -> Issued {
        let issued = self.issue(|_| {});
        self.write("cert.pem", &issued.pem);
        self.write("key.pem", &issued.key.serialize_pem());
        issued
    }

    fn configure(&self, text: &str) -> PathBuf {
        self.write("web.yml", text);
        self.path("web.yml")
    }

    fn open(&self, text: &str) -> Arc<Web> {
        let file = self.configure(text);
        Arc::new(Web::open(Some(&file)).unwrap_or_else(|e| panic!("{e}")))
    }

    fn client(&self) -> Client<'_> {
        Client {
            setup: self,
            identity: None,
            versions: vec![&TLS12, &TLS13],
        }
    }
}

/// A web file with TLS and these fields.
fn over_tls(fields: &str) -> String {
    format!("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n{fields}")
}

async fn start(web: Arc<Web>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(web, vec![listener], Site, pending()));
    address
}

#[derive(Clone)]
struct Client<'a> {
    setup: &'a Setup,
    identity: Option<Arc<CertifiedKey>>,
    versions: Vec<&'static SupportedProtocolVersion>,
}

impl Client<'_> {
    /// Sends this certificate and signs with this key, even if they do not belong together.
    fn with(mut self, certificate: &Issued, key: &Issued) -> Self {
        let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.key.serialize_der()));
        let key = aws_lc_rs::sign::any_supported_type(&der).unwrap();
        let chain = vec![certificate.certificate.clone()];
        self.identity = Some(Arc::new(CertifiedKey::new(chain, key)));
        self
    }

    fn speaking(mut self, version: &'static SupportedProtocolVersion) -> Self {
        self.versions = vec![version];
        self
    }

    async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
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
    async fn get(&self, address: SocketAddr) -> std::io::Result<String> {
        ask(self.connect(address).await?, "/", "").await
    }

    /// The served certificate.
    async fn served(&self, address: SocketAddr) -> CertificateDer<'static> {
        let stream = self.connect(address).await.expect("a handshake");
        stream.get_ref().1.peer_certificates().unwrap()[0]
            .clone()
            .into_owned()
    }
}

#[derive(Debug)]
struct Identity(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

async fn ask<S>(mut stream: S, path: &str, headers: &str) -> std::io::Result<String>
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

fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let both = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {both}\r\n")
}

#[tokio::test]
async fn without_a_file_everybody_may_ask_over_plain_http() {
    let web = Web::open(None).unwrap();
    assert!(!web.is_tls());
    web.reload().unwrap();
    let address = start(Arc::new(web)).await;
    let heard = ask(TcpStream::connect(address).await.unwrap(), "/a", "")
        .await
        .unwrap();
    assert!(
        heard.starts_with("HTTP/1.1 200") && heard.ends_with("this is /a"),
        "{heard}"
    );
}

#[tokio::test]
async fn every_listener_is_served_with_tls_and_the_configured_headers() {
    let setup = Setup::new();
    let web = setup.open(&over_tls(
        "http_server_config: {headers: {Strict-Transport-Security: max-age=1, X-Content-Type-Options: nosniff}}",
    ));
    assert!(web.is_tls());
    let mut listeners = Vec::new();
    for address in ["127.0.0.1:0", "127.0.0.1:0"] {
        listeners.push(TcpListener::bind(address).await.unwrap());
    }
    let addresses: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
    tokio::spawn(serve(web, listeners, Site, pending()));
    for address in addresses {
        for version in [&TLS12, &TLS13] {
            let heard = setup.client().speaking(version).get(address).await.unwrap();
            for expected in [
                "HTTP/1.1 200",
                "strict-transport-security: max-age=1\r\n",
                "x-content-type-options: nosniff\r\n",
                "this is /",
            ] {
                assert!(heard.contains(expected), "{heard}");
            }
        }
    }
}

#[tokio::test]
async fn clients_come_in_by_their_certificates() {
    let (setup, others) = (Setup::new(), Setup::new());
    let trusted = setup.issue(|_| {});
    let expired = setup.issue(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let for_servers = setup.issue(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let stranger = others.issue(|_| {});
    let plain = setup.client();
    let clients = [
        ("nothing", plain.clone()),
        ("trusted", plain.clone().with(&trusted, &trusted)),
        ("stranger", plain.clone().with(&stranger, &stranger)),
        ("expired", plain.clone().with(&expired, &expired)),
        (
            "for servers",
            plain.clone().with(&for_servers, &for_servers),
        ),
        ("stolen", plain.clone().with(&trusted, &stranger)),
    ];
    for (policy, ca, allowed) in [
        (
            "NoClientCert",
            "",
            "nothing trusted stranger expired for servers stolen",
        ),
        (
            "RequestClientCert",
            "",
            "nothing trusted stranger expired for servers",
        ),
        (
            "RequireAnyClientCert",
            "",
            "trusted stranger expired for servers",
        ),
        (
            "RequireClientCert",
            "ca.pem",
            "trusted stranger expired for servers",
        ),
        ("VerifyClientCertIfGiven", "ca.pem", "nothing trusted"),
        ("RequireAndVerifyClientCert", "ca.pem", "trusted"),
    ] {
        let text = over_tls(&format!(
            "  client_auth_type: {policy}\n  client_ca_file: '{ca}'\n"
        ));
        let address = start(setup.open(&text)).await;
        for version in [&TLS12, &TLS13] {
            for (name, client) in &clients {
                let heard = client.clone().speaking(version).get(address).await;
                let is_in = heard.as_ref().is_ok_and(|h| h.starts_with("HTTP/1.1 200"));
                assert_eq!(
                    is_in,
                    allowed.contains(name),
                    "{policy} {name} {version:?}: {heard:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_client_has_to_have_an_allowed_name() {
    let setup = Setup::new();
    let text = over_tls(
        "  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [prometheus.example, 192.0.2.1, '2001:db8::1', a@b.example, 'spiffe://b.example/a']
",
    );
    let address = start(setup.open(&text)).await;
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let mail = |name: &str| SanType::Rfc822Name(name.try_into().unwrap());
    let uri = |name: &str| SanType::URI(name.try_into().unwrap());
    let ip = |ip: &str| SanType::IpAddress(ip.parse().unwrap());
    for (names, is_allowed) in [
        (vec![dns("x.example"), dns("prometheus.example")], true),
        (vec![ip("192.0.2.1")], true),
        (vec![ip("2001:db8::1")], true),
        (vec![mail("a@b.example")], true),
        (vec![uri("spiffe://b.example/a")], true),
        (vec![], false),
        (vec![dns("x.prometheus.example"), dns("*.example")], false),
        (vec![ip("192.0.2.2")], false),
        (vec![uri("spiffe://b.example/b")], false),
    ] {
        let issued = setup.issue(|params| {
            params.subject_alt_names = names.clone();
            // A common name is not a subject alternative name.
            params
                .distinguished_name
                .push(DnType::CommonName, "prometheus.example");
        });
        let heard = setup.client().with(&issued, &issued).get(address).await;
        assert_eq!(heard.is_ok(), is_allowed, "{names:?}: {heard:?}");
    }
}

#[tokio::test]
async fn versions_suites_and_groups_are_those_of_the_file() {
    let setup = Setup::new();
    let newest = start(setup.open(&over_tls("  min_version: TLS13\n"))).await;
    let older = start(setup.open(&over_tls("  max_version: TLS12\n"))).await;
    for (address, version, is_spoken) in [
        (newest, &TLS13, true),
        (newest, &TLS12, false),
        (older, &TLS13, false),
        (older, &TLS12, true),
    ] {
        let heard = setup.client().speaking(version).get(address).await;
        assert_eq!(heard.is_ok(), is_spoken, "{version:?}: {heard:?}");
    }
    let suite = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    let text = over_tls(&format!(
        "  cipher_suites: [{suite}]\n  curve_preferences: [CurveP384]\n"
    ));
    let address = start(setup.open(&text)).await;
    for (version, expected) in [(&TLS12, suite), (&TLS13, "TLS13_")] {
        let stream = setup
            .client()
            .speaking(version)
            .connect(address)
            .await
            .unwrap();
        let session = stream.get_ref().1;
        let used = format!("{:?}", session.negotiated_cipher_suite().unwrap().suite());
        assert!(used.starts_with(expected), "{used}");
        let group = session.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, rustls::NamedGroup::secp384r1);
    }
}

/// The ClientHello of a probe has no key share for it, so the server must send a HelloRetryRequest.
#[tokio::test(flavor = "multi_thread")]
async fn who_insists_on_a_hybrid_key_exchange_is_looked_at() {
    let setup = Setup::new();
    for group in ["X25519MLKEM768", "SecP256r1MLKEM768"] {
        let text = over_tls(&format!("  curve_preferences: [{group}]\n"));
        let address = start(setup.open(&text)).await;
        let expected = setup.path("cert.pem");
        let ask = move || {
            let target = format!("localhost:{}", address.port());
            let at = format!("{target}:127.0.0.1");
            let (expected, roots) = (expected.as_os_str(), expected.with_file_name("ca.pem"));
            let mut check = command();
            check.args(["check", &target, "--resolve", &at, "--format", "json"]);
            let check = check
                .arg("--cert")
                .arg(expected)
                .arg("--ca-file")
                .arg(roots);
            Run::from(check.output().unwrap()).json()
        };
        let seen = tokio::task::spawn_blocking(ask).await.unwrap();
        let row = &seen["result"][0];
        assert_eq!(row["status"], "conclusive", "{group}: {row}");
        assert_eq!(row["correct"], true, "{group}: {row}");
        assert_eq!(row["served"]["tls_version"], "1.3", "{group}: {row}");
    }
}

/// Requests until the served certificate is `new`, and fails at any other than `old` or `new`.
async fn until_served(setup: &Setup, address: SocketAddr, old: &Issued, new: &Issued) {
    let asking = async {
        loop {
            let served = setup.client().served(address).await;
            if served == new.certificate {
                return;
            }
            assert_eq!(served, old.certificate, "neither the old nor the new one");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .expect("the new certificate");
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_restart() {
    let setup = Setup::new();
    let first = setup.write_pair();
    let web = setup.open(&over_tls(""));
    let address = start(web.clone()).await;
    assert_eq!(setup.client().served(address).await, first.certificate);
    let second = setup.write_pair();
    until_served(&setup, address, &first, &second).await;

    // An invalid file changes nothing, at any reload.
    setup.write("cert.pem", "half a certifica");
    assert!(
        web.reload()
            .unwrap_err()
            .to_string()
            .contains("cert.pem: it is not PEM")
    );
    assert_eq!(setup.client().served(address).await, second.certificate);
    let third = setup.issue(|_| {});
    setup.write("cert.pem", &third.pem);
    assert!(
        web.reload()
            .unwrap_err()
            .to_string()
            .contains("does not belong")
    );
    assert_eq!(setup.client().served(address).await, second.certificate);
    setup.write("key.pem", &third.key.serialize_pem());
    until_served(&setup, address, &second, &third).await;

    // An explicit reload takes effect at once.
    let fourth = setup.write_pair();
    web.reload().unwrap();
    assert_eq!(setup.client().served(address).await, fourth.certificate);
}

#[tokio::test]
async fn a_reload_changes_who_may_ask_and_a_broken_file_changes_nothing() {
    let setup = Setup::new();
    let status = async |address, credentials: &str| {
        let stream = TcpStream::connect(address).await.unwrap();
        let heard = ask(stream, "/", credentials).await.unwrap();
        heard[9..12].to_owned()
    };
    let user = |name: &str, password: &str| {
        format!(
            "basic_auth_users: {{{name}: '{}'}}\n",
            bcrypt::hash(password, 4).unwrap()
        )
    };
    let web = setup.open(&user("alice", "one"));
    let address = start(web.clone()).await;
    let (one, two) = (basic("alice", "one"), basic("alice", "two"));
    assert_eq!(status(address, &one).await, "200");
    assert_eq!(status(address, &two).await, "401");
    assert_eq!(status(address, "").await, "401");

    setup.configure("basic_auth_users: {alice: two}\n");
    let error = web.reload().unwrap_err().to_string();
    let place = format!(
        "{}:1: basic_auth_users.alice: ",
        setup.path("web.yml").display()
    );
    assert!(error.starts_with(&place), "{error}");
    assert_eq!(status(address, &one).await, "200");

    // The cached password check is dropped.
    setup.configure(&user("alice", "two"));
    web.reload().unwrap();
    assert_eq!(status(address, &one).await, "401");
    assert_eq!(status(address, &two).await, "200");

    fs::remove_file(setup.path("web.yml")).unwrap();
    assert!(
        web.reload()
            .unwrap_err()
            .to_string()
            .contains("it cannot be read")
    );
    assert_eq!(status(address, &two).await, "200");

    // From plain HTTP to TLS.
    setup.configure(&over_tls(""));
    web.reload().unwrap();
    assert!(web.is_tls());
    assert!(
        setup
            .client()
            .get(address)
            .await
            .unwrap()
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn a_wrong_file_is_told_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.yml");
    for (bytes, says) in [
        (None, "it cannot be read"),
        (Some(&b"# \xe4"[..]), "save it as UTF-8"),
        (Some(b"- a"), "expected keys with values"),
    ] {
        if let Some(bytes) = bytes {
            fs::write(&file, bytes).unwrap();
        }
        let error = Web::open(Some(&file)).err().unwrap().to_string();
        let begin = file.display().to_string();
        assert!(error.starts_with(&begin) && error.contains(says), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs curl"]
async fn curl_comes_in_with_its_certificate_and_password() {
    let setup = Setup::new();
    let client = setup.issue(|_| {});
    setup.write("client.pem", &client.pem);
    setup.write("client.key", &client.key.serialize_pem());
    let hash = bcrypt::hash("pässwörd", 4).unwrap();
    let text = over_tls(&format!(
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\nbasic_auth_users: {{alice: '{hash}'}}\n"
    ));
    let port = start(setup.open(&text)).await.port();
    let curl = async |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command
            .current_dir(setup.folder.path())
            .args([
                "-q",
                "--silent",
                "--show-error",
                "--noproxy",
                "*",
                "--cacert",
                "ca.pem",
            ])
            .args(["--connect-to", &format!("localhost:443:127.0.0.1:{port}")])
            .args(["--write-out", " %{http_code} %{http_version}"])
            .args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .unwrap()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let (certificate, key) = (["--cert", "client.pem"], ["--key", "client.key"]);
    let ours = [certificate, key].concat();
    let with = |more: &[&'static str]| [&ours[..], more].concat();
    let heard = curl(&with(&["--user", "alice:pässwörd", "https://localhost/x"])).await;
    assert_eq!(heard, "this is /x 200 1.1");
    let heard = curl(&with(&["--user", "alice:password", "https://localhost/x"])).await;
    assert_eq!(heard, "the user name or the password is wrong 401 1.1");
    assert_eq!(
        curl(&with(&["https://localhost/open"])).await,
        "this is /open 200 1.1"
    );
    let heard = curl(&["--user", "alice:pässwörd", "https://localhost/x"]).await;
    assert!(heard.ends_with(" 000 0"), "without a certificate: {heard}");
}

/// Each section of the page with a file that has an unknown key at that level.
const PLACES: [(&str, &str); 5] = [
    ("Top-level keys of the web file", "qqq: 1"),
    ("tls_server_config", "tls_server_config: {qqq: 1}"),
    ("http_server_config", "http_server_config: {qqq: 1}"),
    (
        "http_server_config.headers",
        "http_server_config: {headers: {qqq: 1}}",
    ),
    ("rate_limit", "rate_limit: {qqq: 1}"),
];

#[test]
fn every_key_has_its_entry() {
    let page = document("docs/web-configuration.md");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.yml");
    for (section, text) in PLACES {
        fs::write(&file, text).unwrap();
        let error = Web::open(Some(&file)).err().unwrap().to_string();
        let (_, known) = error.split_once("known keys: ").unwrap();
        let known: BTreeSet<&str> = known.split(", ").collect();
        let rows = page.section(section).rows();
        let told: BTreeSet<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
        assert_eq!(told, known, "{section}");
    }
    let with_rows = page
        .sections()
        .iter()
        .filter(|s| !s.rows().is_empty())
        .count();
    assert_eq!(with_rows, PLACES.len(), "every section is compared");
}

#[test]
fn the_example_is_right() {
    let setup = Setup::new();
    for (from, to) in [
        ("cert.pem", "monitor.pem"),
        ("key.pem", "monitor.key"),
        ("ca.pem", "prometheus-ca.pem"),
    ] {
        fs::copy(setup.path(from), setup.path(to)).unwrap();
    }
    let page = document("docs/web-configuration.md");
    let blocks = page.blocks();
    let example = blocks
        .iter()
        .find(|b| b.info == "yaml")
        .expect("the example");
    assert!(setup.open(&example.lines.join("\n")).is_tls());
}
