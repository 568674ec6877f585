pub(in crate::certificate) mod made;

use proptest::prelude::*;

use super::super::parse_certificates;
use super::*;

/// The date of the testdata, which `testdata/make-testdata.sh` makes with OpenSSL.
const NOW: &str = "2026-11-25T12:00:00Z";

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

fn leaf_and_issuer() -> (Certificate, Issuer) {
    let leaf = certificate("leaf");
    let issuer = Issuer::of(&leaf, &certificate("ca").facts().unwrap().spki).unwrap();
    (leaf, issuer)
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn ocsp_at(name: &str, time: &str) -> Result<Status, Unusable> {
    let (leaf, issuer) = leaf_and_issuer();
    let response = file(&format!("{name}.ocsp"));
    read_ocsp(&response, &leaf, &issuer, at(time)).map(|answer| answer.status)
}

fn list_at(name: &str, time: &str) -> Result<Status, Unusable> {
    let (leaf, issuer) = leaf_and_issuer();
    let list = Crl::from_der(file(&format!("{name}.crl"))).unwrap();
    let answer = list.status_of(&leaf, &issuer, at(time));
    // The remembered result of the signature is the same.
    assert_eq!(list.status_of(&leaf, &issuer, at(time)), answer);
    answer.map(|answer| answer.status)
}

fn revoked() -> Status {
    Status::Revoked(Revoked {
        at: at("2026-11-01T12:00:00Z"),
        reason: Some("keyCompromise"),
    })
}

#[test]
fn certificate_names_its_crl_and_ocsp_urls() {
    let (leaf, _) = leaf_and_issuer();
    let facts = leaf.facts().unwrap();
    assert_eq!(facts.crl_urls, ["http://crl.example.com/part1.crl"]);
    assert_eq!(facts.ocsp_url.as_deref(), Some("http://ocsp.example.com/"));
    assert!(!facts.must_staple && !facts.may_sign_ocsp);
    assert!(certificate("muststaple").facts().unwrap().must_staple);
}

/// Revocation is permanent. A certificate that is not in the list may be revoked by now.
#[test]
fn entry_in_an_expired_crl_still_counts() {
    const LATER: &str = "2039-11-25T12:00:00Z";
    assert_eq!(list_at("revoked", LATER), Ok(revoked()));
    assert!(matches!(list_at("good", LATER), Err(Unusable::Outdated(_))));
    assert!(matches!(
        list_at("revoked", "2001-01-01T00:00:00Z"),
        Err(Unusable::NotYetValid(_))
    ));
}

#[test]
fn crl_in_pem_is_read() {
    use base64::Engine as _;
    let (leaf, issuer) = leaf_and_issuer();
    let der = base64::engine::general_purpose::STANDARD.encode(file("revoked.crl"));
    let lines: Vec<&str> = der
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    let pem = format!(
        "\n-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n",
        lines.join("\n")
    );
    let list = Crl::read(pem.into_bytes()).unwrap();
    let answer = list.status_of(&leaf, &issuer, at(NOW)).unwrap();
    assert_eq!(answer.status, revoked());
    assert!(Crl::read(file("revoked.crl")).is_ok());
    let other = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(Crl::read(other.to_vec()).is_err());
}

#[test]
fn no_list_of_a_pem_file_is_lost() {
    use base64::Engine as _;
    let pem = |name| {
        let der = base64::engine::general_purpose::STANDARD.encode(file(name));
        format!("-----BEGIN X509 CRL-----\n{der}\n-----END X509 CRL-----")
    };
    let lists = |text: &str| Crl::read_all(text.as_bytes()).map(|lists| lists.len());
    let (good, revoked) = (pem("good.crl"), pem("revoked.crl"));
    assert_eq!(lists(&format!("{good}\n{revoked}\n")).unwrap(), 2);
    // `cat` joins files without a line break at their end.
    assert_eq!(lists(&format!("{good}{revoked}")).unwrap(), 2);
    assert_eq!(lists(&format!("{good}\r{revoked}")).unwrap(), 2);
    for damaged in [
        revoked.replace("-----BEGIN", "----BEGIN"),
        revoked.replace("CRL-----\n", "CRL----\n"),
        revoked.replace("-----END", "----END"),
        revoked.replace("\n-----END", "!\n-----END"),
    ] {
        assert!(lists(&format!("{good}\n{damaged}\n")).is_err(), "{damaged}");
    }
}

#[test]
fn fault_of_a_pem_file_is_named() {
    let error = |text: &str| Crl::read_all(text.as_bytes()).unwrap_err().to_string();
    for (text, says) in [
        ("-----BEGIN X509 CRL-----\nMIIB\n", "the file was cut short"),
        (
            "MIIB\n-----BEGIN X509 CRL-----\nMIIB\n",
            "the file was cut short",
        ),
        (
            "-----BEGIN X509 CRL-----\nMI!B\n-----END X509 CRL-----\n",
            "has characters that are not base64",
        ),
    ] {
        assert!(error(text).contains(says), "{}", error(text));
    }
}

#[test]
fn ocsp_response_signed_by_issuer_or_delegate_is_accepted() {
    for name in ["good", "no-end", "by-key", "sha1", "sha256", "delegated"] {
        assert_eq!(ocsp_at(name, NOW), Ok(Status::Good), "{name}");
    }
    assert_eq!(ocsp_at("revoked", NOW), Ok(revoked()));
}

#[test]
fn error_explains_an_unusable_ocsp_response() {
    for (name, words) in [
        ("unknown", "the certificate is not known"),
        ("other", "about another certificate"),
        ("muststaple", "about another certificate"),
        ("delegated-no-certs", "neither the issuer nor"),
        ("no-eku", "`Web Server` lacks the extended key usage"),
        ("foreign", "`Responder` is of another issuer"),
        ("namesake", "its signature is wrong"),
        ("try-later", "the error `tryLater`"),
    ] {
        let why = ocsp_at(name, NOW).unwrap_err().to_string();
        assert!(why.contains(words), "{name}: {why}");
    }
}

/// A revocation does not expire. The responder's certificate need not be valid any more either.
#[test]
fn expired_ocsp_response_that_reports_a_revocation_counts() {
    let later = "2036-12-02T10:06:58Z";
    assert_eq!(ocsp_at("revoked", later), Ok(revoked()));
    let good = ocsp_at("good", later);
    assert!(matches!(good, Err(Unusable::Outdated(_))), "{good:?}");
    let early = ocsp_at("revoked", "2001-01-01T00:00:00Z");
    assert!(matches!(early, Err(Unusable::NotYetValid(_))), "{early:?}");
}

#[test]
fn ocsp_response_is_valid_for_its_period_plus_clock_skew() {
    let good = Status::Good;
    for (time, expected) in [
        ("2026-11-25T09:56:56Z", Err("it is not valid before")),
        ("2026-11-25T09:56:57Z", Ok(good)),
        ("2026-12-02T10:06:57Z", Ok(good)),
        (
            "2026-12-02T10:06:58Z",
            Err("it ended at 2026-12-02T10:01:57Z"),
        ),
    ] {
        match (ocsp_at("good", time), expected) {
            (Err(why), Err(words)) => assert!(why.to_string().contains(words), "{time}: {why}"),
            (found, expected) => assert_eq!(found.ok(), expected.ok(), "{time}"),
        }
    }
    // Without nextUpdate it is valid for a day.
    assert_eq!(ocsp_at("no-end", "2026-11-26T10:00:00Z"), Ok(Status::Good));
    let ended = ocsp_at("no-end", "2026-11-26T10:10:00Z");
    assert!(matches!(ended, Err(Unusable::Outdated(_))), "{ended:?}");
}

#[test]
fn crl_signed_by_the_issuer_is_accepted() {
    assert_eq!(list_at("good", NOW), Ok(Status::Good));
    assert_eq!(list_at("revoked", NOW), Ok(revoked()));
    // The certificate names this part.
    assert_eq!(list_at("part1", NOW), Ok(revoked()));
    // Its entry counts, although it is for some reasons only.
    assert_eq!(list_at("reasons", NOW), Ok(revoked()));
}

#[test]
fn error_explains_an_unusable_crl() {
    for (name, words) in [
        ("namesake", "its signature is wrong"),
        ("stranger", "another one's list"),
        ("part2", "another part of the issuer's list"),
        ("authorities", "not about servers' certificates"),
        ("indirect", "indirect"),
        ("delta", "only what is new"),
        ("odd", "critical and not known"),
    ] {
        let why = list_at(name, NOW).unwrap_err().to_string();
        assert!(why.contains(words), "{name}: {why}");
    }
    let late = list_at("good", "2026-12-03T00:00:00Z");
    assert!(matches!(late, Err(Unusable::Outdated(_))), "{late:?}");
    let early = list_at("revoked", "2026-11-24T00:00:00Z");
    assert!(matches!(early, Err(Unusable::NotYetValid(_))), "{early:?}");
}

#[test]
fn crl_signature_is_checked_with_each_certificates_issuer() {
    let (leaf, issuer) = leaf_and_issuer();
    let list = Crl::from_der(file("namesake.crl")).unwrap();
    let why = list.status_of(&leaf, &issuer, at(NOW));
    assert_eq!(why, Err(Unusable::WrongSignature));
    let list = Crl::from_der(file("good.crl")).unwrap();
    let impostor = Issuer {
        spki: leaf.facts().unwrap().spki.clone(),
        ..issuer.clone()
    };
    assert!(list.status_of(&leaf, &issuer, at(NOW)).is_ok());
    let why = list.status_of(&leaf, &impostor, at(NOW));
    assert_eq!(why, Err(Unusable::WrongSignature));
}

#[test]
fn key_that_did_not_sign_is_not_the_issuer() {
    let (leaf, other) = (certificate("leaf"), certificate("muststaple"));
    assert_eq!(Issuer::of(&leaf, &other.facts().unwrap().spki), None);
}

#[test]
fn key_is_not_the_issuer_if_the_signature_is_unverifiable() {
    let pem = include_bytes!("../testdata/brainpoolP256r1.pem");
    let all = parse_certificates(pem).unwrap();
    let spki = &all[0].facts().unwrap().spki;
    assert_eq!(
        super::super::certifies(&all[0], &all[1]),
        Link::Unverifiable
    );
    assert_eq!(Issuer::of(&all[1], spki), None);
}

/// The request that OpenSSL makes for the same certificate:
/// `openssl ocsp -issuer ca.pem -cert leaf.pem -no_nonce -reqout /dev/stdout | base64 -w0`.
#[test]
fn ocsp_request_url_matches_openssl() {
    let (leaf, issuer) = leaf_and_issuer();
    let url = ocsp_url("http://ocsp.example.com/", &leaf, &issuer).unwrap();
    let expected = "MEYwRDBCMEAwPjAJBgUrDgMCGgUABBS%2FcFLIucD3YMiRI%2BCZgV6ywDlCJgQUN%2BJuOTP1NBxLhdJ3ZTbe5FQ7dvICBQChssPU";
    assert_eq!(url, format!("http://ocsp.example.com/{expected}"));
    let deeper = ocsp_url("http://x.example/ocsp", &leaf, &issuer).unwrap();
    assert_eq!(deeper, format!("http://x.example/ocsp/{expected}"));
}

#[test]
fn ocsp_response_or_crl_with_one_bit_flipped_is_refused() {
    let (leaf, issuer) = leaf_and_issuer();
    for name in ["good", "revoked"] {
        let response = file(&format!("{name}.ocsp"));
        let list = file(&format!("{name}.crl"));
        let flip = |bytes: &[u8], bit: usize| {
            let mut bytes = bytes.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        };
        for bit in 0..response.len() * 8 {
            let answer = read_ocsp(&flip(&response, bit), &leaf, &issuer, at(NOW));
            assert!(answer.is_err(), "{name}: bit {bit}: {answer:?}");
        }
        for bit in 0..list.len() * 8 {
            let list = Crl::from_der(flip(&list, bit));
            let answer = list.and_then(|l| l.status_of(&leaf, &issuer, at(NOW)));
            assert!(answer.is_err(), "{name}: bit {bit}: {answer:?}");
        }
    }
}

#[test]
fn truncated_or_too_long_ocsp_response_or_crl_is_refused() {
    let (leaf, issuer) = leaf_and_issuer();
    let (response, list) = (file("delegated.ocsp"), file("part1.crl"));
    for end in 0..response.len() {
        assert!(read_ocsp(&response[..end], &leaf, &issuer, at(NOW)).is_err());
    }
    for end in 0..list.len() {
        assert!(Crl::from_der(list[..end].to_vec()).is_err());
    }
    let long = vec![0x30; MAX_OCSP_BYTES + 1];
    let answer = read_ocsp(&long, &leaf, &issuer, at(NOW));
    assert_eq!(answer, Err(Unusable::TooLarge));
    let trailing = [list, vec![0]].concat();
    assert!(Crl::from_der(trailing).is_err());
}

/// Generates arbitrary bytes, or a real file with some bytes changed.
fn bytes(files: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
    let changed = (prop::sample::select(files), changes).prop_map(|(name, changes)| {
        let mut bytes = file(name);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    });
    prop_oneof![prop::collection::vec(any::<u8>(), 0..200), changed]
}

proptest! {
    #[test]
    fn changed_ocsp_response_or_crl_is_refused_without_panic(
        response in bytes(&["good.ocsp", "revoked.ocsp"]),
        list in bytes(&["good.crl", "revoked.crl", "part1.crl"]),
    ) {
        let (leaf, issuer) = leaf_and_issuer();
        let now = at(NOW);
        let original = [file("good.ocsp"), file("revoked.ocsp")].contains(&response);
        prop_assert!(original || read_ocsp(&response, &leaf, &issuer, now).is_err());
        let original = ["good.crl", "revoked.crl", "part1.crl"].map(file).contains(&list);
        let answer = Crl::from_der(list).and_then(|l| l.status_of(&leaf, &issuer, now));
        prop_assert!(original || answer.is_err());
    }

    #[test]
    fn changed_ocsp_response_never_yields_another_status(
        response in bytes(&["delegated.ocsp", "no-eku.ocsp", "by-key.ocsp"]),
    ) {
        let (leaf, issuer) = leaf_and_issuer();
        // Whatever the certificates in the response, the status is the signed one.
        if let Ok(answer) = read_ocsp(&response, &leaf, &issuer, at(NOW)) {
            prop_assert_eq!(answer.status, Status::Good);
        }
    }
}
