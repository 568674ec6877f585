//! Chains: complete or incomplete, in or out of order, with one or several paths.

use super::*;
use crate::authority::signed_by_leaf;

#[test]
fn missing_known_intermediates_are_named_in_the_hint() {
    let pki = pki();
    let case = pki.right.serving([pki.leaf()]);
    assert_eq!(case.codes(), ["missing_intermediate"]);
    let flags = case.flags();
    assert!(flags.correct && !flags.chained && flags.trusted == Some(false));
    let (message, hint) = case.reported("missing_intermediate");
    assert_eq!(message, "the intermediate `CN=Intermediate` is not served");
    assert!(
        hint.starts_with("append the PEM of `CN=Intermediate` to the server's"),
        "{hint}"
    );

    let far = pki.mid.below("Issuing");
    let leaf = far.leaf(HOST, days(1, 200)).certificate;
    let known = instance(&leaf, &[far.cert(), pki.mid.cert()]);
    let case = case.expecting(expect(Instances::only(known)));
    let (message, hint) = case
        .serving([leaf.clone()])
        .reported("missing_intermediate");
    assert_eq!(
        message,
        "the intermediates `CN=Issuing`, `CN=Intermediate` are not served"
    );
    assert!(
        hint.contains("`CN=Issuing`, then `CN=Intermediate`"),
        "{hint}"
    );
    let case = case.serving([leaf, far.cert()]);
    assert_eq!(case.codes(), ["missing_intermediate"]);
    assert!(
        case.reported("missing_intermediate")
            .0
            .contains("`CN=Intermediate` is not")
    );
}

#[test]
fn missing_unknown_intermediate_is_named_by_the_leafs_issuer() {
    let pki = pki();
    for expected in [
        pin(&pki.leaf()),
        pin_key(&pki.leaf()),
        Expected::trust_only(),
    ] {
        let case = pki.right.expecting(expected).serving([pki.leaf()]);
        assert_eq!(case.codes(), ["missing_intermediate"]);
        assert!(!case.flags().chained);
        let (message, hint) = case.reported("missing_intermediate");
        assert_eq!(
            message,
            "the issuer of the certificate, `CN=Intermediate`, is not served, and is not a trusted root"
        );
        // It may be the root of a private authority.
        assert!(hint.ends_with("give it as --ca-file"), "{hint}");
    }
}

#[test]
fn served_root_does_not_replace_the_intermediate() {
    let pki = pki();
    let case = pki.right.serving([pki.leaf(), pki.root.cert()]);
    // The root belongs to the chain. It is not unrelated, only unnecessary.
    assert_eq!(case.codes(), ["missing_intermediate", "root_included"]);
    let unknown = case.expecting(pin(&pki.leaf()));
    assert_eq!(
        unknown.codes(),
        ["missing_intermediate", "unrelated_certificate"]
    );
    let (_, hint) = unknown.reported("unrelated_certificate");
    assert!(hint.starts_with("when the chain is complete"), "{hint}");
}

#[test]
fn served_root_is_an_info_finding() {
    let pki = pki();
    let case = pki
        .right
        .serving([pki.leaf(), pki.mid.cert(), pki.root.cert()]);
    assert_eq!(case.codes(), ["root_included"]);
    assert_eq!(case.judged().severity(), Severity::Info);
    assert!(case.flags().chained && case.flags().trusted == Some(true));
    // Clients refuse an expired root.
    let old = Authority::root("Root", days(900, -1)).unwrap();
    let leaf = old.leaf(HOST, days(1, 200)).certificate;
    let case = case
        .trusting(store([&old.certificate]))
        .expecting(pin(&leaf));
    assert_eq!(
        case.serving([leaf, old.cert()]).codes(),
        ["chain_expired", "root_included"]
    );
}

