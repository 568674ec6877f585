//! Revocation: stapled responses, and responses and lists that issuers publish, made by OpenSSL and
//! served over real sockets.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use certvigil::certificate::{Certificate, Issuer, Status};
use certvigil::config::Inventory;
use certvigil::model::{RevocationCheck, Timestamp};
use certvigil::revocation::Revocations;
use certvigil::source::{Environment, Requests, Sources};

use crate::fixture::check::{Check, Row, rows};
use crate::fixture::exporter::Exporter;
use crate::fixture::pki::{HOST, Leaf, Pki, now};
use crate::fixture::process::{Process, run, wait_until};
use crate::fixture::tls::{Server, config, send_bytes, stay_silent};
use crate::support::Refusing;

const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
/// Serial number of the tests' leaves, and one that no leaf has.
const SERIAL: &str = "1234";
const OTHER: &str = "77";

/// A leaf with further extensions, in the syntax of `-addext`.
fn leaf(pki: &Pki, extensions: &[String]) -> Leaf {
    let mut options = format!("-set_serial 0x{SERIAL}");
    for extension in extensions {
        options.push_str(" -addext ");
        options.push_str(extension);
    }
    pki.openssl(P256, &options)
}

fn names_list(url: &str) -> String {
    format!("crlDistributionPoints=URI:{url}")
}

fn names_responder(url: &str) -> String {
    format!("authorityInfoAccess=OCSP;URI:{url}")
}

/// The database of an `openssl ca` authority: the serial numbers that it issued, and those that it
/// revoked.
fn database(pki: &Pki, valid: &[&str], revoked: &[&str]) -> PathBuf {
    let mut text = String::new();
    for serial in valid {
        text += &format!("V\t400101000000Z\t\t{serial}\tunknown\t/CN={serial}\n");
    }
    for serial in revoked {
        text += &format!(
            "R\t400101000000Z\t261101120000Z,keyCompromise\t{serial}\tunknown\t/CN={serial}\n"
        );
    }
    pki.file(text)
}

/// A revocation list of the intermediate that is valid for a week.
fn list(pki: &Pki, revoked: &[&str]) -> Vec<u8> {
    let settings = pki.file(format!(
        "[ca]\ndefault_ca=the\n[the]\ndatabase={}\ndefault_md=sha256\n",
        database(pki, &[], revoked).display()
    ));
    let (pem, der) = (pki.file(""), pki.file(""));
    run(Command::new("openssl")
        .args(["ca", "-gencrl", "-crldays", "7", "-config"])
        .arg(settings)
        .arg("-cert")
        .arg(pki.path("intermediate.pem"))
        .arg("-keyfile")
        .arg(pki.path("intermediate.key"))
        .arg("-out")
        .arg(&pem));
    run(Command::new("openssl")
        .args(["crl", "-outform", "DER", "-in"])
        .arg(&pem)
        .arg("-out")
        .arg(&der));
    fs::read(der).unwrap()
}

/// File of an OCSP response for a certificate, valid for a week.
fn response(pki: &Pki, database: &PathBuf, about: &Leaf, signer: (PathBuf, PathBuf)) -> PathBuf {
    let file = pki.file("");
    let issuer = pki.path("intermediate.pem");
    run(Command::new("openssl")
        .args(["ocsp", "-no_nonce", "-ndays", "7", "-index"])
        .arg(database)
        .arg("-CA")
        .arg(&issuer)
        .arg("-issuer")
        .arg(&issuer)
        .arg("-rsigner")
        .arg(signer.0)
        .arg("-rkey")
        .arg(signer.1)
        .arg("-cert")
        .arg(pki.chain(&[&about.certificate]))
        .arg("-respout")
        .arg(&file));
    file
}

fn own_signer(pki: &Pki) -> (PathBuf, PathBuf) {
    (pki.path("intermediate.pem"), pki.path("intermediate.key"))
}

