//! `/webhook/sslmate`: notifications of new instances, from the request to the verdicts.

use super::*;
use crate::fixture::account::FakeAccount;
use crate::fixture::exporter::{Answer, basic};

const SECRET: &str = "told to nobody";
const OTHER: &str = "other.example";

/// An account with a certificate on two servers, and a monitor that probes both once an hour.
struct Bench {
    pki: Pki,
    leaf: Leaf,
    servers: (Server, Server),
    account: FakeAccount,
    exporter: Exporter,
}

impl Bench {
    fn new(defaults: &str, args: &[&str]) -> Self {
        let pki = Pki::new();
        let leaf = pki.leaf(&[HOST]);
        let servers = two_servers(&pki, &leaf);
        let account = FakeAccount::start(&pki, &["127.0.0.1", "127.0.0.2"], servers.0.port());
        account.issue(&pki, HOST, 1, &leaf);
        let settings = format!("{}webhook: {{secret_file: secret}}", account.settings("1h"));
        let entry = format!(
            "sslmate: {HOST}, addresses: [127.0.0.1, 127.0.0.2], port: {}",
            servers.0.port()
        );
        let config = inventory(&pki, defaults, &settings, &[entry]);
        let exporter = Exporter::start(&config, args, |folder| {
            account.write_key(folder);
            std::fs::write(folder.join("secret"), SECRET).unwrap();
            let hash = bcrypt::hash("password", 4).unwrap();
            let users = format!("basic_auth_users:\n  user: {hash}\n");
            std::fs::write(folder.join("web.yml"), users).unwrap();
        });
        let exporter = exporter.with_user("user", "password");
        exporter.wait_until_ready();
        Self {
            pki,
            leaf,
            servers,
            account,
            exporter,
        }
    }

    /// Sends SSLMate's notification, with the secret as the password of HTTP Basic.
    fn word(&self, body: &str) -> Answer {
        post(
            &self.exporter,
            "/webhook/sslmate",
            Some(&basic("", SECRET)),
            body,
        )
    }

