//! Properties on which clients disagree, each with the clients that refuse the path.

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, DnValue, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyUsagePurpose, NameConstraints, SanType,
};
use time::OffsetDateTime;

use super::paths::{Chain, Node, ca, extension, node, same, server, trusting};
use super::*;

/// Returns the names of the clients that refuse the chain.
fn refusing(case: &Case) -> String {
    let judged = case.judged();
    let refusals = judged.clients.iter().flat_map(|clients| clients.refusals());
    let names: Vec<_> = refusals.map(|(client, _)| client.name()).collect();
    names.join(" ")
}

/// RFC 5280, section 4.2. The real OpenSSL accepts these, because it processes the extension.
#[test]
fn critical_netscape_type_is_an_unknown_critical_extension() {
    let of = |is_critical, bits: u8| {
        move |p: &mut CertificateParams| {
            let oid = [2, 16, 840, 1, 113_730, 1, 1];
            let value = extension(&oid, is_critical, &[3, 2, 0, bits]);
            p.custom_extensions.push(value);
        }
    };
    let (server, authority) = (0x40, 0x07);
    for (chain, clients) in [
        (
            Chain::new(same, same, of(true, server)),
            "gnutls go java chromium rustls",
        ),
        (
            Chain::new(same, of(true, authority), same),
            "gnutls go java chromium rustls",
        ),
        (
            Chain::new(of(true, authority), same, same),
            "gnutls go chromium",
        ),
    ] {
        assert_eq!(refusing(&chain.case()), clients);
        assert_eq!(chain.case().flags().trusted, Some(false), "{clients}");
    }
    let other = Chain::new(
        of(false, authority),
        of(false, authority),
        of(false, server),
    );
    assert_eq!(other.case().flags().trusted, Some(true));
    assert_eq!(refusing(&other.case()), "");
}

fn permitting(subtree: GeneralSubtree) -> impl FnOnce(&mut CertificateParams) {
    move |p| {
        p.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![subtree],
            excluded_subtrees: Vec::new(),
        });
    }
}

fn excluding(subtree: GeneralSubtree) -> impl FnOnce(&mut CertificateParams) {
    move |p| {
        p.name_constraints = Some(NameConstraints {
            permitted_subtrees: Vec::new(),
            excluded_subtrees: vec![subtree],
        });
    }
}

fn domain(name: &str) -> GeneralSubtree {
    GeneralSubtree::DnsName(name.into())
}

/// As measured with the real clients.
#[test]
fn common_name_is_compared_with_constraints_if_there_is_no_dns_name() {
    let address = "192.0.2.1";
    for (name, clients) in [
        ("printer.lan", "openssl gnutls java"),
        ("printer", "gnutls java"),
        ("My printer 1", "gnutls"),
        ("-x.lan", "gnutls"),
        ("pr_x.lan", "openssl gnutls"),
        (address, "openssl gnutls"),
        ("PRINTER.corp.example", ""),
    ] {
        let leaf = |p: &mut CertificateParams| {
            p.distinguished_name.push(DnType::CommonName, name);
            p.subject_alt_names = vec![SanType::IpAddress(address.parse().unwrap())];
        };
        let chain = Chain::new(same, permitting(domain("corp.example")), leaf);
        let case = chain.case().asking_for(address);
        assert_eq!(refusing(&case), clients, "{name}");
        assert_eq!(case.flags().trusted, Some(true), "{name}");
    }
    let leaf = |p: &mut CertificateParams| {
        p.distinguished_name.push(DnType::CommonName, "printer.lan");
    };
    let with_dns_name = Chain::new(same, permitting(domain("example.com")), leaf);
    assert_eq!(refusing(&with_dns_name.case()), "");
}