#[test]
fn untrusted_root_is_reported_whether_served_or_not() {
    let pki = pki();
    let nobody = pki.right.trusting(store([&root("Other").certificate]));
    assert_eq!(nobody.codes(), ["untrusted_root"]);
    let flags = nobody.flags();
    assert!(flags.correct && flags.chained && flags.trusted == Some(false));
    assert_eq!(
        nobody.reported("untrusted_root").0,
        "the chain ends below `CN=Root`, which is neither served nor a trusted root"
    );
    let with_root = nobody.serving([pki.leaf(), pki.mid.cert(), pki.root.cert()]);
    assert_eq!(with_root.codes(), ["untrusted_root", "root_included"]);
    assert_eq!(
        with_root.reported("untrusted_root").0,
        "the chain ends at `CN=Root`, which is not a trusted root"
    );
    // Both must be fixed. Once the intermediate is served, the untrusted root remains.
    let both = nobody.serving([pki.leaf()]);
    assert_eq!(both.codes(), ["missing_intermediate", "untrusted_root"]);
    assert!(
        both.reported("untrusted_root")
            .0
            .contains("ends below `CN=Root`")
    );
}

#[test]
fn root_of_the_instance_completes_the_chain_without_trust() {
    let pki = pki();
    let direct = pki.root.leaf(HOST, days(1, 200)).certificate;
    let known = Instance {
        root: Some(pki.root.cert()),
        ..instance(&direct, &[])
    };
    let case = pki
        .right
        .expecting(expect(Instances::only(known)))
        .serving([direct.clone()]);
    assert_eq!(case.codes(), [""; 0]);
    let nobody = case.trusting(TrustStore::default());
    assert!(nobody.flags().chained && nobody.flags().trusted == Some(false));
    assert_eq!(nobody.codes(), ["untrusted_root"]);
    // Without the known root, and without trust, the end of the chain is unknown.
    let nobody = nobody.expecting(pin(&direct));
    assert!(!nobody.flags().chained);
    assert_eq!(nobody.codes(), ["missing_intermediate"]);
}

#[test]
fn expected_chain_is_complete_in_any_order_and_below_another_leaf() {
    let pki = pki();
    let top = pki.root.below("Top");
    let low = top.below("Low");
    let leaf = low.leaf(HOST, days(1, 200)).certificate;
    let known = expect(Instances::only(instance(&leaf, &[low.cert(), top.cert()])));
    let case = pki.right.expecting(known);
    let case = case.serving([leaf, top.cert(), low.cert()]);
    assert_eq!(case.codes(), ["chain_out_of_order"]);
    assert!(case.flags().chained && case.flags().trusted == Some(true));
    assert!(
        case.reported("chain_out_of_order")
            .0
            .starts_with("`Top` is served before")
    );

    let other = root("Other").leaf(HOST, days(1, 200)).certificate;
    let case = pki.right.serving([other, pki.mid.cert()]);
    assert!(case.flags().chained && !case.flags().correct);
    assert_eq!(case.codes(), ["wrong_certificate", "missing_intermediate",]);
}

#[test]
fn root_before_its_intermediate_is_out_of_order() {
    let pki = pki();
    let case = pki
        .right
        .serving([pki.leaf(), pki.root.cert(), pki.mid.cert()]);
    assert_eq!(case.codes(), ["chain_out_of_order", "root_included"]);
}

#[test]
fn cross_signed_certificates_are_not_out_of_order() {
    let pki = pki();
    let old = root("Old Root");
    let cross = old.cross_sign(&pki.mid, long()).unwrap();
    let root_cross = old.cross_sign(&pki.root, long()).unwrap();
    // OpenSSL and GnuTLS follow the first intermediate with the name, here to a root that they do
    // not have.
    let refused = &["refused_by_clients"][..];
    for (rest, codes) in [
        (vec![pki.mid.cert(), cross.clone()], &[][..]),
        (vec![cross.clone(), pki.mid.cert()], refused),
        (vec![pki.mid.cert(), root_cross.clone()], &[]),
        (vec![cross, pki.mid.cert(), root_cross], refused),
    ] {
        let case = pki.right.serving([vec![pki.leaf()], rest].concat());
        assert_eq!(case.codes(), codes);
    }
}

