//! The rules of path validation, each with its section of RFC 5280.

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints,
};
use time::OffsetDateTime;

use super::*;

/// A certificate with its key, which may issue others even if it is not allowed to.
pub(super) struct Node {
    pub(super) params: CertificateParams,
    pub(super) key: KeyPair,
    pub(super) certificate: Certificate,
}

fn at(days: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(now().0 + days * DAY).unwrap()
}

/// Returns a certificate with this name, signed by the issuer or by itself.
pub(super) fn node(
    name: &str,
    issuer: Option<&Node>,
    edit: impl FnOnce(&mut CertificateParams),
) -> Node {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = at(-400);
    params.not_after = at(3_000);
    params.use_authority_key_identifier_extension = true;
    edit(&mut params);
    let key = KeyPair::generate().unwrap();
    let signed = match issuer {
        Some(issuer) => params.signed_by(&key, &Issuer::from_params(&issuer.params, &issuer.key)),
        None => params.self_signed(&key),
    };
    let certificate = Certificate::from_der(signed.unwrap().der().to_vec());
    Node {
        params,
        key,
        certificate,
    }
}

pub(super) fn ca(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
}

pub(super) fn server(params: &mut CertificateParams) {
    params.not_before = at(-1);
    params.not_after = at(200);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.subject_alt_names = vec![rcgen::SanType::DnsName(HOST.try_into().unwrap())];
}

/// A root, an intermediate and a leaf, and a correct case with them.
pub(super) struct Chain {
    pub(super) root: Node,
    pub(super) mid: Node,
    pub(super) leaf: Node,
}

impl Chain {
    pub(super) fn new(
        root: impl FnOnce(&mut CertificateParams),
        mid: impl FnOnce(&mut CertificateParams),
        leaf: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let root = node("Root", None, |p| {
            ca(p);
            root(p);
        });
        let mid = node("Mid", Some(&root), |p| {
            ca(p);
            mid(p);
        });
        let leaf = node(HOST, Some(&mid), |p| {
            server(p);
            leaf(p);
        });
        Self { root, mid, leaf }
    }

    pub(super) fn case(&self) -> Case {
        let served = [self.leaf.certificate.clone(), self.mid.certificate.clone()];
        trusting(&[&self.root], &served)
    }
}

pub(super) fn trusting(roots: &[&Node], served: &[Certificate]) -> Case {
    Case {
        expected: Expected::trust_only(),
        host: HOST.into(),
        served: served.to_vec(),
        said: Revocation::default(),
        trust: store(roots.iter().map(|n| &n.certificate)),
        rules: Rules::default(),
        now: now(),
    }
}

pub(super) fn same(_: &mut CertificateParams) {}

/// Returns a case in which the intermediate is changed.
fn mid(edit: impl FnOnce(&mut CertificateParams)) -> Case {
    Chain::new(same, edit, same).case()
}

pub(super) fn extension(oid: &[u64], is_critical: bool, value: &[u8]) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, value.to_vec());
    extension.set_criticality(is_critical);
    extension
}

fn is_trusted(case: &Case) -> bool {
    case.flags().trusted == Some(true)
}

/// Asserts that a chain is not trusted, with a critical finding whose message contains `words`.
#[track_caller]
pub(super) fn refused(case: &Case, code: &str, words: &str) {
    assert!(!is_trusted(case), "{:?}", case.codes());
    let judged = case.judged();
    assert_eq!(judged.severity(), Severity::Critical);
    let messages: Vec<_> = (judged.findings.iter())
        .filter(|f| f.code().name() == code)
        .map(|f| f.message())
        .collect();
    assert!(
        messages.iter().any(|m| m.contains(words)),
        "{code} {words}: {:?}",
        judged.findings
    );
}

#[test]
fn a_plain_chain_is_trusted_without_findings() {
    let case = mid(same);
    assert!(is_trusted(&case));
    assert_eq!(case.codes(), [""; 0]);
}

