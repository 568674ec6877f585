//! Revocation lists and OCSP responses that the OpenSSL of the testdata does not make.

use rcgen::{CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, KeyPair};

use crate::authority::{Authority, Key, Validity};

use super::*;

const GENERALIZED_TIME: u8 = 0x18;
const EXPLICIT_0: u8 = 0xa0;
const EXPLICIT_1: u8 = 0xa1;
/// The status good in a SingleResponse.
const GOOD: u8 = 0x80;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
/// ecdsa-with-SHA256, 1.2.840.10045.4.3.2.
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// thisUpdate and the time of each revocation.
const SIGNED: &[u8] = b"20261125100000Z";
const NEXT_WEEK: &[u8] = b"20261202100000Z";
const KEY_COMPROMISE: u8 = 1;
const CERTIFICATE_HOLD: u8 = 6;

struct Made {
    authority: Authority,
    leaf: Certificate,
    issuer: Issuer,
}

/// A revocation list that [`Made::list`] signs.
struct List {
    issuer: Vec<u8>,
    next_update: Option<&'static [u8]>,
    /// Reason of the leaf's entry, if it has one.
    entry: Option<u8>,
    /// Content of the issuing distribution point.
    scope: Vec<u8>,
}

impl Made {
    fn new() -> Self {
        let validity = Validity::around(at(NOW), 30, 30);
        let authority = Authority::root("Test CA", validity).unwrap();
        let names = ["www.example.com".to_owned()];
        let key = Key::generate().unwrap();
        let leaf = authority.issue(&names, validity, &key).unwrap().certificate;
        let spki = &authority.certificate.facts().unwrap().spki;
        let issuer = Issuer::of(&leaf, spki).unwrap();
        Self {
            authority,
            leaf,
            issuer,
        }
    }

    /// With a leaf that has these DistributionPoints.
    fn with_points(points: &[u8]) -> Self {
        let made = Self::new();
        let mut params = CertificateParams::default();
        params.custom_extensions = vec![CustomExtension::from_oid_content(
            &[2, 5, 29, 31],
            der::sequence(points),
        )];
        let sign = |pair: &KeyPair| params.signed_by(pair, &made.authority.issuer()).unwrap();
        let leaf = Key::generate().unwrap().signing(sign).der().to_vec();
        Self {
            leaf: Certificate::from_der(leaf),
            ..made
        }
    }

    fn list(&self, list: &List) -> Vec<u8> {
        let entry = list.entry.map(|reason| {
            let reason = der::encode(der::ENUMERATED, &[reason]);
            let fields = [
                der::encode(der::INTEGER, serial(&self.leaf).unwrap()),
                der::encode(GENERALIZED_TIME, SIGNED),
                der::sequence(&extension(&[0x55, 0x1d, 21], false, &reason)),
            ];
            der::sequence(&der::sequence(&fields.concat()))
        });
        let scope = extension(&[0x55, 0x1d, 28], true, &der::sequence(&list.scope));
        let extensions = der::encode(EXPLICIT_0, &der::sequence(&scope));
        let tbs = [
            der::encode(der::INTEGER, &[1]),
            algorithm(),
            list.issuer.clone(),
            der::encode(GENERALIZED_TIME, SIGNED),
            list.next_update
                .map(|time| der::encode(GENERALIZED_TIME, time))
                .unwrap_or_default(),
            entry.unwrap_or_default(),
            extensions,
        ];
        signed(&tbs.concat(), self.authority.key(), &[])
    }

    fn status(&self, list: &List) -> Result<Status, Unusable> {
        let list = Crl::read(self.list(list)).unwrap();
        let answer = list.status_of(&self.leaf, &self.issuer, at(NOW));
        answer.map(|answer| answer.status)
    }

