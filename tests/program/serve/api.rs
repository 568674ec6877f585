//! An account's API with every kind of fault while the monitor runs.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::api_faults::dated;
use crate::canned::{self, Canned};

/// The API object of this leaf.
fn object(pki: &Pki, leaf: &Leaf) -> Value {
    json!({
        "exists": true, "cn": HOST, "sans": [], "a_key_of_tomorrow": [1],
        "current": {
            "id": 7, "state": "a_state_of_tomorrow", "crt": leaf.certificate.to_pem(),
            "chain": pki.intermediate.certificate.to_pem(), "root": pki.root.certificate.to_pem(),
        }
    })
}

/// A monitor that requests the API often, with a timeout that is less than the pause before a retry,
/// so that each fault is reported at once.
fn bench(pki: &Pki, leaf: &Leaf, api: &Canned) -> (Server, Exporter) {
    let server = server(pki, leaf);
    let settings = format!(
        "sslmate: {{endpoint: \"{}\", api_key_file: key, refresh_interval: 200ms}}",
        api.endpoint()
    );
    let place = format!("addresses: 127.0.0.1, port: {}", server.port());
    let entries = [
        format!("sslmate: {HOST}, {place}"),
        expecting(
            pki,
            "file",
            leaf,
            &format!("hostnames: other.example, {place}"),
        ),
    ];
    let config = inventory(pki, "interval: 1s, timeout: 500ms", &settings, &entries);
    let exporter = Exporter::start(&config, &[], |folder| {
        std::fs::write(folder.join("key"), "k").unwrap();
    });
    (server, exporter)
}

#[test]
fn last_good_instance_stays_in_use_during_any_api_fault() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST, "other.example"]);
    let good = canned::json(200, &object(&pki, &leaf));
    let endless = {
        let mut endless = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n".to_vec();
        endless.resize(8 << 20, b' ');
        endless
    };
    let limited = |after: Option<u64>| {
        canned::json(
            429,
            &json!({"reason": "rate", "message": "Slow down", "retry_after": after}),
        )
    };
    let faults: Vec<(Vec<u8>, &str)> = vec![
        (
            canned::json(401, &json!({"reason": "no", "message": "Who"})),
            "Who (HTTP 401, no); check the API key",
        ),
        (
            canned::json(403, &json!({"reason": "no", "message": "Not you"})),
            "Not you (HTTP 403, no); check the API key",
        ),
        (
            canned::json(404, &json!({"reason": "no", "message": "Gone"})),
            "Gone (HTTP 404, no)",
        ),
        (limited(None), "Slow down (HTTP 429, rate)"),
        (limited(Some(3600)), "try again in 3600 s"),
        (
            canned::json(500, &json!({"reason": "no", "message": "Oops"})),
            "Oops (HTTP 500, no)",
        ),
        (
            canned::response(502, "text/html", "<html>"),
            "HTTP status 502 with an HTML page",
        ),
        (
            good[..good.len() - 9].to_vec(),
            "check the endpoint and the network",
        ),
        (endless, "the answer is larger than"),
        (
            canned::json(200, &json!({"exists": false, "cn": HOST})),
            "the SSLMate account has no certificate",
        ),
        (Vec::new(), "the request failed"),
    ];
    let answer = Arc::new(Mutex::new(good.clone()));
    let in_force = answer.clone();
    let api = Canned::start(move |_, _| in_force.lock().unwrap().clone());
    let (_server, exporter) = bench(&pki, &leaf, &api);
    exporter.wait_until_ready();
    let up = [r#"source="sslmate""#];
    for (fault, words) in faults {
        let before = exporter.log().len();
        *answer.lock().unwrap() = fault;
        wait_until(words, || {
            exporter.log()[before..].contains(words).then_some(())
        });
        // During the fault, no response has the expected certificate: if it were lost, it would not
        // come back. On a busy machine, a probe may time out; then the next one reports.
        exporter.wait_for_metrics("the source is down, and all is right", |metrics| {
            let correct = metrics.samples("certvigil_endpoint_correct", &[r#"vantage="local""#]);
            let are_right = correct.iter().all(|line| line.ends_with(" 1"));
            assert!(are_right, "{words}: {correct:?}");
            metrics.sample("certvigil_source_up", &up) == Some(0.0) && correct.len() == 2
        });
        *answer.lock().unwrap() = good.clone();
        exporter.wait_for_metrics("it answers again", |metrics| {
            metrics.sample("certvigil_source_up", &up) == Some(1.0)
        });
    }
}

#[test]
fn serve_logs_a_clock_difference_once_until_it_ends() {
    const DAY: i64 = 86_400;
    const WORDS: &str = "the clock of this machine is";
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST, "other.example"]);
    let object = object(&pki, &leaf);
    let answer = Arc::new(Mutex::new(dated(&object, DAY)));
    let in_force = answer.clone();
    let api = Canned::start(move |_, _| in_force.lock().unwrap().clone());
    let (_server, exporter) = bench(&pki, &leaf, &api);
    let told = || exporter.log().matches(WORDS).count();
    wait_until("it is told", || (told() > 0).then_some(()));
    let so_far = api.requests().len();
    wait_until("more answers", || {
        (api.requests().len() > so_far + 2).then_some(())
    });
    assert_eq!(told(), 1, "{}", exporter.log());
    // The API is correct for a while, and then has the opposite fault.
    *answer.lock().unwrap() = dated(&object, 0);
    let so_far = api.requests().len();
    wait_until("right answers", || {
        (api.requests().len() > so_far + 2).then_some(())
    });
    *answer.lock().unwrap() = dated(&object, -DAY);
    wait_until("it is told again", || (told() > 1).then_some(()));
    assert!(
        exporter.log().contains("behind that of the source"),
        "{}",
        exporter.log()
    );
    assert_eq!(exporter.log().matches("configuration refused").count(), 0);
}