/// RFC 2985, section 5.2.1: an emailAddress is an IA5String.
#[test]
fn openssl_refuses_an_email_in_another_string_type_below_name_constraints() {
    let mail = |value: DnValue| {
        move |p: &mut CertificateParams| {
            let oid = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
            p.distinguished_name.push(oid, value);
        }
    };
    let utf8 = || mail(DnValue::Utf8String("a@example.com".into()));
    let ia5 = DnValue::Ia5String("a@example.com".try_into().unwrap());
    let permit = || permitting(domain("example.com"));
    for (chain, clients) in [
        (Chain::new(same, permit(), utf8()), "openssl"),
        (Chain::new(permit(), same, utf8()), "openssl"),
        (Chain::new(permit(), utf8(), same), "openssl"),
        (Chain::new(same, same, utf8()), ""),
        (Chain::new(same, permit(), mail(ia5)), ""),
    ] {
        assert_eq!(refusing(&chain.case()), clients);
    }
}

#[test]
fn go_parses_all_names_below_constraints_of_any_kind() {
    let net = || GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([10, 0, 0, 0], 8));
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let mail = |name: &str| SanType::Rfc822Name(name.try_into().unwrap());
    for (name, clients) in [
        (dns("a..b"), "go"),
        (dns("a.b."), "go"),
        (dns(".a.b"), ""),
        (mail("bad"), "go"),
        (mail("a..b@example.com"), "go"),
        (mail("@example.com"), "go"),
        (mail("a@b..c"), "go"),
        (mail("a@example.com"), ""),
    ] {
        let leaf = |p: &mut CertificateParams| p.subject_alt_names.push(name.clone());
        let below = Chain::new(same, excluding(net()), leaf);
        assert_eq!(refusing(&below.case()), clients, "{name:?}");
        let below_root = Chain::new(excluding(net()), same, leaf);
        assert_eq!(refusing(&below_root.case()), clients, "{name:?}");
        assert_eq!(
            refusing(&Chain::new(same, same, leaf).case()),
            "",
            "{name:?}"
        );
    }
}

/// RFC 5280, section 4.2.1.6.
#[test]
fn empty_alternative_name_is_refused_by_gnutls_and_if_critical_by_java() {
    const SUBJECT_ALT_NAME: [u64; 4] = [2, 5, 29, 17];
    const MAIL: u8 = 0x81;
    const URI: u8 = 0x86;
    for (tag, text, clients, clients_if_critical) in [
        (MAIL, "", "gnutls", "gnutls java"),
        (URI, "", "gnutls", "gnutls java"),
        (URI, "foo", "", "java"),
        (URI, "urn:x", "", ""),
        (MAIL, "bad", "", ""),
    ] {
        for (is_critical, clients) in [(false, clients), (true, clients_if_critical)] {
            let length = |n: usize| u8::try_from(n).unwrap();
            let mut names = vec![0x82, length(HOST.len())];
            names.extend(HOST.as_bytes());
            names.extend([tag, length(text.len())]);
            names.extend(text.as_bytes());
            let mut value = vec![0x30, length(names.len())];
            value.extend(names);
            let leaf = |p: &mut CertificateParams| {
                p.subject_alt_names.clear();
                let names = extension(&SUBJECT_ALT_NAME, is_critical, &value);
                p.custom_extensions.push(names);
            };
            let case = Chain::new(same, same, leaf).case();
            assert_eq!(refusing(&case), clients, "{tag:x} {text} {is_critical}");
        }
    }
}

/// Returns another certificate for an authority's name and key.
fn edition(of: &Node, issuer: &Node, edit: impl FnOnce(&mut CertificateParams)) -> Certificate {
    let mut params = of.params.clone();
    edit(&mut params);
    let issuer = Issuer::from_params(&issuer.params, &issuer.key);
    let signed = params.signed_by(&of.key, &issuer).unwrap();
    Certificate::from_der(signed.der().to_vec())
}

