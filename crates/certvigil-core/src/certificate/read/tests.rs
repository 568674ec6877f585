use proptest::prelude::*;

use super::super::{Certificate, Key};
use super::*;

const UTC_TIME: u8 = 0x17;
const ALGORITHM: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
const BASIC_CONSTRAINTS: &[u8] = b"\x55\x1d\x13";
const SUBJECT_ALT_NAME: &[u8] = b"\x55\x1d\x11";
const AUTHORITY_KEY_ID: &[u8] = b"\x55\x1d\x23";
const PRIVATE: &[u8] = b"\x2a\x03\x04";

/// The fields of a well-formed leaf. Tests replace some of them.
#[derive(Clone)]
struct Fields {
    version: Vec<u8>,
    serial: Vec<u8>,
    inner_algorithm: Vec<u8>,
    issuer: Vec<u8>,
    not_before: Vec<u8>,
    not_after: Vec<u8>,
    subject: Vec<u8>,
    spki: Vec<u8>,
    unique_ids: Vec<u8>,
    extensions: Vec<Vec<u8>>,
    end_of_tbs: Vec<u8>,
    signature: Vec<u8>,
}

impl Fields {
    fn sound() -> Self {
        let curve = der::encode(der::OBJECT_IDENTIFIER, b"\x2a\x86\x48\xce\x3d\x03\x01\x07");
        let kind = der::encode(der::OBJECT_IDENTIFIER, b"\x2a\x86\x48\xce\x3d\x02\x01");
        Self {
            version: der::encode(0xa0, &[2, 1, 2]),
            serial: vec![1; 16],
            inner_algorithm: ALGORITHM.to_vec(),
            issuer: common_name("Some CA"),
            not_before: der::encode(UTC_TIME, b"260101000000Z"),
            not_after: der::encode(UTC_TIME, b"261231235959Z"),
            subject: common_name("www.example.com"),
            spki: der::subject_public_key_info(&[kind, curve].concat(), &[4; 65]),
            unique_ids: vec![],
            extensions: vec![
                extension(AUTHORITY_KEY_ID, false, b"\x30\x03\x80\x01\x01"),
                extension(
                    b"\x55\x1d\x25",
                    false,
                    b"\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01",
                ),
                dns_names(&["www.example.com"]),
            ],
            end_of_tbs: vec![],
            signature: vec![0, 1, 2, 3],
        }
    }

    fn der(&self) -> Vec<u8> {
        let mut fields = vec![
            self.version.clone(),
            der::encode(der::INTEGER, &self.serial),
            der::sequence(&self.inner_algorithm),
            self.issuer.clone(),
            der::sequence(&[&self.not_before[..], &self.not_after].concat()),
            self.subject.clone(),
            self.spki.clone(),
            self.unique_ids.clone(),
        ];
        if !self.extensions.is_empty() {
            fields.push(der::encode(0xa3, &der::sequence(&self.extensions.concat())));
        }
        fields.push(self.end_of_tbs.clone());
        let tbs = der::sequence(&fields.concat());
        let signature = der::encode(der::BIT_STRING, &self.signature);
        der::sequence(&[tbs, der::sequence(ALGORITHM), signature].concat())
    }

    fn facts(&self) -> Facts {
        read(&self.der()).unwrap()
    }
}

fn common_name(text: &str) -> Vec<u8> {
    let pair = [
        der::encode(der::OBJECT_IDENTIFIER, b"\x55\x04\x03"),
        der::encode(0x0c, text.as_bytes()),
    ];
    der::sequence(&der::encode(der::SET, &der::sequence(&pair.concat())))
}

fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let mut content = der::encode(der::OBJECT_IDENTIFIER, oid);
    if critical {
        content.extend(der::encode(der::BOOLEAN, &[0xff]));
    }
    content.extend(der::encode(der::OCTET_STRING, value));
    der::sequence(&content)
}

fn alternative_names(names: &[(u8, &[u8])], critical: bool) -> Vec<u8> {
    let names = names.iter().map(|(tag, name)| der::encode(*tag, name));
    let names = names.collect::<Vec<_>>().concat();
    extension(SUBJECT_ALT_NAME, critical, &der::sequence(&names))
}

fn dns_names(names: &[&str]) -> Vec<u8> {
    let names: Vec<_> = names.iter().map(|name| (0x82, name.as_bytes())).collect();
    alternative_names(&names, false)
}