/// A leaf of the intermediate with this extended key usage, which may allow it to sign responses.
fn responder(pki: &Pki, usage: &str) -> (PathBuf, PathBuf) {
    let extension = format!("extendedKeyUsage={usage}");
    let leaf = pki.openssl(P256, &format!("-addext {extension}"));
    (pki.chain(&[&leaf.certificate]), leaf.key)
}

/// The response for a path.
#[derive(Clone)]
enum Page {
    Body(Vec<u8>),
    Status(u16),
    Redirect(String),
    Endless,
    Silence,
}

/// The test's own web server, which records the requests.
struct Web {
    server: Server,
    pages: Arc<Mutex<BTreeMap<String, Page>>>,
    paths: Arc<Mutex<Vec<String>>>,
}

impl Web {
    fn start() -> Self {
        Self::start_at("127.0.0.1")
    }

    fn start_at(address: &str) -> Self {
        let pages = Arc::<Mutex<BTreeMap<String, Page>>>::default();
        let paths = Arc::<Mutex<Vec<String>>>::default();
        let (known, asked) = (pages.clone(), paths.clone());
        let server = Server::start(address, move |stream| {
            let Some(path) = read_path(stream) else {
                return;
            };
            asked.lock().unwrap().push(path.clone());
            let page = known.lock().unwrap().get(&path).cloned();
            answer(stream, page.unwrap_or(Page::Status(404)));
        });
        Self {
            server,
            pages,
            paths,
        }
    }

    /// Adds a page and returns its URL.
    fn put(&self, path: &str, page: Page) -> String {
        self.pages.lock().unwrap().insert(path.to_owned(), page);
        format!("http://{}{path}", self.server.address)
    }

    fn paths(&self) -> Vec<String> {
        self.paths.lock().unwrap().clone()
    }
}

fn read_path(stream: &TcpStream) -> Option<String> {
    let mut lines = BufReader::new(stream).lines();
    let line = lines.next()?.ok()?;
    let headers = lines.map_while(Result::ok).take_while(|h| !h.is_empty());
    headers.for_each(drop);
    line.split(' ').nth(1).map(str::to_owned)
}

fn answer(stream: &mut TcpStream, page: Page) {
    let head =
        |status: u16, more: &str| format!("HTTP/1.1 {status} X\r\n{more}Connection: close\r\n");
    match page {
        Page::Body(body) => {
            let head = head(200, &format!("Content-Length: {}\r\n", body.len()));
            send_bytes(stream, &[head.as_bytes(), b"\r\n", &body].concat());
        }
        Page::Status(status) => {
            send_bytes(
                stream,
                (head(status, "Content-Length: 0\r\n") + "\r\n").as_bytes(),
            );
        }
        Page::Redirect(to) => {
            let more = format!("Location: {to}\r\nContent-Length: 0\r\n");
            send_bytes(stream, (head(302, &more) + "\r\n").as_bytes());
        }
        Page::Endless => {
            send_bytes(stream, (head(200, "") + "\r\n").as_bytes());
            while stream.write_all(&[0x30; 1 << 16]).is_ok() {}
        }
        Page::Silence => stay_silent(stream),
    }
}

/// A check of the test's own server with this leaf.
fn check(pki: &Pki, leaf: &Leaf, how: &str) -> (Check, Server) {
    let server = Server::tls("127.0.0.1", config(pki, leaf));
    let check = Check::of(pki, leaf, &["127.0.0.1"], server.port());
    (check.args(&["--revocation", how, "-v"]), server)
}

/// Returns the row and the log.
fn look(pki: &Pki, leaf: &Leaf, how: &str, more: &[&str]) -> (Row, String) {
    let (check, _server) = check(pki, leaf, how);
    let run = check.args(more).run();
    (rows(&run).remove(0), run.stderr)
}

fn revoked(row: &Row) -> Option<bool> {
    assert_eq!(row.outcome(), "conclusive", "{row:?}");
    row.flag("revoked")
}

