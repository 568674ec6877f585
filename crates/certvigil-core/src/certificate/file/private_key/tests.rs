use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::certificate::parse_certificates;

macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("testdata/", $name)).as_slice()
    };
}

fn certificate(pem: &[u8]) -> Certificate {
    parse_certificates(pem).unwrap().remove(0)
}

/// Returns the DER of a file with one block.
fn of_pem(pem: &[u8]) -> Vec<u8> {
    let pem = std::str::from_utf8(pem).unwrap();
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(text).unwrap()
}

/// Each certificate with the forms of its key.
fn pairs() -> Vec<(Certificate, Vec<&'static [u8]>)> {
    vec![
        (
            certificate(data!("rsa.crt.pem")),
            vec![data!("rsa.key"), data!("rsa-pkcs1.key")],
        ),
        (
            certificate(data!("p256.crt.pem")),
            vec![
                data!("p256.key"),
                data!("p256-sec1.key"),
                data!("p256-no-public.key"),
                data!("p256.der.key"),
                data!("p256-explicit.key"),
                data!("p256-explicit-sec1.key"),
                data!("p256-explicit-no-public.key"),
            ],
        ),
        (certificate(data!("p384.crt.pem")), vec![data!("p384.key")]),
        (certificate(data!("p521.crt.pem")), vec![data!("p521.key")]),
        (
            certificate(data!("secp256k1.crt.pem")),
            vec![data!("secp256k1.key")],
        ),
        (
            certificate(data!("ed25519.crt.pem")),
            vec![data!("ed25519.key")],
        ),
        (
            certificate(data!("rsa-pss.crt.pem")),
            vec![data!("rsa-pss.key")],
        ),
        (
            certificate(data!("explicit.crt.pem")),
            vec![data!("explicit.key")],
        ),
    ]
}

#[test]
fn a_key_belongs_to_its_own_certificate_only() {
    let pairs = pairs();
    for (at, (own, keys)) in pairs.iter().enumerate() {
        for (form, bytes) in keys.iter().enumerate() {
            let read = read_private_keys(bytes).unwrap();
            let [key] = read.as_slice() else {
                panic!("{read:?}");
            };
            assert_eq!(key.belongs_to(own), Some(true), "{at} {form}");
            for (other, _) in pairs
                .iter()
                .enumerate()
                .filter(|(i, _)| *i != at)
                .map(|(_, p)| p)
            {
                assert_eq!(key.belongs_to(other), Some(false), "{at} {form}");
            }
        }
    }
}

#[test]
fn a_compressed_point_is_the_same_key() {
    let compressed = certificate(data!("p256-compressed.crt.pem"));
    let key = &read_private_keys(data!("p256.key")).unwrap()[0];
    assert_eq!(key.belongs_to(&compressed), Some(true));
    let own = certificate(data!("p256.crt.pem"));
    assert_eq!(own.public_key_hash(), Some(key.public_key_hash()));
    assert_eq!(key.kind().to_string(), "EC P-256");
    let explicit = &read_private_keys(data!("p256-explicit.key")).unwrap()[0];
    assert_eq!(key, explicit);
}

/// The point with the same x coordinate and the negative y coordinate has another private key.
#[test]
fn a_compressed_point_with_the_other_sign_is_another_key() {
    let point = |first: u8, last: u8| [&[first][..], &[9; 32], &[8; 31], &[last]].concat();
    let compressed = |first: u8| [&[first][..], &[9; 32]].concat();
    assert!(same_point(&point(4, 1), &compressed(3)));
    assert!(same_point(&point(4, 2), &compressed(2)));
    assert!(!same_point(&point(4, 1), &compressed(2)));
    assert!(!same_point(&point(4, 2), &point(4, 1)));
    assert!(!same_point(&compressed(2), &compressed(3)));
    let mut damaged = point(4, 1);
    damaged[40] ^= 0x40;
    assert!(!same_point(&point(4, 1), &damaged));
    assert!(same_point(&point(4, 1), &point(7, 1)));
    assert!(!same_point(&point(4, 1), &point(6, 1)));
}

/// OpenSSL does not load such a key, or uses the public key in the file.
#[test]
fn ec_key_with_the_public_key_of_another_is_damaged() {
    let mut der = data!("p256.der.key").to_vec();
    assert!(read_private_keys(&der).is_ok());
    let last = der.len() - 1;
    der[last] ^= 1;
    assert_eq!(read_private_keys(&der), Err(KeyError::Malformed(None)));
}