/// Section 6.1.4 (k).
#[test]
fn an_issuer_must_be_a_ca() {
    refused(
        &mid(|p| p.is_ca = IsCa::ExplicitNoCa),
        "invalid_authority",
        "CA:FALSE",
    );
    refused(
        &mid(|p| p.is_ca = IsCa::NoCa),
        "invalid_authority",
        "has no basicConstraints",
    );
    let root = Chain::new(|p| p.is_ca = IsCa::ExplicitNoCa, same, same).case();
    refused(
        &root,
        "invalid_authority",
        "the root `Root` is no certificate authority",
    );
    let root = Chain::new(|p| p.is_ca = IsCa::NoCa, same, same).case();
    refused(
        &root,
        "invalid_authority",
        "the root `Root` has no basicConstraints",
    );
}

/// Section 6.1.4 (n).
#[test]
fn an_issuer_must_be_allowed_to_sign_certificates() {
    let only_lists = |p: &mut CertificateParams| p.key_usages = vec![KeyUsagePurpose::CrlSign];
    refused(&mid(only_lists), "invalid_authority", "keyCertSign");
    refused(
        &Chain::new(only_lists, same, same).case(),
        "invalid_authority",
        "the root `Root`",
    );
    assert!(is_trusted(&mid(|p| p.key_usages = Vec::new())));
}

/// Sections 6.1.4 (l) and (m).
#[test]
fn a_path_length_counts_the_intermediates_that_are_not_self_issued() {
    let bounded = |count| {
        move |p: &mut CertificateParams| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(count))
    };
    refused(
        &Chain::new(bounded(0), same, same).case(),
        "invalid_authority",
        "pathlen:0",
    );
    assert!(is_trusted(&Chain::new(bounded(1), same, same).case()));
    assert!(is_trusted(&mid(bounded(0))));

    // A self-issued certificate for a key rollover does not count.
    let root = node("Root", None, ca);
    let old = node("Mid", Some(&root), |p| {
        ca(p);
        bounded(0)(p);
    });
    let new = node("Mid", Some(&old), ca);
    let leaf = node(HOST, Some(&new), server);
    let served = [&leaf, &new, &old].map(|n| n.certificate.clone());
    assert!(is_trusted(&trusting(&[&root], &served)));
    let other = node("Other", Some(&old), ca);
    let leaf = node(HOST, Some(&other), server);
    let served = [&leaf, &other, &old].map(|n| n.certificate.clone());
    refused(
        &trusting(&[&root], &served),
        "invalid_authority",
        "pathlen:0",
    );
}

/// Section 6.1.3 (a)(2), also applied to the trust anchor.
#[test]
fn every_certificate_of_a_path_must_be_valid_now() {
    let old = |p: &mut CertificateParams| p.not_after = at(-1);
    let young = |p: &mut CertificateParams| p.not_before = at(1);
    refused(&mid(old), "chain_expired", "the intermediate `Mid` expired");
    refused(&mid(young), "not_yet_valid", "the intermediate `Mid`");
    refused(
        &Chain::new(old, same, same).case(),
        "chain_expired",
        "the root `Root` expired",
    );
    refused(
        &Chain::new(young, same, same).case(),
        "not_yet_valid",
        "the root `Root`",
    );
    let soon = Chain::new(|p| p.not_after = at(3), same, same).case();
    assert!(is_trusted(&soon));
    assert_eq!(soon.codes(), ["chain_expiring"]);
}

/// Section 4.2.1.12.
#[test]
fn an_extended_key_usage_must_include_tls_servers() {
    let client = |p: &mut CertificateParams| {
        p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]
    };
    let any =
        |p: &mut CertificateParams| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
    refused(
        &mid(client),
        "untrusted_root",
        "the intermediate `Mid` is not for TLS servers",
    );
    refused(
        &Chain::new(same, same, client).case(),
        "untrusted_root",
        "the certificate is not for TLS servers",
    );
    assert!(is_trusted(&mid(any)));
    assert!(is_trusted(&Chain::new(same, same, any).case()));
}

/// Section 4.2.1.3.
#[test]
fn a_key_usage_must_fit_some_key_exchange() {
    let usage = |usage| move |p: &mut CertificateParams| p.key_usages = vec![usage];
    refused(
        &Chain::new(same, same, usage(KeyUsagePurpose::KeyCertSign)).case(),
        "untrusted_root",
        "key usage",
    );
    let encipher = Chain::new(same, same, usage(KeyUsagePurpose::KeyEncipherment)).case();
    assert!(is_trusted(&encipher));
    assert_eq!(encipher.codes(), ["refused_by_clients"]);
}

