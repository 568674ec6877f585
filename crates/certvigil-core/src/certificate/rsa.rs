//! RSA signatures that the cryptographic library refuses: because of the key's size (appliances
//! still have short keys), the hash, or the parameters of PSS.

use num_bigint::BigUint;

use super::der;
use super::hash::Hash;

/// Supported sizes of the modulus in bits. A shorter one is too short for a signature with SHA-256;
/// OpenSSL refuses a longer one as well.
pub const MODULUS_BITS: std::ops::RangeInclusive<usize> = 512..=16 * 1024;
/// Sizes of the modulus in bits that the library supports.
pub(super) const LIBRARY_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Size in bits of the largest public exponent that the library accepts.
const LIBRARY_EXPONENT_BITS: u64 = 33;
/// Maximum work of one verification: multiplications, times the square of the modulus' 64-bit
/// words. The limit is a modulus of 16384 bits with the exponent 65537, about 2.5 ms of CPU.
const MAX_WORK: u64 = 256 * 256 * 17;

/// A public key (RFC 8017, appendix A.1.1).
#[derive(Clone, Debug)]
pub struct PublicKey {
    n: BigUint,
    e: BigUint,
    is_canonical: bool,
}

impl PublicKey {
    /// Reads the DER of an RSAPublicKey. Integers are read as positive: some encoders omit the zero
    /// octet that DER requires before a high bit.
    pub fn read(mut key: &[u8]) -> Option<Self> {
        let mut fields = der::expect(&mut key, der::SEQUENCE)?.content;
        let n = der::expect(&mut fields, der::INTEGER)?.content;
        let e = der::expect(&mut fields, der::INTEGER)?.content;
        let is_canonical =
            key.is_empty() && fields.is_empty() && is_positive_der(n) && is_positive_der(e);
        Some(Self {
            n: BigUint::from_bytes_be(n),
            e: BigUint::from_bytes_be(e),
            is_canonical,
        })
    }

    /// Returns the size of the modulus in bits.
    pub fn bits(&self) -> usize {
        usize::try_from(self.n.bits()).unwrap_or(usize::MAX)
    }

    /// Returns true if the key can verify signatures: its size is supported, its numbers are odd,
    /// its exponent is at least 3, and one verification does not exceed the maximum work.
    pub fn is_usable(&self) -> bool {
        MODULUS_BITS.contains(&self.bits())
            && self.n.bit(0)
            && self.has_sound_exponent()
            && self.work() <= MAX_WORK
    }

    /// Returns true if the exponent is odd and at least 3: with the exponent 1, anyone can sign.
    pub(super) fn has_sound_exponent(&self) -> bool {
        self.e.bit(0) && self.e.bits() > 1
    }

    /// Returns the size of the exponent in bits.
    pub(crate) fn exponent_bits(&self) -> u64 {
        self.e.bits()
    }

    /// Returns true if the library accepts the key.
    pub fn is_for_library(&self) -> bool {
        self.is_canonical
            && LIBRARY_BITS.contains(&self.bits())
            && self.n.bit(0)
            && self.has_sound_exponent()
            && self.e.bits() <= LIBRARY_EXPONENT_BITS
    }

    /// Returns the work of one verification: multiplications, times the square of the modulus'
    /// 64-bit words.
    pub(super) fn work(&self) -> u64 {
        let words = self.n.bits().div_ceil(64);
        let multiplications = (self.e.bits() + self.e.count_ones()).saturating_sub(2);
        let work = words.checked_mul(words);
        let work = work.and_then(|w| w.checked_mul(multiplications));
        work.unwrap_or(u64::MAX)
    }

    /// Verifies a PKCS #1 v1.5 signature over `info`: a DigestInfo, or the two bare hashes of TLS
    /// 1.1 and earlier (RFC 4346, section 4.7).
    pub fn verify_info(&self, info: &[u8], signature: &[u8]) -> bool {
        self.apply(signature)
            .is_some_and(|encoded| is_pkcs1(&encoded, info))
    }

