//! Properties of the signature algorithms of certificates.

use crate::certificate::{Key, SignatureAlgorithm, hash::Hash};
use crate::finding::Property;

/// Returns true if the name of a signature algorithm is its object identifier.
pub(super) fn is_of_unknown_kind(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_digit())
}

/// Returns the property of a signature with a rare or weak algorithm.
pub(super) fn of_signature(
    signature: &SignatureAlgorithm,
    above: Option<&Key>,
) -> Option<Property> {
    let name = signature.name.to_ascii_lowercase();
    if signature.is_weak {
        let is_md5 = name.contains("md5") || signature.hash == Some(Hash::Md5);
        return Some(match is_md5 {
            true => Property::Md5Signature,
            false => Property::Sha1Signature,
        });
    }
    if let Some(pss) = signature.pss {
        // GnuTLS accepts another salt of a key that is bound to RSASSA-PSS; others refuse such keys.
        let has_pss_key = matches!(above, Some(Key::RsaPss(_)));
        return if pss.mask_hash != pss.hash {
            Some(Property::PssHashes)
        } else if signature.has_rare_hash() {
            Some(Property::PssRareHash)
        } else if pss.salt != pss.hash.length() && !has_pss_key {
            Some(Property::PssSalt)
        } else {
            signature.has_pss_trailer.then_some(Property::PssTrailer)
        };
    }
    if signature.has_rare_hash() && signature.hash.is_none_or(|hash| hash == Hash::Sha224) {
        return Some(Property::Sha224Signature);
    }
    of_new_hash(signature)
}

/// Returns the property of a signature with SHA-3 or SHA-512/256, without RSASSA-PSS.
pub(super) fn of_new_hash(signature: &SignatureAlgorithm) -> Option<Property> {
    Some(match signature.hash.filter(|_| signature.pss.is_none())? {
        Hash::Sha512T256 => Property::TruncatedSha512Signature,
        Hash::Sha3_256 | Hash::Sha3_384 | Hash::Sha3_512 if signature.name.starts_with("ecdsa") => {
            Property::EcdsaSha3
        }
        Hash::Sha3_256 | Hash::Sha3_384 | Hash::Sha3_512 => Property::Sha3Signature,
        _ => return None,
    })
}
