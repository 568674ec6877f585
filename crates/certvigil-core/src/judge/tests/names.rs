//! The names for which a certificate is valid.

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
        let codes = match matches {
            // Java does not accept it as a host name.
            true if host.contains('_') => &["refused_by_clients"][..],
            true => &[],
            false => &["hostname_mismatch"],
        };
        assert_eq!(case.codes(), codes, "{names:?} for {host}");
    }
}

/// SNIHostName of Java 17 and ServerName of rustls refuse such a name. OpenSSL, GnuTLS, Go and
/// Chromium accept it.
#[test]
fn java_and_rustls_refuse_a_hyphen_at_the_end_of_a_label() {
    for (names, host) in [
        (["foo-.example.com"], "foo-.example.com"),
        (["*.example.com"], "foo-.example.com"),
        (["a.foo-.example.com"], "a.foo-.example.com"),
    ] {
        let case = case(&names).asking_for(host);
        assert_eq!(case.flags().trusted, Some(true), "{host}");
        assert_eq!(case.codes(), ["refused_by_clients"], "{host}");
        let judged = case.judged();
        let refusals = judged.clients.iter().flat_map(|clients| clients.refusals());
        let refusing: Vec<_> = refusals.map(|(client, _)| client.name()).collect();
        assert_eq!(refusing, ["java", "rustls"], "{host}");
    }
    let other = case(&["fo--o.example.com"]).asking_for("fo--o.example.com");
    assert_eq!(other.codes(), Vec::<String>::new());
}

/// Java sends no SNI for it, so the server may have another certificate for Java.
#[test]
fn java_is_unknown_for_a_name_without_a_dot() {
    let case = case(&["intranet", "intranet.example.com"]);
    for (host, unknown) in [("intranet", &["java"][..]), ("intranet.example.com", &[])] {
        let case = case.asking_for(host);
        assert_eq!(case.codes(), [""; 0], "{host}");
        assert_eq!(not_accepting(&case), with(unknown, None), "{host}");
    }
    // The other reason remains.
    let refused = case.asking_for("other");
    assert!(not_accepting(&refused).contains(&("java", Some(false))));
}

/// As measured with Chromium 156.
#[test]
fn chromium_refuses_wildcards_of_public_suffixes_that_are_known() {
    for (host, refused) in [
        ("foo.co.uk", true),
        ("foo.or.jp", true),
        ("foo.gv.at", true),
        ("foo.ltd.uk", true),
        ("foo.tokyo.jp", true),
        ("a.foo.ck", true),
        ("foo.co.de", false),
        ("foo.net.ch", false),
        ("foo.github.io", false),
        ("www.example.com", false),
    ] {
        let (_, parent) = host.split_once('.').unwrap();
        let wildcard = case(&[&format!("*.{parent}")]).asking_for(host);
        let (codes, answers): (&[&str], &[&str]) = match refused {
            true => (&["refused_by_clients"], &["chromium"]),
            false => (&[], &[]),
        };
        assert_eq!(wildcard.codes(), codes, "{host}");
        assert_eq!(
            not_accepting(&wildcard),
            with(answers, Some(false)),
            "{host}"
        );
    }
    let unknown = case(&["*.chiyoda.tokyo.jp"]).asking_for("foo.chiyoda.tokyo.jp");
    assert_eq!(unknown.codes(), [""; 0]);
    assert_eq!(not_accepting(&unknown), [("chromium", None)]);
    let exact = case(&["foo.chiyoda.tokyo.jp"]).asking_for("foo.chiyoda.tokyo.jp");
    assert_eq!(not_accepting(&exact), []);
}

/// Returns the clients that do not accept the case, or of which this is not known.
fn not_accepting(case: &Case) -> Vec<(&'static str, Option<bool>)> {
    let judged = case.judged();
    let opinions = judged.clients.iter().flat_map(|clients| clients.iter());
    opinions
        .map(|(client, opinion)| (client.name(), opinion.accepts()))
        .filter(|(_, accepts)| *accepts != Some(true))
        .collect()
}

fn with(clients: &[&'static str], accepts: Option<bool>) -> Vec<(&'static str, Option<bool>)> {
    clients.iter().map(|client| (*client, accepts)).collect()
}

#[test]
fn hostname_mismatch_lists_the_names_of_the_certificate() {
    let few = case(&["a.example", "192.0.2.1"]);
    assert_eq!(
        few.reported("hostname_mismatch").0,
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
    let (message, hint) = many.reported("hostname_mismatch");
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
fn common_name_is_not_matched() {
    let case = Case::of_testdata(&["no-san"], &["root"]);
    assert_eq!(
        case.codes(),
        ["hostname_mismatch", "nonconformant_certificate"]
    );
    assert_eq!(case.flags().hostname_match, Some(false));
    let (message, _) = case.reported("hostname_mismatch");
    assert!(
        message.ends_with("it has no subject alternative names"),
        "{message}"
    );
}

#[test]
fn nul_byte_does_not_truncate_a_name() {
    let case = Case::of_testdata(&["nul-in-name"], &["root"]);
    assert_eq!(case.flags().hostname_match, Some(false));
    let (message, _) = case.reported("hostname_mismatch");
    assert!(!message.contains('\0'), "{message:?}");
}

/// If the strict parser cannot read the certificate, our own rules give the same result.
#[test]
fn nonconformant_certificate_matches_names_by_the_same_rules() {
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

/// No client compares an address with a dNSName.
#[test]
fn ip_address_in_a_dns_name_is_reported() {
    let case = Case::of_testdata(&["ip-in-dns"], &["acme-root"]).asking_for("192.0.2.1");
    assert_eq!(case.flags().hostname_match, Some(false));
    let (message, hint) = case.reported("hostname_mismatch");
    assert_eq!(
        message,
        "the certificate has the IP address 192.0.2.1 in a dNSName; clients compare an address with iPAddress only"
    );
    assert!(hint.contains("subjectAltName=IP:192.0.2.1"), "{hint}");
    let (message, _) = case.asking_for("192.0.2.2").reported("hostname_mismatch");
    assert!(message.ends_with("only for 192.0.2.1"), "{message}");
}

/// The issuer's name is not truncated at the comma.
#[test]
fn issuer_without_a_common_name_is_named_by_its_organization() {
    let case = Case::of_testdata(&["pss-leaf"], &["acme-root"]);
    let case = case.expecting(pin(&testdata("leaf")));
    let (message, _) = case.reported("wrong_certificate");
    assert!(
        message.contains("`www.example.com` by `Acme, Inc.`"),
        "{message}"
    );
    let facts = testdata("acme-root");
    assert_eq!(facts.facts().unwrap().subject, r"O=Acme\, Inc.");
}

#[test]
fn a_short_rsassa_pss_key_is_weak() {
    let case = Case::of_testdata(&["pss-leaf"], &["acme-root"]);
    let (message, _) = case.reported("weak_key");
    assert_eq!(message, "the certificate has a weak key: RSA-PSS 1024");
}