    /// Verifies a PSS signature.
    pub fn verify_pss(&self, pss: Pss, message: &[u8], signature: &[u8]) -> bool {
        self.apply(signature)
            .is_some_and(|encoded| pss.is_met_by(&encoded, self.bits(), message))
    }

    /// Applies the key to a block that is as long as the modulus: returns the encoded message in a
    /// signature, or encrypts a padded message (RFC 8017, sections 5.1.1 and 5.2.2). `None` if the
    /// key is not usable, or the number is not less than the modulus.
    pub fn apply(&self, block: &[u8]) -> Option<Vec<u8>> {
        let length = self.bits().div_ceil(8);
        if !self.is_usable() || block.len() != length {
            return None;
        }
        let number = BigUint::from_bytes_be(block);
        if number >= self.n {
            return None;
        }
        let raised = self.raise(&number).to_bytes_be();
        let mut applied = vec![0; length.saturating_sub(raised.len())];
        applied.extend(raised);
        Some(applied)
    }

    /// Raises the base to the power of the exponent, bit by bit: exponents are short, and
    /// `BigUint::modpow` processes all 64 bits of a word.
    fn raise(&self, base: &BigUint) -> BigUint {
        let below_top = (0..self.e.bits().saturating_sub(1)).rev();
        below_top.fold(base.clone(), |power, bit| {
            let square = &power * &power % &self.n;
            if self.e.bit(bit) {
                square * base % &self.n
            } else {
                square
            }
        })
    }
}

/// Returns true for the content of an INTEGER that is positive and in the shortest form (X.690,
/// section 8.3).
fn is_positive_der(content: &[u8]) -> bool {
    match content {
        [0, second, ..] => second & 0x80 != 0,
        [first, ..] => first & 0x80 == 0,
        [] => false,
    }
}

/// Verifies EMSA-PKCS1-v1_5 (RFC 8017, section 9.2) by encoding again and comparing, so nothing is
/// parsed.
fn is_pkcs1(encoded: &[u8], info: &[u8]) -> bool {
    // Two octets precede the padding, which has at least eight, and one follows it.
    let padding = encoded.len().checked_sub(info.len() + 3);
    let Some(padding) = padding.filter(|p| *p >= 8) else {
        return false;
    };
    let mut wanted = vec![0x00, 0x01];
    wanted.resize(2 + padding, 0xff);
    wanted.push(0x00);
    wanted.extend(info);
    encoded == wanted
}

/// The parameters of RSASSA-PSS (RFC 8017, appendix A.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pss {
    /// The hash of the message.
    pub hash: Hash,
    /// The hash of the mask generation function, MGF1.
    pub mask_hash: Hash,
    /// Length of the salt in octets.
    pub salt: usize,
}

/// id-mgf1, 1.2.840.113549.1.1.8.
const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];

impl Pss {
    const HASH: u8 = 0xa0;
    const MASK: u8 = 0xa1;
    const SALT: u8 = 0xa2;

    /// Returns parameters with one hash and a salt as long as the hash (RFC 8446, section 4.2.3).
    pub fn with(hash: Hash) -> Self {
        Self {
            hash,
            mask_hash: hash,
            salt: hash.length(),
        }
    }

    /// Returns the DER of the parameters if one hash is used twice and the salt has its length:
    /// clients compare these octets. Returns nothing for others.
    pub(super) fn encode(self) -> Vec<u8> {
        if self != Self::with(self.hash) {
            return Vec::new();
        }
        let hash = self.hash.identifier();
        let mask = der::sequence(&[&der::encode(der::OBJECT_IDENTIFIER, MGF1), &*hash].concat());
        let salt = u8::try_from(self.salt).unwrap_or(u8::MAX);
        let salt = der::encode(der::INTEGER, &[salt]);
        let fields = [
            der::encode(Self::HASH, &hash),
            der::encode(Self::MASK, &mask),
            der::encode(Self::SALT, &salt),
        ];
        der::sequence(&fields.concat())
    }