#[test]
fn alternate_trusted_path_completes_the_chain_and_is_reported() {
    let pki = pki();
    let other = root("Other Root");
    let cross = other.cross_sign(&pki.mid, long()).unwrap();
    let case = pki.right.serving([pki.leaf(), cross.clone()]);
    let both = case.trusting(store([&pki.root.certificate, &other.certificate]));
    assert_eq!(both.codes(), ["alternate_chain"]);
    assert!(both.flags().chained && both.flags().trusted == Some(true));
    // A path to an untrusted root does not complete the chain.
    assert_eq!(case.codes(), ["missing_intermediate"]);
    assert!(!case.flags().chained);
    // If the expected chain is served, the other path is not reported.
    let along = both.serving([pki.leaf(), pki.mid.cert(), cross]);
    assert_eq!(along.codes(), [""; 0]);
    // A pin has no expected chain.
    assert_eq!(both.expecting(pin(&pki.leaf())).codes(), [""; 0]);
}

#[test]
fn intermediate_in_the_trust_store_need_not_be_served() {
    let pki = pki();
    let case = pki
        .right
        .serving([pki.leaf()])
        .trusting(store([&pki.mid.certificate]));
    // By default OpenSSL accepts no intermediate as trust anchor.
    assert_eq!(case.codes(), ["refused_by_clients", "alternate_chain"]);
    assert!(case.flags().chained && case.flags().trusted == Some(true));
}

#[test]
fn duplicate_and_unrelated_certificates_are_one_finding_each() {
    let pki = pki();
    let strangers: Vec<_> = (0..6)
        .map(|n| root(&format!("Stranger {n}")).cert())
        .collect();
    let mut served = vec![
        pki.leaf(),
        pki.leaf(),
        pki.mid.cert(),
        pki.mid.cert(),
        pki.mid.cert(),
    ];
    served.extend(strangers);
    let case = pki.right.serving(served);
    assert_eq!(
        case.codes(),
        [
            // Java refuses a chain of that length.
            "refused_by_clients",
            "unrelated_certificate",
            "duplicate_certificate"
        ]
    );
    assert_eq!(
        case.reported("duplicate_certificate").0,
        "`www.example.com`, `Intermediate` are served more than once"
    );
    let (message, hint) = case.reported("unrelated_certificate");
    assert_eq!(
        message,
        "`Stranger 0`, `Stranger 1`, `Stranger 2`, `Stranger 3` and 2 more are served, \
         but on no path from the certificate"
    );
    assert!(hint.starts_with("take what is not needed"), "{hint}");
    assert!(case.flags().chained && case.flags().trusted == Some(true));
}

/// An authority that changes its key keeps its name.
#[test]
fn message_mentions_a_certificate_with_the_issuers_name_and_another_key() {
    let pki = pki();
    let namesake = pki.root.below("Intermediate");
    let case = pki
        .right
        .expecting(pin(&pki.leaf()))
        .serving([pki.leaf(), namesake.cert()]);
    assert_eq!(
        case.codes(),
        ["missing_intermediate", "unrelated_certificate"]
    );
    assert_eq!(
        case.reported("missing_intermediate").0,
        "the certificate was issued by `CN=Intermediate`, of which another certificate is served, \
         with a key that did not sign"
    );
    assert!(!case.flags().chained);

    let direct = pki.root.leaf(HOST, days(1, 200)).certificate;
    let rekeyed = case
        .serving([direct])
        .trusting(store([&root("Root").certificate]));
    assert_eq!(
        rekeyed.reported("missing_intermediate").0,
        "the certificate was issued by `CN=Root`, which is not served; \
         the trusted root of that name has another key"
    );
    let untrusted = pki.right.trusting(store([&root("Root").certificate]));
    assert_eq!(
        untrusted.reported("untrusted_root").0,
        "the chain ends below `CN=Root`, which is not served; the trusted root of that name has another key"
    );
}

