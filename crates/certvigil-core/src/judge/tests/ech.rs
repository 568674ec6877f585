//! Handshakes that offer Encrypted Client Hello.

use super::*;
use crate::finding::Detail;
use crate::judge::next_change;
use crate::model::Hostname;
use crate::observation::{Alert, Ech, ProbeError};

const COVER: &str = "cover.example.net";

/// Returns the judgement of a server with this result.
fn judged(case: &Case, ech: Ech) -> Judged {
    let served = Served {
        ech: Some(Box::new(ech)),
        ..case.served()
    };
    case.judged_as(Outcome::Served(Box::new(served)))
}

fn rejected(case: &Case, public_name: &str) -> Ech {
    Ech::Rejected {
        public_name: public_name.parse::<Hostname>().unwrap(),
        served: Box::new(case.served()),
    }
}

/// Returns the kind of the finding and the clients that refuse the server. Findings other than
/// this one must be those of the case without Encrypted Client Hello.
fn refused(case: &Case, ech: Ech) -> (String, String) {
    let judged = judged(case, ech);
    let mut codes = judged.codes();
    let kinds = judged.findings.iter().filter_map(|f| match &f.detail {
        Detail::RefusedByClients(refused) => {
            assert_eq!(f.severity, Severity::Warning);
            let json = serde_json::to_value(refused).unwrap();
            Some(json["kind"].as_str().unwrap().to_owned())
        }
        _ => None,
    });
    let kinds: Vec<String> = kinds.collect();
    codes.retain(|code| code != "refused_by_clients");
    assert_eq!(codes, case.codes());
    let clients = judged.clients.as_ref().unwrap();
    let clients: Vec<&str> = clients.refusals().map(|(c, _)| c.name()).collect();
    (kinds.join(" "), clients.join(" "))
}

fn pair(kind: &str, clients: &str) -> (String, String) {
    (kind.to_owned(), clients.to_owned())
}

#[test]
fn a_rejecting_server_needs_a_certificate_for_the_public_name() {
    let pki = pki();
    let case = &pki.right;
    let none = pair("", "");
    let browsers = pair("ech_rejected", "chromium");
    assert_eq!(refused(case, rejected(case, COVER)), browsers);
    // Without ECH, its certificate is valid for the host.
    assert_eq!(refused(case, rejected(case, HOST)), none);
    let of_cover = |validity| {
        let leaf = pki.mid.leaf(COVER, validity).certificate;
        rejected(&case.serving([leaf, pki.mid.cert()]), COVER)
    };
    assert_eq!(refused(case, of_cover(days(1, 60))), none);
    assert_eq!(refused(case, of_cover(days(60, -1))), browsers);
    let alone = pki.mid.leaf(COVER, days(1, 60)).certificate;
    assert_eq!(
        refused(case, rejected(&case.serving([alone]), COVER)),
        browsers
    );
    let judged = judged(case, rejected(case, COVER));
    let (message, hint) = judged.reported("refused_by_clients");
    assert!(
        message.contains(COVER) && hint.contains(COVER),
        "{message}; {hint}"
    );
    let opinion = judged.clients.unwrap();
    let (_, refusal) = opinion.refusals().next().unwrap();
    assert!(refusal.reason.contains(COVER), "{}", refusal.reason);
}

#[test]
fn the_fault_of_the_ordinary_chain_is_not_repeated() {
    let pki = pki();
    let untrusted = pki.right.trusting(TrustStore::default());
    let same = rejected(&untrusted, HOST);
    assert_eq!(judged(&untrusted, same).codes(), untrusted.codes());
}

#[test]
fn another_certificate_with_ech_must_be_valid_for_the_host() {
    let pki = pki();
    let case = &pki.right;
    let accepted = |served: [Certificate; 2]| {
        let served = case.serving(served).served();
        refused(case, Ech::Accepted(Box::new(served)))
    };
    let leaf = |name, validity| [pki.mid.leaf(name, validity).certificate, pki.mid.cert()];
    assert_eq!(accepted([pki.leaf(), pki.mid.cert()]), pair("", ""));
    assert_eq!(accepted(leaf(HOST, days(1, 60))), pair("", ""));
    let browsers = pair("ech_accepted", "chromium");
    assert_eq!(accepted(leaf(HOST, days(60, -1))), browsers);
    assert_eq!(accepted(leaf(COVER, days(1, 60))), browsers);
}

#[test]
fn a_handshake_that_fails_with_ech_is_a_refusal_by_browsers() {
    let case = pki().right;
    let failed = Ech::Failed {
        public_name: COVER.parse().unwrap(),
        error: ProbeError::of_alert("the server ended it", Alert::HANDSHAKE_FAILURE),
    };
    assert_eq!(refused(&case, failed), pair("ech_failed", "chromium"));
    assert_eq!(
        refused(&case, Ech::Malformed),
        pair("ech_malformed", "chromium")
    );
}

#[test]
fn expiry_of_the_certificate_with_ech_changes_the_judgement() {
    let pki = pki();
    let case = &pki.right;
    let leaf = pki.mid.leaf(COVER, days(1, 3)).certificate;
    let judged = judged(case, rejected(&case.serving([leaf, pki.mid.cert()]), COVER));
    let next = next_change(&judged, &case.rules, case.now).unwrap();
    assert_eq!(next, Timestamp(case.now.0 + 3 * DAY + 1));
}
