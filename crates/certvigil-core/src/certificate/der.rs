//! The outline of an X.509 certificate, read without judging the content of its parts.
//!
//! Servers present certificates that strict parsers refuse (version 1, negative serial numbers, odd
//! extensions). This reader only finds the boundaries of each part, so one malformed part does not
//! hide the others. It never allocates and never reads past its input.

/// The parts of a certificate (RFC 5280, section 4.1). Every slice is part of the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outline<'a> {
    /// The whole `TBSCertificate`, which is the signed part.
    pub(super) tbs: &'a [u8],
    /// The encoded version plus one; 0 if it is not a small unsigned INTEGER.
    pub(super) version: u8,
    /// True if the version is 1, the default, and is encoded nevertheless.
    pub(super) is_version_default: bool,
    /// The serial number's content octets.
    pub(super) serial: &'a [u8],
    /// The issuer's name, a whole SEQUENCE.
    pub(super) issuer: &'a [u8],
    /// The validity, a whole SEQUENCE.
    pub(super) validity: &'a [u8],
    /// The subject's name, a whole SEQUENCE.
    pub(super) subject: &'a [u8],
    /// The SubjectPublicKeyInfo, a whole SEQUENCE.
    pub(super) spki: &'a [u8],
    /// The content of the list of extensions; empty if there is none.
    pub(super) extensions: &'a [u8],
    /// True if the extensions are not a SEQUENCE.
    pub(super) has_unreadable_extensions: bool,
    /// True if issuerUniqueID or subjectUniqueID is present.
    pub(super) has_unique_ids: bool,
    /// The AlgorithmIdentifier inside the signed part, content only.
    pub(super) inner_algorithm: &'a [u8],
    /// The signature's AlgorithmIdentifier, content only.
    pub(super) signature_algorithm: &'a [u8],
    /// The signature's bits; empty if their number is not a multiple of 8.
    pub(super) signature: &'a [u8],
    /// True if bytes follow the certificate.
    pub(super) trailing: bool,
    /// True if fields follow the extensions.
    pub(super) has_more_in_tbs: bool,
    /// True if fields follow the signature.
    pub(super) has_more_after_signature: bool,
}

/// One tag-length-value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tlv<'a> {
    pub(super) tag: u8,
    /// Tag, length and content.
    pub(super) whole: &'a [u8],
    pub(super) content: &'a [u8],
}

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
/// issuerUniqueID and subjectUniqueID, in primitive and in constructed form.
const UNIQUE_IDS: [u8; 4] = [0x81, 0xa1, 0x82, 0xa2];
const EXTENSIONS: u8 = 0xa3;

/// Splits the first tag-length-value off the input.
pub(super) fn split<'a>(input: &mut &'a [u8]) -> Option<Tlv<'a>> {
    let (&tag, after_tag) = input.split_first()?;
    let (&first, after_length) = after_tag.split_first()?;
    let (length, header) = match first {
        0..=0x7f => (usize::from(first), 2),
        // Four octets of length are more than any certificate needs.
        0x81..=0x84 => {
            let octets = usize::from(first & 0x7f);
            let length = after_length
                .get(..octets)?
                .iter()
                .fold(0usize, |sum, &octet| sum << 8 | usize::from(octet));
            (length, 2 + octets)
        }
        _ => return None,
    };
    let whole = input.get(..header.checked_add(length)?)?;
    let content = whole.get(header..)?;
    *input = input.get(whole.len()..)?;
    Some(Tlv {
        tag,
        whole,
        content,
    })
}

/// Returns true if a length in these values, or in the values that they contain, has more octets than
/// it needs, which only BER allows (X.690, section 10.1).
pub(crate) fn has_long_length(values: &[u8]) -> bool {
    /// Maximum depth of nested values. Certificates have about ten.
    const MAX_DEPTH: usize = 32;
    has_long_length_above(values, MAX_DEPTH)
}

fn has_long_length_above(mut values: &[u8], depth: usize) -> bool {
    /// The bit of a tag whose content is again tag-length-values.
    const CONSTRUCTED: u8 = 0x20;
    while let Some(tlv) = split(&mut values) {
        let needed = match tlv.content.len() {
            0..=0x7f => 2,
            0x80..=0xff => 3,
            0x100..=0xffff => 4,
            0x1_0000..=0xff_ffff => 5,
            _ => 6,
        };
        if tlv.whole.len() - tlv.content.len() != needed {
            return true;
        }
        let is_constructed = tlv.tag & CONSTRUCTED != 0;
        if is_constructed && depth > 0 && has_long_length_above(tlv.content, depth - 1) {
            return true;
        }
    }
    false
}