    /// Sends the fields of an issuance notification that certvigil uses.
    fn issued(&self) -> Answer {
        self.word(&format!(r#"{{"exists": true, "cn": "{HOST}"}}"#))
    }
}

/// Posts without the user of the monitor's other pages.
fn post(exporter: &Exporter, path: &str, authorization: Option<&str>, body: &str) -> Answer {
    let headers: Vec<_> = authorization
        .map(|value| ("Authorization", value))
        .into_iter()
        .collect();
    exporter.request_without_user("POST", path, &headers, body)
}

/// The value of the local endpoint at an address.
fn correct(metrics: &Answer, ip: &str) -> Option<f64> {
    metrics.sample(
        "certvigil_endpoint_correct",
        &[&label("ip", ip), r#"vantage="local""#],
    )
}

fn previous(metrics: &Answer, ip: &str, severity: &str) -> bool {
    let labels = [
        &label("ip", ip),
        r#"vantage="local""#,
        r#"code="previous_instance""#,
        &label("severity", severity),
    ];
    metrics.sample("certvigil_endpoint_finding", &labels) == Some(1.0)
}

fn instance(metrics: &Answer) -> Vec<String> {
    metrics.samples("certvigil_certificate_info", &[])
}

#[test]
fn webhook_is_authorized_before_anything_is_fetched() {
    let bench = Bench::new(LONG_INTERVAL, &[]);
    let exporter = &bench.exporter;
    let encoded = SECRET.replace(' ', "%20");
    let right = format!("/webhook/sslmate?secret={encoded}");
    let body = format!(r#"{{"cn": "{HOST}"}}"#);
    for (path, authorization) in [
        ("/webhook/sslmate", None),
        ("/webhook/sslmate?secret=", None),
        ("/webhook/sslmate?secret=wrong", None),
        ("/webhook/sslmate", Some(basic("user", "password"))),
        ("/webhook/sslmate", Some(basic(SECRET, ""))),
        ("/webhook/sslmate", Some(format!("Bearer {SECRET}"))),
        ("/webhook/sslmate", Some("Basic !".into())),
        // The secret in the query takes precedence, and is wrong.
        ("/webhook/sslmate?secret=wrong", Some(basic("", SECRET))),
    ] {
        let answer = post(exporter, path, authorization.as_deref(), &body);
        assert_eq!(
            answer.status,
            403,
            "{path} {authorization:?}: {}",
            answer.text()
        );
        assert!(!answer.text().contains(SECRET));
    }
    for wrong in ["", "no JSON", "[]", "{}", r#"{"cn": 7}"#, "\u{0}"] {
        let answer = post(exporter, &right, None, wrong);
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.text());
    }
    let large = format!(r#"{{"cn": "{HOST}", "x": "{}"}}"#, "x".repeat(2 << 20));
    assert_eq!(post(exporter, &right, None, &large).status, 400);
    let foreign = post(exporter, &right, None, r#"{"cn": "foreign.example"}"#);
    assert_eq!(foreign.status, 404);
    assert!(
        foreign
            .text()
            .contains("`foreign.example` is not in the inventory")
    );
    assert_eq!(bench.account.requests(), requests_at_start(&bench));

    assert_eq!(post(exporter, &right, None, &body).status, 202);
    assert_eq!(
        bench.word(&body.to_uppercase().replace("CN", "cn")).status,
        202
    );
    assert!(!exporter.log().contains(SECRET));
}

/// Number of API requests at the start: one for the expected certificate, and one to test both
/// addresses.
fn requests_at_start(_: &Bench) -> usize {
    2
}

#[test]
fn webhook_is_disabled_without_a_secret() {
    let pki = Pki::new();
    let exporter = Exporter::start(
        &inventory(&pki, LONG_INTERVAL, "", &[trusting("127.0.0.1")]),
        &[],
        |_| {},
    );
    let answer = exporter.post("/webhook/sslmate?secret=", r#"{"cn": "x"}"#);
    assert_eq!(answer.status, 404);
    assert!(
        answer.text().contains("`webhook.secret_file`"),
        "{}",
        answer.text()
    );
}

#[test]
fn webhook_makes_a_reissue_expected_with_grace_for_the_previous_one() {
    // The pages require a user; the webhook has its own secret.
    let bench = Bench::new(LONG_INTERVAL, &["--web.config.file=web.yml"]);
    let exporter = &bench.exporter;
    assert_eq!(
        exporter
            .request_without_user("GET", "/metrics", &[], "")
            .status,
        401
    );
    let metrics = exporter.get("/metrics");
    assert_eq!(correct(&metrics, "127.0.0.1"), Some(1.0));
    assert!(
        instance(&metrics)[0].contains(r#"source="sslmate",instance_id="1",state="active""#),
        "{:?}",
        instance(&metrics)
    );

    let new = bench.pki.leaf(&[HOST]);
    bench.account.issue(&bench.pki, HOST, 2, &new);
    assert_eq!(bench.issued().status, 202);
    let metrics =
        exporter.wait_for_metrics("the old one is told to be the one before", |metrics| {
            previous(metrics, "127.0.0.1", "warning") && previous(metrics, "127.0.0.2", "warning")
        });
    assert_eq!(correct(&metrics, "127.0.0.1"), Some(0.0));
    let info = instance(&metrics);
    assert_eq!(info.len(), 1);
    assert!(info[0].contains(r#"instance_id="2""#), "{info:?}");
    assert!(
        info[0].contains(&new.certificate.sha256().to_string()),
        "{info:?}"
    );
    assert!(
        exporter
            .log()
            .contains("another instance 2 is expected now"),
        "{}",
        exporter.log()
    );

    // One of the two is reloaded. Another notification probes all again.
    bench.servers.0.serve(config(&bench.pki, &new));
    assert_eq!(bench.issued().status, 202);
    let metrics = exporter.wait_for_metrics("the one that was reloaded is right", |metrics| {
        correct(metrics, "127.0.0.1") == Some(1.0)
    });
    assert!(previous(&metrics, "127.0.0.2", "warning"));
    assert_eq!(correct(&metrics, "127.0.0.2"), Some(0.0));
}

#[test]
fn previous_instance_is_critical_after_grace() {
    let bench = Bench::new("interval: 1s, timeout: 2s, grace: 1s", &[]);
    let new = bench.pki.leaf(&[HOST]);
    bench.account.issue(&bench.pki, HOST, 2, &new);
    assert_eq!(bench.issued().status, 202);
    bench
        .exporter
        .wait_for_metrics("the grace is over", |metrics| {
            previous(metrics, "127.0.0.1", "critical") && previous(metrics, "127.0.0.2", "critical")
        });
}

#[test]
fn webhook_body_is_not_trusted() {
    let bench = Bench::new(LONG_INTERVAL, &[]);
    let other = bench.pki.leaf(&[HOST]);
    let body = serde_json::json!({
        "exists": true,
        "cn": HOST,
        "sans": [{"type": "dns", "value": OTHER}],
        "current": {
            "id": 666,
            "state": "active",
            "crt": other.certificate.to_pem(),
            "sha256_fingerprint": other.certificate.sha256().to_string(),
            "chain": [],
        },
    });
    let before = bench.account.requests();
    assert_eq!(bench.word(&body.to_string()).status, 202);
    // The expected certificate is fetched from the API.
    wait_until("the account is asked", || {
        (bench.account.requests() > before).then_some(())
    });
    // The next notification is processed after this one. Once that is done, this one has had its
    // full effect.
    let new = bench.pki.leaf(&[HOST]);
    bench.account.issue(&bench.pki, HOST, 2, &new);
    assert_eq!(bench.issued().status, 202);
    let metrics = bench
        .exporter
        .wait_for_metrics("the second word is obeyed", |metrics| {
            previous(metrics, "127.0.0.1", "warning")
        });
    assert!(instance(&metrics)[0].contains(r#"instance_id="2""#));
    let text = metrics.text();
    for believed in [
        r#"instance_id="666""#,
        OTHER,
        &other.certificate.sha256().to_string(),
    ] {
        assert!(!text.contains(believed), "{believed}");
    }
    assert_eq!(bench.exporter.log().matches("is expected now").count(), 1);
    assert!(text.contains(&bench.leaf.certificate.sha256().to_string()));
}