#[test]
fn half_written_pem_file_keeps_the_previous_certificate() {
    let pki = Pki::new();
    let (old, new) = (pki.leaf(&[HOST]), pki.leaf(&[HOST]));
    let server = server(&pki, &old);
    let account = crate::fixture::account::FakeAccount::start(&pki, &["127.0.0.1"], server.port());
    let chain = |leaf: &Leaf| std::fs::read_to_string(pki.full_chain(leaf)).unwrap();
    let place = format!(
        "hostnames: {HOST}, addresses: 127.0.0.1, port: {}",
        server.port()
    );
    let entry = format!("name: web, pem: fullchain.pem, {place}");
    let config = inventory(&pki, SHORT_INTERVAL, &account.settings("200ms"), &[entry]);
    let exporter = Exporter::start(&config, &[], |folder| {
        account.write_key(folder);
        std::fs::write(folder.join("fullchain.pem"), chain(&old)).unwrap();
    });
    exporter.wait_until_ready();
    let file = exporter.path("fullchain.pem");
    let is_expected = |metrics: &crate::fixture::exporter::Answer, leaf: &Leaf| {
        let sha256 = label("sha256", &leaf.certificate.sha256().to_string());
        metrics.sample("certvigil_certificate_info", &[&sha256]) == Some(1.0)
    };
    // A file that is written in place is empty and incomplete for a while.
    let whole = chain(&new);
    for (half, words) in [("", "the file is empty"), (&whole[..200], "is missing")] {
        std::fs::write(&file, half).unwrap();
        wait_until(words, || exporter.log().contains(words).then_some(()));
        let metrics = exporter.get("/metrics");
        assert!(is_expected(&metrics, &old), "{}", metrics.text());
        assert_eq!(metrics.sample("certvigil_endpoint_correct", &[]), Some(1.0));
    }
    std::fs::write(&file, &whole).unwrap();
    exporter.wait_for_metrics("the new one is expected", |metrics| {
        is_expected(metrics, &new)
    });
    // Replaced by rename, as good tools do.
    std::fs::write(exporter.path("next"), chain(&old)).unwrap();
    std::fs::rename(exporter.path("next"), &file).unwrap();
    exporter.wait_for_metrics("the old one is expected again", |metrics| {
        is_expected(metrics, &old)
    });
    assert!(!exporter.log().contains("panicked"), "{}", exporter.log());
}