/// Section 4.2.
#[test]
fn a_critical_extension_must_be_known() {
    let odd = |p: &mut CertificateParams| {
        p.custom_extensions
            .push(extension(&[1, 3, 6, 1, 4, 1, 55_555, 1], true, &[5, 0]));
    };
    refused(
        &mid(odd),
        "untrusted_root",
        "the intermediate `Mid` has the critical extension 1.3.6.1.4.1.55555.1",
    );
    refused(
        &Chain::new(odd, same, same).case(),
        "untrusted_root",
        "the root `Root`",
    );
    refused(
        &Chain::new(same, same, odd).case(),
        "untrusted_root",
        "the certificate has the critical extension",
    );
    let known = mid(|p| {
        p.custom_extensions
            .push(extension(&[1, 3, 6, 1, 4, 1, 55_555, 1], false, &[5, 0]));
    });
    assert!(is_trusted(&known));
}

/// Section 4.2.1.10.
#[test]
fn names_must_satisfy_the_constraints_of_every_issuer() {
    let permit = |subtree| {
        move |p: &mut CertificateParams| {
            p.name_constraints = Some(NameConstraints {
                permitted_subtrees: vec![subtree],
                excluded_subtrees: Vec::new(),
            });
        }
    };
    let exclude = |subtree| {
        move |p: &mut CertificateParams| {
            p.name_constraints = Some(NameConstraints {
                permitted_subtrees: Vec::new(),
                excluded_subtrees: vec![subtree],
            });
        }
    };
    let dns = |name: &str| GeneralSubtree::DnsName(name.into());
    assert!(is_trusted(&mid(permit(dns("example.com")))));
    assert!(is_trusted(&mid(permit(dns("WWW.example.com")))));
    assert!(is_trusted(&mid(exclude(dns("example.org")))));
    let net = || GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([192, 0, 2, 0], 24));
    assert!(
        is_trusted(&mid(permit(net()))),
        "constraints on addresses are none on names"
    );
    refused(
        &mid(permit(dns("ample.com"))),
        "untrusted_root",
        "does not permit the name `www.example.com`",
    );
    refused(
        &mid(exclude(dns("example.com"))),
        "untrusted_root",
        "excludes the name `www.example.com`",
    );
    refused(
        &Chain::new(permit(dns("example.org")), same, same).case(),
        "untrusted_root",
        "the root `Root` does not permit",
    );
    let mail = GeneralSubtree::Rfc822Name("example.org".into());
    assert!(is_trusted(&mid(permit(mail))));
}

/// Section 6.1.3 (b): a certificate for an authority's key rollover is exempt.
#[test]
fn name_constraints_do_not_apply_to_self_issued_intermediates() {
    let permit = |p: &mut CertificateParams| {
        p.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".into())],
            excluded_subtrees: Vec::new(),
        });
    };
    let elsewhere = |p: &mut CertificateParams| {
        let name = "authority.example.org".try_into().unwrap();
        p.subject_alt_names = vec![rcgen::SanType::DnsName(name)];
    };
    let root = node("Root", None, |p| {
        ca(p);
        permit(p);
    });
    for (name, holds) in [("Root", true), ("Mid", false)] {
        let mid = node(name, Some(&root), |p| {
            ca(p);
            elsewhere(p);
        });
        let leaf = node(HOST, Some(&mid), server);
        let served = [&leaf, &mid].map(|n| n.certificate.clone());
        assert_eq!(is_trusted(&trusting(&[&root], &served)), holds, "{name}");
    }
}

/// Section 4.2.1.10: a mailbox, the mailboxes of one host, or with a leading dot those of a
/// domain's hosts.
#[test]
fn mail_constraints_distinguish_a_host_from_a_domain() {
    for (constraint, holds) in [
        ("who@mail.example.com", true),
        ("other@mail.example.com", false),
        ("mail.example.com", true),
        ("example.com", false),
        (".example.com", true),
        (".mail.example.com", false),
        (".example.org", false),
    ] {
        let case = Chain::new(
            same,
            |p| {
                p.name_constraints = Some(NameConstraints {
                    permitted_subtrees: vec![GeneralSubtree::Rfc822Name(constraint.into())],
                    excluded_subtrees: Vec::new(),
                });
            },
            |p| {
                let mail = "who@mail.example.com".try_into().unwrap();
                p.subject_alt_names.push(rcgen::SanType::Rfc822Name(mail));
            },
        )
        .case();
        assert_eq!(is_trusted(&case), holds, "{constraint}");
    }
}

