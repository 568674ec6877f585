//! Identity of the served certificate: every form of an expectation, older instances, temporary
//! ones.

use super::*;

fn accepting(expected: &Instance, also: &[&Instance]) -> Instances {
    Instances {
        also_accepted: also.iter().map(|&i| i.clone()).collect(),
        ..Instances::only(expected.clone())
    }
}

#[test]
fn any_accepted_instance_is_correct_and_judged_by_its_own_chain() {
    let pki = pki();
    let other_mid = pki.root.below("Other Intermediate");
    let second = other_mid.leaf(HOST, days(1, 200)).certificate;
    let accepted = accepting(
        &instance(&pki.leaf(), &[pki.mid.cert()]),
        &[&instance(&second, &[other_mid.cert()])],
    );
    let case = pki
        .right
        .expecting(expect(accepted))
        .serving([second.clone(), other_mid.cert()]);
    assert_eq!(case.codes(), [""; 0]);
    assert!(case.flags().correct && case.flags().chained);

    let case = case.serving([second]);
    assert_eq!(case.codes(), ["missing_intermediate"]);
    assert_eq!(
        case.reported("missing_intermediate").0,
        "the intermediate `CN=Other Intermediate` is not served"
    );
}

#[test]
fn wrong_certificate_message_describes_the_served_certificate() {
    let pki = pki();
    let other = pki.mid.leaf(HOST, days(10, 100)).certificate;
    let case = pki.right.serving([other, pki.mid.cert()]);
    assert_eq!(case.codes(), ["wrong_certificate"]);
    let flags = case.flags();
    assert!(!flags.correct && flags.chained && flags.trusted == Some(true));
    let (message, hint) = case.reported("wrong_certificate");
    assert_eq!(
        message,
        "another certificate is served: `www.example.com` by `Intermediate`, \
         from 2026-11-14 to 2027-03-04; it is newer than the expected one"
    );
    assert_eq!(
        hint,
        "if it was renewed, give its file as the expected one (--cert, or `pem` of the entry), as the \
         SSLMate account does not have it; otherwise install the expected certificate (expires on 2027-06-12), then reload the server"
    );
}

#[test]
fn newer_certificate_is_not_rolled_back() {
    let pki = pki();
    let other_key = pki.mid.leaf(HOST, days(1, 230)).certificate;
    let issue = |name: &str, validity| {
        let names = [name.into()];
        let issued = pki.mid.issue(&names, validity, &pki.leaf.key);
        issued.unwrap().certificate
    };
    let same_key = issue(HOST, days(1, 230));
    for (served, code) in [
        (other_key, "wrong_certificate"),
        (same_key, "same_key_other_certificate"),
    ] {
        let case = pki.right.serving([served, pki.mid.cert()]);
        assert_eq!(case.codes(), [code]);
        let (message, hint) = case.reported(code);
        assert!(
            message.ends_with("; it is newer than the expected one"),
            "{message}"
        );
        assert_eq!(
            hint,
            "if it was renewed, give its file as the expected one (--cert, or `pem` of the entry), \
             as the SSLMate account does not have it; otherwise install the expected certificate (expires on 2027-06-12), then reload the server"
        );
    }
    for served in [
        issue("other.example.com", days(1, 230)),
        issue(HOST, days(5, -2)),
    ] {
        let case = pki.right.serving([served, pki.mid.cert()]);
        assert_eq!(
            case.reported("same_key_other_certificate").1,
            "install the expected certificate (expires on 2027-06-12), then reload the server"
        );
    }
}

#[test]
fn previous_instance_is_named_with_its_state() {
    let pki = pki();
    let old = pki
        .mid
        .issue(&[HOST.into()], days(300, 40), &pki.leaf.key)
        .unwrap()
        .certificate;
    for (state, flag, codes, words) in [
        (
            State::Active,
            None,
            &["previous_instance"][..],
            "served (it expires on 2027-01-03)",
        ),
        (
            State::Expired,
            None,
            &["previous_instance"],
            "served (expired, it expires",
        ),
        (
            State::Revoked,
            Some(true),
            &["previous_instance", "revoked"],
            "served (revoked, it expires",
        ),
    ] {
        let previous = Instance {
            id: Some(7),
            state,
            ..instance(&old, &[pki.mid.cert()])
        };
        let mut instances = Instances::only(Instance {
            id: Some(8),
            ..instance(&pki.leaf(), &[pki.mid.cert()])
        });
        instances.previous = vec![previous];
        let case = pki
            .right
            .expecting(expect(instances))
            .serving([old.clone(), pki.mid.cert()]);
        assert_eq!(case.codes(), codes);
        assert_eq!(case.flags().revoked, flag);
        let (message, hint) = case.reported("previous_instance");
        assert!(
            message.contains("the previous instance 7 is still") && message.contains(words),
            "{message}"
        );
        assert!(
            hint.starts_with("reload the server")
                && hint.contains("install instance 8 (expires on 2027-06-12)"),
            "{hint}"
        );
    }
}