#[test]
#[ignore = "needs nginx and openssl"]
fn ocsp_response_stapled_by_nginx_is_verified() {
    let pki = Pki::new();
    let (leaf, other) = (
        leaf(&pki, &[]),
        pki.openssl(P256, &format!("-set_serial 0x{OTHER}")),
    );
    let good = database(&pki, &[SERIAL, OTHER], &[]);
    let bad = database(&pki, &[OTHER], &[SERIAL]);
    let stranger = Pki::new();
    for (response, at, flag, codes, words) in [
        (
            response(&pki, &good, &leaf, own_signer(&pki)),
            None,
            Some(false),
            &[][..],
            "",
        ),
        (
            response(&pki, &bad, &leaf, own_signer(&pki)),
            None,
            Some(true),
            &["revoked"],
            "2026-11-01 (keyCompromise), according to the stapled OCSP response",
        ),
        (
            response(&pki, &good, &leaf, own_signer(&pki)),
            Some(20),
            None,
            &["bad_ocsp_staple"],
            "it ended at",
        ),
        (
            response(&pki, &good, &other, own_signer(&pki)),
            None,
            None,
            &["bad_ocsp_staple"],
            "another certificate",
        ),
        (
            response(&pki, &good, &leaf, own_signer(&stranger)),
            None,
            None,
            &["bad_ocsp_staple"],
            "another issuer",
        ),
        (
            response(&pki, &good, &leaf, responder(&stranger, "OCSPSigning")),
            None,
            None,
            &["bad_ocsp_staple"],
            "another issuer",
        ),
        (
            response(&pki, &bad, &leaf, responder(&pki, "OCSPSigning")),
            None,
            Some(true),
            &["revoked"],
            "according to the stapled",
        ),
        (
            response(&pki, &good, &leaf, responder(&pki, "serverAuth")),
            None,
            None,
            &["bad_ocsp_staple"],
            "OCSPSigning",
        ),
        (
            response(&pki, &database(&pki, &[], &[]), &leaf, own_signer(&pki)),
            None,
            None,
            &["bad_ocsp_staple"],
            "not known",
        ),
    ] {
        let staple = format!("ssl_stapling on; ssl_stapling_file {};", response.display());
        let nginx = crate::common::nginx::one(&pki, &leaf, &staple);
        let mut check = Check::of(&pki, &leaf, &["127.0.0.1"], nginx.port);
        if let Some(days) = at {
            let later = Timestamp(now().0 + days * 86_400);
            check = check.args(&["--at", &later.to_string()]);
        }
        let row = check.row();
        row.assert_right(codes);
        assert_eq!(row.0["served"]["ocsp_stapled"], true, "{row:?}");
        assert_eq!(revoked(&row), flag, "{words}: {row:?}");
        if let Some(code) = codes.first() {
            let message = row.finding(code)["message"].as_str().unwrap();
            assert!(message.contains(words), "{message}");
        }
    }
}

#[test]
#[ignore = "needs openssl"]
fn missing_required_staple_is_critical() {
    let pki = Pki::new();
    let obliged = leaf(&pki, &["tlsfeature=status_request".into()]);
    let (row, _) = look(&pki, &obliged, "staple", &[]);
    row.assert_right(&["must_staple_missing"]);
    assert_eq!(row.text("/severity"), "critical");
    let (row, _) = look(&pki, &obliged, "off", &[]);
    row.assert_right(&[]);
    let (row, _) = look(&pki, &leaf(&pki, &[]), "staple", &[]);
    row.assert_right(&[]);
}

#[test]
#[ignore = "needs nginx and openssl"]
fn required_staple_by_nginx_is_ok() {
    let pki = Pki::new();
    let obliged = leaf(&pki, &["tlsfeature=status_request".into()]);
    let database = database(&pki, &[SERIAL], &[]);
    let response = response(&pki, &database, &obliged, own_signer(&pki));
    let staple = format!("ssl_stapling on; ssl_stapling_file {};", response.display());
    for version in ["TLSv1.2", "TLSv1.3"] {
        let more = format!("ssl_protocols {version}; {staple}");
        let nginx = crate::common::nginx::one(&pki, &obliged, &more);
        let row = Check::of(&pki, &obliged, &["127.0.0.1"], nginx.port).row();
        row.assert_right(&[]);
        assert_eq!(revoked(&row), Some(false), "{version}");
    }
}

