use super::*;

fn spki(oid: &[u8], parameters: &[u8], bits: &[u8]) -> Vec<u8> {
    let mut algorithm = der::encode(der::OBJECT_IDENTIFIER, oid);
    algorithm.extend(parameters);
    der::subject_public_key_info(&algorithm, bits)
}

fn rsa(modulus: &[u8]) -> Vec<u8> {
    let mut numbers = der::encode(der::INTEGER, modulus);
    numbers.extend(der::encode(der::INTEGER, &[1, 0, 1]));
    der::sequence(&numbers)
}

fn read(spki: &[u8]) -> (String, bool, Vec<Oddity>) {
    let mut oddities = Vec::new();
    let key = read_key(spki, &mut oddities);
    (key.to_string(), key.is_weak(), oddities)
}

#[test]
fn rsa_key_size_is_the_modulus_size() {
    let modulus = |first: &[u8], octets: usize| {
        let mut modulus = first.to_vec();
        modulus.resize(first.len() + octets, 0xff);
        modulus
    };
    use Oddity::{NegativeModulus, NonMinimalInteger};
    for (modulus, name, is_weak, oddities) in [
        (modulus(&[0, 0x80], 255), "RSA 2048", false, vec![]),
        (modulus(&[0x40], 255), "RSA 2047", true, vec![]),
        (modulus(&[1], 256), "RSA 2049", false, vec![]),
        (
            modulus(&[0x80], 255),
            "RSA 2048",
            false,
            vec![NegativeModulus],
        ),
        (
            modulus(&[0, 0, 0x80], 127),
            "RSA 1024",
            true,
            vec![NonMinimalInteger(Part::Modulus)],
        ),
        (vec![0], "RSA 0", true, vec![]),
    ] {
        let key = spki(RSA_ENCRYPTION, &[5, 0], &rsa(&modulus));
        assert_eq!(read(&key), (name.into(), is_weak, oddities));
    }
}

#[test]
fn rsa_exponent_of_one_and_trailing_bytes_are_oddities() {
    let modulus = [&[0, 0x80][..], &[1; 255]].concat();
    let number = |n: &[u8]| der::encode(der::INTEGER, n);
    let tiny = der::sequence(&[number(&modulus), number(&[1])].concat());
    let longer = [rsa(&modulus), vec![0]].concat();
    for (key, oddity) in [
        (tiny, Oddity::ExponentOfOne),
        (longer, Oddity::TrailingFields(Part::PublicKey)),
    ] {
        let key = spki(RSA_ENCRYPTION, &[5, 0], &key);
        assert_eq!(read(&key), ("RSA 2048".into(), false, vec![oddity]));
    }
}

/// RFC 4055, section 1.2; RFC 3279, section 2.3.2.
#[test]
fn rsassa_pss_and_dsa_keys_have_a_size() {
    let modulus = [&[0, 0x80][..], &[1; 127]].concat();
    assert_eq!(
        read(&spki(RSASSA_PSS, &[], &rsa(&modulus))),
        ("RSA-PSS 1024".into(), true, vec![])
    );
    let parameters = [
        der::encode(der::INTEGER, &modulus),
        der::encode(der::INTEGER, &[1; 20]),
        der::encode(der::INTEGER, &[2]),
    ];
    let parameters = der::sequence(&parameters.concat());
    let y = der::encode(der::INTEGER, &modulus);
    assert_eq!(
        read(&spki(DSA, &parameters, &y)),
        ("DSA 1024".into(), true, vec![])
    );
    assert_eq!(read(&spki(DSA, &[], &y)), ("DSA".into(), false, vec![]));
}

#[test]
fn curves_are_named() {
    let point = [&[4][..], &[7; 64]].concat();
    let named = |oid: &[u8]| {
        spki(
            EC_PUBLIC_KEY,
            &der::encode(der::OBJECT_IDENTIFIER, oid),
            &point,
        )
    };
    for (oid, name, is_weak) in [
        (&b"\x2a\x86\x48\xce\x3d\x03\x01\x07"[..], "EC P-256", false),
        (b"\x2b\x81\x04\x00\x21", "EC P-224", true),
        (
            b"\x2b\x24\x03\x03\x02\x08\x01\x01\x0b",
            "EC brainpoolP384r1",
            false,
        ),
        // An unnamed curve: the size is that of the point.
        (
            b"\x2b\x06\x01\x04\x01\x83\xb2\x03\x01",
            "EC 1.3.6.1.4.1.55555.1",
            false,
        ),
    ] {
        assert_eq!(read(&named(oid)), (name.into(), is_weak, vec![]));
    }
    let implicit = spki(EC_PUBLIC_KEY, &[5, 0], &point);
    let unreadable = ("EC (unreadable)".into(), false, vec![Oddity::UnreadableKey]);
    assert_eq!(read(&implicit), unreadable);
}