#[test]
fn conformant_certificate_has_no_oddities_or_remarks() {
    let facts = Fields::sound().facts();
    assert_eq!(
        (facts.oddities.clone(), facts.remarks.clone()),
        (vec![], vec![])
    );
    assert_eq!((facts.version, facts.has_validity), (3, true));
    assert_eq!(facts.subject, "CN=www.example.com");
    assert_eq!(facts.issuer_common_name.as_deref(), Some("Some CA"));
    assert_eq!(facts.key, Key::Ec("P-256".into(), 256));
}

/// OpenSSL 3.0, GnuTLS 3.7, Go 1.19, Java 17 or webpki 0.103 refused each of these in an
/// experiment.
#[test]
fn oddity_in_one_field_does_not_hide_the_other_fields() {
    use Oddity::*;
    let sound = Fields::sound();
    let with = |change: &dyn Fn(&mut Fields)| {
        let mut fields = sound.clone();
        change(&mut fields);
        fields
    };
    for (fields, oddities) in [
        (
            with(&|f| f.version = der::encode(0xa0, &[2, 1, 3])),
            vec![Version(4)],
        ),
        (
            with(&|f| f.version = der::encode(0xa0, &[2, 1, 0xff])),
            vec![UnreadableVersion],
        ),
        (
            with(&|f| f.version = der::encode(0xa0, &[5, 0])),
            vec![UnreadableVersion],
        ),
        (
            with(&|f| f.version = der::encode(0xa0, &[2, 1, 1])),
            vec![Version(2), ExtensionsBeforeVersion3(2)],
        ),
        (
            with(&|f| f.version = vec![]),
            vec![Version(1), ExtensionsBeforeVersion3(1)],
        ),
        (
            with(&|f| f.version = der::encode(0xa0, &[2, 1, 0])),
            vec![
                EncodedDefault("version"),
                Version(1),
                ExtensionsBeforeVersion3(1),
            ],
        ),
        (
            with(&|f| f.inner_algorithm = b"\x06\x03\x2b\x65\x70".to_vec()),
            vec![SignatureAlgorithmsDiffer],
        ),
        (
            with(&|f| {
                let not_critical = extension(b"\x55\x1d\x0e", true, b"\x04\x01\x01");
                f.extensions.push(
                    not_critical
                        .into_iter()
                        .map(|octet| if octet == 0xff { 0 } else { octet })
                        .collect(),
                );
            }),
            vec![EncodedDefault("critical")],
        ),
        (
            with(&|f| {
                let odd = b"\x30\x03\x01\x01\x01";
                f.extensions.push(extension(b"\x55\x1d\x13", true, odd));
            }),
            vec![NonDerBoolean],
        ),
        (
            with(&|f| f.unique_ids = vec![0x81, 2, 0, 1]),
            vec![UniqueIdentifiers],
        ),
        (
            with(&|f| f.unique_ids = vec![0x82, 2, 0, 1]),
            vec![UniqueIdentifiers],
        ),
        (
            with(&|f| f.end_of_tbs = vec![5, 0]),
            vec![TrailingFields(Part::SignedPart)],
        ),
        (
            with(&|f| f.signature = vec![4, 1, 2]),
            vec![MalformedSignature],
        ),
        (with(&|f| f.signature = vec![]), vec![MalformedSignature]),
        (
            with(&|f| f.inner_algorithm.extend([5, 0])),
            vec![SignatureParametersDiffer],
        ),
        (with(&|f| f.serial = vec![0x80, 1]), vec![NegativeSerial]),
        (
            with(&|f| f.serial = vec![0, 0, 1]),
            vec![NonMinimalInteger(Part::Serial)],
        ),
        (
            with(&|f| f.serial = vec![]),
            vec![NonMinimalInteger(Part::Serial)],
        ),
        (with(&|f| f.issuer = der::sequence(&[])), vec![EmptyIssuer]),
        (
            with(&|f| f.not_before = der::encode(UTC_TIME, b"260110142728-0500")),
            vec![TimeWithOffset],
        ),
        (
            with(&|f| f.not_before = der::encode(UTC_TIME, b"691231235959Z")),
            vec![TimeBefore1970],
        ),
        (
            with(&|f| f.not_after = der::encode(UTC_TIME, b"251231235959Z")),
            vec![EndsBeforeItBegins],
        ),
        (
            with(&|f| f.not_after = der::encode(UTC_TIME, b"269931235959Z")),
            vec![UnreadableValidity],
        ),
        (with(&|f| f.not_after = vec![]), vec![UnreadableValidity]),
        (
            with(&|f| {
                f.extensions = vec![];
                f.end_of_tbs = vec![0xa3, 2, 5, 0];
            }),
            vec![UnreadableExtensions, NoSan],
        ),
        (
            with(&|f| f.subject = der::sequence(&[])),
            vec![SanNotCriticalWithEmptySubject],
        ),
        (
            with(&|f| f.extensions.push(extension(PRIVATE, false, &[5, 0]))),
            vec![],
        ),
        (
            with(&|f| {
                let one = extension(PRIVATE, false, &[5, 0]);
                f.extensions.extend([one.clone(), one.clone(), one]);
            }),
            vec![DuplicateExtension("1.2.3.4".into())],
        ),
        (
            with(&|f| f.extensions[0] = extension(AUTHORITY_KEY_ID, true, b"\x30\x03\x80\x01\x01")),
            vec![Critical("authorityKeyIdentifier")],
        ),
    ] {
        let facts = fields.facts();
        assert_eq!(facts.oddities, oddities);
        let is_whole = fields.subject == sound.subject;
        assert_eq!(
            facts.subject,
            if is_whole { "CN=www.example.com" } else { "" }
        );
        assert_eq!(facts.spki, sound.spki);
        // Each text is one line and distinct.
        for oddity in &oddities {
            let (text, rule) = (oddity.to_string(), oddity.rule());
            assert!(!text.is_empty() && !rule.is_empty() && !text.contains('\n'));
        }
    }
    let mut longer = sound.der();
    longer.push(0);
    assert_eq!(read(&longer).unwrap().oddities, [TrailingBytes]);
}

