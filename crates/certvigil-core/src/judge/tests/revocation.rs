//! Revocation of a leaf, by each reporter.

use crate::certificate::{Answer, Crl, Issuer, Status, staple_with_content};
use crate::judge::{Signatures, issuer_to_ask, next_change};
use crate::model::RevocationCheck;
use crate::observation::{Fetched, Publication, Staple};

use super::*;

/// The date of the testdata, which
/// `crates/certvigil-core/src/certificate/revocation/testdata/make-testdata.sh` makes.
const DAY_OF_TESTDATA: &str = "2026-11-25T12:00:00Z";

fn file(name: &str) -> Vec<u8> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/certificate/revocation/testdata"
    );
    std::fs::read(format!("{folder}/{name}")).expect(name)
}

fn certificate(name: &str) -> Certificate {
    let pem = file(&format!("{name}.pem"));
    parse_certificates(&pem).unwrap().remove(0)
}

/// Returns a case with this leaf alone, below a trusted root.
fn case(leaf: &str) -> Case {
    let leaf = certificate(leaf);
    Case {
        expected: pin(&leaf),
        host: HOST.into(),
        served: vec![leaf],
        said: Revocation::default(),
        trust: store([&certificate("ca")]),
        rules: Rules::default(),
        now: DAY_OF_TESTDATA.parse().unwrap(),
    }
}

impl Case {
    fn stapling(&self, staple: Staple) -> Self {
        let mut case = self.clone();
        case.said.staple = staple;
        case
    }

    fn stapling_file(&self, name: &str) -> Self {
        self.stapling(Staple::of(&file(&format!("{name}.ocsp"))))
    }

    fn answered(&self, by: Publication, status: Status) -> Self {
        let mut case = self.clone();
        case.said.fetched = Some(Fetched { by, status });
        case
    }

    fn checking(&self, check: RevocationCheck) -> Self {
        let mut case = self.clone();
        case.rules.revocation = check;
        case
    }

    fn message(&self, code: &str) -> String {
        self.judged().reported(code).0
    }
}

fn revoked() -> Status {
    let leaf = certificate("leaf");
    let issuer = Issuer::of(&leaf, &certificate("ca").facts().unwrap().spki).unwrap();
    let list = Crl::from_der(file("revoked.crl")).unwrap();
    let now = DAY_OF_TESTDATA.parse().unwrap();
    let Answer { status, .. } = list.status_of(&leaf, &issuer, now).unwrap();
    assert_ne!(status, Status::Good);
    status
}

#[test]
fn stapled_ocsp_response_sets_the_revocation_status() {
    let good = case("leaf").stapling_file("good");
    assert_eq!((good.codes(), good.flags().revoked), (vec![], Some(false)));
    let bad = case("leaf").stapling_file("revoked");
    assert_eq!(bad.codes(), ["revoked"]);
    assert_eq!(bad.flags().revoked, Some(true));
    assert_eq!(
        bad.message("revoked"),
        "the served certificate has been revoked on 2026-11-01 (keyCompromise), according to the stapled OCSP response"
    );
    let none = case("leaf").stapling(Staple::Absent);
    assert_eq!((none.codes(), none.flags().revoked), (vec![], None));
}

#[test]
fn issuer_of_a_staple_is_found_if_served_known_or_trusted() {
    let right = case("leaf").stapling_file("good");
    let untrusting = right.trusting(TrustStore::default());
    let served = untrusting.serving([certificate("leaf"), certificate("ca")]);
    assert_eq!(served.flags().revoked, Some(false));
    let known = Instance {
        root: Some(certificate("ca")),
        ..instance(&certificate("leaf"), &[])
    };
    let known = untrusting.expecting(expect(Instances::only(known)));
    assert_eq!(known.flags().revoked, Some(false));
    // Without the issuer, the status is unknown and the response is not judged.
    for response in ["revoked", "foreign", "try-later"] {
        let unknown = case("leaf")
            .trusting(TrustStore::default())
            .stapling_file(response);
        assert_eq!(unknown.flags().revoked, None, "{response}");
        assert!(!unknown.codes().contains(&"bad_ocsp_staple".into()));
    }
}

