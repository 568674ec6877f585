//! MTA-STS policies (RFC 8461), from DNS and from a policy host at port 443, which needs root.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::common::monitor::{SHORT_INTERVAL, inventory};
use crate::common::tlsa::{local, zones};
use crate::dane_mail::{mail_server, own_address};
use crate::fixture::check::{Check, Row};
use crate::fixture::exporter::{Answer, Exporter};
use crate::fixture::pki::Pki;
use crate::fixture::process::Process;
use crate::fixture::tls::{self, Server};

const MAIL: &str = "mail.t.example";
/// Size that exceeds that of a policy.
const TOO_LARGE: usize = 70_000;

fn policy(mode: &str, mx: &str) -> String {
    format!("version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n")
}

/// Responses of the policy host by mail domain: status line, media type, body.
fn response(domain: &str) -> (&'static str, &'static str, String) {
    const OK: &str = "200 OK";
    const PLAIN: &str = "text/plain; charset=utf-8";
    let right = || policy("enforce", MAIL);
    match domain {
        "enforce.t.example" | "foreign.t.example" | "resolved.t.example" => (OK, PLAIN, right()),
        "wildcard.t.example" => (OK, PLAIN, policy("enforce", "*.t.example")),
        "outside.t.example" => (OK, PLAIN, policy("enforce", "mx.t.example")),
        "testing.t.example" => (OK, PLAIN, policy("testing", "mx.t.example")),
        "none.t.example" => (OK, PLAIN, policy("none", "mx.t.example")),
        "gone.t.example" => ("404 Not Found", PLAIN, right()),
        "moved.t.example" => {
            let to =
                "301 Moved\r\nLocation: https://mta-sts.enforce.t.example/.well-known/mta-sts.txt";
            (to, PLAIN, String::new())
        }
        "html.t.example" => (OK, "text/html", right()),
        "broken.t.example" => (OK, PLAIN, policy("enforced", MAIL)),
        "large.t.example" => (
            OK,
            PLAIN,
            format!("{}x: {}\n", right(), "a".repeat(TOO_LARGE)),
        ),
        other => panic!("{other}"),
    }
}

/// A mail server, a policy host and a name server.
struct Setup {
    pki: Pki,
    mail: Server,
    _policies: Server,
    requests: Arc<Mutex<Vec<String>>>,
    /// True if the policy host has lost all policies.
    is_empty: Arc<AtomicBool>,
    address: Ipv4Addr,
    knot: Process,
}

impl Setup {
    fn new() -> Self {
        let pki = Pki::new();
        let leaf = pki.leaf(&[MAIL]);
        let mail = mail_server(&[&leaf.certificate, &pki.intermediate.certificate], &leaf);
        let served = [
            "enforce", "wildcard", "outside", "testing", "none", "gone", "moved", "html", "broken",
            "large", "resolved",
        ];
        let names: Vec<String> = served.map(|d| format!("mta-sts.{d}.t.example")).into();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let config = tls::config(&pki, &pki.leaf(&names));
        let (requests, address) = (Arc::<Mutex<Vec<String>>>::default(), own_address());
        let (heard, is_empty) = (requests.clone(), Arc::new(AtomicBool::new(false)));
        let gone = is_empty.clone();
        let listener = TcpListener::bind((address, 443)).expect("port 443 needs root");
        let policies = Server::listen(listener, move |stream| {
            let _ = answer(stream, &config, &heard, &gone);
        });
        let mut zone = String::from("mail.t A 127.0.0.1\n");
        for domain in served.into_iter().chain(["foreign", "absent"]) {
            zone.push_str(&format!(
                "{domain}.t MX 1 mail.t\n_mta-sts.{domain}.t TXT \"v=STSv1; id=1;\"\n"
            ));
            if !["absent", "resolved"].contains(&domain) {
                zone.push_str(&format!("mta-sts.{domain}.t A {address}\n"));
            }
        }
        zone.push_str("two.t MX 1 mail.t\n_mta-sts.two.t TXT \"v=STSv1; id=1;\"\n_mta-sts.two.t TXT \"v=STSv1; id=2;\"\n");
        zone.push_str("plain.t MX 1 mail.t\n_mta-sts.plain.t TXT \"v=spf1 -all\"\n");
        zone.push_str("split.t MX 1 mail.t\n_mta-sts.split.t TXT \"v=ST\" \"Sv1; i=1\"\n");
        Self {
            pki,
            mail,
            _policies: policies,
            requests,
            is_empty,
            address,
            knot: zones(&zone, ""),
        }
    }

    fn row(&self, domain: &str, more: &[&str]) -> Row {
        let dns = local(self.knot.port).to_string();
        let target = format!("mx:{domain}:{}", self.mail.port());
        let check = Check::new(&self.pki).arg(target);
        check.args(&["-4", "--dns", &dns]).args(more).row()
    }
}