/// A misplaced field in the signed part makes the whole certificate unreadable.
#[test]
fn certificate_without_readable_fields_is_malformed() {
    for (der, error) in [
        (&b""[..], "it is not a DER sequence, or is cut short"),
        (b"\x30\x00", "its signed part cannot be read"),
        (
            b"\x30\x02\x30\x00",
            "its signature algorithm cannot be read",
        ),
    ] {
        assert_eq!(read(der).unwrap_err().to_string(), error);
    }
}

#[test]
fn unreadable_validity_is_none() {
    let mut fields = Fields::sound();
    fields.not_before = der::encode(UTC_TIME, b"yesterday");
    let facts = fields.facts();
    assert_eq!(facts.validity(), None);
    // Code that compares the times finds the certificate expired, not valid.
    assert_eq!(facts.not_after, Timestamp(0));
    fields.not_before = Fields::sound().not_before;
    let known = ["2026-01-01T00:00:00Z", "2026-12-31T23:59:59Z"].map(|t| t.parse().unwrap());
    assert_eq!(fields.facts().validity(), Some(known.into()));
}

/// A client finds no host in these, as in no names at all.
#[test]
fn names_of_which_none_may_be_a_host_are_an_oddity() {
    let notes = |is_ca: bool, names: &[(u8, &[u8])]| {
        let mut fields = Fields::sound();
        fields.extensions[2] = alternative_names(names, false);
        if is_ca {
            fields
                .extensions
                .push(extension(BASIC_CONSTRAINTS, true, b"\x30\x03\x01\x01\xff"));
        }
        let facts = fields.facts();
        (facts.oddities, facts.remarks)
    };
    for (names, listed) in [
        (
            &[(0x81, &b"admin@www.example.com"[..])][..],
            "`admin@www.example.com`",
        ),
        (
            &[(0x86, b"https://www.example.com/")],
            "`https://www.example.com/`",
        ),
        (
            &[(0x82, b"https://www.example.com")],
            "`https://www.example.com`",
        ),
        (
            &[(0x82, b"www.example.com example.com")],
            "`www.example.com example.com`",
        ),
        (&[(0x82, b"www.example.com:443")], "`www.example.com:443`"),
        (&[(0x82, b".example.com")], "`.example.com`"),
        (
            &[
                (0x82, b"a b"),
                (0x82, b"c d"),
                (0x82, b"e f"),
                (0x82, b"g h"),
            ],
            "`a b`, `c d`, `e f`, ...",
        ),
    ] {
        let expected = vec![Oddity::NoHostInSan(listed.into())];
        assert_eq!(notes(false, names), (expected, vec![]), "{listed}");
        let (oddities, _) = notes(true, names);
        assert!(!oddities.iter().any(Oddity::is_of_no_host), "{listed}");
        for good in [
            (0x82, &b"*.example.com"[..]),
            (0x82, b"a_b.example.com."),
            (0x82, b"f*.x"),
            (0x87, &[192, 0, 2, 1]),
        ] {
            let (oddities, _) = notes(false, &[names, &[good]].concat());
            assert_eq!(oddities, [], "{listed}");
        }
    }
}