    /// Returns a response with this CertStatus, signed by a responder whose certificate has these
    /// extensions.
    fn ocsp_by_responder(&self, status: &[u8], extensions: Vec<CustomExtension>) -> Vec<u8> {
        let key = Key::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "Responder");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        params.custom_extensions = extensions;
        let sign = |pair: &KeyPair| params.signed_by(pair, &self.authority.issuer()).unwrap();
        let responder = key.signing(sign).der().to_vec();
        let name = Certificate::from_der(responder.clone());
        let name = &name.facts().unwrap().subject_der;
        self.ocsp(status, name, &key, &responder)
    }

    /// Returns a response of this responder with this CertStatus and these certificates.
    fn ocsp(&self, status: &[u8], responder: &[u8], key: &Key, certificates: &[u8]) -> Vec<u8> {
        let entry = Self::entry(&self.certificate_id(), status, &[]);
        let data = [
            der::encode(EXPLICIT_1, responder),
            der::encode(GENERALIZED_TIME, SIGNED),
            der::sequence(&entry),
        ];
        Self::response(&data, key, certificates)
    }

    /// Returns a SingleResponse with this CertID, status and content of the list of extensions.
    fn entry(id: &[u8], status: &[u8], extensions: &[u8]) -> Vec<u8> {
        let extensions = match extensions {
            [] => Vec::new(),
            some => der::encode(EXPLICIT_1, &der::sequence(some)),
        };
        let fields = [
            id.to_vec(),
            status.to_vec(),
            der::encode(GENERALIZED_TIME, SIGNED),
            der::encode(EXPLICIT_0, &der::encode(GENERALIZED_TIME, NEXT_WEEK)),
            extensions,
        ];
        der::sequence(&fields.concat())
    }

    /// Returns a response of the issuer with these entries.
    fn staple(&self, produced_at: &[u8], entries: &[Vec<u8>], certificates: &[u8]) -> Vec<u8> {
        let data = [
            der::encode(EXPLICIT_1, &self.issuer.name),
            der::encode(GENERALIZED_TIME, produced_at),
            der::sequence(&entries.concat()),
        ];
        Self::response(&data, self.authority.key(), certificates)
    }

    fn response(data: &[Vec<u8>], key: &Key, certificates: &[u8]) -> Vec<u8> {
        let certificates = der::encode(EXPLICIT_0, &der::sequence(certificates));
        let basic = signed(&data.concat(), key, &certificates);
        let bytes = [
            // id-pkix-ocsp-basic, 1.3.6.1.5.5.7.48.1.1.
            der::encode(der::OBJECT_IDENTIFIER, &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1]),
            der::encode(der::OCTET_STRING, &basic),
        ];
        let response = [
            der::encode(der::ENUMERATED, &[0]),
            der::encode(EXPLICIT_0, &der::sequence(&bytes.concat())),
        ];
        der::sequence(&response.concat())
    }

    /// Returns the CertID, which is the innermost part of a request.
    fn certificate_id(&self) -> Vec<u8> {
        let request = ocsp_request(&self.leaf, &self.issuer).unwrap();
        let mut id = request.as_slice();
        for _ in 0..4 {
            id = der::contents(id).unwrap();
        }
        id.to_vec()
    }
}

impl List {
    fn of(made: &Made) -> Self {
        Self {
            issuer: made.issuer.name.clone(),
            next_update: Some(NEXT_WEEK),
            entry: None,
            scope: Vec::new(),
        }
    }
}

/// Returns the signed structure that certificates, lists and responses have in common.
fn signed(tbs: &[u8], key: &Key, after: &[u8]) -> Vec<u8> {
    let tbs = der::sequence(tbs);
    let signature = [&[0], key.sign(&tbs).unwrap().as_slice()].concat();
    let signature = der::encode(der::BIT_STRING, &signature);
    der::sequence(&[&tbs, &algorithm(), &signature, after].concat())
}

fn algorithm() -> Vec<u8> {
    der::sequence(&der::encode(der::OBJECT_IDENTIFIER, ECDSA_WITH_SHA256))
}

fn extension(oid: &[u8], is_critical: bool, value: &[u8]) -> Vec<u8> {
    let fields = [
        der::encode(der::OBJECT_IDENTIFIER, oid),
        match is_critical {
            true => der::encode(der::BOOLEAN, &[0xff]),
            false => Vec::new(),
        },
        der::encode(der::OCTET_STRING, value),
    ];
    der::sequence(&fields.concat())
}

