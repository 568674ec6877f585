//! `certvigil chain`: the chain file that a server should have, from a file, an account, a
//! download, and the URLs of issuers in certificates.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use certvigil::certificate::{Certificate, parse_certificates};
use certvigil::testbed::authority::{Key, Validity};
use certvigil::testbed::{API_KEY, Scenario};
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair};

use crate::canned::{self, Canned};
use crate::fixture::pki::now;
use crate::fixture::tls::{self, Server};
use crate::support::{Run, command};

/// A CA or a leaf, which may have the URL of its issuer's certificate.
struct Entity {
    params: CertificateParams,
    key: KeyPair,
    certificate: Certificate,
}

impl Entity {
    fn new(name: &str, is_ca: bool, issuer: Option<&Self>, url: Option<&str>) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params
            .custom_extensions
            .extend(url.map(authority_info_access));
        let key = KeyPair::generate().unwrap();
        Self::signed(params, key, issuer)
    }

    fn signed(params: CertificateParams, key: KeyPair, issuer: Option<&Self>) -> Self {
        let signed = match issuer {
            Some(above) => params.signed_by(&key, &Issuer::from_params(&above.params, &above.key)),
            None => params.self_signed(&key),
        };
        Self {
            certificate: Certificate::from_der(signed.unwrap().der().to_vec()),
            params,
            key,
        }
    }

    /// Returns a certificate with the same name and key, signed by another issuer.
    fn cross_signed(&self, issuer: &Self, url: &str) -> Self {
        let mut params = self.params.clone();
        params.custom_extensions = vec![authority_info_access(url)];
        let key = KeyPair::from_pem(&self.key.serialize_pem()).unwrap();
        Self::signed(params, key, Some(issuer))
    }
}

/// Authority information access with these URLs, separated by spaces, as caIssuers (RFC 5280,
/// section 4.2.2.1).
fn authority_info_access(urls: &str) -> CustomExtension {
    let tlv = |tag: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).unwrap();
        assert!(length < 128, "one byte tells the length");
        [&[tag, length][..], content].concat()
    };
    let ca_issuers = tlv(0x06, &[0x2b, 6, 1, 5, 5, 7, 0x30, 2]);
    let descriptions = urls.split(' ').map(|url| {
        let location = tlv(0x86, url.as_bytes());
        tlv(0x30, &[&ca_issuers[..], &location].concat())
    });
    let content = tlv(0x30, &descriptions.collect::<Vec<_>>().concat());
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
}

/// An HTTP server with responses by path, and a folder for files.
struct Bench {
    http: Canned,
    lies: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let lies: Arc<Mutex<HashMap<String, Vec<u8>>>> = Arc::default();
        let answers = lies.clone();
        let http = Canned::start(move |_, request| {
            let answer = answers.lock().unwrap().get(&request.path).cloned();
            answer.unwrap_or_else(|| canned::response(404, "text/html", "no"))
        });
        Self {
            http,
            lies,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http.address)
    }

    fn put(&self, path: &str, answer: Vec<u8>) {
        self.lies.lock().unwrap().insert(path.to_owned(), answer);
    }

    fn put_der(&self, path: &str, certificate: &Certificate) {
        let answer = canned::bytes(200, "application/pkix-cert", certificate.der());
        self.put(path, answer);
    }

    fn paths(&self) -> Vec<String> {
        self.http.requests().into_iter().map(|r| r.path).collect()
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Runs `chain --cert` on these certificates with this root as the only trusted one.
    fn chain(&self, certificates: &[&Entity], root: &Entity, more: &[&str]) -> Run {
        let pem: String = certificates
            .iter()
            .map(|e| e.certificate.to_pem())
            .collect();
        let root = self.file("root.pem", &root.certificate.to_pem());
        self.run(&self.file("cert.pem", &pem), &root, more)
    }

    fn run(&self, file: &Path, root: &Path, more: &[&str]) -> Run {
        let mut command = command();
        command.args(["chain", "--no-system-roots", "--ca-file"]);
        command.arg(root).arg("--cert").arg(file).args(more);
        command.output().unwrap().into()
    }
}