/// Returns the parameters of P-256 (SEC 2), with this generator.
fn explicit_p256(generator: &[u8]) -> Vec<u8> {
    let hex = |text: &str| -> Vec<u8> {
        let digits = text.as_bytes().chunks(2);
        let octet =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.map(octet).collect()
    };
    let prime = hex("00ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
    let a = hex("ffffffff00000001000000000000000000000000fffffffffffffffffffffffc");
    let b = hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");
    let order = hex("00ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let prime_field = [0x2a, 0x86, 0x48, 0xce, 0x3d, 1, 1];
    let mut field = der::encode(der::OBJECT_IDENTIFIER, &prime_field);
    field.extend(der::encode(der::INTEGER, &prime));
    let mut curve = der::encode(der::OCTET_STRING, &a);
    curve.extend(der::encode(der::OCTET_STRING, &b));
    let parts = [
        der::encode(der::INTEGER, &[1]),
        der::sequence(&field),
        der::sequence(&curve),
        der::encode(der::OCTET_STRING, generator),
        der::encode(der::INTEGER, &order),
    ];
    spki(EC_PUBLIC_KEY, &der::sequence(&parts.concat()), &[4; 65])
}

const GENERATOR_X: &[u8] = b"\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\
    \x77\x03\x7d\x81\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96";

#[test]
fn explicit_parameters_of_a_standard_curve_are_recognised() {
    let compressed = [&[3][..], GENERATOR_X].concat();
    let whole = [&[4][..], GENERATOR_X, &[1; 32]].concat();
    for generator in [compressed, whole] {
        let expected = ("EC P-256".into(), false, vec![Oddity::ExplicitCurve]);
        assert_eq!(read(&explicit_p256(&generator)), expected);
    }
}

/// With a generator of their own, forgers make a key fit any signature (CVE-2020-0601).
#[test]
fn standard_curve_with_another_generator_is_not_recognised() {
    let forged = [&[4][..], &[9; 64]].concat();
    let (name, is_weak, oddities) = read(&explicit_p256(&forged));
    assert_eq!(name, "EC explicit curve, 256 bits");
    assert_eq!((is_weak, oddities), (false, vec![Oddity::ExplicitCurve]));
}

#[test]
fn rare_key_type_is_named_and_unreadable_key_is_an_oddity() {
    for (oid, name) in [
        (&b"\x2b\x65\x71"[..], "Ed448"),
        (b"\x60\x86\x48\x01\x65\x03\x04\x03\x12", "ML-DSA-65"),
        (b"\x2a\x03\x04", "1.2.3.4"),
    ] {
        assert_eq!(read(&spki(oid, &[], &[1])), (name.into(), false, vec![]));
    }
    let unreadable = |name: &str| (name.to_owned(), false, vec![Oddity::UnreadableKey]);
    assert_eq!(read(&[]), unreadable("(unreadable)"));
    assert_eq!(read(&[0x30, 0]), unreadable("(unreadable)"));
    let no_numbers = spki(RSA_ENCRYPTION, &[], &[1]);
    assert_eq!(read(&no_numbers), unreadable("RSA (unreadable)"));
}

/// Reads a seed of the fuzz target that reads certificates.
fn seed(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/certificate");
    std::fs::read(std::path::Path::new(folder).join(name)).unwrap()
}

/// Files made by OpenSSL 3.0.
#[test]
fn keys_of_openssl_certificates_are_named() {
    for (der, name, subject) in [
        (seed("pss-key"), "RSA-PSS 1024", "CN=www.example.com"),
        (seed("dsa-key"), "DSA 1024", "CN=www.example.com"),
        (seed("explicit-curve"), "EC P-256", "CN=www.example.com"),
        (
            seed("ed448-key"),
            "Ed448",
            r"O=Acme\, Inc., CN=www.example.com",
        ),
    ] {
        let certificate = super::super::Certificate::from_der(der);
        let facts = certificate.facts().unwrap();
        assert_eq!(
            (facts.key.to_string(), &*facts.subject),
            (name.into(), subject)
        );
    }
}