/// No client of the experiment refuses these.
#[test]
fn deviation_accepted_by_all_clients_is_a_remark() {
    use Oddity::*;
    let sound = Fields::sound();
    let with = |change: &dyn Fn(&mut Fields)| {
        let mut fields = sound.clone();
        change(&mut fields);
        fields
    };
    let named = |name: &str| {
        let name = name.to_owned();
        with(&move |f| f.extensions[2] = dns_names(&["www.example.com", &name]))
    };
    let early = der::encode(0x18, b"20260101000000Z");
    for (fields, remarks) in [
        (with(&|f| f.serial = vec![0]), vec![ZeroSerial]),
        (with(&|f| f.serial = vec![0x7f; 21]), vec![LongSerial]),
        (with(&|f| f.serial = vec![0x7f; 20]), vec![]),
        (
            with(&|f| f.serial = [&[0][..], &[0xff; 20]].concat()),
            vec![],
        ),
        (
            with(&|f| f.not_before = early.clone()),
            vec![GeneralizedTimeBefore2050],
        ),
        (
            with(&|f| f.extensions[2] = alternative_names(&[(0x82, b"www.example.com")], true)),
            vec![SanCriticalWithSubject],
        ),
        (
            named("192.0.2.1"),
            vec![AddressInDnsName("192.0.2.1".into())],
        ),
        (
            named("2001:db8::1"),
            vec![AddressInDnsName("2001:db8::1".into())],
        ),
        (
            named("a_b.example.com"),
            vec![UnderscoreInDnsName("a_b.example.com".into())],
        ),
        (named("*.example.com"), vec![]),
        (
            named("a*.example.com"),
            vec![MisplacedWildcard("a*.example.com".into())],
        ),
        (
            named("a.*.example.com"),
            vec![MisplacedWildcard("a.*.example.com".into())],
        ),
        (
            named(".example.com"),
            vec![MalformedDnsName(".example.com".into())],
        ),
        (
            named("example.com."),
            vec![MalformedDnsName("example.com.".into())],
        ),
        (
            named("-a.example.com"),
            vec![MalformedDnsName("-a.example.com".into())],
        ),
        (
            named("a b.example.com"),
            vec![MalformedDnsName("a b.example.com".into())],
        ),
        (named("1.example.123"), vec![]),
        (
            named("*.example"),
            vec![WildcardBelowTopLevel("*.example".into())],
        ),
        (
            with(&|f| {
                f.extensions[0] = extension(AUTHORITY_KEY_ID, false, b"\x30\x03\x82\x01\x01")
            }),
            vec![AuthorityKeyIdWithoutKey, AuthorityKeyIdWithIssuer],
        ),
        (
            with(&|f| {
                f.subject = f.issuer.clone();
                f.extensions = vec![
                    f.extensions[0].clone(),
                    f.extensions[1].clone(),
                    extension(BASIC_CONSTRAINTS, true, b"\x30\x03\x01\x01\xff"),
                    extension(b"\x55\x1d\x0e", false, b"\x04\x01\x02"),
                ];
            }),
            vec![KeyIdsDiffer, Missing("keyUsage"), ExtendedKeyUsageInRoot],
        ),
        (
            with(&|f| {
                f.subject = common_name("2001:DB8::1");
                let ip = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1]].concat();
                f.extensions[2] = alternative_names(&[(0x87, &ip)], false);
            }),
            vec![CommonNameNotInSan("2001:DB8::1".into())],
        ),
        (
            with(&|f| f.subject = common_name("Other")),
            vec![CommonNameNotInSan("Other".into())],
        ),
        (
            with(&|f| drop(f.extensions.remove(0))),
            vec![Missing("authorityKeyIdentifier")],
        ),
        (
            with(&|f| drop(f.extensions.remove(1))),
            vec![Missing("extKeyUsage")],
        ),
        (
            with(&|f| {
                f.extensions
                    .push(extension(b"\x55\x1d\x0f", true, b"\x03\x02\x02\x84"))
            }),
            vec![CertSignWithoutCa],
        ),
        (
            with(&|f| {
                f.extensions[1] =
                    extension(b"\x55\x1d\x25", true, b"\x30\x06\x06\x04\x55\x1d\x25\x00")
            }),
            vec![Critical("extKeyUsage"), AnyExtendedKeyUsage],
        ),
        (
            with(&|f| {
                f.extensions
                    .push(extension(BASIC_CONSTRAINTS, false, b"\x30\x03\x01\x01\xff"));
            }),
            vec![
                NotCritical("basicConstraints"),
                Missing("subjectKeyIdentifier"),
                Missing("keyUsage"),
            ],
        ),
    ] {
        let facts = fields.facts();
        assert_eq!((facts.oddities, facts.remarks), (vec![], remarks));
    }
}

