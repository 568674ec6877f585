//! Requests that SSLMate's own command line client, version 1.10.0, sent in batch mode.

use serde_json::Value;

use super::{World, authorization};

/// Requests as JSON arrays: method, path, content type, body, expected status. The commands were
/// `buy`, `list`, `show`, `download`, `edit`, `reissue`, `rekey`, `test`, `revoke` and `renew`.
const ISSUED: &str = include_str!("../testdata/client_issued.jsonl");
/// The same while approval takes an hour: `buy --temp`, `edit`, `retry-approval`, `resend-email`.
const PENDING: &str = include_str!("../testdata/client_pending.jsonl");

fn repeat(world: &World, requests: &str) -> usize {
    let mut count = 0;
    for line in requests.lines() {
        let request: Vec<Value> = serde_json::from_str(line).unwrap();
        let [method, path, content_type, body, status] = request.as_slice() else {
            panic!("{line}");
        };
        let mut headers = authorization("1_key:");
        if let Some(content_type) = content_type.as_str() {
            headers += &format!("Content-Type: {content_type}\r\n");
        }
        let (method, path) = (method.as_str().unwrap(), path.as_str().unwrap());
        let answer = world.send(method, path, &headers, body.as_str().unwrap().as_bytes());
        assert_eq!(
            u64::from(answer.status),
            status.as_u64().unwrap(),
            "{line}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        answer.json();
        count += 1;
    }
    count
}

#[test]
fn requests_of_sslmates_own_client_are_answered() {
    let world = World::with(|policy| policy.approval_delay = Some(0));
    assert_eq!(repeat(&world, ISSUED), 39);
}

#[test]
fn requests_of_sslmates_own_client_about_pending_instances_are_answered() {
    let world = World::with(|policy| policy.approval_delay = Some(3600));
    assert_eq!(repeat(&world, PENDING), 19);
    let temporary = world.get("/certs/temp.test?expand=pending").ok();
    assert_eq!(temporary["pending"]["approval_method"], "email");
}