/// Sections 6.1.3 (d) to (f) and 6.1.5 (g).
#[test]
fn an_explicit_policy_must_be_shared_by_the_whole_path() {
    const POLICIES: &[u64] = &[2, 5, 29, 32];
    const CONSTRAINTS: &[u64] = &[2, 5, 29, 36];
    // SEQUENCE { SEQUENCE { 1.2.3 } }, 1.2.4, and anyPolicy.
    let (a, b): (&[u8], &[u8]) = (
        &[0x30, 6, 0x30, 4, 6, 2, 0x2a, 3],
        &[0x30, 6, 0x30, 4, 6, 2, 0x2a, 4],
    );
    let any: &[u8] = &[0x30, 8, 0x30, 6, 6, 4, 0x55, 0x1d, 0x20, 0];
    let has = |value: &'static [u8]| {
        move |p: &mut CertificateParams| p.custom_extensions.push(extension(POLICIES, false, value))
    };
    let demands = |value: &'static [u8]| {
        move |p: &mut CertificateParams| {
            has(value)(p);
            let zero: &[u8] = &[0x30, 3, 0x80, 1, 0];
            p.custom_extensions.push(extension(CONSTRAINTS, true, zero));
        }
    };
    for (mid, leaf, holds) in [(a, a, true), (a, b, false), (any, b, true), (a, any, true)] {
        let case = Chain::new(same, demands(mid), has(leaf)).case();
        assert_eq!(is_trusted(&case), holds, "{mid:?} {leaf:?}");
        assert!(is_trusted(&Chain::new(same, has(mid), has(leaf)).case()));
    }
    let none = Chain::new(same, demands(a), same).case();
    refused(&none, "untrusted_root", "demands a certificate policy");
}

/// Section 6.1.4 (b): a mapped policy counts as the subject's, and no longer as the issuer's.
#[test]
fn a_mapped_policy_is_replaced() {
    const POLICIES: &[u64] = &[2, 5, 29, 32];
    const MAPPINGS: &[u64] = &[2, 5, 29, 33];
    const CONSTRAINTS: &[u64] = &[2, 5, 29, 36];
    // SEQUENCE { SEQUENCE { 1.2.3 } } and 1.2.4; SEQUENCE { SEQUENCE { 1.2.3, 1.2.4 } };
    // requireExplicitPolicy 0.
    let (a, b): (&[u8], &[u8]) = (
        &[0x30, 6, 0x30, 4, 6, 2, 0x2a, 3],
        &[0x30, 6, 0x30, 4, 6, 2, 0x2a, 4],
    );
    let maps: &[u8] = &[0x30, 10, 0x30, 8, 6, 2, 0x2a, 3, 6, 2, 0x2a, 4];
    let demands: &[u8] = &[0x30, 3, 0x80, 1, 0];
    for (leaf, holds) in [(b, true), (a, false)] {
        let case = Chain::new(
            same,
            |p| {
                p.custom_extensions.push(extension(POLICIES, false, a));
                p.custom_extensions.push(extension(MAPPINGS, true, maps));
                p.custom_extensions
                    .push(extension(CONSTRAINTS, true, demands));
            },
            |p| p.custom_extensions.push(extension(POLICIES, false, leaf)),
        )
        .case();
        assert_eq!(is_trusted(&case), holds, "{leaf:?}");
    }
}

/// Section 7.1.
#[test]
fn issuer_name_matches_regardless_of_string_type() {
    let root = node("Root", None, ca);
    let mid = node("Mid", Some(&root), ca);
    let named = |value: rcgen::DnValue| {
        let mut params = mid.params.clone();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, value);
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::default();
        leaf.distinguished_name = rcgen::DistinguishedName::new();
        server(&mut leaf);
        let signed = leaf
            .signed_by(&key, &Issuer::from_params(&params, &mid.key))
            .unwrap();
        let leaf = Certificate::from_der(signed.der().to_vec());
        trusting(&[&root], &[leaf, mid.certificate.clone()])
    };
    let printable = rcgen::DnValue::PrintableString("MID".try_into().unwrap());
    let case = named(printable);
    assert!(is_trusted(&case) && case.flags().chained);
    let (message, _) = case.reported("refused_by_clients");
    assert!(message.contains("other letters"), "{message}");
    let other = named(rcgen::DnValue::PrintableString("Mids".try_into().unwrap()));
    assert!(!is_trusted(&other) && !other.flags().chained);
}