#[test]
fn instance_revoked_by_its_source_is_reported() {
    let pki = pki();
    let revoked = Instance {
        state: State::Revoked,
        ..instance(&pki.leaf(), &[pki.mid.cert()])
    };
    let case = pki.right.expecting(expect(Instances::only(revoked)));
    assert_eq!(case.codes(), ["revoked"]);
    assert_eq!(case.flags().revoked, Some(true));
    assert_eq!(pki.right.expecting(pin(&pki.leaf())).flags().revoked, None);
}

#[test]
fn other_certificate_for_the_same_key_has_its_own_finding() {
    let pki = pki();
    let other = pki
        .mid
        .issue(&[HOST.into()], days(1, 90), &pki.leaf.key)
        .unwrap()
        .certificate;
    let case = pki.right.serving([other, pki.mid.cert()]);
    assert_eq!(case.codes(), ["same_key_other_certificate"]);
    assert!(!case.flags().correct);
    // The key of the pending instance belongs to the certificate as well.
    let new_key = key();
    let mut instances = Instances::only(instance(&pki.leaf(), &[pki.mid.cert()]));
    instances.pending = Some(pending(&self_signed(&new_key)));
    let other = pki
        .mid
        .issue(&[HOST.into()], days(1, 90), &new_key)
        .unwrap()
        .certificate;
    let case = case
        .expecting(expect(instances))
        .serving([other, pki.mid.cert()]);
    assert_eq!(case.codes(), ["same_key_other_certificate"]);
}

#[test]
fn fingerprints_and_public_keys_are_pins() {
    let pki = pki();
    let same_key = pki
        .mid
        .issue(&[HOST.into()], days(1, 90), &pki.leaf.key)
        .unwrap()
        .certificate;
    let other = pki.mid.leaf(HOST, days(1, 90)).certificate;
    for (expected, served, correct) in [
        (pin(&pki.leaf()), pki.leaf(), true),
        (pin(&pki.leaf()), same_key.clone(), false),
        (pin_key(&pki.leaf()), pki.leaf(), true),
        (pin_key(&pki.leaf()), same_key, true),
        (pin_key(&pki.leaf()), other, false),
    ] {
        let case = pki
            .right
            .expecting(expected)
            .serving([served, pki.mid.cert()]);
        assert_eq!(case.flags().correct, correct);
        assert!(case.flags().chained && !case.flags().dummy);
        assert_eq!(
            case.codes(),
            if correct {
                vec![]
            } else {
                vec!["wrong_certificate"]
            }
        );
    }
}

#[test]
fn trust_only_requires_a_valid_matching_and_trusted_certificate() {
    let pki = pki();
    let right = pki.right.expecting(Expected::trust_only());
    assert!(right.flags().correct);
    assert_eq!(right.codes(), [""; 0]);
    for (case, codes) in [
        (right.asking_for("example.com"), &["hostname_mismatch"][..]),
        (right.at(Timestamp(now().0 + 201 * DAY)), &["expired"]),
        (right.at(Timestamp(now().0 - 101 * DAY)), &["not_yet_valid"]),
        (right.serving([pki.leaf()]), &["missing_intermediate"]),
        (right.trusting(TrustStore::default()), &["untrusted_root"]),
        (right.serving([self_signed(&key())]), &["self_signed"]),
    ] {
        assert_eq!(case.codes(), codes);
        assert!(!case.flags().correct && !case.flags().dummy);
    }
}

/// SSLMate's semantics: `dummy` and `correct` are independent.
#[test]
fn temporary_certificate_is_a_warning_until_an_instance_is_issued() {
    let pki = pki();
    let temporary = self_signed(&pki.leaf.key);
    let only_pending = expect(Instances::only(pending(&temporary)));
    let case = pki
        .right
        .serving([temporary.clone()])
        .expecting(only_pending);
    let flags = case.flags();
    assert!(flags.correct && flags.chained && flags.dummy);
    assert_eq!(flags.trusted, Some(false));
    assert_eq!(case.codes(), ["dummy_certificate"]);

    // An active instance has been issued. The dummy is critical, however it is identified.
    let mut issued = Instances::only(instance(&pki.leaf(), &[pki.mid.cert()]));
    let known_by_key = expect(issued.clone());
    issued.pending = Some(pending(&temporary));
    for expected in [known_by_key, expect(issued)] {
        let case = case.expecting(expected);
        let flags = case.flags();
        assert!(!flags.correct && flags.dummy);
        assert_eq!(case.codes(), ["dummy_certificate!critical"]);
    }
}