#[test]
fn leaf_certificate_may_not_issue() {
    let pki = pki();
    // A leaf's key signs for the leaf's name: names and signature match, but the leaf may not
    // issue.
    let rogue = signed_by_leaf(&pki.leaf, &["rogue.example".into()], days(1, 90))
        .unwrap()
        .certificate;
    let case = pki.right.expecting(pin(&rogue));
    let case = case.serving([rogue, pki.leaf(), pki.mid.cert()]);
    assert!(!case.flags().chained && case.flags().trusted == Some(false));
    assert!(
        case.reported("invalid_authority")
            .0
            .contains("is no certificate authority"),
        "{:?}",
        case.reported("invalid_authority")
    );
}

#[test]
fn unreadable_certificate_is_reported_with_the_other_findings() {
    let pki = pki();
    let garbage = Certificate::from_der(vec![0x30, 3, 1, 2]);
    let case = pki
        .right
        .serving([pki.leaf(), garbage.clone(), pki.mid.cert()]);
    // Most clients read every entry of the message.
    assert_eq!(
        case.codes(),
        ["refused_by_clients!critical", "unrelated_certificate"]
    );
    assert!(
        case.reported("unrelated_certificate")
            .0
            .contains("unreadable: it is")
    );
    assert!(case.flags().chained && case.flags().trusted == Some(true));
    let case = pki.right.serving([garbage.clone(), pki.mid.cert()]);
    // The certificates that belong to an unreadable leaf are unknown.
    assert_eq!(
        case.codes(),
        ["wrong_certificate", "nonconformant_certificate"]
    );
    let flags = case.flags();
    assert_eq!(
        (flags.expired, flags.not_yet_valid, flags.hostname_match),
        (None, None, None)
    );
    assert_eq!((flags.correct, flags.trusted), (false, Some(false)));
    assert_eq!(
        case.reported("nonconformant_certificate").0,
        "strict clients refuse the certificate: it is not a DER sequence, or is cut short"
    );
    let case = case.expecting(pin(&garbage));
    assert!(case.flags().correct && !case.flags().chained);
    assert_eq!(case.codes(), ["nonconformant_certificate"]);
    let case = case.expecting(Expected::trust_only());
    assert_eq!(
        case.codes(),
        ["untrusted_root", "nonconformant_certificate"]
    );
}

#[test]
fn path_exceeding_the_path_length_is_untrusted_though_complete() {
    let pki = pki();
    let bounded = pki.root.bounded_intermediate("Bounded", long(), 0).unwrap();
    let below = bounded.below("Below");
    let leaf = below.leaf(HOST, days(1, 200)).certificate;
    let chain = [below.cert(), bounded.cert()];
    let case = pki
        .right
        .expecting(expect(Instances::only(instance(&leaf, &chain))));
    let full = case.serving([leaf.clone(), below.cert(), bounded.cert()]);
    assert_eq!(full.codes(), ["invalid_authority"]);
    assert_eq!(
        full.reported("invalid_authority").0,
        "the intermediate `Bounded` allows 0 intermediates below it (pathlen:0), and there is 1"
    );
    assert!(full.flags().chained && full.flags().trusted == Some(false));
    // Neither expiry nor a missing intermediate hides it.
    let late = full.at(Timestamp(now().0 + 201 * DAY));
    assert_eq!(late.codes(), ["expired", "invalid_authority"]);
    let short = full.serving([leaf, below.cert()]);
    assert_eq!(short.codes(), ["missing_intermediate", "invalid_authority"]);
    assert!(short.reported("invalid_authority").0.contains("pathlen:0"));
}

