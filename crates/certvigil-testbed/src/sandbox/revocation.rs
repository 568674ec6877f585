//! Revocation list (RFC 5280, section 5) and OCSP responder (RFC 6960) of a sandbox.

use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber,
};
use time::OffsetDateTime;

use certvigil_core::model::Timestamp;

use super::account::{Account, InstanceRecord, IssuingError, Source};
use super::authority::{SandboxAuthority, hex};
use super::der;

/// Time for which a revocation list and an OCSP response are valid, in seconds. It is short,
/// because a client that keeps them does not see a revocation meanwhile.
const VALID_FOR: i64 = 3600;
/// Maximum certificates of one OCSP request.
const MAX_SINGLE_REQUESTS: usize = 16;

/// id-pkix-ocsp-basic, content octets.
const BASIC_RESPONSE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];
/// id-pkix-ocsp-nonce, content octets.
const NONCE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2];
/// ecdsa-with-SHA256, content octets.
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const ENUMERATED: u8 = 0x0a;
const BIT_STRING: u8 = 0x03;
const GENERALIZED_TIME: u8 = 0x18;
const EXPLICIT_0: u8 = 0xa0;
const EXPLICIT_1: u8 = 0xa1;
const EXPLICIT_2: u8 = 0xa2;
/// `good` of CertStatus.
const GOOD: [u8; 2] = [0x80, 0];
/// `unknown` of CertStatus.
const UNKNOWN: [u8; 2] = [0x82, 0];
/// `malformedRequest` of OCSPResponseStatus.
const MALFORMED: u8 = 1;

/// Returns the revocation list as DER. `number` must increase with each list.
///
/// # Errors
/// If the list cannot be signed.
pub(super) fn revocation_list(
    account: &Account,
    authority: &SandboxAuthority,
    now: Timestamp,
) -> Result<Vec<u8>, IssuingError> {
    let at = |seconds: i64| {
        OffsetDateTime::from_unix_timestamp(seconds)
            .map_err(|error| IssuingError(error.to_string()))
    };
    let mut revoked_certs = Vec::new();
    for instance in issued(account) {
        if let Some(revoked_at) = instance.revoked_at {
            revoked_certs.push(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&bytes(&instance.certificate.serial)),
                revocation_time: at(revoked_at)?,
                reason_code: Some(RevocationReason::Superseded),
                invalidity_date: None,
            });
        }
    }
    let number = u64::try_from(now.0).unwrap_or_default();
    let list = CertificateRevocationListParams {
        this_update: at(now.0)?,
        next_update: at(now.0 + VALID_FOR)?,
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs,
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let signed = list.signed_by(&authority.issuing().issuer());
    let signed = signed.map_err(|error| IssuingError(error.to_string()))?;
    Ok(signed.der().to_vec())
}

/// Returns the OCSP response to a request, as DER.
///
/// # Errors
/// If the response cannot be signed.
pub(super) fn ocsp_response(
    request: &[u8],
    account: &Account,
    authority: &SandboxAuthority,
    now: Timestamp,
) -> Result<Vec<u8>, IssuingError> {
    let Some(request) = OcspRequest::read(request) else {
        return Ok(der::sequence(&der::encode(ENUMERATED, &[MALFORMED])));
    };
    let single = |id: &CertId<'_>| {
        let status = id.status(account, authority);
        let parts = [
            id.whole.to_vec(),
            status,
            time(now.0),
            der::encode(EXPLICIT_0, &time(now.0 + VALID_FOR)),
        ];
        der::sequence(&parts.concat())
    };
    let responses: Vec<u8> = request.ids.iter().flat_map(single).collect();
    let name = match authority.issuing().certificate.facts() {
        Ok(facts) => facts.subject_der.clone(),
        Err(error) => return Err(IssuingError(error.to_string())),
    };
    let mut data = [
        der::encode(EXPLICIT_1, &name),
        time(now.0),
        der::sequence(&responses),
    ]
    .concat();
    if let Some(nonce) = request.nonce {
        data.extend(der::encode(EXPLICIT_1, &der::sequence(nonce)));
    }
    let data = der::sequence(&data);
    let signature = authority.issuing().key().sign(&data);
    let signature = signature.map_err(|error| IssuingError(error.to_string()))?;
    let basic = [
        data,
        der::sequence(&der::oid(ECDSA_WITH_SHA256)),
        der::encode(BIT_STRING, &[&[0], signature.as_slice()].concat()),
    ];
    let basic = der::encode(der::OCTET_STRING, &der::sequence(&basic.concat()));
    let bytes = der::sequence(&[der::oid(BASIC_RESPONSE), basic].concat());
    let response = [
        der::encode(ENUMERATED, &[0]),
        der::encode(EXPLICIT_0, &bytes),
    ];
    Ok(der::sequence(&response.concat()))
}

