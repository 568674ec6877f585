//! Monitoring of a whole account: `sslmate: "*"`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::canned::{self, Canned, Request};
use crate::fixture::dns::Responder;
use crate::fixture::exporter::Answer;
use crate::support::certvigil;

const SECRET: &str = "told to nobody";
/// Maximum concurrent requests for certificates.
const MAX_CONCURRENT_REQUESTS: usize = 8;

/// A request: for the list, for one certificate, or for another resource of it.
enum RequestKind {
    List,
    Certificate(String),
    Other,
}

fn asked(request: &Request) -> RequestKind {
    let rest = request.path.strip_prefix("/api/v2/certs").unwrap();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    match path.strip_prefix('/') {
        None => RequestKind::List,
        Some(cn) if query.contains("current.crt") => RequestKind::Certificate(cn.to_owned()),
        Some(_) => RequestKind::Other,
    }
}

fn list(names: &[String]) -> Vec<u8> {
    let data: Vec<Value> = names
        .iter()
        .map(|cn| json!({"exists": true, "cn": cn}))
        .collect();
    canned::json(200, &json!({ "data": data }))
}

fn object(pki: &Pki, cn: &str, id: u64, leaf: &Leaf) -> Vec<u8> {
    canned::json(
        200,
        &json!({
            "exists": true, "cn": cn, "sans": [],
            "current": {
                "id": id, "state": "active", "crt": leaf.certificate.to_pem(),
                "chain": pki.intermediate.certificate.to_pem(), "root": pki.root.certificate.to_pem(),
            }
        }),
    )
}

fn refused(status: u16) -> Vec<u8> {
    canned::json(status, &json!({"reason": "no", "message": "Not this"}))
}

/// A configuration with every certificate of an account, whose hosts do not resolve.
fn config_of(pki: &Pki, defaults: &str, api: &Canned, dns: &Responder, entry: &str) -> String {
    let settings = format!(
        "sslmate: {{endpoint: \"{}\", api_key_file: key, refresh_interval: 1h}}\ndns: [\"{}\"]\nwebhook: {{secret_file: secret}}",
        api.endpoint(),
        dns.address
    );
    inventory(pki, defaults, &settings, &[entry.to_owned()])
}

fn empty_dns() -> Responder {
    Responder::start(|_| Ok(Vec::new()))
}

fn start(config: &str) -> Exporter {
    Exporter::start(config, &[], |folder| {
        std::fs::write(folder.join("key"), "k").unwrap();
        std::fs::write(folder.join("secret"), SECRET).unwrap();
    })
}