/// Compared with OpenSSL 3.0 (load and handshake) and Go 1.19, one of which refuses each.
#[test]
fn key_with_malformed_or_other_fields_is_damaged() {
    let damaged = |der: &[u8], what: &str| {
        assert_eq!(
            read_private_keys(der),
            Err(KeyError::Malformed(None)),
            "{what}"
        );
    };
    let file = &of_pem(data!("p256.key"))[..];
    for (from_end, bits, what) in [
        (20, 0x40, "y"),
        (50, 0x40, "x"),
        (65, 2, "hybrid form with the other sign"),
        (66, 1, "unused bits"),
        (67, 0x80, "length of the bit string"),
        (68, 4, "tag of the bit string"),
        (69, 1, "length of the public key"),
        (70, 2, "tag of the public key"),
        (105, 1, "version 0"),
        (105, 2, "version 3"),
        (106, 1, "length of the version"),
    ] {
        let mut der = file.to_vec();
        der[file.len() - from_end] ^= bits;
        damaged(&der, what);
    }
    let fields = |der: &[u8]| {
        der::expect(&mut { der }, der::SEQUENCE)
            .unwrap()
            .content
            .to_vec()
    };
    let pkcs8 = fields(file);
    let with = |after: &[u8]| der::sequence(&[&pkcs8, after].concat());
    assert_eq!(read_private_keys(&with(&[])), read_private_keys(file));
    assert_eq!(
        read_private_keys(&with(&[0xa0, 2, 0x30, 0])),
        read_private_keys(file)
    );
    for after in [
        &[5, 0][..],
        &[0],
        &[0xa0, 5, 0],
        &[0xa0, 2, 5, 0],
        &[0x81, 1, 0],
    ] {
        damaged(&with(after), "field after PKCS #8");
    }
    let version_1 = [&[2, 1, 1][..], &pkcs8[3..], &[0x81, 2, 0, 4]].concat();
    assert_eq!(
        read_private_keys(&der::sequence(&version_1)),
        Err(KeyError::WithPublicKey(None))
    );
    for version in [&[2, 0][..], &[2, 2, 0, 0]] {
        damaged(
            &der::sequence(&[version, &pkcs8[3..]].concat()),
            "version of PKCS #8",
        );
    }
    let mut rest = pkcs8.as_slice();
    let head = [
        der::split(&mut rest).unwrap().whole,
        der::split(&mut rest).unwrap().whole,
    ]
    .concat();
    let ec = fields(der::split(&mut rest).unwrap().content);
    let with = |ec: &[u8]| {
        let key = der::encode(der::OCTET_STRING, &der::sequence(ec));
        der::sequence(&[head.as_slice(), &key].concat())
    };
    assert_eq!(read_private_keys(&with(&ec)), read_private_keys(file));
    damaged(&with(&[&ec[..], &[5, 0]].concat()), "field after the key");
    let (before, public) = ec.split_at(ec.len() - 70);
    for curve in [P384, &[]] {
        let curve = der::encode(CONTEXT_0, &der::encode(der::OBJECT_IDENTIFIER, curve));
        damaged(&with(&[before, &curve, public].concat()), "another curve");
    }
    let curve = der::encode(CONTEXT_0, &der::encode(der::OBJECT_IDENTIFIER, P256));
    assert_eq!(
        read_private_keys(&with(&[before, &curve, public].concat())),
        read_private_keys(file)
    );
}

#[test]
fn every_key_of_a_file_with_certificates_is_read() {
    let file = [data!("p256.crt.pem"), data!("p256.key"), data!("rsa.key")].concat();
    let keys = read_private_keys(&file).unwrap();
    let kinds: Vec<String> = keys.iter().map(|key| key.kind().to_string()).collect();
    assert_eq!(kinds, ["EC P-256", "RSA 2048"]);
}