#[test]
fn temporary_certificate_is_identified_by_its_pending_instance() {
    let pki = pki();
    let temporary = self_signed(&key());
    let mut instances = Instances::only(instance(&pki.leaf(), &[pki.mid.cert()]));
    let case = pki.right.serving([temporary.clone()]);
    assert_eq!(case.codes(), ["wrong_certificate", "self_signed"]);
    assert!(!case.flags().dummy && !case.flags().chained);
    instances.pending = Some(pending(&temporary));
    let case = case.expecting(expect(instances));
    assert_eq!(case.codes(), ["dummy_certificate!critical"]);
    assert!(case.flags().dummy);
}

#[test]
fn temporary_certificate_is_reported_with_its_other_faults() {
    let pki = pki();
    let temporary = self_signed(&pki.leaf.key);
    let case = pki
        .right
        .serving([temporary, pki.mid.cert()])
        .at(Timestamp(now().0 + 250 * DAY));
    assert_eq!(
        case.codes(),
        [
            "dummy_certificate!critical",
            "expired",
            "unrelated_certificate"
        ]
    );
}

#[test]
fn expected_self_signed_certificate_is_not_temporary() {
    let pki = pki();
    let key = key();
    let own = self_signed(&key);
    let older = crate::authority::self_signed(&[HOST.into()], days(300, 60), &key);
    let older = older.unwrap().certificate;
    let case = pki
        .right
        .expecting(expect(Instances::only(instance(&own, &[]))));
    let served = case.serving([own.clone()]);
    assert!(served.flags().correct && served.flags().chained && !served.flags().dummy);
    assert_eq!(served.codes(), ["self_signed"]);
    let served = case.serving([own.clone()]).trusting(store([&own]));
    // Chromium accepts only authorities as roots.
    assert_eq!(served.codes(), ["refused_by_clients"]);
    assert_eq!(served.flags().trusted, Some(true));
    // The previous certificate for the same key is not a placeholder but an old certificate.
    let served = case.serving([older]).trusting(store([&own]));
    assert!(!served.flags().dummy);
    assert_eq!(served.codes()[0], "previous_instance");
}

/// A PEM file or a download URL gives one certificate, without its previous instances.
#[test]
fn an_older_certificate_for_the_same_names_is_a_previous_instance() {
    let pki = pki();
    let at = |authority: &Authority, names: &[&str], days| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        authority.issue(&names, days, &key()).unwrap().certificate
    };
    let older = days(190, 40);
    let elsewhere = root("Elsewhere");
    let same_key = elsewhere.issue(&[HOST.into()], older, &pki.leaf.key);
    for (what, served, code) in [
        ("new key", at(&pki.mid, &[HOST], older), "previous_instance"),
        (
            "same key",
            same_key.unwrap().certificate,
            "previous_instance",
        ),
        (
            "in capitals",
            at(&pki.mid, &["WWW.example.com"], older),
            "previous_instance",
        ),
        (
            "newer",
            at(&pki.mid, &[HOST], days(90, 300)),
            "wrong_certificate",
        ),
        (
            "as old",
            at(&pki.mid, &[HOST], days(100, 300)),
            "wrong_certificate",
        ),
        (
            "other issuer",
            at(&elsewhere, &[HOST], older),
            "wrong_certificate",
        ),
        (
            "one name more",
            at(&pki.mid, &[HOST, "example.com"], older),
            "wrong_certificate",
        ),
        (
            "another name",
            at(&pki.mid, &["example.com"], older),
            "wrong_certificate",
        ),
    ] {
        let case = pki.right.serving([served, pki.mid.cert()]);
        assert_eq!(case.codes()[0], code, "{what}");
    }
    // Another accepted certificate may be the newer one as well; a temporary one may not.
    let old = at(&pki.mid, &[HOST], older);
    let case = pki.right.serving([old, pki.mid.cert()]);
    let stranger = at(&elsewhere, &["other.example.com"], days(1, 90));
    let pair = accepting(&instance(&stranger, &[]), &[&instance(&pki.leaf(), &[])]);
    assert_eq!(case.expecting(expect(pair)).codes()[0], "previous_instance");
    let temporary = pending(&pki.leaf());
    let case = case.expecting(expect(Instances::only(temporary)));
    assert_eq!(case.codes()[0], "wrong_certificate");
}

