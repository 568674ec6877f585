//! Validity periods, to the second.

use super::*;

/// Returns the codes `left` seconds before the leaf's expiry, for a lifetime of `lifetime_days`
/// days.
fn codes_at(left: i64, lifetime_days: i64, rules: &str) -> Vec<String> {
    let mut pki = pki();
    let end = Timestamp(now().0 + 20 * DAY);
    let begin = Timestamp(end.0 - lifetime_days * DAY);
    let leaf = pki.mid.leaf(
        HOST,
        Validity {
            not_before: begin,
            not_after: end,
        },
    );
    if let Some((warn, crit)) = rules.split_once(' ') {
        pki.right.rules = Rules {
            warn: warn.parse().unwrap(),
            crit: crit.parse().unwrap(),
            ..Rules::default()
        };
    }
    let case = pki.right.expecting(pin(&leaf.certificate));
    let case = case.serving([leaf.certificate, pki.mid.cert()]);
    case.at(Timestamp(end.0 - left)).codes()
}

#[test]
fn expiry_thresholds_apply_from_the_exact_second() {
    let (warning, critical) = (&["expiring"][..], &["expiring!critical"][..]);
    let ok = &[][..];
    for (lifetime, rules, left, codes) in [
        // The default is the smaller of share and duration.
        (398, "", 30 * DAY, ok),
        (398, "", 30 * DAY - 1, warning),
        (398, "", 7 * DAY, warning),
        (398, "", 7 * DAY - 1, critical),
        (40, "", 10 * DAY, ok),
        (40, "", 10 * DAY - 1, warning),
        (40, "", 4 * DAY, warning),
        (40, "", 4 * DAY - 1, critical),
        (40, "50% 3d", 20 * DAY, ok),
        (40, "50% 3d", 20 * DAY - 1, warning),
        (40, "50% 3d", 3 * DAY - 1, critical),
        // The certificate is valid in the last second, and expired in the next.
        (398, "", 0, critical),
        (398, "", -1, &["expired"]),
        (398, "0s 0s", 0, ok),
    ] {
        assert_eq!(
            codes_at(left, lifetime, rules),
            codes,
            "{left} s left, {rules:?}"
        );
    }
}

#[test]
fn not_before_applies_from_the_exact_second() {
    let pki = pki();
    let begin = pki.leaf().facts().unwrap().not_before;
    let early = pki.right.at(Timestamp(begin.0 - 1));
    assert_eq!(early.codes(), ["not_yet_valid"]);
    let flags = early.flags();
    assert_eq!(
        (flags.not_yet_valid, flags.expired),
        (Some(true), Some(false))
    );
    assert!(flags.correct && flags.chained && flags.trusted == Some(false));
    assert!(early.reported("not_yet_valid").0.ends_with("(in 1 second)"));
    assert_eq!(pki.right.at(begin).codes(), [""; 0]);
    assert_eq!(pki.right.at(begin).flags().not_yet_valid, Some(false));
    let end = pki.leaf().facts().unwrap().not_after;
    assert_eq!(pki.right.at(end).flags().expired, Some(false));
    assert_eq!(pki.right.at(end).flags().trusted, Some(true));
}

#[test]
fn an_expired_leaf_is_still_correct_and_chained() {
    let pki = pki();
    let case = pki.right.at(Timestamp(now().0 + 203 * DAY));
    let flags = case.flags();
    assert!(flags.correct && flags.chained);
    assert_eq!((flags.expired, flags.trusted), (Some(true), Some(false)));
    assert_eq!(case.codes(), ["expired"]);
    let (message, hint) = case.reported("expired");
    assert_eq!(
        message,
        "the certificate expired on 2027-06-12 (3 days ago)"
    );
    assert_eq!(hint, "install a renewed certificate and reload the server");
}