/// OCSPRequest (RFC 6960, section 4.1.1).
struct OcspRequest<'a> {
    ids: Vec<CertId<'a>>,
    /// Extension with the nonce, whole.
    nonce: Option<&'a [u8]>,
}

/// CertID of a request.
struct CertId<'a> {
    whole: &'a [u8],
    /// Hash of the issuer's key.
    key_hash: &'a [u8],
    serial: &'a [u8],
}

impl<'a> OcspRequest<'a> {
    fn read(mut request: &'a [u8]) -> Option<Self> {
        let (_, mut outer) = der::expect(&mut request, der::SEQUENCE)?;
        let (_, mut tbs) = der::expect(&mut outer, der::SEQUENCE)?;
        // The version and the name of the requestor have no effect.
        let _ = der::expect(&mut tbs, EXPLICIT_0);
        let _ = der::expect(&mut tbs, EXPLICIT_1);
        let (_, mut list) = der::expect(&mut tbs, der::SEQUENCE)?;
        let mut ids = Vec::new();
        while !list.is_empty() && ids.len() < MAX_SINGLE_REQUESTS {
            let (_, mut one) = der::expect(&mut list, der::SEQUENCE)?;
            let (whole, mut id) = der::expect(&mut one, der::SEQUENCE)?;
            der::expect(&mut id, der::SEQUENCE)?;
            der::expect(&mut id, der::OCTET_STRING)?;
            let (_, key_hash) = der::expect(&mut id, der::OCTET_STRING)?;
            let (_, serial) = der::expect(&mut id, der::INTEGER)?;
            ids.push(CertId {
                whole,
                key_hash,
                serial,
            });
        }
        let nonce = nonce(tbs);
        (!ids.is_empty()).then_some(Self { ids, nonce })
    }
}

fn nonce(mut rest: &[u8]) -> Option<&[u8]> {
    let (_, mut explicit) = der::expect(&mut rest, EXPLICIT_2)?;
    let (_, mut list) = der::expect(&mut explicit, der::SEQUENCE)?;
    loop {
        let (whole, mut extension) = der::expect(&mut list, der::SEQUENCE)?;
        let (_, oid) = der::expect(&mut extension, der::OBJECT_IDENTIFIER)?;
        if oid == NONCE {
            return Some(whole);
        }
    }
}

impl CertId<'_> {
    /// Returns the CertStatus (RFC 6960, section 4.2.1).
    fn status(&self, account: &Account, authority: &SandboxAuthority) -> Vec<u8> {
        let is_issuer = authority
            .issuing()
            .certificate
            .public_key()
            .is_some_and(|(_, key)| self.is_hash_of(key));
        let serial = hex(self.serial);
        let found = issued(account).find(|i| i.certificate.serial == serial);
        match found {
            Some(instance) if is_issuer => match instance.revoked_at {
                None => GOOD.to_vec(),
                Some(at) => {
                    const SUPERSEDED: u8 = 4;
                    let reason = der::encode(ENUMERATED, &[SUPERSEDED]);
                    let info = [time(at), der::encode(EXPLICIT_0, &reason)];
                    der::encode(EXPLICIT_1, &info.concat())
                }
            },
            _ => UNKNOWN.to_vec(),
        }
    }

    /// Returns true if the hash of the issuer's key is that of this key. The length tells SHA-1
    /// from SHA-256.
    fn is_hash_of(&self, key: &[u8]) -> bool {
        use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
        [&SHA1_FOR_LEGACY_USE_ONLY, &SHA256]
            .into_iter()
            .any(|algorithm| digest(algorithm, key).as_ref() == self.key_hash)
    }
}

/// Returns all instances whose certificates the sandbox issued.
fn issued(account: &Account) -> impl Iterator<Item = &InstanceRecord> {
    let all = account.certificates.values().flat_map(|c| &c.instances);
    let is_issued =
        |i: &&InstanceRecord| !i.certificate.is_temporary && i.source == Source::Sslmate;
    all.map(std::sync::Arc::as_ref).filter(is_issued)
}

/// Returns a GeneralizedTime.
fn time(seconds: i64) -> Vec<u8> {
    let at = Timestamp(seconds).to_string();
    // RFC 3339 in UTC, such as 2027-02-20T10:00:00Z, without its separators.
    let digits: String = at.chars().filter(char::is_ascii_digit).take(14).collect();
    der::encode(GENERALIZED_TIME, format!("{digits}Z").as_bytes())
}

/// Returns the bytes of a hexadecimal number.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().collect();
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    };
    digits.chunks(2).filter_map(byte).collect()
}