#[test]
fn unusable_stapled_response_is_reported() {
    let hint = |case: &Case| case.judged().reported("bad_ocsp_staple").1;
    for (response, words, mend) in [
        ("foreign", "of another issuer", "renew the file"),
        ("other", "about another certificate", "renew the file"),
        ("no-eku", "OCSPSigning", "renew the file"),
        ("namesake", "its signature is wrong", "renew the file"),
        ("unknown", "not known", "ask the certificate's issuer"),
        ("try-later", "`tryLater`", "ask the certificate's issuer"),
    ] {
        let case = case("leaf").stapling_file(response);
        assert_eq!(case.codes(), ["bad_ocsp_staple"], "{response}");
        assert_eq!(case.flags().revoked, None, "{response}");
        let message = case.message("bad_ocsp_staple");
        assert!(message.contains(words), "{message}");
        let hint = hint(&case);
        assert!(
            hint.contains(mend) && hint.contains("http://ocsp.example.com/"),
            "{hint}"
        );
    }
    let garbage = case("leaf").stapling(Staple::of(&[b'x'; 100_000]));
    assert!(garbage.message("bad_ocsp_staple").contains("larger than"));
    let late = case("leaf")
        .stapling_file("good")
        .at(Timestamp(now().0 + 30 * DAY));
    assert!(
        late.message("bad_ocsp_staple")
            .contains("it ended at 2026-12-02")
    );
    assert!(hint(&late).contains("fetch a new response"));
    // A monitor judges the result again when the response ends.
    let right = case("leaf").stapling_file("good");
    let change = next_change(&right.judged(), &right.rules, right.now).unwrap();
    let before = right.at(Timestamp(change.0 - 1));
    assert_eq!(
        (before.codes(), right.at(change).codes()),
        (vec![], vec!["bad_ocsp_staple".into()])
    );
    // SHA-1 is verified like any other hash.
    assert_eq!(case("leaf").stapling_file("sha1").codes(), [""; 0]);
}

/// The status counts, but the clients that parse the response refuse the handshake.
#[test]
fn staple_whose_form_a_client_refuses_is_reported_with_that_client() {
    let accepts = |case: &Case, version: TlsVersion| {
        let judged = case.judged_in(version, KeyProof::Handshake);
        let opinions = judged.clients.iter().flat_map(|clients| clients.iter());
        let known = opinions.map(|(client, opinion)| (client.name(), opinion.accepts()));
        let known: Vec<_> = known
            .filter(|(_, accepts)| *accepts != Some(true))
            .collect();
        known
    };
    let (tls12, tls13) = (TlsVersion::Tls12, TlsVersion::Tls13);
    let (leaf, root, response) = staple_with_content();
    let of_gnutls = Case {
        expected: pin(&leaf),
        host: "www.example.com".into(),
        served: vec![leaf],
        trust: store([&root]),
        ..case("leaf").stapling(Staple::of(&response))
    };
    assert!(of_gnutls.codes().contains(&"bad_ocsp_staple".into()));
    assert_eq!(of_gnutls.flags().revoked, Some(false));
    assert_eq!(accepts(&of_gnutls, tls13), [("gnutls", Some(false))]);
    assert_eq!(accepts(&of_gnutls, tls12), [("gnutls", Some(false))]);
    let off = of_gnutls.checking(RevocationCheck::Off);
    assert!(!off.codes().contains(&"bad_ocsp_staple".into()));

    let mut unknown_status = file("good.ocsp");
    unknown_status[6] = 7;
    let of_java = case("leaf").stapling(Staple::of(&unknown_status));
    assert_eq!(of_java.codes(), ["bad_ocsp_staple"]);
    let refused = [("gnutls", None), ("java", Some(false))];
    assert_eq!(accepts(&of_java, tls13), refused);
    assert_eq!(accepts(&of_java, tls12), refused[..1]);

    for response in ["try-later", "unknown"] {
        let case = case("leaf").stapling_file(response);
        assert_eq!(accepts(&case, tls13), [], "{response}");
    }
    let foreign = case("leaf").stapling_file("foreign");
    assert_eq!(accepts(&foreign, tls13), [("gnutls", None)]);
}