#[test]
fn expiry_hint_names_the_known_expected_certificate() {
    let pki = pki();
    let old = pki.mid.leaf(HOST, days(360, 3)).certificate;
    let case = pki.right.serving([old, pki.mid.cert()]);
    assert_eq!(case.codes(), ["previous_instance", "expiring!critical"]);
    assert!(
        case.reported("expiring")
            .1
            .starts_with("install the expected certificate before")
    );
    let case = case.at(Timestamp(now().0 + 4 * DAY));
    assert!(
        case.reported("expired")
            .1
            .starts_with("install the expected certificate and")
    );
}

#[test]
fn certificate_with_reversed_validity_is_expired_and_not_yet_valid() {
    let pki = pki();
    let backwards = pki.mid.leaf(HOST, days(-10, -20)).certificate;
    let case = pki
        .right
        .expecting(pin(&backwards))
        .serving([backwards, pki.mid.cert()]);
    assert_eq!(
        case.codes(),
        ["expired", "not_yet_valid", "nonconformant_certificate"]
    );
    let flags = case.flags();
    assert_eq!(
        (flags.expired, flags.not_yet_valid),
        (Some(true), Some(true))
    );
}

/// Returns a case in which the intermediate has this validity, under a leaf with this validity.
fn with_intermediate(validity: Validity, leaf: Validity, warn: &str) -> Case {
    let mut pki = pki();
    let mid = pki.root.intermediate("Short", validity).unwrap();
    let leaf = mid.leaf(HOST, leaf).certificate;
    pki.right.rules.warn = warn.parse().unwrap();
    pki.right.expecting(pin(&leaf)).serving([leaf, mid.cert()])
}

#[test]
fn intermediate_expiry_is_reported_separately() {
    let leaf = days(100, 200);
    let case = with_intermediate(days(400, -1), leaf, "25%,30d");
    assert_eq!(case.codes(), ["chain_expired"]);
    let flags = case.flags();
    assert!(flags.correct && flags.chained);
    assert_eq!((flags.expired, flags.trusted), (Some(false), Some(false)));
    assert!(
        case.reported("chain_expired")
            .0
            .starts_with("the intermediate `Short` expired on")
    );

    let case = with_intermediate(days(-1, 400), leaf, "25%,30d");
    assert_eq!(case.codes(), ["not_yet_valid"]);
    assert_eq!(case.flags().not_yet_valid, Some(false));

    let end = now().0 + 29 * DAY;
    let case = with_intermediate(days(400, 29), leaf, "25%,30d");
    assert_eq!(case.codes(), ["chain_expiring"]);
    assert_eq!(case.flags().trusted, Some(true));
    assert_eq!(case.at(Timestamp(end - 30 * DAY)).codes(), [""; 0]);
    assert_eq!(
        case.at(Timestamp(end - 30 * DAY + 1)).codes(),
        ["chain_expiring"]
    );
    assert_eq!(case.at(Timestamp(end)).codes(), ["chain_expiring"]);
    assert_eq!(case.at(Timestamp(end + 1)).codes(), ["chain_expired"]);
    let begin = with_intermediate(days(1, 400), leaf, "25%,30d");
    assert_eq!(begin.at(Timestamp(now().0 - DAY)).codes(), [""; 0]);
}

/// A share of an authority's ten years would cause warnings for years.
#[test]
fn intermediate_outlasting_a_leaf_lifetime_is_not_reported() {
    let case = with_intermediate(days(2_000, 400), days(100, 200), "50%");
    assert_eq!(case.codes(), [""; 0]);
    let case = with_intermediate(days(2_000, 299), days(100, 200), "50%");
    assert_eq!(case.codes(), ["chain_expiring"]);
}

#[test]
fn durations_are_shown_in_the_largest_fitting_unit() {
    let pki = pki();
    let end = pki.leaf().facts().unwrap().not_after;
    for (ago, text) in [
        (1, "(1 second ago)"),
        (119, "(119 seconds ago)"),
        (120, "(2 minutes ago)"),
        (7_199, "(119 minutes ago)"),
        (7_200, "(2 hours ago)"),
        (172_799, "(47 hours ago)"),
        (172_800, "(2 days ago)"),
    ] {
        let (message, _) = pki.right.at(Timestamp(end.0 + ago)).reported("expired");
        assert!(message.ends_with(text), "{message}");
    }
}