#[test]
fn root_of_the_instance_does_not_replace_the_intermediate() {
    let pki = pki();
    let known = Instance {
        root: Some(pki.root.cert()),
        ..instance(&pki.leaf(), &[pki.mid.cert()])
    };
    let case = pki.right.expecting(expect(Instances::only(known)));
    let case = case.trusting(TrustStore::default());
    assert_eq!(
        case.reported("untrusted_root").0,
        "the chain ends at `CN=Root`, which is not a trusted root"
    );
    let short = case.serving([pki.leaf()]);
    assert!(case.flags().chained && !short.flags().chained);
    // A certificate with the missing one's name gives no information about the root.
    let namesake = pki.root.below("Intermediate").cert();
    let case = pki.right.trusting(TrustStore::default());
    assert_eq!(
        case.serving([pki.leaf(), namesake])
            .reported("untrusted_root")
            .0,
        "the chain ends below `CN=Root`, which is neither served nor a trusted root"
    );
}

#[test]
fn namesake_of_an_issuer_is_reported_and_is_not_a_trust_anchor() {
    let pki = pki();
    let namesake = pki.root.below("Intermediate").cert();
    let case = pki.right.expecting(pin(&pki.leaf()));
    let served = [pki.leaf(), root("Stranger").cert(), namesake];
    let (message, _) = case.serving(served).reported("missing_intermediate");
    assert!(
        message.contains("of which another certificate is served"),
        "{message}"
    );

    let rekeyed = pki.right.trusting(store([&root("Root").certificate]));
    let case = rekeyed.serving([pki.leaf(), pki.mid.cert(), pki.root.cert()]);
    assert_eq!(case.codes(), ["untrusted_root", "root_included"]);
    assert_eq!(
        case.reported("root_included").0,
        "the root `Root` is served along"
    );
    assert_eq!(case.flags().trusted, Some(false));
}

#[test]
fn hint_names_the_chain_command() {
    let hint = |source: SourceKind, name: &str| {
        let mid = root("Root").below("Intermediate");
        let leaf = mid.leaf(name, days(1, 200)).certificate;
        let pki = pki();
        let expected = Expected {
            source,
            ..expect(Instances::only(instance(&leaf, &[mid.cert()])))
        };
        let case = pki.right.expecting(expected).serving([leaf]);
        let (_, hint) = case.reported("missing_intermediate");
        hint.rsplit_once("; ").unwrap().1.to_owned()
    };
    for (name, word) in [
        ("www.example.com", "www.example.com"),
        ("*.example.com", "'*.example.com'"),
        // Text that is not a host name must not be pasted into a shell.
        ("a.example; reboot", "CN"),
        ("--output", "CN"),
        ("*.$(reboot)", "CN"),
        ("", "CN"),
    ] {
        let command = format!("`certvigil chain --sslmate {word}` writes the whole file");
        assert_eq!(hint(SourceKind::Sslmate, name), command);
    }
    assert_eq!(
        hint(SourceKind::Download, HOST),
        "`certvigil chain --download URL` writes the whole file"
    );
}

#[test]
fn hint_of_a_file_with_the_whole_chain_is_to_install_it() {
    let pki = pki();
    let expected = Expected {
        source: SourceKind::Pem,
        ..expect(Instances::only(instance(&pki.leaf(), &[pki.mid.cert()])))
    };
    let case = pki.right.expecting(expected).serving([pki.leaf()]);
    assert_eq!(
        case.reported("missing_intermediate").1,
        "install the file with the expected certificate (--cert, or `pem` of the entry), which has the \
         whole chain, leaf first, as the server's certificate file (nginx ssl_certificate, Apache \
         SSLCertificateFile, HAProxy crt), and reload the server"
    );
}

#[test]
fn hint_for_an_issuer_without_url_names_no_command() {
    let pki = pki();
    let case = pki
        .right
        .expecting(Expected::trust_only())
        .serving([pki.leaf()]);
    let (_, hint) = case.reported("missing_intermediate");
    assert!(!hint.contains("certvigil chain"), "{hint}");
    assert!(
        hint.ends_with("; if it is a root that clients hold, give it as --ca-file"),
        "{hint}"
    );
}