#[test]
fn must_staple_certificate_without_a_usable_staple_is_critical() {
    let case = case("muststaple");
    let missing = case.stapling(Staple::Absent);
    assert_eq!(missing.codes(), ["must_staple_missing"]);
    assert_eq!(missing.judged().severity(), Severity::Critical);
    assert_eq!(case.stapling_file("muststaple").codes(), [""; 0]);
    // A response that clients refuse counts as missing (RFC 7633, section 4.2.3.1).
    let late = case
        .stapling_file("muststaple")
        .at(Timestamp(now().0 + 30 * DAY));
    for (what, unusable) in [
        ("another's", case.stapling_file("good")),
        ("tryLater", case.stapling_file("try-later")),
        ("unreadable", case.stapling(Staple::of(b"x"))),
        ("expired", late),
    ] {
        let codes = unusable.codes();
        assert_eq!(codes, ["must_staple_missing", "bad_ocsp_staple"], "{what}");
        assert_eq!(unusable.judged().severity(), Severity::Critical, "{what}");
        assert_eq!(unusable.checking(RevocationCheck::Off).codes(), [""; 0]);
    }
    let message = case
        .stapling_file("try-later")
        .message("must_staple_missing");
    assert!(
        message.ends_with(
            "the one that was sent does not count: it is no answer, but the error `tryLater`"
        ),
        "{message}"
    );
    // A staple that was not requested is not missing.
    assert_eq!(case.stapling(Staple::NotAsked).codes(), [""; 0]);
    assert_eq!(missing.checking(RevocationCheck::Off).codes(), [""; 0]);
}

#[test]
fn one_revoked_status_overrides_other_good_statuses() {
    let bad = revoked();
    for (by, who) in [
        (Publication::Crl, "its issuer's revocation list"),
        (Publication::Ocsp, "its issuer's OCSP responder"),
    ] {
        let reported = case("leaf").stapling_file("good").answered(by, bad);
        assert_eq!(reported.flags().revoked, Some(true));
        assert!(
            reported.message("revoked").ends_with(who),
            "{}",
            reported.message("revoked")
        );
    }
    let stapled = case("leaf").stapling_file("revoked");
    let reported = stapled.answered(Publication::Crl, Status::Good);
    assert_eq!(reported.flags().revoked, Some(true));
    let good = case("leaf").answered(Publication::Crl, Status::Good);
    assert_eq!(good.flags().revoked, Some(false));
    let unusable = case("leaf").stapling_file("foreign");
    let unusable = unusable.answered(Publication::Ocsp, Status::Good);
    assert_eq!(unusable.flags().revoked, Some(false));
    assert_eq!(unusable.codes(), ["bad_ocsp_staple"]);

    let account = Instance {
        state: State::Revoked,
        ..instance(&certificate("leaf"), &[])
    };
    let case = case("leaf").stapling_file("good");
    let case = case.expecting(expect(Instances::only(account)));
    assert_eq!(case.flags().revoked, Some(true));
    assert_eq!(
        case.message("revoked"),
        "the served certificate has been revoked"
    );
}

#[test]
fn staple_is_ignored_if_revocation_checking_is_off() {
    for response in ["good", "revoked", "foreign"] {
        let case = case("leaf").stapling_file(response);
        let case = case.checking(RevocationCheck::Off);
        assert_eq!((case.codes(), case.flags().revoked), (vec![], None));
    }
}

#[test]
fn revocation_is_requested_only_for_expected_or_trusted_leaves() {
    let right = case("leaf");
    let ask = |case: &Case, rest: &[Certificate]| {
        let judged = case
            .serving([&[certificate("leaf")], rest].concat())
            .judged();
        let Outcome::Served(served) = judged.observation.outcome else {
            panic!("a certificate is served");
        };
        issuer_to_ask(&case.expected, &served, &case.trust, &Signatures::default()).is_some()
    };
    let stranger = right.trusting(TrustStore::default());
    let other = pin(&certificate("muststaple"));
    assert!(ask(&right, &[]));
    assert!(ask(&right.expecting(other.clone()), &[]), "it is trusted");
    assert!(ask(&stranger, &[certificate("ca")]), "it is expected");
    assert!(!ask(&stranger.expecting(other), &[certificate("ca")]));
    assert!(!ask(&stranger, &[]), "its issuer is not known");
}
