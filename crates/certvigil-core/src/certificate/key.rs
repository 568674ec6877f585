//! The kind and size of a public key (RFC 5280, section 4.1.2.7; RFC 3279, RFC 4055, RFC 5480, RFC
//! 8410).

use super::oid::dotted;
use super::{Key, Oddity, Part, der, fingerprint};

pub(super) const RSA_ENCRYPTION: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
const RSAES_OAEP: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07";
pub(super) const RSASSA_PSS: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
/// The `rsa` of X.509's annex, which old certificates use.
const X500_RSA: &[u8] = b"\x55\x08\x01\x01";
pub(super) const EC_PUBLIC_KEY: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
const EC_DH: &[u8] = b"\x2b\x81\x04\x01\x0c";
const EC_MQV: &[u8] = b"\x2b\x81\x04\x01\x0d";
const DSA: &[u8] = b"\x2a\x86\x48\xce\x38\x04\x01";
const OLD_DSA: &[u8] = b"\x2b\x0e\x03\x02\x0c";

/// Kinds of keys with a single size, or without a size.
const OTHERS: [(&[u8], &str); 26] = [
    (b"\x2b\x65\x6e", "X25519"),
    (b"\x2b\x65\x6f", "X448"),
    (b"\x2b\x65\x70", "Ed25519"),
    (b"\x2b\x65\x71", "Ed448"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x11", "ML-DSA-44"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x12", "ML-DSA-65"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x13", "ML-DSA-87"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x14", "SLH-DSA-SHA2-128s"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x15", "SLH-DSA-SHA2-128f"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x16", "SLH-DSA-SHA2-192s"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x17", "SLH-DSA-SHA2-192f"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x18", "SLH-DSA-SHA2-256s"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x19", "SLH-DSA-SHA2-256f"),
    (
        b"\x60\x86\x48\x01\x65\x03\x04\x03\x1a",
        "SLH-DSA-SHAKE-128s",
    ),
    (
        b"\x60\x86\x48\x01\x65\x03\x04\x03\x1b",
        "SLH-DSA-SHAKE-128f",
    ),
    (
        b"\x60\x86\x48\x01\x65\x03\x04\x03\x1c",
        "SLH-DSA-SHAKE-192s",
    ),
    (
        b"\x60\x86\x48\x01\x65\x03\x04\x03\x1d",
        "SLH-DSA-SHAKE-192f",
    ),
    (
        b"\x60\x86\x48\x01\x65\x03\x04\x03\x1e",
        "SLH-DSA-SHAKE-256s",
    ),
    (
        b"\x60\x86\x48\x01\x65\x03\x04\x03\x1f",
        "SLH-DSA-SHAKE-256f",
    ),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x03\x01", "Diffie-Hellman"),
    (b"\x2a\x86\x48\xce\x3e\x02\x01", "Diffie-Hellman"),
    (b"\x2a\x85\x03\x02\x02\x13", "GOST R 34.10-2001"),
    (
        b"\x2a\x85\x03\x07\x01\x01\x01\x01",
        "GOST R 34.10-2012, 256 bits",
    ),
    (
        b"\x2a\x85\x03\x07\x01\x01\x01\x02",
        "GOST R 34.10-2012, 512 bits",
    ),
    (b"\x2b\x06\x01\x04\x01\xda\x47\x0f\x01", "Ed25519"),
    (b"\x2a\x81\x1c\xcf\x55\x01\x82\x2d", "SM2"),
];

/// Elliptic curves: object identifier, usual name, size in bits.
const CURVES: [(&[u8], &str, usize); 22] = [
    (b"\x2a\x86\x48\xce\x3d\x03\x01\x07", "P-256", 256),
    (b"\x2b\x81\x04\x00\x22", "P-384", 384),
    (b"\x2b\x81\x04\x00\x23", "P-521", 521),
    (b"\x2b\x81\x04\x00\x21", "P-224", 224),
    (b"\x2a\x86\x48\xce\x3d\x03\x01\x01", "P-192", 192),
    (b"\x2b\x81\x04\x00\x0a", "secp256k1", 256),
    (b"\x2b\x81\x04\x00\x20", "secp224k1", 224),
    (b"\x2b\x81\x04\x00\x1f", "secp192k1", 192),
    (b"\x2b\x81\x04\x00\x08", "secp160r1", 160),
    (
        b"\x2b\x24\x03\x03\x02\x08\x01\x01\x01",
        "brainpoolP160r1",
        160,
    ),
    (
        b"\x2b\x24\x03\x03\x02\x08\x01\x01\x03",
        "brainpoolP192r1",
        192,
    ),
    (
        b"\x2b\x24\x03\x03\x02\x08\x01\x01\x05",
        "brainpoolP224r1",
        224,
    ),
    (
        b"\x2b\x24\x03\x03\x02\x08\x01\x01\x07",
        "brainpoolP256r1",
        256,
    ),
    (
        b"\x2b\x24\x03\x03\x02\x08\x01\x01\x08",
        "brainpoolP256t1",
        256,
    ),
    (
        b"\x2b\x24\x03\x03\x02\x08\x01\x01\x09",
        "brainpoolP320r1",
        320,
    ),
    (
        b"\x2b\x24\x03\x03\x02\x08\x01\x01\x0b",
        "brainpoolP384r1",
        384,
    ),
    (
        b"\x2b\x24\x03\x03\x02\x08\x01\x01\x0c",
        "brainpoolP384t1",
        384,
    ),
    (
        b"\x2b\x24\x03\x03\x02\x08\x01\x01\x0d",
        "brainpoolP512r1",
        512,
    ),
    (
        b"\x2b\x24\x03\x03\x02\x08\x01\x01\x0e",
        "brainpoolP512t1",
        512,
    ),
    (b"\x2b\x81\x04\x00\x10", "sect283k1", 283),
    (b"\x2b\x81\x04\x00\x24", "sect409k1", 409),
    (b"\x2a\x81\x1c\xcf\x55\x01\x82\x2d", "SM2", 256),
];

/// Curves recognised in explicit parameters, by the hash of [`ExplicitCurve::digest`].
const EXPLICIT: [(&str, &str, usize); 9] = [
    (
        "fada09482d3eed902ad2585d16ad51aae677f33b342f96fd067cf174ca990e69",
        "P-192",
        192,
    ),
    (
        "afdafe78da70458daf735a5e0b52a6789e61b78d0ba18b6d8dab685c89d20eb9",
        "P-224",
        224,
    ),
    (
        "93f2c876630f37f4b071dd51d0e806bab5f9270b7e47f5ce98419c670df44f58",
        "P-256",
        256,
    ),
    (
        "253315d66300632e7f14514284d35c28ffece860b1237acf0aff344776843ea6",
        "P-384",
        384,
    ),
    (
        "2b6f58148a4553d5bc9b754c151a7cfa338766a02eda9c21f76dbe6608314d41",
        "P-521",
        521,
    ),
    (
        "bc8b08c3c647f141e42a396d549565a977bc62f470d84aa4e05fd7aedb6e02fb",
        "secp256k1",
        256,
    ),
    (
        "20245efe91cc80e36cf0d15e0d68539c0fc5a290e8964715af64133208b5a49d",
        "brainpoolP256r1",
        256,
    ),
    (
        "08b2484e4bb65a5b4ba03d4953a92328fce248df6dfd369d78343cf7053a68b6",
        "brainpoolP384r1",
        384,
    ),
    (
        "e377379ada983f6ca6fd8d1fc0badbd2e91cd3c252f69ad66ffde23ecfd83752",
        "brainpoolP512r1",
        512,
    ),
];

/// Reads a SubjectPublicKeyInfo (DER).
pub(super) fn read_key(spki: &[u8], oddities: &mut Vec<Oddity>) -> Key {
    read(spki, oddities).unwrap_or_else(|Unreadable(kind)| {
        oddities.push(Oddity::UnreadableKey);
        Key::Other(kind.to_owned())
    })
}

/// The name of a key that cannot be read.
struct Unreadable(&'static str);

/// Reads a key.
fn read(mut spki: &[u8], oddities: &mut Vec<Oddity>) -> Result<Key, Unreadable> {
    let unreadable = || Unreadable("(unreadable)");
    let parts = der::expect(&mut spki, der::SEQUENCE).and_then(|info| {
        let mut info = info.content;
        let mut algorithm = der::expect(&mut info, der::SEQUENCE)?.content;
        let oid = der::expect(&mut algorithm, der::OBJECT_IDENTIFIER)?.content;
        let bits = der::expect(&mut info, der::BIT_STRING)?.content;
        Some((oid, algorithm, bits.get(1..)?))
    });
    let (oid, parameters, bits) = parts.ok_or_else(unreadable)?;
    match oid {
        RSA_ENCRYPTION | RSAES_OAEP | X500_RSA => read_rsa(bits, oddities)
            .map(Key::Rsa)
            .ok_or(Unreadable("RSA (unreadable)")),
        RSASSA_PSS => read_rsa(bits, oddities)
            .map(Key::RsaPss)
            .ok_or(Unreadable("RSA-PSS (unreadable)")),
        EC_PUBLIC_KEY | EC_DH | EC_MQV => {
            read_ec(parameters, bits, oddities).ok_or(Unreadable("EC (unreadable)"))
        }
        DSA | OLD_DSA => Ok(read_dsa(parameters)),
        _ => {
            let known = OTHERS.iter().find(|(known, _)| *known == oid);
            let name = known.map(|(_, name)| (*name).to_owned());
            Ok(Key::Other(name.unwrap_or_else(|| dotted(oid))))
        }
    }
}

/// Returns the size in bits of the modulus of an RSAPublicKey (RFC 8017, appendix A.1.1). A
/// negative modulus is read as unsigned, as clients do.
fn read_rsa(mut bits: &[u8], oddities: &mut Vec<Oddity>) -> Option<usize> {
    let mut key = der::expect(&mut bits, der::SEQUENCE)?.content;
    if !bits.is_empty() {
        oddities.push(Oddity::TrailingFields(Part::PublicKey));
    }
    let modulus = der::expect(&mut key, der::INTEGER)?.content;
    let exponent = der::expect(&mut key, der::INTEGER)?.content;
    if [modulus, exponent].iter().any(|n| is_negative(n)) {
        oddities.push(Oddity::NegativeModulus);
    }
    if exponent == [1] {
        oddities.push(Oddity::ExponentOfOne);
    }
    if is_too_long(modulus) {
        oddities.push(Oddity::NonMinimalInteger(Part::Modulus));
    }
    Some(bit_length(modulus))
}

fn read_dsa(mut parameters: &[u8]) -> Key {
    let prime = der::expect(&mut parameters, der::SEQUENCE).and_then(|parameters| {
        let mut parameters = parameters.content;
        der::expect(&mut parameters, der::INTEGER)
    });
    match prime {
        Some(prime) => Key::Dsa(bit_length(prime.content)),
        // The parameters are the issuer's (RFC 3279, section 2.3.2).
        None => Key::Other("DSA".into()),
    }
}

fn read_ec(mut parameters: &[u8], point: &[u8], oddities: &mut Vec<Oddity>) -> Option<Key> {
    let size_of_point = || match point.split_first() {
        Some((2 | 3, x)) => x.len().saturating_mul(8),
        Some((_, coordinates)) => coordinates.len().saturating_mul(4),
        None => 0,
    };
    let parameters = der::split(&mut parameters);
    match parameters.map(|p| (p.tag, p.content)) {
        Some((der::OBJECT_IDENTIFIER, oid)) => {
            let known = CURVES.iter().find(|(known, ..)| *known == oid);
            Some(match known {
                Some((_, name, bits)) => Key::Ec((*name).into(), *bits),
                None => Key::Ec(dotted(oid), size_of_point()),
            })
        }
        Some((der::SEQUENCE, content)) => {
            oddities.push(Oddity::ExplicitCurve);
            Some(match ExplicitCurve::read(content) {
                Some(curve) => curve.key(),
                None => Key::Ec("explicit curve".into(), size_of_point()),
            })
        }
        // The curve is the issuer's, which RFC 5480 forbids.
        _ => None,
    }
}

/// Returns the object identifier of a curve from its explicit parameters (DER); `None` for other
/// curves and named ones.
pub(super) fn named_curve(mut parameters: &[u8]) -> Option<&'static [u8]> {
    let content = der::expect(&mut parameters, der::SEQUENCE)?.content;
    let Key::Ec(name, _) = ExplicitCurve::read(content)?.key() else {
        return None;
    };
    let known = CURVES.iter().find(|(_, known, _)| **known == *name);
    known.map(|(oid, ..)| *oid)
}

/// Explicit parameters of a curve (RFC 3279, section 2.3.5).
struct ExplicitCurve<'a> {
    /// The prime, or the degree of a binary field.
    field: &'a [u8],
    coefficients: [&'a [u8]; 2],
    generator_x: &'a [u8],
    order: &'a [u8],
}

impl<'a> ExplicitCurve<'a> {
    fn read(mut content: &'a [u8]) -> Option<Self> {
        der::expect(&mut content, der::INTEGER)?;
        let mut field = der::expect(&mut content, der::SEQUENCE)?.content;
        der::expect(&mut field, der::OBJECT_IDENTIFIER)?;
        let mut curve = der::expect(&mut content, der::SEQUENCE)?.content;
        let a = der::expect(&mut curve, der::OCTET_STRING)?.content;
        let b = der::expect(&mut curve, der::OCTET_STRING)?.content;
        let generator = der::expect(&mut content, der::OCTET_STRING)?.content;
        let order = der::expect(&mut content, der::INTEGER)?.content;
        let (form, coordinates) = generator.split_first()?;
        let generator_x = match form {
            2 | 3 => coordinates,
            _ => coordinates.get(..coordinates.len() / 2)?,
        };
        Some(Self {
            field: der::split(&mut field)?.content,
            coefficients: [a, b],
            generator_x,
            order,
        })
    }

    /// Returns the hash of the numbers without leading zeros, each preceded by its length: prime,
    /// coefficients, the generator's x, order. A curve with another generator is another curve.
    fn digest(&self) -> String {
        let [a, b] = self.coefficients;
        let mut input = Vec::new();
        for number in [self.field, a, b, self.generator_x, self.order] {
            let number = without_zeros(number);
            input.extend(
                u16::try_from(number.len())
                    .unwrap_or(u16::MAX)
                    .to_be_bytes(),
            );
            input.extend(number);
        }
        fingerprint::hex(&fingerprint::sha256(&input))
    }

    fn key(&self) -> Key {
        let digest = self.digest();
        match EXPLICIT.iter().find(|(known, ..)| *known == digest) {
            Some((_, name, bits)) => Key::Ec((*name).into(), *bits),
            None => {
                let bits = bit_length(self.order);
                Key::Ec(format!("explicit curve, {bits} bits"), bits)
            }
        }
    }
}

/// Returns the number of bits of an unsigned number, without leading zeros.
fn bit_length(number: &[u8]) -> usize {
    let number = without_zeros(number);
    let zeros = number.first().map_or(0, |first| first.leading_zeros());
    let bits = number.len().saturating_mul(8);
    bits.saturating_sub(usize::try_from(zeros).unwrap_or(0))
}

pub(super) fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// Returns true if the content of an INTEGER is negative.
pub(super) fn is_negative(number: &[u8]) -> bool {
    number.first().is_some_and(|first| first & 0x80 != 0)
}

/// Returns true if the content of an INTEGER is not in the shortest form (X.690, section 8.3.2).
pub(super) fn is_too_long(number: &[u8]) -> bool {
    matches!(number, [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..])
}

#[cfg(test)]
mod tests;