#[test]
#[ignore = "needs openssl"]
fn crl_is_fetched_only_if_configured() {
    let pki = Pki::new();
    let web = Web::start();
    let listing = |serials: &[&str]| Page::Body(list(&pki, serials));
    let url = web.put("/list", listing(&[OTHER, SERIAL]));
    let listed = leaf(&pki, &[names_list(&url)]);
    for how in ["off", "staple"] {
        let (row, _) = look(&pki, &listed, how, &[]);
        assert_eq!(revoked(&row), None, "{how}");
        assert_eq!(web.paths(), [""; 0], "{how}");
    }
    let (row, _) = look(&pki, &listed, "crl", &[]);
    row.assert_right(&["revoked"]);
    assert_eq!(revoked(&row), Some(true));
    let message = row.finding("revoked")["message"].as_str().unwrap();
    let words = "2026-11-01 (keyCompromise), according to its issuer's revocation list";
    assert!(message.contains(words), "{message}");

    web.put("/list", listing(&[OTHER]));
    let (row, _) = look(&pki, &listed, "crl", &[]);
    row.assert_right(&[]);
    assert_eq!(revoked(&row), Some(false));
    assert_eq!(web.paths(), ["/list", "/list"]);

    // Nothing is fetched for an unexpected certificate without a path to a trusted root.
    let stranger = Pki::new();
    let foreign = leaf(&stranger, &[names_list(&url)]);
    let server = Server::tls("127.0.0.1", config(&stranger, &foreign));
    let check = Check::of(&pki, &listed, &["127.0.0.1"], server.port());
    let row = check.args(&["--revocation", "full"]).row();
    assert_eq!(row.flag("correct"), Some(false));
    assert_eq!(web.paths().len(), 2);
}

#[test]
#[ignore = "needs openssl"]
fn unavailable_or_invalid_crl_leaves_revocation_unknown() {
    let pki = Pki::new();
    let web = Web::start();
    let good = web.put("/good", Page::Body(list(&pki, &[SERIAL])));
    let refusing = Refusing::new();
    // The issuer's name matches, but not its key.
    let stranger = Pki::new();
    for (name, page, words) in [
        (
            "wrong",
            Page::Body(list(&stranger, &[SERIAL])),
            "its signature is wrong",
        ),
        (
            "garbage",
            Page::Body(b"<html>".to_vec()),
            "it cannot be read",
        ),
        ("gone", Page::Status(404), "HTTP status 404"),
        ("large", Page::Endless, "larger than 16777216 bytes"),
        ("silent", Page::Silence, "no answer in time"),
        ("loop", Page::Redirect("/loop".into()), "too many redirects"),
    ] {
        let url = web.put(&format!("/{name}"), page);
        let leaf = leaf(&pki, &[names_list(&url)]);
        let timeout = if name == "silent" { "2s" } else { "60s" };
        let (row, log) = look(&pki, &leaf, "crl", &["--timeout", timeout]);
        row.assert_right(&[]);
        assert_eq!(revoked(&row), None, "{name}");
        assert!(log.contains(words), "{name}: {log}");
    }
    let nobody = leaf(
        &pki,
        &[names_list(&format!("http://{}/", refusing.place()))],
    );
    let (row, log) = look(&pki, &nobody, "crl", &[]);
    assert_eq!(revoked(&row), None);
    assert!(log.contains("no connection"), "{log}");

    // A redirect is followed. If one URL has nothing, the next is tried.
    let moved = web.put("/moved", Page::Redirect(good.clone()));
    let moved = leaf(&pki, &[names_list(&moved)]);
    assert_eq!(revoked(&look(&pki, &moved, "crl", &[]).0), Some(true));
    let gone = web.put("/gone", Page::Status(404));
    let second = leaf(&pki, &[names_list(&format!("{gone},URI:{good}"))]);
    let (row, log) = look(&pki, &second, "crl", &[]);
    assert_eq!(revoked(&row), Some(true), "{log}");
    // Of an expired list, only an entry counts.
    let later = Timestamp(now().0 + 20 * 86_400).to_string();
    let (row, log) = look(&pki, &second, "crl", &["--at", &later]);
    assert_eq!(revoked(&row), Some(true));
    assert!(log.contains("expired"), "{log}");
    let empty = web.put("/empty", Page::Body(list(&pki, &[])));
    let (row, log) = look(
        &pki,
        &leaf(&pki, &[names_list(&empty)]),
        "crl",
        &["--at", &later],
    );
    assert_eq!(revoked(&row), None);
    assert!(log.contains("it ended at"), "{log}");
}