fn common_name(tag: u8, text: &str) -> Vec<u8> {
    let pair = [
        der::encode(der::OBJECT_IDENTIFIER, &[0x55, 4, 3]),
        der::encode(tag, text.as_bytes()),
    ];
    der::sequence(&der::encode(der::SET, &der::sequence(&pair.concat())))
}

fn is_revoked(status: &Result<Status, Unusable>) -> bool {
    matches!(status, Ok(Status::Revoked(_)))
}

/// Such a list can be outdated at any time, so that only a permanent revocation counts.
#[test]
fn entry_in_a_crl_without_next_update_counts_but_absence_and_hold_do_not() {
    let made = Made::new();
    let status = |entry| {
        made.status(&List {
            next_update: None,
            entry,
            ..List::of(&made)
        })
    };
    let revoked = status(Some(KEY_COMPROMISE));
    assert!(is_revoked(&revoked), "{revoked:?}");
    for entry in [None, Some(CERTIFICATE_HOLD)] {
        let why = status(entry).unwrap_err().to_string();
        assert!(why.contains("nextUpdate"), "{entry:?}: {why}");
    }
}

#[test]
fn entry_in_a_crl_for_some_reasons_counts_but_absence_does_not() {
    /// onlySomeReasons: keyCompromise.
    const ONE_REASON: &[u8] = &[0x83, 2, 6, 0x40];
    const NO_REASON: &[u8] = &[0x83, 1, 0];
    let made = Made::new();
    let status = |scope: &[u8], entry| {
        made.status(&List {
            entry,
            scope: scope.to_vec(),
            ..List::of(&made)
        })
    };
    for scope in [ONE_REASON, NO_REASON] {
        for reason in [KEY_COMPROMISE, CERTIFICATE_HOLD] {
            let revoked = status(scope, Some(reason));
            assert!(is_revoked(&revoked), "{reason}: {revoked:?}");
        }
        let why = status(scope, None).unwrap_err().to_string();
        assert!(why.contains("some reasons only"), "{scope:?}: {why}");
    }
}

#[test]
fn crl_scope_without_the_certificates_kind_does_not_count() {
    /// onlyContainsCACerts.
    const AUTHORITIES: &[u8] = &[0x82, 1, 0xff];
    let made = Made::new();
    let status = made.status(&List {
        next_update: None,
        entry: Some(KEY_COMPROMISE),
        scope: AUTHORITIES.to_vec(),
        ..List::of(&made)
    });
    assert!(matches!(status, Err(Unusable::OutOfScope(_))), "{status:?}");
}