fn answer(
    stream: &TcpStream,
    config: &Arc<ServerConfig>,
    requests: &Mutex<Vec<String>>,
    is_empty: &AtomicBool,
) -> std::io::Result<()> {
    let tls = ServerConnection::new(config.clone()).map_err(std::io::Error::other)?;
    let mut tls = BufReader::new(StreamOwned::new(tls, stream.try_clone()?));
    let (mut path, mut host, mut line) = (String::new(), String::new(), String::new());
    while tls.read_line(&mut line)? > 0 && line != "\r\n" {
        if let Some(rest) = line.strip_prefix("GET ") {
            path = rest.split(' ').next().unwrap_or_default().to_owned();
        } else if let Some(rest) = line.to_ascii_lowercase().strip_prefix("host: ") {
            host = rest.trim().to_owned();
        }
        line.clear();
    }
    requests.lock().unwrap().push(format!("{host}{path}"));
    let domain = host.strip_prefix("mta-sts.").unwrap_or_default();
    let domain = match is_empty.load(Ordering::Relaxed) {
        true => "gone.t.example",
        false => domain,
    };
    let (status, media_type, body) = response(domain);
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
    );
    tls.get_mut().write_all(format!("{head}{body}").as_bytes())
}

#[test]
#[ignore = "needs knot"]
fn the_policy_of_a_mail_domain_decides() {
    let setup = Setup::new();
    for (domain, expected) in [
        ("enforce.t.example", None),
        ("wildcard.t.example", None),
        ("none.t.example", None),
        ("plain.t.example", None),
        (
            "outside.t.example",
            Some(("mta_sts_mismatch", "critical", "does not allow")),
        ),
        (
            "testing.t.example",
            Some(("mta_sts_mismatch", "warning", "mode testing")),
        ),
        (
            "gone.t.example",
            Some(("mta_sts_unusable", "warning", "HTTP status 404")),
        ),
        (
            "moved.t.example",
            Some(("mta_sts_unusable", "warning", "HTTP status 301")),
        ),
        (
            "html.t.example",
            Some(("mta_sts_unusable", "warning", "text/html")),
        ),
        (
            "broken.t.example",
            Some(("mta_sts_unusable", "warning", "enforced")),
        ),
        (
            "large.t.example",
            Some(("mta_sts_unusable", "warning", "cannot be fetched")),
        ),
        (
            "foreign.t.example",
            Some(("mta_sts_unusable", "warning", "certificate")),
        ),
        (
            "absent.t.example",
            Some(("mta_sts_unusable", "warning", "does not exist")),
        ),
        (
            "two.t.example",
            Some(("mta_sts_unusable", "warning", "has 2 records")),
        ),
        (
            "split.t.example",
            Some(("mta_sts_unusable", "warning", "is invalid")),
        ),
    ] {
        let row = setup.row(domain, &[]);
        let codes = Vec::from_iter(expected.map(|(code, ..)| code));
        row.assert_right(&codes);
        if let Some((code, severity, word)) = expected {
            let finding = row.finding(code);
            assert_eq!(finding["severity"], severity, "{row:?}");
            let message = finding["message"].as_str().unwrap();
            assert!(message.contains(word), "{domain}: {message}");
        }
    }
    let requests = setup.requests.lock().unwrap();
    let path = ".example/.well-known/mta-sts.txt";
    assert!(
        requests.iter().all(|request| request.ends_with(path)),
        "{requests:?}"
    );
    // The redirect is not followed, and what announces nothing is not requested.
    let of = |domain: &str| requests.iter().filter(|r| r.contains(domain)).count();
    assert_eq!(
        (of("sts.enforce."), of("sts.plain."), of("sts.two.")),
        (1, 0, 0)
    );
}

#[test]
#[ignore = "needs knot"]
fn the_request_of_a_policy_follows_resolve() {
    let setup = Setup::new();
    let resolve = format!("mta-sts.resolved.t.example:443:{}", setup.address);
    let row = setup.row("resolved.t.example", &["--resolve", &resolve]);
    row.assert_right(&[]);
    assert_eq!(setup.requests.lock().unwrap().len(), 1);
}

/// RFC 8461, section 5.1: senders apply the policy that they know while the policy host fails.
#[test]
#[ignore = "needs knot"]
fn serve_applies_the_last_policy_while_the_policy_host_fails() {
    let setup = Setup::new();
    let entry = format!(
        "name: post, trust: true, mx: [outside.t.example], protocol: smtp, port: {}",
        setup.mail.port()
    );
    let dns = format!("dns: ['{}']", local(setup.knot.port));
    let config = inventory(&setup.pki, SHORT_INTERVAL, &dns, &[entry]);
    let exporter = Exporter::start(&config, &[], |_| {});
    let finding = "certvigil_endpoint_finding";
    let mismatch = [r#"code="mta_sts_mismatch""#];
    exporter.wait_for_metrics("the policy", |metrics| {
        metrics.sample(finding, &mismatch).is_some()
    });
    setup.is_empty.store(true, Ordering::Relaxed);
    let asked = || setup.requests.lock().unwrap().len();
    let before = asked();
    assert_eq!(exporter.post("/-/reload", "").status, 200);
    let last_probe = |metrics: &Answer| {
        let metric = "certvigil_endpoint_last_check_timestamp_seconds";
        metrics.sample(metric, &[r#"ip="127.0.0.1""#]).unwrap()
    };
    let metrics = exporter.wait_for_metrics("a request that fails", |_| asked() > before);
    let failed_at = last_probe(&metrics);
    let metrics = exporter.wait_for_metrics("two more probes", |metrics| {
        last_probe(metrics) > failed_at + 2.0
    });
    let found = metrics.sample(finding, &mismatch);
    assert!(found.is_some(), "{}", metrics.text());
    assert!(!exporter.log().contains("endpoint recovered"));
}