#[test]
#[ignore = "needs openssl"]
fn crl_is_fetched_once_for_all_endpoints() {
    let pki = Pki::new();
    let web = Web::start();
    let url = web.put("/list", Page::Body(list(&pki, &[SERIAL])));
    let gone = web.put("/gone", Page::Status(500));
    let listed = leaf(&pki, &[names_list(&format!("{gone},URI:{url}"))]);
    let server = Server::tls("127.0.0.1", config(&pki, &listed));
    let mut check = Check::new(&pki).expect(&pki.full_chain(&listed));
    for number in 0..100 {
        check = check.arg(format!("host{number}.example.com:{}", server.port()));
    }
    let resolve = format!("*:{}:127.0.0.1", server.port());
    let rows = check
        .args(&[
            "--resolve",
            &resolve,
            "--revocation",
            "crl",
            "--timeout",
            "60s",
        ])
        .rows();
    assert_eq!(rows.len(), 100);
    for row in &rows {
        assert_eq!(revoked(row), Some(true), "{row:?}");
    }
    // A failed request is not repeated for each of them, either.
    assert_eq!(web.paths(), ["/gone", "/list"]);
}

#[test]
#[ignore = "needs openssl"]
fn ocsp_responder_is_queried_if_no_crl_is_available() {
    let pki = Pki::new();
    let web = Web::start();
    for (valid, bad, flag) in [
        (&[SERIAL][..], &[][..], Some(false)),
        (&[], &[SERIAL], Some(true)),
        (&[], &[], None),
    ] {
        let database = database(&pki, valid, bad);
        // A connection without a request would block it, so its log shows when it is ready.
        let responder = Process::start(&[], |_, port| {
            let mut command = Command::new("openssl");
            command
                .args(["ocsp", "-ndays", "7", "-port", &port.to_string(), "-index"])
                .arg(&database)
                .arg("-CA")
                .arg(pki.path("intermediate.pem"))
                .arg("-rsigner")
                .arg(pki.path("intermediate.pem"))
                .arg("-rkey")
                .arg(pki.path("intermediate.key"));
            command
        });
        wait_until("the responder is ready", || {
            let log = responder.read("log");
            log.contains("waiting for OCSP client").then_some(())
        });
        let url = format!("http://127.0.0.1:{}", responder.port);
        let checker = leaf(&pki, &[names_responder(&url)]);
        assert_eq!(revoked(&look(&pki, &checker, "crl", &[]).0), None);
        let (row, log) = look(&pki, &checker, "full", &[]);
        assert_eq!(revoked(&row), flag, "{log}");
        if flag == Some(true) {
            let message = row.finding("revoked")["message"].as_str().unwrap();
            assert!(
                message.ends_with("according to its issuer's OCSP responder"),
                "{message}"
            );
        }
        if flag.is_none() {
            assert!(log.contains("not known"), "{log}");
        }
        // If the list is unavailable, the responder is queried. If it is available, the responder
        // is not.
        let gone = web.put("/gone", Page::Status(404));
        let both = leaf(&pki, &[names_list(&gone), names_responder(&url)]);
        assert_eq!(revoked(&look(&pki, &both, "full", &[]).0), flag);
    }
    let told = web.put("/list", Page::Body(list(&pki, &[])));
    let silent = web.put("/ocsp", Page::Silence);
    let both = leaf(&pki, &[names_list(&told), names_responder(&silent)]);
    assert_eq!(revoked(&look(&pki, &both, "full", &[]).0), Some(false));
    assert_eq!(web.paths().last().unwrap(), "/list");
}