/// RFC 5280, section 6.3.3 (b)(2)(i). OpenSSL 3 compares them in the same way.
#[test]
fn part_of_a_crl_counts_for_the_certificates_that_name_it() {
    const URI: u8 = 0x86;
    const DIRECTORY_NAME: u8 = 0xa4;
    const RELATIVE: u8 = 0xa1;
    const ISSUER: u8 = 0xa2;
    let point = |name: &[u8]| der::encode(EXPLICIT_0, name);
    let full = |names: &[Vec<u8>]| point(&der::encode(EXPLICIT_0, &names.concat()));
    let uri = |url: &str| der::encode(URI, url.as_bytes());
    let directory = |name: &[u8]| der::encode(DIRECTORY_NAME, name);
    let attribute = |text: &str| {
        let name = common_name(UTF8_STRING, text);
        let mut names = der::contents(&name).unwrap();
        let set = der::expect(&mut names, der::SET).unwrap();
        set.content.to_vec()
    };
    let relative = |text: &str| point(&der::encode(RELATIVE, &attribute(text)));
    let issuer = Made::new().issuer.name;
    let below = |text: &str| {
        let last = der::encode(der::SET, &attribute(text));
        der::sequence(&[der::contents(&issuer).unwrap(), &last].concat())
    };
    let by = |name: &[u8]| der::encode(ISSUER, &directory(name));
    let stranger = common_name(UTF8_STRING, "Other CA");
    let urls = full(&[uri("ldap:///cn=7"), uri("http://a.example/7.crl")]);
    let some_reasons = [urls.clone(), vec![0x81, 2, 6, 0x40]].concat();
    let eighth =
        (1..9).flat_map(|n| der::sequence(&full(&[uri(&format!("http://a.example/{n}"))])));
    for (points, part, is_covered) in [
        (
            der::sequence(&urls),
            full(&[uri("http://a.example/7.crl")]),
            true,
        ),
        (der::sequence(&urls), full(&[uri("ldap:///cn=7")]), true),
        (der::sequence(&urls), full(&[uri("ldap:///cn=8")]), false),
        (der::sequence(&urls), relative("7"), false),
        (eighth.collect(), full(&[uri("http://a.example/8")]), true),
        (
            der::sequence(&some_reasons),
            full(&[uri("ldap:///cn=7")]),
            true,
        ),
        (
            der::sequence(&full(&[directory(&below("Part"))])),
            relative("pART "),
            true,
        ),
        (
            der::sequence(&relative("Part")),
            full(&[directory(&below("Part"))]),
            true,
        ),
        (der::sequence(&relative("Part")), relative("Part"), true),
        (der::sequence(&relative("Part")), relative("Part 2"), false),
        (
            der::sequence(&full(&[directory(&below("Part"))])),
            full(&[directory(&below("part"))]),
            true,
        ),
        (
            der::sequence(&full(&[directory(&stranger)])),
            relative("Part"),
            false,
        ),
        (
            der::sequence(&[relative("7"), by(&issuer)].concat()),
            relative("7"),
            true,
        ),
        (
            der::sequence(&[relative("7"), by(&stranger)].concat()),
            relative("7"),
            false,
        ),
        (der::sequence(&by(&issuer)), relative("7"), true),
        (der::sequence(&by(&stranger)), relative("7"), false),
        (Vec::new(), relative("7"), false),
    ] {
        let made = Made::with_points(&points);
        let status = |entry| {
            made.status(&List {
                entry,
                scope: part.clone(),
                ..List::of(&made)
            })
        };
        let revoked = status(Some(KEY_COMPROMISE));
        assert_eq!(is_revoked(&revoked), is_covered, "{points:x?}: {revoked:?}");
        let is_for_some = points == der::sequence(&some_reasons);
        let good = status(None);
        assert_eq!(
            good.is_ok(),
            is_covered && !is_for_some,
            "{points:x?}: {good:?}"
        );
    }
}

/// RFC 5280, section 7.1.
#[test]
fn crl_issuer_is_compared_in_normal_form() {
    let made = Made::new();
    let status = |issuer, entry| {
        made.status(&List {
            issuer,
            entry,
            ..List::of(&made)
        })
    };
    for issuer in [
        common_name(PRINTABLE_STRING, "Test CA"),
        common_name(UTF8_STRING, "tEST  ca "),
    ] {
        let revoked = status(issuer.clone(), Some(KEY_COMPROMISE));
        assert!(is_revoked(&revoked), "{revoked:?}");
        assert_eq!(status(issuer, None), Ok(Status::Good));
    }
    let other = status(common_name(UTF8_STRING, "Test CB"), Some(KEY_COMPROMISE));
    assert!(
        matches!(other, Err(Unusable::NotAuthorised(_))),
        "{other:?}"
    );
}

/// RFC 7468, section 2.
#[test]
fn text_before_a_crl_in_pem_is_skipped() {
    use base64::Engine as _;
    let (leaf, issuer) = leaf_and_issuer();
    let der = base64::engine::general_purpose::STANDARD.encode(file("revoked.crl"));
    let pem = format!("-----BEGIN X509 CRL-----\n{der}\n-----END X509 CRL-----\n");
    // A digit 0 is the first octet of DER too.
    for before in [
        "CRL of Test CA\n",
        "0\n",
        "\u{feff}",
        "\u{feff}List:\r\n",
        " \n",
    ] {
        let list = Crl::read(format!("{before}{pem}").into_bytes());
        let list = list.unwrap_or_else(|why| panic!("{before:?}: {why}"));
        let answer = list.status_of(&leaf, &issuer, at(NOW)).unwrap();
        assert_eq!(answer.status, revoked(), "{before:?}");
    }
    let why = Crl::read(b"<html>no list</html>".to_vec()).unwrap_err();
    assert!(why.to_string().contains("not a DER sequence"), "{why}");
}

