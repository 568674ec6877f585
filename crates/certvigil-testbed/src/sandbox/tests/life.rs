//! Approval, expiry, renewal, revocation, webhooks and restarts.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use certvigil_core::certificate::{
    Certificate, Crl, Issuer, Status, ocsp_request, parse_certificates, read_ocsp,
};
use certvigil_core::model::Timestamp;
use serde_json::Value;

use super::{World, authorization};
use crate::sandbox::account::{Account, Delivery, Policy};

const DAY: i64 = 86_400;

fn expanded(world: &World) -> (Certificate, Certificate) {
    let path = "/certs/www.example.com?expand=current.crt&expand=current.chain";
    let current = world.get(path).ok()["current"].clone();
    let read = |value: &Value| {
        let pem = value.as_str().unwrap();
        parse_certificates(pem.as_bytes()).unwrap().remove(0)
    };
    (read(&current["crt"]), read(&current["chain"][0]))
}

#[test]
fn an_order_is_approved_after_the_delay() {
    let world = World::new();
    world.create(&[]);
    let order = world.post("/certs/www.example.com/buy", &[]).ok();
    assert_eq!(order["state"], "pending");
    world.pass(9);
    assert_eq!(world.certificate()["pending"]["id"], order["id"]);
    world.pass(1);
    let certificate = world.certificate();
    assert_eq!(certificate["current"]["id"], order["id"]);
    assert!(certificate.get("pending").is_none());
    let expiration = certificate["current"]["expiration"].as_i64().unwrap();
    assert_eq!(expiration, world.now() + Policy::YEAR);
}

#[test]
fn without_automatic_approval_only_the_hook_approves() {
    let world = World::with(|policy| policy.approval_delay = None);
    world.create(&[]);
    world.post("/certs/www.example.com/buy", &[]).ok();
    world.pass(DAY);
    assert!(world.certificate().get("current").is_none());
    assert_eq!(world.approve("www.example.com").ok()["state"], "active");
    world
        .approve("www.example.com")
        .is_error(409, "not_pending", None);
    let path = "/sandbox/certs/www.example.com/reject";
    world.post("/certs/www.example.com/buy", &[]).ok();
    let rejected = world.send("POST", path, &authorization("1_key:"), b"").ok();
    assert_eq!(rejected["state"], "canceled");
    world
        .send("POST", path, "", b"")
        .is_error(401, "bad_credentials", None);
    world
        .send("GET", path, &authorization("1_key:"), b"")
        .is_error(405, "method_not_allowed", None);
}

#[test]
fn an_instance_expires_and_is_expiring_before() {
    let world = World::new();
    let instance = world.issue();
    assert_eq!(instance["expiring"], false);
    world.pass(Policy::YEAR - 30 * DAY);
    assert_eq!(world.certificate()["current"]["expiring"], true);
    world.pass(30 * DAY);
    assert!(world.certificate().get("current").is_none());
    let instance = world.get("/certs/www.example.com/instances/1").ok();
    assert_eq!(instance["state"], "expired");
    assert_eq!(instance["expiring"], false);
    world
        .post("/certs/www.example.com/reissue", &[])
        .is_error(409, "not_active", None);
}

#[test]
fn a_certificate_with_auto_renew_is_renewed_before_it_expires() {
    let world = World::new();
    world.issue();
    world.create(&[("auto_renew", "true")]);
    world.pass(Policy::YEAR - 30 * DAY);
    let certificate = world.certificate();
    assert_eq!(certificate["pending"]["id"], 2);
    assert_eq!(certificate["current"]["id"], 1);
    world.pass(10);
    assert_eq!(world.certificate()["current"]["id"], 2);
    let old = world.get("/certs/www.example.com/instances/1").ok();
    assert_eq!(old["state"], "canceled");
}

#[test]
fn approval_by_email_is_not_renewed_automatically() {
    let world = World::new();
    world.issue();
    let email = [
        ("auto_renew", "true"),
        ("approval_method", "email"),
        ("approver_email", "admin@example.com"),
    ];
    world.create(&email);
    world.pass(Policy::YEAR - DAY);
    assert!(world.certificate().get("pending").is_none());
}