fn assert_is(run: &Run, expected: &[&Entity]) {
    let pem: String = expected.iter().map(|e| e.certificate.to_pem()).collect();
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    assert_eq!(run.stdout, pem);
}

fn assert_refused(run: &Run, says: &[&str]) {
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    for part in says {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
}

#[test]
fn missing_issuers_are_fetched_up_to_the_trusted_root() {
    let bench = Bench::new();
    let root = Entity::new("Root", true, None, None);
    let root_url = bench.url("/root.der");
    let upper = Entity::new("Upper", true, Some(&root), Some(&root_url));
    let lower = Entity::new("Lower", true, Some(&upper), Some(&bench.url("/upper")));
    // Some CAs list a directory (LDAP) first.
    let urls = format!("ldap:///CN=Lower {}", bench.url("/moved"));
    let leaf = Entity::new("www.example.com", false, Some(&lower), Some(&urls));
    let moved = format!(
        "HTTP/1.1 302 X\r\nLocation: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        bench.url("/lower.der")
    );
    bench.put("/moved", moved.into());
    bench.put_der("/lower.der", &lower.certificate);
    let pem = upper.certificate.to_pem();
    bench.put("/upper", canned::response(200, "text/plain", &pem));

    let run = bench.chain(&[&leaf], &root, &[]);
    assert_is(&run, &[&leaf, &lower, &upper]);
    // The root is trusted already and is not fetched.
    assert_eq!(bench.paths(), ["/moved", "/lower.der", "/upper"]);
    assert!(bench.http.requests().iter().all(|r| !r.has_credentials()));
    // Certificates in the file are not fetched.
    let run = bench.chain(&[&upper, &root, &leaf, &lower, &leaf], &root, &[]);
    assert_is(&run, &[&leaf, &lower, &upper]);
    assert_eq!(bench.paths().len(), 3);
}

#[test]
fn private_key_in_the_input_file_is_never_output() {
    let bench = Bench::new();
    let root = Entity::new("Root", true, None, None);
    let leaf = Entity::new("www.example.com", false, Some(&root), None);
    let text = [
        leaf.key.serialize_pem(),
        leaf.certificate.to_pem(),
        leaf.key.serialize_pem(),
    ]
    .concat();
    let file = bench.file("haproxy.pem", &text);
    let root_file = bench.file("root.pem", &root.certificate.to_pem());
    let run = bench.run(&file, &root_file, &["-vv"]);
    assert_eq!(run.stdout, leaf.certificate.to_pem());
    assert!(!run.stderr.contains("PRIVATE"), "{run:?}");
}

#[test]
fn fetched_issuer_without_a_matching_signature_is_refused() {
    let bench = Bench::new();
    let root = Entity::new("Root", true, None, None);
    let lower = Entity::new("Lower", true, Some(&root), None);
    let leaf = Entity::new(
        "www.example.com",
        false,
        Some(&lower),
        Some(&bench.url("/i")),
    );
    let append = "append its PEM to the file";
    let missing = "`CN=Lower`, the issuer of `CN=www.example.com`, is missing";
    // The name matches, but the key differs.
    let impostor = Entity::new("Lower", true, Some(&root), None);
    for (wrong, name) in [(&impostor, "`CN=Lower`"), (&root, "`CN=Root`")] {
        bench.put_der("/i", &wrong.certificate);
        let run = bench.chain(&[&leaf], &root, &[]);
        let lies = format!("{} has {name}, which did not sign it", bench.url("/i"));
        assert_refused(&run, &[missing, &lies, append, "cert.pem: "]);
    }
    for (answer, says) in [
        (canned::response(404, "text/html", "no"), "HTTP status 404"),
        (
            canned::response(200, "text/html", "<html>"),
            "only a web page",
        ),
        (
            canned::bytes(200, "x", &[0x30; 100_000]),
            "larger than 65536 bytes",
        ),
    ] {
        bench.put("/i", answer);
        let run = bench.chain(&[&leaf], &root, &[]);
        assert_refused(&run, &[missing, &bench.url("/i"), says, append]);
    }
}

#[test]
fn certificate_without_a_usable_issuer_url_is_reported() {
    let bench = Bench::new();
    let root = Entity::new("Root", true, None, None);
    let lower = Entity::new("Lower", true, Some(&root), None);
    let mute = Entity::new("www.example.com", false, Some(&lower), None);
    let run = bench.chain(&[&mute], &root, &[]);
    assert_refused(&run, &["`CN=Lower`", "the certificate has no URL for it"]);
    let url = Some("ldap:///CN=Lower");
    let directory = Entity::new("www.example.com", false, Some(&lower), url);
    let run = bench.chain(&[&directory], &root, &[]);
    assert_refused(&run, &["ldap:///CN=Lower", "only http and https"]);
}

#[test]
fn silent_issuer_server_times_out() {
    let bench = Bench::new();
    let silent = Server::start("127.0.0.1", tls::stay_silent);
    let root = Entity::new("Root", true, None, None);
    let lower = Entity::new("Lower", true, Some(&root), None);
    let url = format!("http://{}/i", silent.address);
    let leaf = Entity::new("www.example.com", false, Some(&lower), Some(&url));
    let run = bench.chain(&[&leaf], &root, &["--timeout", "1s"]);
    assert_refused(&run, &[&url, "no answer in time", "--timeout"]);
}

#[test]
fn endless_issuer_response_is_refused() {
    let bench = Bench::new();
    let endless = Server::start("127.0.0.1", |stream| {
        use std::io::Write as _;
        tls::read_some(stream);
        tls::send_bytes(stream, b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n");
        // Ends when the client closes the connection.
        while stream.write_all(&[0x30; 4096]).is_ok() {}
    });
    let root = Entity::new("Root", true, None, None);
    let lower = Entity::new("Lower", true, Some(&root), None);
    let url = format!("http://{}/i", endless.address);
    let leaf = Entity::new("www.example.com", false, Some(&lower), Some(&url));
    let run = bench.chain(&[&leaf], &root, &[]);
    assert_refused(&run, &["larger than 65536 bytes"]);
}

#[test]
fn redirect_and_issuer_loops_end() {
    let bench = Bench::new();
    let root = Entity::new("Root", true, None, None);
    // A redirect loop.
    let lower = Entity::new("Lower", true, Some(&root), None);
    let leaf = Entity::new(
        "www.example.com",
        false,
        Some(&lower),
        Some(&bench.url("/a")),
    );
    let to = |path| {
        let url = bench.url(path);
        format!(
            "HTTP/1.1 302 X\r\nLocation: {url}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
    };
    bench.put("/a", to("/b").into());
    bench.put("/b", to("/a").into());
    let run = bench.chain(&[&leaf], &root, &[]);
    assert_refused(&run, &["too many redirects"]);
    assert_eq!(bench.paths().len(), 6, "the first, and five redirects");

    // CAs that signed each other.
    let (a, b) = (
        Entity::new("A", true, None, None),
        Entity::new("B", true, None, None),
    );
    let a_by_b = a.cross_signed(&b, &bench.url("/b.der"));
    let b_by_a = b.cross_signed(&a, &bench.url("/a.der"));
    bench.put_der("/a.der", &a_by_b.certificate);
    bench.put_der("/b.der", &b_by_a.certificate);
    let leaf = Entity::new(
        "www.example.com",
        false,
        Some(&a),
        Some(&bench.url("/a.der")),
    );
    let run = bench.chain(&[&leaf], &root, &[]);
    assert_refused(&run, &["is a loop", "--ca-file"]);
    assert_eq!(bench.paths().len(), 6 + 2);

    // A path that is longer than the limit.
    let mut line = vec![Entity::new("0", true, None, None)];
    for number in 1..=10 {
        let url = bench.url(&format!("/{}.der", number - 1));
        let below = Entity::new(&number.to_string(), true, line.last(), Some(&url));
        line.push(below);
    }
    for (number, authority) in line.iter().enumerate() {
        bench.put_der(&format!("/{number}.der"), &authority.certificate);
    }
    let leaf = Entity::new(
        "www.example.com",
        false,
        line.last(),
        Some(&bench.url("/10.der")),
    );
    let run = bench.chain(&[&leaf], &root, &[]);
    assert_refused(&run, &["after 8 downloaded certificates", "--ca-file"]);
    assert_eq!(bench.paths().len(), 8 + 8);
}

#[test]
fn fetched_root_is_not_trusted() {
    let bench = Bench::new();
    let root = Entity::new("Root", true, None, None);
    let other = Entity::new("Other Root", true, None, None);
    let leaf = Entity::new(
        "www.example.com",
        false,
        Some(&other),
        Some(&bench.url("/r")),
    );
    bench.put_der("/r", &other.certificate);
    let run = bench.chain(&[&leaf], &root, &[]);
    assert_refused(
        &run,
        &[
            "ends at `CN=Other Root`, which is not a trusted root",
            "--ca-file",
        ],
    );
}

#[test]
fn failed_chain_command_keeps_the_output_file() {
    let bench = Bench::new();
    let root = Entity::new("Root", true, None, None);
    let lower = Entity::new("Lower", true, Some(&root), None);
    let leaf = Entity::new("www.example.com", false, Some(&lower), None);
    let output = bench.file("server.pem", "as it was");
    let to_file = ["--output", output.to_str().unwrap()];
    assert_refused(&bench.chain(&[&leaf], &root, &to_file), &[]);
    assert_eq!(fs::read_to_string(&output).unwrap(), "as it was");
    let run = bench.chain(&[&lower, &leaf], &root, &to_file);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run:?}");
    let written = parse_certificates(&fs::read(&output).unwrap()).unwrap();
    assert_eq!(written, [leaf.certificate, lower.certificate]);
}

#[test]
fn chain_command_line_error_is_one_line() {
    let bench = Bench::new();
    let empty = bench.file("empty.pem", "");
    let key = bench.file("key.pem", &Key::generate().unwrap().to_pem());
    let (empty, key) = (empty.to_str().unwrap(), key.to_str().unwrap());
    for (args, says) in [
        (vec![], &["--cert <FILE>", "--sslmate <CN>", "--help"][..]),
        (
            vec!["--cert", "a", "--sslmate", "b"],
            &["cannot be used with"],
        ),
        (
            vec!["--cert", "/missing.pem"],
            &["/missing.pem: it cannot be read"],
        ),
        (
            vec!["--cert", empty],
            &["the file is empty", "give a file with the certificate"],
        ),
        (vec!["--cert", key], &["only a private key"]),
        (vec!["--download", "ftp://a.example"], &["https://"]),
        (vec!["--sslmate", "a.example"], &["SSLMATE_API_KEY"]),
        (
            vec!["--cert", key, "--output", "/missing/x"],
            &["does not exist"],
        ),
    ] {
        let mut command = command();
        let run: Run = command.arg("chain").args(&args).output().unwrap().into();
        assert_refused(&run, says);
        assert!(run.stderr.starts_with("error: "), "{args:?}: {run:?}");
    }
}

#[test]
fn chain_command_uses_the_chain_of_account_or_download() {
    let scenario = "
hosts:
  - host: right.demo.example
    servers: [{at: 127.0.0.45, serve: current}]
  - host: pending.demo.example
    issued: false
    servers: [{at: 127.0.0.46, serve: temporary}]
";
    let bench = Bench::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scenario = Scenario::parse(scenario, Path::new("chain.yml")).unwrap();
    let lab = runtime
        .block_on(certvigil::testbed::start(scenario, now()))
        .unwrap();
    let config = format!(
        "sslmate: {{endpoint: \"{}\"}}\ntrust: {{system: false}}\ncertificates: [{{sslmate: right.demo.example}}]\n",
        lab.endpoint()
    );
    let config = bench.file("certvigil.yml", &config);
    let chain = |args: &[&str]| -> Run {
        let mut command = command();
        command.arg("chain").arg("--config").arg(&config).args(args);
        command.env("SSLMATE_API_KEY", API_KEY);
        command.output().unwrap().into()
    };
    let run = chain(&["--sslmate", "Right.Demo.Example"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let file = parse_certificates(run.stdout.as_bytes()).unwrap();
    let subjects: Vec<_> = file
        .iter()
        .map(|c| c.facts().unwrap().subject.as_str())
        .collect();
    assert_eq!(
        subjects,
        [
            "CN=right.demo.example",
            "CN=Demo Issuing CA",
            "CN=Demo Policy CA"
        ]
    );

    // Without a trusted root or any source, the certificate is that of the download.
    bench.put("/download", canned::response(200, "x", &run.stdout));
    let download = chain(&["--download", &bench.url("/download")]);
    assert_eq!(download.stdout, run.stdout);
    bench.put("/download", canned::response(202, "x", ""));
    let download = chain(&["--download", &bench.url("/download")]);
    assert_refused(
        &download,
        &["the download: no certificate has been issued yet"],
    );

    let run = chain(&["--sslmate", "pending.demo.example"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(parse_certificates(run.stdout.as_bytes()).unwrap().len(), 1);
    assert!(run.stderr.contains("temporary certificate"), "{run:?}");
    let run = chain(&["--sslmate", "unknown.example"]);
    assert_refused(
        &run,
        &["unknown.example: the SSLMate account has no certificate"],
    );
}

/// An expired certificate is fetched like a valid one. The testbed's CAs are used, since their
/// validity can be set.
#[test]
fn expired_issuer_is_added_to_the_chain() {
    let bench = Bench::new();
    let long_ago = Validity::around(now(), 900, -100);
    let root = certvigil::testbed::authority::Authority::root("Root", long_ago).unwrap();
    let lower = root.intermediate("Lower", long_ago).unwrap();
    let names = ["www.example.com".to_owned()];
    let leaf = lower
        .issue(&names, long_ago, &Key::generate().unwrap())
        .unwrap();
    let pem = [lower.certificate.to_pem(), leaf.certificate.to_pem()].concat();
    let root = bench.file("root.pem", &root.certificate.to_pem());
    let run = bench.run(&bench.file("cert.pem", &pem), &root, &[]);
    let expected = [leaf.certificate.to_pem(), lower.certificate.to_pem()].concat();
    assert_eq!((run.code, run.stdout), (0, expected));
}

/// An expired copy of an intermediate, and an expired cross-signed one, beside valid ones.
#[test]
fn an_expired_intermediate_is_left_out_where_a_valid_one_exists() {
    use certvigil::testbed::authority::Authority;
    let bench = Bench::new();
    let (valid, past) = (
        Validity::around(now(), 10, 400),
        Validity::around(now(), 900, -100),
    );
    let root = Authority::root("Root", valid).unwrap();
    let old_root = Authority::root("Old Root", past).unwrap();
    let lower = root.intermediate("Lower", valid).unwrap();
    let expired = root.cross_sign(&lower, past).unwrap();
    let crossed = old_root.cross_sign(&lower, past).unwrap();
    let names = ["www.example.com".to_owned()];
    let leaf = lower
        .issue(&names, valid, &Key::generate().unwrap())
        .unwrap();
    let root_file = bench.file("root.pem", &root.certificate.to_pem());
    let right = [leaf.certificate.to_pem(), lower.certificate.to_pem()].concat();
    for order in [
        [&leaf.certificate, &expired, &lower.certificate, &crossed],
        [&crossed, &expired, &lower.certificate, &leaf.certificate],
    ] {
        let pem: String = order.iter().map(|c| c.to_pem()).collect();
        let run = bench.run(&bench.file("cert.pem", &pem), &root_file, &[]);
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (0, right.as_str()),
            "{run:?}"
        );
        assert!(run.stderr.contains("`CN=Lower` is left out"), "{run:?}");
    }
    // Without the valid one, the expired one is the chain.
    let pem = [leaf.certificate.to_pem(), expired.to_pem()].concat();
    let run = bench.run(&bench.file("cert.pem", &pem), &root_file, &[]);
    assert_eq!((run.code, run.stdout), (0, pem));
}