/// Not every client refuses such a certificate, so that a revocation counts.
#[test]
fn good_by_an_ocsp_responder_whose_extensions_a_client_refuses_does_not_count() {
    let made = Made::new();
    let extension = |oid: &[u64], is_critical| {
        let mut extension = CustomExtension::from_oid_content(oid, vec![5, 0]);
        extension.set_criticality(is_critical);
        extension
    };
    let unknown = |is_critical| extension(&[1, 2, 3, 4], is_critical);
    // id-pkix-ocsp-nocheck.
    let no_check = |is_critical| extension(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 5], is_critical);
    let revoked_at = der::encode(GENERALIZED_TIME, SIGNED);
    let revoked = der::encode(EXPLICIT_1, &revoked_at);
    for (extensions, expected) in [
        (vec![unknown(false), no_check(false)], None),
        (vec![unknown(true)], Some("critical extension 1.2.3.4")),
        (
            vec![no_check(true)],
            Some("critical extension 1.3.6.1.5.5.7.48.1.5"),
        ),
        (
            vec![unknown(false), unknown(false)],
            Some("extension 1.2.3.4 more than once"),
        ),
    ] {
        let status = |status: &[u8]| {
            let response = made.ocsp_by_responder(status, extensions.clone());
            let answer = read_ocsp(&response, &made.leaf, &made.issuer, at(NOW));
            answer.map(|answer| answer.status)
        };
        match (status(&der::encode(GOOD, &[])), expected) {
            (Err(Unusable::NotAuthorised(why)), Some(words)) => {
                assert!(why.contains(words), "{why}");
            }
            (found, _) => assert_eq!((found, expected), (Ok(Status::Good), None)),
        }
        let revoked = status(&revoked);
        assert!(is_revoked(&revoked), "{expected:?}: {revoked:?}");
    }
}

/// GnuTLS refuses a response by a certificate whose issuer has another letter case, and OpenSSL does
/// not.
#[test]
fn only_a_revocation_by_a_responder_with_its_issuer_in_another_letter_case_counts() {
    let mut made = Made::new();
    let certificate = made.authority.certificate.clone();
    let key = made.authority.key().clone();
    made.authority = Authority::restored("test ca", certificate, key);
    // The leaf's issuer is `Test CA`.
    let status = |status: &[u8]| {
        let response = made.ocsp_by_responder(status, Vec::new());
        let answer = read_ocsp(&response, &made.leaf, &made.issuer, at(NOW));
        answer.map(|answer| answer.status)
    };
    let revoked = der::encode(EXPLICIT_1, &der::encode(GENERALIZED_TIME, SIGNED));
    let revoked = status(&revoked);
    assert!(is_revoked(&revoked), "{revoked:?}");
    let good = status(&der::encode(GOOD, &[]));
    assert!(matches!(good, Err(Unusable::NotAuthorised(_))), "{good:?}");
}

/// RFC 5280, section 7.1.
#[test]
fn ocsp_responder_is_compared_in_normal_form() {
    let made = Made::new();
    let status = |name: &[u8], key: &Key| {
        let response = made.ocsp(&der::encode(GOOD, &[]), name, key, &[]);
        let answer = read_ocsp(&response, &made.leaf, &made.issuer, at(NOW));
        answer.map(|answer| answer.status)
    };
    let printable = common_name(PRINTABLE_STRING, "test CA");
    let key = made.authority.key();
    assert_eq!(status(&printable, key), Ok(Status::Good));
    let impostor = status(&printable, &Key::generate().unwrap());
    assert_eq!(impostor, Err(Unusable::WrongSignature));
    let other = status(&common_name(UTF8_STRING, "Test CB"), key);
    assert!(
        matches!(other, Err(Unusable::NotAuthorised(_))),
        "{other:?}"
    );
}

/// Returns a leaf, its root, and a response of which only GnuTLS refuses the form. It is valid on the
/// date of the testdata.
pub(crate) fn staple_with_content() -> (Certificate, Certificate, Vec<u8>) {
    let made = Made::new();
    let entry = Made::entry(&made.certificate_id(), &der::encode(GOOD, b"x"), &[]);
    let response = made.staple(SIGNED, &[entry], &[]);
    (made.leaf, made.authority.certificate, response)
}