#[test]
fn revoked_certificates_are_in_the_list_and_in_ocsp_responses() {
    let world = World::new();
    world.issue();
    let (first, issuer) = expanded(&world);
    world.post("/certs/www.example.com/reissue", &[]).ok();
    world.approve("www.example.com").ok();
    let (second, _) = expanded(&world);
    world.pass(60);
    let at = world.now();
    world.post("/certs/www.example.com/revoke", &[]).ok();
    let key = Issuer::of(&first, &issuer.facts().unwrap().spki).unwrap();
    let now = Timestamp(world.now());
    let list = world.send("GET", "/crl.der", "", b"");
    assert!(list.headers.contains("application/pkix-crl"));
    let list = Crl::read(list.body).unwrap();
    for (leaf, is_revoked) in [(&first, true), (&second, false)] {
        let by_list = list.status_of(leaf, &key, now).unwrap().status;
        let request = ocsp_request(leaf, &key).unwrap();
        let posted = world.send("POST", "/ocsp", "", &request);
        let url = certvigil_core::certificate::ocsp_url("", leaf, &key).unwrap();
        let got = world.send("GET", &format!("/ocsp{url}"), "", b"");
        assert_eq!(posted.status, 200);
        for response in [posted, got] {
            let answer = read_ocsp(&response.body, leaf, &key, now).unwrap();
            match answer.status {
                Status::Revoked(revoked) => {
                    assert!(is_revoked);
                    assert_eq!(revoked.at.0, at);
                }
                Status::Good => assert!(!is_revoked),
            }
        }
        assert_eq!(matches!(by_list, Status::Revoked(_)), is_revoked);
    }
    let facts = second.facts().unwrap();
    assert_eq!(
        facts.ocsp_url.as_deref(),
        Some("http://sandbox.example/ocsp")
    );
    assert_eq!(facts.crl_urls, ["http://sandbox.example/crl.der"]);
}

/// Accepts one request and answers with this status. Returns the request.
fn receive(listener: &TcpListener, status: u16) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase();
            let length = length.split("content-length: ").nth(1).unwrap();
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if body.len() >= length {
                break;
            }
        }
        let count = stream.read(&mut buffer).unwrap();
        request.extend(&buffer[..count]);
    }
    let response = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(response.as_bytes()).unwrap();
    String::from_utf8(request).unwrap()
}

#[test]
fn issued_certificates_are_posted_until_the_webhook_accepts_them() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "http://hook:secret@{}/hook?secret=x",
        listener.local_addr().unwrap()
    );
    let mut world = World::with(|policy| policy.webhooks = vec![url]);
    let instance = world.issue();
    let request = receive(&listener, 500);
    assert!(
        request.starts_with("POST /hook?secret=x HTTP/1.1\r\n"),
        "{request}"
    );
    let head = request.to_lowercase();
    assert!(head.contains("content-type: application/json\r\n"));
    assert!(head.contains("authorization: basic "));
    // The result is stored, and the clock of the test decides when the next attempt is due.
    let deliveries = || world.sandbox().account().deliveries;
    while deliveries().values().any(|d| d.failures == 0) {
        std::thread::yield_now();
    }
    let before = deliveries();
    assert_eq!(before.len(), 1, "a refused delivery is kept");
    world.restart();
    assert_eq!(world.sandbox().account().deliveries, before);
    world.pass(1);
    world.create(&[("tags.wake", "1")]);
    let request = receive(&listener, 200);
    let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body["cn"], "www.example.com");
    assert_eq!(body["current"]["id"], instance["id"]);
    assert!(body["current"]["crt"].is_string());
    assert!(body["current"]["chain"].is_array());
    assert!(body["current"].get("root").is_none());
    while !world.sandbox().account().deliveries.is_empty() {
        std::thread::yield_now();
    }
}

#[test]
fn pauses_between_deliveries_double_and_end() {
    let mut account = Account::default();
    let delivery = Delivery {
        url: String::new(),
        cn: "x.example".into(),
        body: String::new(),
        failures: 0,
        next_at: 0,
    };
    account.deliveries.insert(7, std::sync::Arc::new(delivery));
    let mut pauses = Vec::new();
    while let Some(pause) = account.delivered(7, false, Timestamp(0)) {
        pauses.push(pause);
    }
    assert_eq!(pauses[..4], [1, 2, 4, 8]);
    assert_eq!(pauses.len(), 14);
    assert!(account.deliveries.is_empty());
}

#[test]
fn a_restart_changes_nothing() {
    let mut world = World::new();
    world.issue();
    world.post("/certs/www.example.com/buy", &[]).ok();
    let paths = [
        "/certs?expand=current.crt&expand=pending.crt&expand=csr",
        "/certs/www.example.com/instances/1?expand=crt&expand=chain&expand=root",
    ];
    let before = paths.map(|path| world.get(path).ok());
    let root = world.send("GET", "/ca.pem", "", b"").body;
    world.restart();
    assert_eq!(paths.map(|path| world.get(path).ok()), before);
    assert_eq!(world.send("GET", "/ca.pem", "", b"").body, root);
    world.pass(10);
    assert_eq!(world.certificate()["current"]["id"], 2);
    let (leaf, issuer) = expanded(&world);
    assert_eq!(
        certvigil_core::certificate::certifies(&issuer, &leaf),
        certvigil_core::certificate::Link::Verified
    );
}

#[test]
fn a_second_sandbox_of_a_folder_is_refused() {
    let world = World::new();
    let error = crate::sandbox::store::Store::open(Some(world.folder())).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("another sandbox uses this folder"),
        "{error}"
    );
}