#[test]
fn what_is_no_readable_key_is_named_with_the_command_that_converts_it() {
    for (bytes, wanted) in [
        (data!("p256-encrypted.key"), "openssl pkey -in FILE -out"),
        (
            data!("rsa-encrypted-pkcs1.key"),
            "line 1: the private key is encrypted",
        ),
        (
            data!("p256-encrypted.der.key"),
            "openssl pkey -in FILE -out",
        ),
        (data!("p256.p12"), "openssl pkcs12 -in FILE -nocerts"),
        (data!("openssh.key"), "ssh-keygen -p -m PKCS8"),
        (data!("p256.crt.pem"), "only a certificate"),
        (data!("secp256k1-no-public.key"), "cannot be compared"),
        (data!("ed448.key"), "cannot be compared (Ed448)"),
        (
            data!("brainpoolp320-explicit.key"),
            "cannot be compared (EC key with explicit curve parameters)",
        ),
        (b" \n", "the file is empty"),
        (b"hello", "no `-----BEGIN PRIVATE KEY-----`"),
        (
            b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
            "line 1: the private key is damaged",
        ),
        (
            b"-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n",
            "only a public key",
        ),
    ] {
        let error = read_private_keys(bytes).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

/// OpenSSL loads a key without primes, and the handshake fails.
#[test]
fn rsa_key_whose_numbers_do_not_belong_together_is_damaged() {
    let der = of_pem(data!("rsa-pkcs1.key"));
    let mut rest = der.as_slice();
    let mut fields = der::expect(&mut rest, der::SEQUENCE).unwrap().content;
    let numbers: Vec<&[u8]> =
        std::iter::from_fn(|| Some(der::optional(&mut fields, der::INTEGER)?.content)).collect();
    assert_eq!(numbers.len(), 9);
    let read = |numbers: &[Vec<u8>]| {
        let numbers = numbers.iter().map(|n| der::encode(der::INTEGER, n));
        read_private_keys(&der::sequence(&numbers.collect::<Vec<_>>().concat()))
    };
    let own: Vec<Vec<u8>> = numbers.iter().map(|n| n.to_vec()).collect();
    assert!(read(&own).is_ok());
    for at in 3..9 {
        let mut changed = own.clone();
        changed[at][40] ^= 4;
        assert_eq!(read(&changed), Err(KeyError::Malformed(None)), "{at}");
    }
    // OpenSSL fails in the handshake if `qInv` is not below the first prime.
    let number = |at: usize| BigUint::from_bytes_be(&own[at]);
    for (at, larger) in [
        (6, number(6) + number(4) - 1_u8),
        (8, number(8) + number(4)),
    ] {
        let mut changed = own.clone();
        changed[at] = [&[0][..], &larger.to_bytes_be()].concat();
        if changed[at][1] < 0x80 {
            changed[at].remove(0);
        }
        assert_eq!(read(&changed), Err(KeyError::Malformed(None)), "{at}");
    }
    for (version, after, is_read) in [
        (0, &[][..], true),
        (1, &[], false),
        (2, &[], false),
        (1, &[0x30, 0], false),
        (0, &[5, 0], false),
        (0, &[2, 1, 5], false),
    ] {
        let mut all = own.clone();
        all[0] = vec![version];
        let numbers = all.iter().map(|n| der::encode(der::INTEGER, n));
        let body = [numbers.collect::<Vec<_>>().concat(), after.to_vec()].concat();
        let read = read_private_keys(&der::sequence(&body));
        assert_eq!(read.is_ok(), is_read, "{version} {after:?}");
    }
    assert!(read_private_keys(data!("rsa-three-primes.key")).is_ok());
    let without_primes: Vec<Vec<u8>> = (0..9)
        .map(|at| if at < 4 { own[at].clone() } else { vec![0] })
        .collect();
    assert_eq!(read(&without_primes), Err(KeyError::Malformed(None)));
}

#[test]
fn keys_that_openssl_does_not_load_are_errors() {
    const LABELS: [&str; 5] = [
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "DSA PRIVATE KEY",
        "FOO PRIVATE KEY",
    ];
    for (file, own, loaded) in [
        (data!("p256.key"), "PRIVATE KEY", [0, 2].as_slice()),
        (data!("p256-sec1.key"), "EC PRIVATE KEY", &[2]),
        (data!("rsa.key"), "PRIVATE KEY", &[0, 1]),
        (data!("rsa-pkcs1.key"), "RSA PRIVATE KEY", &[1]),
    ] {
        let file = std::str::from_utf8(file).unwrap();
        for (at, label) in LABELS.iter().enumerate() {
            let renamed = file
                .replace(&format!("BEGIN {own}"), &format!("BEGIN {label}"))
                .replace(&format!("END {own}"), &format!("END {label}"));
            let read = read_private_keys(renamed.as_bytes());
            match loaded.contains(&at) {
                true => assert_eq!(read.map(|keys| keys.len()), Ok(1), "{own} {label}"),
                false => assert!(
                    matches!(&read, Err(KeyError::WrongLabel { wanted, .. }) if *wanted == own),
                    "{own} {label}: {read:?}"
                ),
            }
        }
        let form_feed = file.replace("\nM", "\nM\x0c");
        assert!(matches!(
            read_private_keys(form_feed.as_bytes()),
            Err(KeyError::Pem(FileError::IncompleteBase64 { .. }))
        ));
        let utf16: Vec<u8> = file.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf16 = read_private_keys(&utf16);
        assert_eq!(utf16, Err(KeyError::Pem(FileError::Utf16)));
    }
}

proptest! {
    #[test]
    fn damaged_keys_are_errors_or_other_keys(at in any::<prop::sample::Index>(), bit in 0..8_u8, which in 0..3_usize) {
        let files: [&[u8]; 3] = [data!("p256.der.key"), data!("rsa.key"), data!("ed25519.key")];
        let mut bytes = files[which].to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let _ = read_private_keys(&bytes);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_private_keys(&bytes);
    }
}