    /// Reads the content of the parameters' SEQUENCE, where every field has a default.
    pub(super) fn read(mut fields: &[u8]) -> Option<Self> {
        const TRAILER: u8 = 0xa3;
        let hash = match der::explicit(&mut fields, Self::HASH, der::SEQUENCE) {
            None => Hash::Sha1,
            Some(algorithm) => read_hash(algorithm?.content)?,
        };
        let mask_hash = match der::explicit(&mut fields, Self::MASK, der::SEQUENCE) {
            None => Hash::Sha1,
            Some(algorithm) => {
                let mut algorithm = algorithm?.content;
                let function = der::expect(&mut algorithm, der::OBJECT_IDENTIFIER)?;
                let hash = der::expect(&mut algorithm, der::SEQUENCE)?.content;
                if function.content != MGF1 {
                    return None;
                }
                read_hash(hash)?
            }
        };
        let salt = match der::explicit(&mut fields, Self::SALT, der::INTEGER) {
            None => 20,
            Some(length) => match length?.content {
                [length @ 0..=0x7f] => usize::from(*length),
                [high @ 0..=0x7f, low] => usize::from(*high) << 8 | usize::from(*low),
                _ => return None,
            },
        };
        match der::explicit(&mut fields, TRAILER, der::INTEGER) {
            None => {}
            Some(trailer) if trailer?.content == [1] => {}
            Some(_) => return None,
        }
        fields.is_empty().then_some(Self {
            hash,
            mask_hash,
            salt,
        })
    }

    /// Verifies EMSA-PSS (RFC 8017, section 9.1.2).
    fn is_met_by(self, encoded: &[u8], modulus_bits: usize, message: &[u8]) -> bool {
        let hash_length = self.hash.length();
        let em_bits = modulus_bits.saturating_sub(1);
        let em_length = em_bits.div_ceil(8);
        // If the modulus has 8k + 1 bits, the encoded message is one octet shorter than it.
        let (leading, em) = encoded.split_at(encoded.len().saturating_sub(em_length));
        if leading.iter().any(|b| *b != 0) || em.len() < hash_length + self.salt + 2 {
            return false;
        }
        let (masked, rest) = em.split_at(em.len() - hash_length - 1);
        let Some((0xbc, h)) = rest.split_last().map(|(last, h)| (*last, h)) else {
            return false;
        };
        let unused = (8 * em_length - em_bits) as u32; // less than 8
        let top_mask = 0xffu8.checked_shr(unused).unwrap_or(0);
        if masked.first().is_some_and(|top| top & !top_mask != 0) {
            return false;
        }
        let mut block: Vec<u8> = masked
            .iter()
            .zip(mgf1(h, masked.len(), self.mask_hash))
            .map(|(a, b)| a ^ b)
            .collect();
        if let Some(top) = block.first_mut() {
            *top &= top_mask;
        }
        let (padding, salt) = block.split_at(block.len() - self.salt);
        let Some((0x01, zeros)) = padding.split_last().map(|(last, zeros)| (*last, zeros)) else {
            return false;
        };
        if zeros.iter().any(|b| *b != 0) {
            return false;
        }
        let message_hash = self.hash.digest(&[message]);
        self.hash.digest(&[&[0; 8], &message_hash, salt]) == h
    }
}

/// Reads the hash from the content of an AlgorithmIdentifier.
fn read_hash(mut algorithm: &[u8]) -> Option<Hash> {
    Hash::of(der::expect(&mut algorithm, der::OBJECT_IDENTIFIER)?.content)
}

/// Returns the mask of the mask generation function (RFC 8017, appendix B.2.1).
fn mgf1(seed: &[u8], length: usize, hash: Hash) -> Vec<u8> {
    let mut mask = Vec::with_capacity(length + hash.length());
    for counter in 0u32.. {
        if mask.len() >= length {
            break;
        }
        mask.extend(hash.digest(&[seed, &counter.to_be_bytes()]));
    }
    mask.truncate(length);
    mask
}