fn is_up(metrics: &Answer) -> Option<f64> {
    metrics.sample("certvigil_source_up", &[r#"source="sslmate""#])
}

#[test]
fn large_account_is_fetched_from_a_slow_api_concurrently() {
    const COUNT: usize = 88;
    /// Duration of each response; several concurrent ones take longer than the limit of one alone.
    const RESPONSE_DELAY: Duration = Duration::from_millis(300);
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let names: Vec<String> = (0..COUNT).map(|n| format!("h{n}.example")).collect();
    let (under_way, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let (told, seen) = (object(&pki, "x", 1, &leaf), most.clone());
    let api = Canned::start_many(move |_, request| match asked(request) {
        RequestKind::List => list(&names),
        RequestKind::Certificate(_) => {
            let now = under_way.fetch_add(1, Ordering::SeqCst) + 1;
            seen.fetch_max(now, Ordering::SeqCst);
            std::thread::sleep(RESPONSE_DELAY);
            under_way.fetch_sub(1, Ordering::SeqCst);
            told.clone()
        }
        RequestKind::Other => refused(404),
    });
    let dns = empty_dns();
    let config = config_of(
        &pki,
        "interval: 1h, timeout: 3s",
        &api,
        &dns,
        "sslmate: \"*\"",
    );
    let exporter = start(&config);
    exporter.wait_for_metrics("all of the account is known", |metrics| {
        metrics.samples("certvigil_certificate_info", &[]).len() == COUNT
            && is_up(metrics) == Some(1.0)
    });
    let most = most.load(Ordering::SeqCst);
    assert!(
        (2..=MAX_CONCURRENT_REQUESTS).contains(&most),
        "{most} at a time"
    );

    // `check` reads the account too, in the order of the list.
    let file = exporter.path("certvigil.yml");
    let args = [
        "check",
        "--vantage",
        "local",
        "--format",
        "jsonl",
        "--config",
    ];
    let run = certvigil([&args[..], &[file.to_str().unwrap()]].concat());
    // On a busy machine, a name server may be too slow for the timeout.
    let is_read = |row: &&str| row.contains("\"error_kind\":\"dns_");
    let read = run.stdout.lines().filter(is_read).count();
    assert_eq!(read, COUNT, "{}{}", run.stdout, run.stderr);
}

#[test]
fn webhook_for_one_certificate_fetches_only_that_certificate() {
    let pki = Pki::new();
    let (old, new) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let names: Vec<String> = ["a.example", "b.example", "c.example"]
        .map(String::from)
        .into();
    let told: Arc<Mutex<(Vec<String>, Vec<u8>)>> =
        Arc::new(Mutex::new((names, object(&pki, "x", 1, &old))));
    let in_force = told.clone();
    let api = Canned::start_many(move |_, request| match asked(request) {
        RequestKind::List => list(&in_force.lock().unwrap().0),
        RequestKind::Certificate(cn) if in_force.lock().unwrap().0.contains(&cn) => {
            in_force.lock().unwrap().1.clone()
        }
        _ => refused(404),
    });
    let dns = empty_dns();
    let exporter = start(&config_of(
        &pki,
        LONG_INTERVAL,
        &api,
        &dns,
        "sslmate: \"*\"",
    ));
    exporter.wait_until_ready();
    let before = api.requests().len();
    *told.lock().unwrap() = (
        ["b.example", "d.example"].map(String::from).into(),
        object(&pki, "x", 2, &new),
    );
    let word = |cn: &str| {
        let body = format!(r#"{{"exists": true, "cn": "{cn}"}}"#);
        let path = format!("/webhook/sslmate?secret={}", SECRET.replace(' ', "%20"));
        assert_eq!(exporter.post(&path, &body).status, 202);
    };
    // One known certificate, one new one, and one that the account does not have.
    for cn in ["nobody.example", "b.example", "d.example"] {
        word(cn);
    }
    let instance = |metrics: &Answer, cn: &str| {
        let certificate = label("certificate", cn);
        let all = metrics.samples("certvigil_certificate_info", &[&certificate]);
        all.iter().any(|line| line.contains(r#"instance_id="2""#))
    };
    let metrics = exporter.wait_for_metrics("both are known", |metrics| {
        instance(metrics, "b.example") && instance(metrics, "d.example")
    });
    // The others are unchanged and were not requested.
    assert_eq!(metrics.samples("certvigil_certificate_info", &[]).len(), 4);
    assert_eq!(is_up(&metrics), Some(1.0));
    for request in &api.requests()[before..] {
        match asked(request) {
            RequestKind::List => panic!("the whole account is asked for"),
            RequestKind::Certificate(cn) => {
                assert!(
                    ["b.example", "d.example", "nobody.example"].contains(&&*cn),
                    "{cn}"
                );
            }
            RequestKind::Other => {}
        }
    }
}

#[test]
fn fetching_an_account_stops_if_the_api_refuses_every_request() {
    const COUNT: usize = 200;
    let pki = Pki::new();
    let names: Vec<String> = (0..COUNT).map(|n| format!("h{n}.example")).collect();
    let api = Canned::start_many(move |_, request| match asked(request) {
        RequestKind::List => list(&names),
        _ => refused(403),
    });
    let dns = empty_dns();
    let config = config_of(&pki, LONG_INTERVAL, &api, &dns, "sslmate: \"*\"");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "k").unwrap();
    std::fs::write(folder.path().join("secret"), SECRET).unwrap();
    let file = folder.path().join("certvigil.yml");
    std::fs::write(&file, config).unwrap();
    let run = certvigil([
        "check",
        "--vantage",
        "local",
        "--config",
        file.to_str().unwrap(),
    ]);
    assert!(
        api.requests().len() < COUNT / 2,
        "{} requests",
        api.requests().len()
    );
    // Each is reported nevertheless, in the order of the list.
    let told = run.stderr.lines().filter_map(|line| {
        let (_, rest) = line.split_once(" h")?;
        rest.split_once(".example: ")?.0.parse().ok()
    });
    let told: Vec<usize> = told.collect();
    assert_eq!(told, Vec::from_iter(0..COUNT), "{}", run.stderr);
    assert!(
        run.stderr.contains("certificates in a row"),
        "{}",
        run.stderr
    );
}

#[test]
fn account_that_never_responded_is_unknown_and_not_empty() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = server(&pki, &leaf);
    let api = Canned::start_many(|_, _| refused(403));
    let dns = empty_dns();
    let entry = entry(&pki, "web", &leaf, server.port());
    for (source, beside) in [("*", None), ("*", Some(&entry)), (HOST, Some(&entry))] {
        let mut config = config_of(
            &pki,
            LONG_INTERVAL,
            &api,
            &dns,
            &format!("sslmate: \"{source}\""),
        );
        if let Some(entry) = beside {
            config.push_str(&format!("- {{{entry}}}\n"));
        }
        let exporter = start(&config);
        exporter.wait_until_ready();
        let metrics = exporter.get("/metrics");
        assert_eq!(is_up(&metrics), Some(0.0));
        // The account may have this certificate, or has it, so the response is not that there is
        // none.
        let test = |name: &str| exporter.get(&format!("/api/v2/certs/{name}/test"));
        let answer = test(HOST);
        assert_eq!(answer.status, 503, "{source}: {}", answer.text());
        assert_eq!(answer.json()["reason"], "not_ready");
        assert!(answer.header("retry-after").is_some());
        assert!(
            answer.text().contains("Not this (HTTP 403, no)"),
            "{}",
            answer.text()
        );
        let other = test("nobody.example").status;
        assert_eq!(other, if source == "*" { 503 } else { 404 }, "{source}");
        let page = exporter.get("/").text();
        assert!(!page.contains("There is nothing to probe"), "{page}");
        assert!(
            !page.contains("serves the expected certificate</h1>"),
            "{page}"
        );
        let title = match (source, beside) {
            ("*", None) => "The expected certificates are unknown",
            ("*", _) => "The expected certificate of 1 configuration entry is unknown",
            _ => "1 of 2 addresses is unknown",
        };
        assert!(page.contains(title), "{page}");
    }
}