/// As measured with GnuTLS 3.7.9 and Java 17, in TLS 1.3.
#[test]
fn form_of_a_staple_is_refused_by_those_that_parse_it() {
    const UNKNOWN: u8 = 0x82;
    const WITH_OFFSET: &[u8] = b"20261125100000+0000";
    const WITHOUT_ZONE: &[u8] = b"20261125100000";
    let made = Made::new();
    let other = Made::new();
    let good = der::encode(GOOD, &[]);
    let entry = |of: &Made, status: &[u8], extensions: &[u8]| {
        Made::entry(&of.certificate_id(), status, extensions)
    };
    let own = || entry(&made, &good, &[]);
    let others = |content: &[u8]| entry(&other, &der::encode(GOOD, content), &[]);
    let critical = extension(&[42, 3, 4], true, &[5, 0]);
    let of_other = entry(&other, &good, &critical);
    let certificate = made.authority.certificate.der();
    let staple = |entries: &[Vec<u8>]| made.staple(SIGNED, entries, &[]);
    let (no_time, with_offset) = (b"x", WITH_OFFSET);
    for (what, response, expected) in [
        ("plain", staple(&[own()]), ""),
        ("two", staple(&[own(), others(&[])]), ""),
        (
            "certificate",
            made.staple(SIGNED, &[own()], certificate),
            "",
        ),
        ("other first", staple(&[others(&[]), own()]), "gnutls"),
        (
            "content",
            staple(&[entry(&made, &der::encode(GOOD, b"x"), &[])]),
            "gnutls",
        ),
        ("content of other", staple(&[own(), others(b"x")]), "gnutls"),
        (
            "unknown",
            staple(&[own(), entry(&other, &der::encode(UNKNOWN, b"x"), &[])]),
            "gnutls",
        ),
        ("offset", made.staple(with_offset, &[own()], &[]), "gnutls"),
        (
            "no zone",
            made.staple(WITHOUT_ZONE, &[own()], &[]),
            "gnutls java",
        ),
        (
            "no time",
            made.staple(no_time, &[own()], &[]),
            "gnutls java",
        ),
        (
            "bad certificate",
            made.staple(SIGNED, &[own()], &der::sequence(&[2, 1, 1])),
            "gnutls java",
        ),
        (
            "no certificate",
            made.staple(SIGNED, &[own()], &[4, 1, 1]),
            "gnutls java",
        ),
        ("no entry", staple(&[own(), vec![4, 1, 1]]), "gnutls java"),
        ("critical", staple(&[own(), of_other.clone()]), "java"),
        ("critical first", staple(&[of_other, own()]), "gnutls java"),
    ] {
        let StapleFaults { gnutls, java } =
            staple_faults(&response, &made.leaf, Some(&made.issuer));
        let refused = [gnutls.map(|_| "gnutls"), java.map(|_| "java")];
        let refused: Vec<&str> = refused.into_iter().flatten().collect();
        assert_eq!(refused.join(" "), expected, "{what}");
        let answer = read_ocsp(&response, &made.leaf, &made.issuer, at(NOW));
        let is_good = answer.is_ok_and(|answer| answer.status == Status::Good);
        assert!(is_good, "{what}");
    }
}

/// As measured with Java 17. GnuTLS is not known here.
#[test]
fn java_reads_errors_and_what_follows_but_no_unknown_status() {
    let (leaf, issuer) = leaf_and_issuer();
    let good = file("good.ocsp");
    let with_status = |status: u8| {
        let mut response = good.clone();
        response[6] = status;
        response
    };
    for (what, response, is_refused) in [
        ("good", good.clone(), false),
        ("try later", file("try-later.ocsp"), false),
        ("unused status", with_status(4), false),
        ("unknown status", with_status(7), true),
        ("trailing", [&good[..], &[0]].concat(), false),
        ("no body", vec![0x30, 3, 0x0a, 1, 0], true),
        ("garbage", b"hello".to_vec(), true),
    ] {
        let faults = staple_faults(&response, &leaf, Some(&issuer));
        assert_eq!(faults.java.is_some(), is_refused, "{what}");
    }
}