/// Splits off the first tag-length-value. Returns `None` if it has another tag.
pub(super) fn expect<'a>(input: &mut &'a [u8], tag: u8) -> Option<Tlv<'a>> {
    split(input).filter(|tlv| tlv.tag == tag)
}

/// Splits off the first tag-length-value if it has this tag.
pub(super) fn optional<'a>(input: &mut &'a [u8], tag: u8) -> Option<Tlv<'a>> {
    if input.first() == Some(&tag) {
        split(input)
    } else {
        None
    }
}

/// Splits off an explicitly tagged value and returns its content. The outer `None` means that the
/// input does not begin with the outer tag, the inner `None` that the value is malformed.
pub(super) fn explicit<'a>(input: &mut &'a [u8], outer: u8, inner: u8) -> Option<Option<Tlv<'a>>> {
    let mut content = optional(input, outer)?.content;
    Some(expect(&mut content, inner).filter(|_| content.is_empty()))
}

/// An extension of a certificate, a revocation list or a response (RFC 5280, section 4.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Extension<'a> {
    /// The object identifier's content octets.
    pub(super) oid: &'a [u8],
    pub(super) critical: bool,
    /// True if `critical` is encoded as FALSE, or as neither 0 nor 255.
    pub(super) is_critical_odd: bool,
    /// The value: DER.
    pub(super) value: &'a [u8],
}

/// Splits the first extension off the content of a list of them.
pub(super) fn extension<'a>(list: &mut &'a [u8]) -> Option<Extension<'a>> {
    let mut one = expect(list, SEQUENCE)?.content;
    let oid = expect(&mut one, OBJECT_IDENTIFIER)?.content;
    let critical = optional(&mut one, BOOLEAN);
    let is_critical_odd = critical.is_some_and(|b| b.content != [0xff]);
    let critical = critical.is_some_and(|b| b.content != [0]);
    let value = expect(&mut one, OCTET_STRING)?.content;
    Some(Extension {
        oid,
        critical,
        is_critical_odd,
        value,
    })
}

/// Returns the bits of a BIT STRING without unused bits.
pub(super) fn bits(content: &[u8]) -> Option<&[u8]> {
    match content.split_first() {
        Some((0, bits)) => Some(bits),
        _ => None,
    }
}

/// Returns the algorithm (content of the AlgorithmIdentifier) and the key bits of a
/// SubjectPublicKeyInfo.
pub(super) fn public_key(mut spki: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut inner = expect(&mut spki, SEQUENCE)?.content;
    let algorithm = expect(&mut inner, SEQUENCE)?.content;
    let key = bits(expect(&mut inner, BIT_STRING)?.content)?;
    Some((algorithm, key))
}

/// Returns true if the key of a SubjectPublicKeyInfo claims unused bits.
pub(super) fn has_unused_key_bits(mut spki: &[u8]) -> bool {
    let mut key = || {
        let mut inner = expect(&mut spki, SEQUENCE)?.content;
        expect(&mut inner, SEQUENCE)?;
        Some(expect(&mut inner, BIT_STRING)?.content)
    };
    matches!(key(), Some(&[1..=7, ..]))
}

/// Returns the DER of a SubjectPublicKeyInfo: the reverse of [`public_key`].
pub(super) fn subject_public_key_info(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let mut content = sequence(algorithm);
    let bits: Vec<u8> = std::iter::once(0).chain(key.iter().copied()).collect();
    content.extend(encode(BIT_STRING, &bits));
    sequence(&content)
}

/// Returns the DER of a SEQUENCE with this content.
pub(crate) fn sequence(content: &[u8]) -> Vec<u8> {
    encode(SEQUENCE, content)
}

/// Returns the contents of a SEQUENCE with nothing after it.
pub(crate) fn contents(mut der: &[u8]) -> Option<&[u8]> {
    let sequence = expect(&mut der, SEQUENCE)?;
    der.is_empty().then_some(sequence.content)
}

/// Encodes a tag-length-value.
pub(super) fn encode(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der: Vec<u8> = header(tag, content.len()).collect();
    der.extend(content);
    der
}