/// Go refuses the first three, GnuTLS the fourth.
#[test]
fn alternative_name_refused_by_a_client_is_an_oddity() {
    use Oddity::*;
    for (tag, name, oddity) in [
        (
            0x82,
            "ü.example.com".as_bytes(),
            MalformedDnsName("ü.example.com".into()),
        ),
        (0x87, &[1, 2, 3][..], MalformedAddress),
        (
            0x86,
            "http://ü/".as_bytes(),
            NonAsciiName("http://ü/".into()),
        ),
        (0x82, &[], MalformedDnsName(String::new())),
    ] {
        let mut fields = Fields::sound();
        fields.extensions[2] = alternative_names(&[(0x82, b"www.example.com"), (tag, name)], false);
        let oddities = fields.facts().oddities;
        assert!(oddities.contains(&oddity), "{oddities:?}");
    }
}

#[test]
fn browser_rules_apply_to_public_authorities() {
    use Oddity::*;
    for oddity in [
        Missing("extKeyUsage"),
        Critical("extKeyUsage"),
        AnyExtendedKeyUsage,
    ] {
        assert!(oddity.concerns_public_authorities(), "{oddity}");
    }
    for oddity in [
        Missing("subjectKeyIdentifier"),
        Critical("subjectKeyIdentifier"),
        ZeroSerial,
    ] {
        assert!(!oddity.concerns_public_authorities(), "{oddity}");
    }
}

#[test]
fn serial_number_is_formatted_as_by_openssl() {
    for (content, text) in [
        (&[0x0a, 0x1b][..], "0a1b"),
        (&[0, 0xe3, 1], "e301"),
        (&[0, 0, 1], "01"),
        (&[0], "00"),
        (&[], "00"),
        (&[0x80], "-80"),
        (&[0x80, 1], "-7fff"),
        (&[0xff], "-01"),
        (&[0xff, 0], "-0100"),
    ] {
        assert_eq!(serial_text(content), text, "{content:?}");
    }
}

#[test]
fn a_certificate_has_a_bounded_number_of_oddities() {
    let mut fields = Fields::sound();
    let names: Vec<String> = (0..1000).map(|n| format!("ü{n}")).collect();
    fields.extensions[2] = dns_names(&names.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(fields.facts().oddities.len(), MAX_NOTES);
}

proptest! {
    /// Whatever one octet is changed to, the certificate keeps its fingerprint and its bytes, and
    /// the facts are one-line texts.
    #[test]
    fn a_damaged_certificate_keeps_its_fingerprint(at in any::<prop::sample::Index>(), octet: u8) {
        let mut der = Fields::sound().der();
        let at = at.index(der.len());
        der[at] = octet;
        let certificate = Certificate::from_der(der.clone());
        prop_assert_eq!(certificate.sha256(), super::super::Fingerprint::of(&der));
        prop_assert_eq!(certificate.der(), &der[..]);
        if let Ok(facts) = certificate.facts() {
            let notes = facts.oddities.iter().chain(&facts.remarks).map(ToString::to_string);
            let texts = notes.chain([facts.subject.clone(), facts.issuer.clone(), facts.serial.clone()]);
            for text in texts {
                prop_assert!(!text.chars().any(char::is_control), "{:?}", text);
            }
            prop_assert_eq!(&facts.subject_normal, &normal_name(&facts.subject_der));
        }
    }

    /// Every incomplete part is detected.
    #[test]
    fn truncated_certificate_is_refused(at in any::<prop::sample::Index>()) {
        let der = Fields::sound().der();
        let cut = &der[..at.index(der.len())];
        prop_assert!(read(cut).is_err());
    }
}
