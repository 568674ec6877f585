//! Compares what is computed in this process with the record.

use crate::clients;
use crate::record::Record;

/// Cases in the record, at least.
const LEAST_CASES: usize = 400;

#[test]
fn record_is_complete() {
    let record = Record::read();
    assert!(record.cases.len() >= LEAST_CASES, "{}", record.cases.len());
    for case in &record.cases {
        let clients: Vec<&str> = case.clients.keys().map(String::as_str).collect();
        let all = ["chromium", "gnutls", "go", "java", "openssl", "rustls"];
        assert_eq!(clients, all, "{}", case.id);
    }
}

#[test]
fn webpki_answers_as_recorded() {
    let record = Record::read();
    for case in &record.cases {
        let (served, roots) = (record.pick(&case.served), record.pick(&case.roots));
        let answer = clients::rustls::ask(&case.host, &served, &roots, case.at());
        assert_eq!(answer, case.clients["rustls"], "{}", case.id);
    }
}