/// Encodes the tag and the length of a tag-length-value.
pub(super) fn header(tag: u8, length: usize) -> impl Iterator<Item = u8> {
    let octets = length.to_be_bytes();
    let zeros = octets.iter().take_while(|b| **b == 0).count();
    let count = octets.len().saturating_sub(zeros);
    let is_short = length < 0x80;
    // A usize has at most eight octets, and a short length fits in one.
    let first = if is_short {
        length as u8
    } else {
        0x80 | count as u8
    };
    let rest = if is_short { 0 } else { count };
    let long = octets.into_iter().skip(zeros).take(rest);
    [tag, first].into_iter().chain(long)
}

/// The first part of a certificate whose boundaries cannot be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// It is not a DER SEQUENCE, or is cut short.
    #[error("it is not a DER sequence, or is cut short")]
    NotASequence,
    /// The TBSCertificate.
    #[error("its signed part cannot be read")]
    SignedPart,
    /// The AlgorithmIdentifier of the signature.
    #[error("its signature algorithm cannot be read")]
    SignatureAlgorithm,
    /// The signature.
    #[error("its signature cannot be read")]
    Signature,
    /// The serial number.
    #[error("its serial number cannot be read")]
    Serial,
    /// The AlgorithmIdentifier inside the signed part.
    #[error("its inner signature algorithm cannot be read")]
    InnerAlgorithm,
    /// The issuer.
    #[error("its issuer cannot be read")]
    Issuer,
    /// The validity.
    #[error("its validity cannot be read")]
    Validity,
    /// The subject.
    #[error("its subject cannot be read")]
    Subject,
    /// The SubjectPublicKeyInfo.
    #[error("its public key cannot be read")]
    PublicKey,
}

/// Reads the outline.
pub(super) fn outline(der: &[u8]) -> Result<Outline<'_>, Malformed> {
    let mut input = der;
    let mut certificate = expect(&mut input, SEQUENCE)
        .ok_or(Malformed::NotASequence)?
        .content;
    let trailing = !input.is_empty();
    let tbs = expect(&mut certificate, SEQUENCE).ok_or(Malformed::SignedPart)?;
    let signature_algorithm = expect(&mut certificate, SEQUENCE)
        .ok_or(Malformed::SignatureAlgorithm)?
        .content;
    let signature = expect(&mut certificate, BIT_STRING)
        .map(|tlv| bits(tlv.content).unwrap_or_default())
        .ok_or(Malformed::Signature)?;

    let mut fields = tbs.content;
    let has_version = fields.first() == Some(&VERSION);
    let version = match optional(&mut fields, VERSION) {
        None => 1,
        Some(explicit) => {
            let mut inner = explicit.content;
            match expect(&mut inner, INTEGER).map(|v| v.content) {
                Some(&[v @ 0..=0x7f]) => v + 1,
                _ => 0,
            }
        }
    };
    let is_version_default = has_version && version == 1;
    let mut field = |tag, error| expect(&mut fields, tag).ok_or(error);
    let serial = field(INTEGER, Malformed::Serial)?.content;
    let inner_algorithm = field(SEQUENCE, Malformed::InnerAlgorithm)?.content;
    let issuer = field(SEQUENCE, Malformed::Issuer)?.whole;
    let validity = field(SEQUENCE, Malformed::Validity)?.whole;
    let subject = field(SEQUENCE, Malformed::Subject)?.whole;
    let spki = field(SEQUENCE, Malformed::PublicKey)?.whole;
    let before = fields.len();
    for tag in UNIQUE_IDS {
        optional(&mut fields, tag);
    }
    let has_unique_ids = fields.len() != before;
    let list = optional(&mut fields, EXTENSIONS).map(|explicit| {
        let mut inner = explicit.content;
        expect(&mut inner, SEQUENCE).map(|list| list.content)
    });
    Ok(Outline {
        tbs: tbs.whole,
        version,
        is_version_default,
        serial,
        issuer,
        validity,
        subject,
        spki,
        extensions: list.flatten().unwrap_or_default(),
        has_unreadable_extensions: list == Some(None),
        has_unique_ids,
        inner_algorithm,
        signature_algorithm,
        signature,
        trailing,
        has_more_in_tbs: !fields.is_empty(),
        has_more_after_signature: !certificate.is_empty(),
    })
}