/// Authorities sign with several intermediates.
#[test]
fn issuers_of_one_organization_count_as_the_same_issuer() {
    use crate::judge::identity::is_older;
    let pki = pki();
    let elsewhere = root("Elsewhere").leaf(HOST, days(190, 40)).certificate;
    let (leaf, newer) = (pki.leaf(), elsewhere);
    let (newer, older) = (
        leaf.facts().unwrap().clone(),
        newer.facts().unwrap().clone(),
    );
    let named = |facts: &crate::certificate::Facts, organization: &str, name: &str| {
        crate::certificate::Facts {
            issuer_normal: format!("{organization} {name}").into_bytes(),
            issuer_organization: Some(organization.to_owned()),
            ..facts.clone()
        }
    };
    assert!(!is_older(&older, &newer));
    assert!(is_older(
        &named(&older, "Acme", "R1"),
        &named(&newer, "Acme", "R2")
    ));
    assert!(!is_older(
        &named(&older, "Acme", "R1"),
        &named(&newer, "Other", "R1")
    ));
    assert!(!is_older(
        &named(&newer, "Acme", "R1"),
        &named(&older, "Acme", "R2")
    ));
}

#[test]
fn previous_instance_message_names_both_and_hint_advises_reload() {
    let pki = pki();
    let old = pki.mid.leaf(HOST, days(190, 40)).certificate;
    let case = pki.right.serving([old.clone(), pki.mid.cert()]);
    let (message, hint) = case.reported("previous_instance");
    let serial = |c: &Certificate| c.facts().unwrap().serial.clone();
    assert_eq!(
        message,
        format!(
            "an older instance of the expected certificate is still served: `www.example.com`, \
             from 2026-05-18 to 2027-01-03, serial {}; the expected one is from 2026-08-16 to 2027-06-12, serial {}",
            serial(&old),
            serial(&pki.leaf())
        )
    );
    assert!(
        hint.starts_with("reload the server") && hint.contains("install the expected certificate"),
        "{hint}"
    );
    // A rollout in progress has the same effect as with a known instance.
    let mut rollout = case.clone();
    rollout.rules.grace = Some(crate::judge::Grace {
        before: old.sha256(),
        until: Timestamp(now().0 + DAY),
    });
    assert_eq!(rollout.codes(), ["previous_instance!warning"]);
    assert_eq!(case.codes(), ["previous_instance"]);
}

#[test]
fn message_distinguishes_equal_names_and_dates_by_serial() {
    let pki = pki();
    let twin = pki.mid.leaf(HOST, days(100, 200)).certificate;
    let case = pki.right.serving([twin.clone(), pki.mid.cert()]);
    let (message, _) = case.reported("wrong_certificate");
    let serial = |c: &Certificate| c.facts().unwrap().serial.clone();
    let apart = format!(
        ", serial {}; the expected one has serial {}",
        serial(&twin),
        serial(&pki.leaf())
    );
    assert!(message.ends_with(&apart), "{message}");
}

/// A fingerprint contains no names. They are known if another address serves the certificate.
#[test]
fn pinned_certificate_served_elsewhere_identifies_an_older_one() {
    let pki = pki();
    let pinned = pki.right.expecting(pin(&pki.leaf()));
    let old = pki.mid.leaf(HOST, days(190, 40)).certificate;
    let newer = pki.mid.leaf(HOST, days(1, 200)).certificate;
    let serving = |leaf: &Certificate| pinned.serving([leaf.clone(), pki.mid.cert()]).judged();
    let codes = |mut looks: Vec<Judged>| {
        crate::judge::together(&mut looks);
        looks.iter().map(Judged::codes).collect::<Vec<_>>()
    };
    let right: [&str; 0] = [];
    let previous = ["previous_instance"];
    let wrong = ["wrong_certificate"];
    assert_eq!(
        codes(vec![serving(&pki.leaf()), serving(&old)]),
        [&right[..], &previous]
    );
    assert_eq!(
        codes(vec![serving(&pki.leaf()), serving(&newer)]),
        [&right[..], &wrong]
    );
    assert_eq!(codes(vec![serving(&old)]), [&wrong[..]]);
    // The certificate of another pin is not used.
    let other = pki
        .right
        .expecting(pin(&old))
        .serving([old.clone()])
        .judged();
    assert_eq!(codes(vec![other, serving(&old)])[1][0], wrong[0]);
}

/// A pin contains no information about newer certificates.
#[test]
fn self_signed_certificate_for_a_pinned_key_is_critical_unless_trusted() {
    let pki = pki();
    let key = key();
    let own = self_signed(&key);
    let case = pki.right.serving([own.clone()]).expecting(pin_key(&own));
    assert!(case.flags().correct && case.flags().dummy);
    assert_eq!(case.codes(), ["dummy_certificate!critical"]);
    let trusted = case.trusting(store([&own]));
    // Chromium accepts only authorities as roots.
    assert_eq!(trusted.codes(), ["refused_by_clients"]);
    assert_eq!(
        trusted.asking_for("example.com").codes(),
        ["hostname_mismatch"]
    );
    // By its fingerprint it is the expected certificate.
    let pinned = case.expecting(pin(&own));
    assert!(pinned.flags().correct && !pinned.flags().dummy);
    assert_eq!(pinned.codes(), ["self_signed"]);
}