#[test]
#[ignore = "needs openssl"]
fn openssl_parses_the_ocsp_request() {
    use base64::Engine as _;
    let pki = Pki::new();
    let web = Web::start();
    let url = web.put("/ocsp", Page::Status(404));
    let checker = leaf(&pki, &[names_responder(&url)]);
    let (row, _) = look(&pki, &checker, "full", &[]);
    assert_eq!(revoked(&row), None);
    let paths = web.paths();
    let [path] = paths.as_slice() else {
        panic!("{paths:?}");
    };
    let encoded = path.strip_prefix("/ocsp/").unwrap();
    assert!(!encoded.contains(['/', '+', '=']), "{encoded}");
    let text = percent_encoding::percent_decode_str(encoded)
        .decode_utf8()
        .unwrap();
    let der = base64::engine::general_purpose::STANDARD
        .decode(&*text)
        .unwrap();
    let told = run(Command::new("openssl")
        .args(["ocsp", "-req_text", "-reqin"])
        .arg(pki.file(der)));
    assert!(told.contains(&format!("Serial Number: {SERIAL}")), "{told}");
}

#[test]
#[ignore = "needs openssl"]
fn revocation_is_configurable_by_default_and_entry() {
    let pki = Pki::new();
    let web = Web::start();
    let url = web.put("/list", Page::Body(list(&pki, &[SERIAL])));
    let listed = leaf(&pki, &[names_list(&url)]);
    let server = Server::tls("127.0.0.1", config(&pki, &listed));
    let chain = pki.full_chain(&listed);
    let entry = |name: &str, more: &str| {
        let (pem, port) = (chain.display(), server.port());
        format!(
            "  - {{name: {name}, pem: {pem}, hostnames: [{HOST}], addresses: [127.0.0.1], port: {port}{more}}}\n"
        )
    };
    let file = pki.file(format!(
        "defaults: {{revocation: crl}}\ncertificates:\n{}{}",
        entry("a", ""),
        entry("b", ", revocation: staple")
    ));
    let rows = |more: &[&str]| {
        let check = Check::new(&pki).arg("--config").arg(&file).args(more);
        check.rows().iter().map(revoked).collect::<Vec<_>>()
    };
    assert_eq!(rows(&[]), [Some(true), None]);
    assert_eq!(rows(&["--revocation", "off"]), [None, None]);
    assert_eq!(rows(&["--revocation", "full"]), [Some(true), Some(true)]);
}