/// An expired cross-certificate of a trusted root, as with AddTrust in 2020.
#[test]
fn unneeded_expired_certificate_is_a_warning() {
    let root = node("Root", None, ca);
    let mid = node("Mid", Some(&root), ca);
    let leaf = node(HOST, Some(&mid), server);
    let ancient = node("Ancient", None, ca);
    let mut params = root.params.clone();
    params.not_after = at(-1);
    let signed = params.signed_by(
        &root.key,
        &Issuer::from_params(&ancient.params, &ancient.key),
    );
    let cross = Certificate::from_der(signed.unwrap().der().to_vec());
    let served = [leaf.certificate, mid.certificate, cross];
    let case = trusting(&[&root], &served);
    assert!(is_trusted(&case));
    assert_eq!(case.judged().severity(), Severity::Warning);
    let (message, hint) = case.reported("chain_expired");
    assert!(
        message.contains("without it") && hint.starts_with("remove it"),
        "{message}: {hint}"
    );
    let old_clients = trusting(&[&ancient], &served);
    assert!(!is_trusted(&old_clients));
}

#[test]
fn missing_issuer_in_the_middle_of_the_chain_is_named() {
    let root = node("Root", None, ca);
    let upper = node("Upper", Some(&root), ca);
    let lower = node("Lower", Some(&upper), ca);
    let issuing = node("Issuing", Some(&lower), ca);
    let leaf = node(HOST, Some(&issuing), server);
    let case = trusting(
        &[&root],
        &[&leaf, &issuing, &upper].map(|n| n.certificate.clone()),
    );
    assert_eq!(case.codes(), ["missing_intermediate"]);
    let (message, hint) = case.reported("missing_intermediate");
    assert!(
        message.contains("the issuer of the intermediate `Issuing`, `CN=Lower`"),
        "{message}"
    );
    assert!(hint.contains("`CN=Lower`"), "{hint}");
}

/// Every fault is reported, not only the first.
#[test]
fn every_fault_of_a_path_is_reported() {
    let case = Chain::new(
        |p| p.not_after = at(-1),
        |p| {
            p.is_ca = IsCa::ExplicitNoCa;
            p.key_usages = vec![KeyUsagePurpose::CrlSign];
        },
        |p| {
            p.not_after = at(-1);
            p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        },
    )
    .case();
    let codes = case.codes();
    for code in [
        "expired",
        "chain_expired",
        "invalid_authority",
        "untrusted_root",
    ] {
        assert!(codes.iter().any(|c| c == code), "{code}: {codes:?}");
    }
    let (message, _) = case.reported("invalid_authority");
    assert!(
        message.contains("CA:FALSE") && message.contains("keyCertSign"),
        "{message}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Additional certificates, in any order, leave a valid path valid.
    #[test]
    fn additional_certificates_leave_a_valid_path_valid(seed in any::<u64>(), strangers in 0..12usize, namesakes in 0..12usize) {
        let root = node("Root", None, ca);
        let upper = node("Upper", Some(&root), ca);
        let mid = node("Mid", Some(&upper), ca);
        let leaf = node(HOST, Some(&mid), server);
        let mut rest = vec![mid.certificate.clone(), upper.certificate.clone()];
        rest.extend((0..strangers).map(|n| node(&format!("Stranger {n}"), None, ca).certificate));
        for n in 0..namesakes {
            let name = ["Mid", "Upper", "Root"][n % 3];
            let issuer = [&root, &upper, &mid][n / 3 % 3];
            rest.push(node(name, Some(issuer), ca).certificate);
        }
        let mut random = seed;
        for at in (1..rest.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            rest.swap(at, (random >> 33) as usize % (at + 1));
        }
        let served: Vec<_> = std::iter::once(leaf.certificate).chain(rest).collect();
        let case = trusting(&[&root], &served);
        prop_assert!(is_trusted(&case), "{:?}", case.judged().findings);
    }
}