#[test]
fn openssl_continues_above_a_stored_intermediate() {
    let at = |days: i64| OffsetDateTime::from_unix_timestamp(now().0 + days * DAY).unwrap();
    let expired = |p: &mut CertificateParams| p.not_after = at(-5);
    let not_yet_valid = |p: &mut CertificateParams| p.not_before = at(5);
    let not_valid: [&dyn Fn(&mut CertificateParams); 2] = [&expired, &not_yet_valid];
    let chain = Chain::new(same, same, same);
    let (root, mid) = (&chain.root, &chain.mid);
    let previous = node("Root", None, ca);
    let roots = |c: Certificate| store([&root.certificate, &c]);
    for (edited, clients) in [
        (edition(mid, root, same), ""),
        (edition(mid, root, expired), "openssl"),
        (
            edition(mid, &previous, |p| {
                p.use_authority_key_identifier_extension = false;
            }),
            "openssl",
        ),
        // Its key identifier matches no stored root.
        (edition(mid, &previous, same), "openssl"),
    ] {
        let case = chain.case().trusting(roots(edited));
        assert_eq!(refusing(&case), clients);
        assert_eq!(case.flags().trusted, Some(true));
    }
    // GnuTLS continues above an identical certificate, but not to an expired root.
    for (edit, clients) in not_valid.into_iter().zip(["openssl", "openssl gnutls"]) {
        let old = edition(root, root, edit);
        let case = chain.case().trusting(store([&old, &mid.certificate]));
        assert_eq!(refusing(&case), clients);
        // Also without a served intermediate.
        let case = case.serving([chain.leaf.certificate.clone()]);
        assert_eq!(refusing(&case), "openssl");
    }
    let bounded = node("Root", None, |p| {
        ca(p);
        p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let mid = node("Mid", Some(&bounded), ca);
    let sub = node("Sub", Some(&mid), ca);
    let leaf = node(HOST, Some(&sub), server);
    let served = [leaf.certificate, sub.certificate, mid.certificate.clone()];
    let refused = refusing(&trusting(&[&bounded, &mid], &served));
    assert_eq!(refused, "openssl gnutls");
}

/// OpenSSL's choice depends on the order in its store.
#[test]
fn openssl_is_unknown_if_stored_intermediates_fit_equally_and_one_is_refused() {
    let chain = Chain::new(same, same, same);
    let (root, mid) = (&chain.root, &chain.mid);
    let client = |p: &mut CertificateParams| {
        p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    let stored = [edition(mid, root, same), edition(mid, root, client)];
    let trust = store(stored.iter().chain([&root.certificate]));
    let judged = chain.case().trusting(trust).judged();
    let mut opinions = judged.clients.iter().flat_map(|clients| clients.iter());
    let (_, opinion) = opinions.next().unwrap();
    assert_eq!(opinion.accepts(), None);
}

/// Returns another certificate for the name and the key of a node, signed by the issuer.
fn cross(of: &Node, issuer: &Node, edit: impl FnOnce(&mut CertificateParams)) -> Certificate {
    let mut params = of.params.clone();
    params.serial_number = Some(77.into());
    edit(&mut params);
    let issuer = Issuer::from_params(&issuer.params, &issuer.key);
    let signed = params.signed_by(&of.key, &issuer).unwrap();
    Certificate::from_der(signed.der().to_vec())
}

fn expired(params: &mut CertificateParams) {
    params.not_after = OffsetDateTime::from_unix_timestamp(now().0 - 5 * DAY).unwrap();
}

fn not_yet_valid(params: &mut CertificateParams) {
    params.not_before = OffsetDateTime::from_unix_timestamp(now().0 + 5 * DAY).unwrap();
}

fn for_clients(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
}

fn without_cert_sign(params: &mut CertificateParams) {
    params.key_usages = vec![KeyUsagePurpose::CrlSign];
}

/// A root, which `old` and `mid` have signed as well, and a leaf below it. `old` signed `mid`.
struct CrossSigned {
    old: Node,
    mid: Node,
    root: Node,
    leaf: Node,
}

impl CrossSigned {
    fn new() -> Self {
        let old = node("Old", None, ca);
        let mid = node("Mid", Some(&old), ca);
        let root = node("Root", None, ca);
        let leaf = node(HOST, Some(&root), server);
        Self {
            old,
            mid,
            root,
            leaf,
        }
    }

    /// Returns the clients that refuse the leaf with these certificates after it.
    fn refusing(&self, rest: &[&Certificate], roots: &[&Certificate]) -> String {
        let served = [&self.leaf.certificate]
            .into_iter()
            .chain(rest.iter().copied());
        let served: Vec<Certificate> = served.cloned().collect();
        let case = trusting(&[], &served).trusting(store(roots.iter().copied()));
        refusing(&case)
    }
}

/// As measured with GnuTLS 3.7.9, OpenSSL 3.0, Go 1.19 and Java 17.
#[test]
fn gnutls_takes_the_roots_with_the_name_of_the_last_served_certificate_or_its_issuer() {
    let pki = CrossSigned::new();
    let (old, mid) = (&pki.old.certificate, &pki.mid.certificate);
    let root = &pki.root.certificate;
    let by_old = cross(&pki.root, &pki.old, same);
    let by_mid = cross(&pki.root, &pki.mid, same);
    let old_expired = cross(&pki.old, &pki.old, expired);
    for (rest, roots, clients) in [
        (&[&by_mid][..], &[root][..], ""),
        (&[&by_mid, mid], &[root], "gnutls"),
        (&[&by_mid, mid], &[root, old], ""),
        // The AddTrust root of 2020.
        (&[&by_mid, mid], &[&old_expired, root], "gnutls"),
        (&[&by_old], &[&old_expired, root], ""),
        (&[&by_old], &[root, old], ""),
        // A self-issued certificate of the signer, which is not in the store.
        (&[&by_old, old], &[root], ""),
    ] {
        let count = rest.len();
        assert_eq!(pki.refusing(rest, roots), clients, "{count}");
    }
}

/// The built-in roots are names and keys. Clients have the certificates of the same roots, so they
/// decide alike.
#[test]
fn root_without_a_certificate_ends_the_path_as_its_certificate_does() {
    let pki = CrossSigned::new();
    let by_old = cross(&pki.root, &pki.old, same);
    let by_mid = cross(&pki.root, &pki.mid, same);
    let (old, mid) = (&pki.old.certificate, &pki.mid.certificate);
    let root = &pki.root.certificate;
    let below = node("Issuer", Some(&pki.root), ca);
    let leaf = node(HOST, Some(&below), server).certificate;
    let issuer = &below.certificate;
    for rest in [
        &[][..],
        &[&by_old],
        &[&by_old, old],
        &[&by_mid],
        &[root],
        &[&by_mid, mid],
    ] {
        for roots in [&[root][..], &[root, old]] {
            let mut keys = TrustStore::default();
            for root in roots {
                let der = root.der().into();
                let anchor = webpki::anchor_from_trusted_cert(&der).unwrap();
                keys.add_anchor(anchor.to_owned());
            }
            let direct = [&pki.leaf.certificate];
            for first in [&direct[..], &[&leaf, issuer]] {
                let served = first.iter().chain(rest).copied().cloned();
                let served: Vec<Certificate> = served.collect();
                let stored = trusting(&[], &served).trusting(store(roots.iter().copied()));
                let keys = stored.trusting(keys.clone());
                let counts = (first.len(), rest.len(), roots.len());
                assert_eq!(refusing(&keys), refusing(&stored), "{counts:?}");
                assert_eq!(keys.codes(), stored.codes(), "{counts:?}");
            }
        }
    }
}

/// As measured with GnuTLS 3.7.9, OpenSSL 3.0, Go 1.19 and Java 17.
#[test]
fn gnutls_verifies_a_cross_certificate_although_the_root_itself_is_stored() {
    let pki = CrossSigned::new();
    let roots = [&pki.root.certificate, &pki.old.certificate];
    type Edit = fn(&mut CertificateParams);
    let edits: [Edit; 3] = [not_yet_valid, for_clients, without_cert_sign];
    for (at, edit) in edits.into_iter().enumerate() {
        let unfit = cross(&pki.root, &pki.old, edit);
        assert_eq!(pki.refusing(&[&unfit], &roots), "gnutls", "{at}");
        // Without its signer in the store, the root of its name is tried.
        let alone = pki.refusing(&[&unfit], &roots[..1]);
        assert_eq!(alone, "", "{at}");
    }
    let mut der = cross(&pki.root, &pki.old, same).der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    let broken = Certificate::from_der(der);
    assert_eq!(pki.refusing(&[&broken], &roots), "gnutls");
}

/// As measured with Java 17: `PKIXValidator` does not go on to another root.
#[test]
fn java_ends_an_ordered_chain_at_the_first_certificate_with_the_key_of_a_root() {
    let pki = CrossSigned::new();
    let by_old = cross(&pki.root, &pki.old, same);
    let no_authority = |p: &mut CertificateParams| p.is_ca = IsCa::NoCa;
    let not_ca = |p: &mut CertificateParams| {
        p.is_ca = IsCa::ExplicitNoCa;
        p.key_usages.clear();
    };
    for (stored, clients) in [
        (cross(&pki.root, &pki.root, same), ""),
        (cross(&pki.root, &pki.root, no_authority), "java"),
        (cross(&pki.root, &pki.root, not_ca), "openssl java"),
        (
            cross(&pki.root, &pki.root, without_cert_sign),
            "openssl java",
        ),
    ] {
        let refusing = pki.refusing(&[&by_old], &[&stored, &pki.old.certificate]);
        assert_eq!(refusing, clients);
    }
}

/// As measured with Java 17. OpenSSL and GnuTLS follow the cross-certificate.
#[test]
fn java_compares_the_key_identifier_of_a_root_that_issued_the_leaf() {
    let pki = CrossSigned::new();
    let by_old = cross(&pki.root, &pki.old, same);
    let other_id = cross(&pki.root, &pki.root, |p| {
        p.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![1; 20]);
    });
    let (old, root) = (&pki.old.certificate, &pki.root.certificate);
    assert_eq!(pki.refusing(&[&by_old], &[&other_id, old]), "java");
    assert_eq!(pki.refusing(&[&by_old], &[&other_id, root]), "");
    assert_eq!(pki.refusing(&[], &[&other_id]), "openssl gnutls java");
}
/// OpenSSL, GnuTLS, Go and Java parse every certificate of the handshake. As measured with them.
#[test]
fn defective_certificate_beside_the_path_is_refused_by_those_that_parse_it() {
    let chain = Chain::new(same, same, same);
    let own = [&chain.leaf, &chain.mid].map(|node| node.certificate.clone());
    let serving = |beside: Certificate| {
        let served = own.iter().cloned().chain([beside]);
        chain.case().serving(served.collect::<Vec<_>>())
    };
    const SUBJECT_ALT_NAME: [u64; 4] = [2, 5, 29, 17];
    const EXTENDED_KEY_USAGE: [u64; 4] = [2, 5, 29, 37];
    const BASIC_CONSTRAINTS: [u64; 4] = [2, 5, 29, 19];
    const ISSUER_ALT_NAME: [u64; 4] = [2, 5, 29, 18];
    const POLICY_CONSTRAINTS: [u64; 4] = [2, 5, 29, 36];
    for (oid, is_critical, value, clients) in [
        (
            BASIC_CONSTRAINTS,
            true,
            &[0x30, 3, 1, 1, 0xff][..],
            "gnutls go java",
        ),
        (SUBJECT_ALT_NAME, false, &[4, 1, 1], "gnutls go"),
        (SUBJECT_ALT_NAME, true, &[0x30, 2, 0x81, 0], "gnutls java"),
        (EXTENDED_KEY_USAGE, false, &[5, 0], "go"),
        (ISSUER_ALT_NAME, false, &[5, 0], "gnutls"),
        (POLICY_CONSTRAINTS, true, &[5, 0], "java"),
        // Only a certificate of the path may not have it.
        (POLICY_CONSTRAINTS, true, &[0x30, 0], ""),
        ([2, 5, 29, 99], true, &[5, 0], ""),
    ] {
        let edit = |p: &mut CertificateParams| {
            ca(p);
            let extension = extension(&oid, is_critical, value);
            p.custom_extensions.push(extension);
        };
        let other = node("Other", Some(&chain.root), edit);
        let copy = edition(&chain.root, &chain.root, edit);
        for (beside, code) in [
            (other.certificate, "unrelated_certificate"),
            (copy, "root_included"),
        ] {
            let case = serving(beside);
            assert_eq!(refusing(&case), clients, "{oid:?} {code}");
            assert_eq!(case.flags().trusted, Some(true), "{oid:?} {code}");
            let codes = case.codes();
            let is_refused = codes.iter().any(|code| code == "refused_by_clients");
            assert_eq!(is_refused, !clients.is_empty(), "{oid:?} {codes:?}");
            assert!(codes.iter().any(|c| c == code), "{oid:?} {codes:?}");
        }
    }
    assert_eq!(refusing(&serving(chain.root.certificate.clone())), "");
}

#[test]
fn gnutls_refuses_more_than_sixteen_served_certificates() {
    let chain = Chain::new(same, same, same);
    let own = [&chain.leaf, &chain.mid].map(|node| node.certificate.clone());
    for (count, clients) in [(10, ""), (16, "java"), (17, "gnutls java")] {
        let others = (own.len()..count).map(|n| node(&format!("Other {n}"), None, ca).certificate);
        let served: Vec<_> = own.iter().cloned().chain(others).collect();
        assert_eq!(refusing(&chain.case().serving(served)), clients, "{count}");
    }
}

/// As measured with the clients.
#[test]
fn clients_refuse_a_certificate_message_above_their_maximum() {
    for (bytes, clients, severity) in [
        (30_000, "", Severity::Ok),
        (60_000, "java", Severity::Warning),
        // The probe of a server cannot read it.
        (67_000, "go java rustls", Severity::Critical),
        (100_000, "go java rustls", Severity::Critical),
        (
            104_000,
            "openssl go java chromium rustls",
            Severity::Critical,
        ),
        (
            128_000,
            "openssl go java chromium rustls",
            Severity::Critical,
        ),
        (
            134_000,
            "openssl gnutls go java chromium rustls",
            Severity::Critical,
        ),
    ] {
        let names = |p: &mut CertificateParams| {
            let name = |n: usize| format!("host-{n:05}.example.com");
            let count = bytes / (name(0).len() + 2);
            let names = (0..count).map(|n| SanType::DnsName(name(n).try_into().unwrap()));
            p.subject_alt_names.extend(names);
        };
        let case = Chain::new(same, same, names).case();
        assert_eq!(refusing(&case), clients, "{bytes}");
        let findings = case.judged().findings;
        let found = findings
            .iter()
            .find(|f| f.code().name() == "refused_by_clients");
        assert_eq!(
            found.map_or(Severity::Ok, |f| f.severity),
            severity,
            "{bytes}"
        );
        // The size is that of all certificates.
        let small = Chain::new(same, same, same);
        let own = [&small.leaf, &small.mid].map(|node| node.certificate.clone());
        let large = node("Other", Some(&small.root), |p| {
            ca(p);
            names(p);
        });
        let served = own.into_iter().chain([large.certificate]);
        let case = small.case().serving(served.collect::<Vec<_>>());
        assert_eq!(refusing(&case), clients, "{bytes} in another certificate");
    }
}