#[test]
#[ignore = "needs openssl"]
fn serve_reports_revocation_and_fetches_the_crl_once() {
    let pki = Pki::new();
    let web = Web::start();
    let url = web.put("/list", Page::Body(list(&pki, &[SERIAL])));
    let listed = leaf(&pki, &[names_list(&url)]);
    let server = Server::tls("127.0.0.1", config(&pki, &listed));
    let inventory = format!(
        "defaults: {{interval: 1s, revocation: crl}}\n\
         trust: {{system: false, ca_files: [{}]}}\n\
         certificates:\n- {{name: web, pem: {}, hostnames: {HOST}, addresses: 127.0.0.1, port: {}}}\n",
        pki.path("root.pem").display(),
        pki.full_chain(&listed).display(),
        server.port()
    );
    let exporter = Exporter::start(&inventory, &[], |_| {});
    exporter.wait_until_ready();
    let metrics = exporter.wait_for_metrics("three looks", |metrics| {
        let looks = metrics.sample("certvigil_probes_total", &[r#"status="conclusive""#]);
        looks.is_some_and(|looks| looks >= 3.0)
    });
    let labels = [r#"certificate="web""#];
    let revoked = metrics.sample("certvigil_endpoint_revoked", &labels);
    assert_eq!(revoked, Some(1.0));
    let finding = [labels[0], r#"code="revoked""#, r#"severity="critical""#];
    let found = metrics.sample("certvigil_endpoint_finding", &finding);
    assert_eq!(found, Some(1.0));

    let probe = exporter.probe(&format!("/probe?target={HOST}:{}", server.port()));
    let revoked = probe.sample("certvigil_endpoint_revoked", &labels);
    assert_eq!(revoked, Some(1.0));
    assert_eq!(probe.sample("probe_success", &[]), Some(0.0));
    assert_eq!(web.paths(), ["/list"]);
}

#[test]
#[ignore = "needs openssl"]
fn crl_url_of_a_foreign_certificate_reaches_no_internal_address() {
    let pki = Pki::new();
    let web = Web::start();
    let by_address = web.put("/list", Page::Body(list(&pki, &[SERIAL])));
    let by_name = by_address.replace("127.0.0.1", "localhost");
    assert_ne!(by_address, by_name);
    let redirecting = Web::start_at("127.0.0.2");
    let outside = redirecting.put("/redirect", Page::Redirect(by_address.clone()));
    let probe = |allow: &str, url: &str| {
        let listed = leaf(&pki, &[names_list(url)]);
        let stranger = Server::tls("127.0.0.2", config(&pki, &listed));
        let inventory = format!(
            "defaults: {{interval: 1h, revocation: crl}}\n\
             trust: {{system: false, ca_files: [{}]}}\n\
             probe: {{allow: [{allow}]}}\n\
             certificates:\n- {{trust: true, hostnames: 127.0.0.1, port: 9}}\n",
            pki.path("root.pem").display(),
        );
        let exporter = Exporter::start(&inventory, &[], |_| {});
        exporter.wait_until_ready();
        let path = format!(
            "/probe?target=127.0.0.2:{}&hostname={HOST}",
            stranger.port()
        );
        let answer = exporter.probe(&path);
        assert_eq!(
            answer.sample("certvigil_endpoint_trusted", &[]),
            Some(1.0),
            "{}",
            answer.text()
        );
        answer.sample("certvigil_endpoint_revoked", &[])
    };
    for url in [&by_address, &by_name, &outside] {
        assert_eq!(probe("127.0.0.2/32", url), None, "{url}");
    }
    assert_eq!(web.paths(), [""; 0]);
    assert_eq!(redirecting.paths(), ["/redirect"]);
    for url in [&by_address, &outside] {
        assert_eq!(probe("127.0.0.0/8", url), Some(1.0), "{url}");
    }
}

#[test]
#[ignore = "needs openssl"]
fn crl_is_refreshed_in_time_and_kept_while_valid() {
    let pki = Pki::new();
    let web = Web::start();
    let page = Page::Body(list(&pki, &[SERIAL]));
    let url = web.put("/list", page.clone());
    let listed = (leaf(&pki, &[names_list(&url)]).certificate, issuer(&pki));
    let (checker, begin) = (RevocationChecker::new(), now());
    let ask = |seconds: i64| {
        let answer = checker.ask(&listed, Timestamp(begin.0 + seconds));
        (answer, web.paths().len())
    };
    let (minute, hour, day) = (60, 3_600, 86_400);
    assert_eq!(ask(0), (Some(true), 1));
    assert_eq!(ask(hour - 1), (Some(true), 1));
    web.put("/list", Page::Status(503));
    assert_eq!(ask(hour), (Some(true), 2), "what was said before holds");
    assert_eq!(ask(hour + minute - 1), (Some(true), 2));
    assert_eq!(ask(hour + minute), (Some(true), 3));
    web.put("/list", Page::Body(list(&Pki::new(), &[])));
    assert_eq!(
        ask(2 * hour),
        (Some(true), 4),
        "a forged list changes nothing"
    );
    web.put("/list", Page::Body(list(&pki, &[])));
    assert_eq!(ask(3 * hour), (Some(false), 5));
    web.put("/list", Page::Status(503));
    assert_eq!(ask(8 * day), (None, 6), "it has ended");
    web.put("/list", page);
    let expired = ask(8 * day + minute);
    assert_eq!(expired, (Some(true), 7), "it has expired, and has an entry");
    assert_eq!(
        checker.requests.counts(),
        [],
        "these are no requests of a source"
    );
}

/// A CA that has changed its key may continue under the same URL.
#[test]
#[ignore = "needs openssl"]
fn crl_unusable_for_one_certificate_is_used_for_another() {
    let (pki, namesake) = (Pki::new(), Pki::new());
    let web = Web::start();
    let url = web.put("/list", Page::Body(list(&pki, &[SERIAL])));
    let checker = RevocationChecker::new();
    let [of_issuer, of_namesake] =
        [&pki, &namesake].map(|pki| (leaf(pki, &[names_list(&url)]).certificate, issuer(pki)));
    for _ in 0..2 {
        assert_eq!(checker.ask(&of_namesake, now()), None);
        assert_eq!(checker.ask(&of_issuer, now()), Some(true));
    }
    assert_eq!(web.paths(), ["/list"]);
}

/// The revocation checker without the rest of the program.
struct RevocationChecker {
    revocations: Revocations,
    requests: Requests,
    runtime: tokio::runtime::Runtime,
}

impl RevocationChecker {
    fn new() -> Self {
        let environment = Environment {
            variable: &|_| None,
            home: None,
        };
        let requests = Requests::default();
        let sources = Sources::new(&Inventory::default(), &environment, requests.clone());
        Self {
            revocations: Revocations::new(sources.unwrap().http_for_others()),
            requests,
            runtime: tokio::runtime::Runtime::new().unwrap(),
        }
    }

    /// Returns true if the list reports the certificate as revoked.
    fn ask(&self, (leaf, issuer): &(Certificate, Issuer), now: Timestamp) -> Option<bool> {
        let answer = self.runtime.block_on(async {
            let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
            let check = RevocationCheck::Crl;
            self.revocations
                .ask(leaf, issuer, false, check, now, deadline)
                .await
        });
        answer.map(|fetched| fetched.status != Status::Good)
    }
}

/// The intermediate, as the issuer of its leaves.
fn issuer(pki: &Pki) -> Issuer {
    let above = pki.intermediate.certificate.facts().unwrap();
    Issuer::of(&pki.leaf(&[HOST]).certificate, &above.spki).unwrap()
}

/// Lists from files count, whatever is fetched, and nothing is fetched for them.
#[test]
#[ignore = "needs openssl"]
fn a_list_from_a_file_counts_without_a_request() {
    let pki = Pki::new();
    let web = Web::start();
    let url = web.put("/list", Page::Status(500));
    let listed = leaf(&pki, &[names_list(&url)]);
    let der = pki.file(list(&pki, &[SERIAL]));
    let pem = pki.file("");
    run(Command::new("openssl")
        .args(["crl", "-inform", "DER", "-text", "-in"])
        .arg(&der)
        .arg("-out")
        .arg(&pem));
    let other = Pki::new();
    let others = fs::read(other.file(list(&other, &[]))).unwrap();
    let (others, clean) = (pki.file(others), pki.file(list(&pki, &[OTHER])));
    let flags = |files: &[&PathBuf]| -> Vec<String> {
        let each = files.iter().map(|file| file.to_str().unwrap().to_owned());
        each.flat_map(|file| ["--crl-file".to_owned(), file])
            .collect()
    };
    let look_with = |files: &[&PathBuf], how: &str| {
        let flags = flags(files);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        look(&pki, &listed, how, &flags)
    };
    for files in [
        vec![&der],
        vec![&pem],
        vec![&others, &der],
        vec![&clean, &pem],
    ] {
        let (row, _) = look_with(&files, "staple");
        row.assert_right(&["revoked"]);
        assert_eq!(revoked(&row), Some(true), "{files:?}");
    }
    let (row, _) = look_with(&[&clean], "crl");
    row.assert_right(&[]);
    assert_eq!(revoked(&row), Some(false));
    let (row, log) = look_with(&[&others], "staple");
    assert_eq!(revoked(&row), None);
    assert!(
        log.contains("no list of --crl-file has the status of"),
        "{log}"
    );
    assert_eq!(web.paths(), [""; 0]);
}
