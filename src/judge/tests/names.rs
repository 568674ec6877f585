//! Which names a certificate is valid for.

use super::*;

fn case(names: &[&str]) -> Case {
    let pki = pki();
    let names: Vec<_> = names.iter().map(|&n| n.to_owned()).collect();
    let leaf = pki
        .mid
        .issue(&names, days(100, 200), &key())
        .unwrap()
        .certificate;
    pki.right
        .expecting(pin(&leaf))
        .serving([leaf, pki.mid.cert()])
}

#[test]
fn names_match_by_rfc_9525() {
    for (names, host, matches) in [
        (&["www.example.com"][..], "www.example.com", true),
        (&["WWW.Example.COM"], "www.example.com", true),
        (&["www.example.com"], "example.com", false),
        (&["example.com"], "www.example.com", false),
        (&["a.example.com", "b.example.com"], "b.example.com", true),
        (&["*.example.com"], "www.example.com", true),
        (&["*.example.com"], "a.www.example.com", false),
        (&["*.example.com"], "example.com", false),
        (&["*.example.com"], "www.example.org", false),
        (&["xn--bcher-kva.example"], "bücher.example", true),
        (&["_srv.example.com"], "_srv.example.com", true),
        (&["192.0.2.1"], "192.0.2.1", true),
        (&["192.0.2.1"], "192.0.2.2", false),
        (&["2001:db8::1"], "2001:db8::1", true),
        (&["2001:db8::1"], "2001:db8::2", false),
        (&["192.0.2.1"], "::ffff:192.0.2.1", false),
        (&["www.example.com"], "192.0.2.1", false),
    ] {
        let case = case(names).asking_for(host);
        let flags = case.flags();
        assert_eq!(flags.hostname_match, Some(matches), "{names:?} for {host}");
        assert_eq!(flags.trusted, Some(matches), "{names:?} for {host}");
        assert!(flags.correct && flags.chained);
        let codes = if matches {
            &[][..]
        } else {
            &["hostname_mismatch"]
        };
        assert_eq!(case.codes(), codes, "{names:?} for {host}");
    }
}

#[test]
fn a_mismatch_tells_the_names_that_there_are() {
    let few = case(&["a.example", "192.0.2.1"]);
    assert_eq!(
        few.told("hostname_mismatch").0,
        "the certificate is not valid for www.example.com, only for a.example, 192.0.2.1"
    );
    let many = case(&[
        "a.example",
        "b.example",
        "c.example",
        "d.example",
        "e.example",
        "f.example",
    ]);
    let (message, hint) = many.told("hostname_mismatch");
    assert!(
        message.ends_with("d.example, e.example and 1 more"),
        "{message}"
    );
    assert!(
        hint.starts_with("serve a certificate that names www.example.com"),
        "{hint}"
    );
}

#[test]
fn the_common_name_never_counts() {
    let case = Case::of_testdata(&["no-san"], &["root"]);
    assert_eq!(
        case.codes(),
        ["hostname_mismatch", "nonconformant_certificate"]
    );
    assert_eq!(case.flags().hostname_match, Some(false));
    let (message, _) = case.told("hostname_mismatch");
    assert!(
        message.ends_with("it has no subject alternative names"),
        "{message}"
    );
}

#[test]
fn a_nul_in_a_name_ends_nothing() {
    let case = Case::of_testdata(&["nul-in-name"], &["root"]);
    assert_eq!(case.flags().hostname_match, Some(false));
    let (message, _) = case.told("hostname_mismatch");
    assert!(!message.contains('\0'), "{message:?}");
}

/// Where the strict parser reads nothing, our own rules are the same.
#[test]
fn names_of_a_certificate_that_strict_parsers_refuse_match_by_the_same_rules() {
    let case = Case::of_testdata(&["negative-serial"], &["root"]);
    assert_eq!(case.flags().hostname_match, Some(true));
    assert_eq!(
        case.asking_for("example.com").flags().hostname_match,
        Some(false)
    );
    let pki = pki();
    let names = [
        "*.example.com",
        "*.com",
        "trailing.example.",
        "192.0.2.1",
        "2001:db8::1",
    ];
    let names = names.map(str::to_owned);
    let leaf = pki
        .mid
        .issue(&names, days(1, 90), &key())
        .unwrap()
        .certificate;
    let facts = leaf.facts().unwrap();
    for (host, matches) in [
        ("www.example.com", true),
        ("a.www.example.com", false),
        ("example.com", false),
        ("trailing.example", false),
        ("192.0.2.1", true),
        ("192.0.2.2", false),
        ("2001:db8::1", true),
    ] {
        assert_eq!(facts.matches(&host.parse().unwrap()), matches, "{host}");
    }
}
