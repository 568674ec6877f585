//! OCSP responses (RFC 6960, section 4.2) and the request URL (appendix A).

mod staple;

use aws_lc_rs::digest;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::model::Timestamp;

use super::super::extensions::Extensions;
use super::super::read::read_time;
use super::super::signature::Signed;
use super::super::{Certificate, Link, PublicKeyHash, der, key_signed};
use super::{
    Answer, CLOCK_SKEW, Issuer, LIFE_WITHOUT_END, Revoked, Status, Unusable, fresh, is_same_name,
    reason, serial, verified,
};

pub use staple::{StapleFaults, staple_faults};

/// Maximum size of a response in bytes. Usual responses have 300 to 5000.
pub const MAX_OCSP_BYTES: usize = 16 << 10;
/// Maximum certificates in a response that are examined as the responder's. Usual responses have at
/// most one.
const MAX_RESPONDERS: usize = 4;

const EXPLICIT_0: u8 = 0xa0;
const EXPLICIT_1: u8 = 0xa1;
const EXPLICIT_2: u8 = 0xa2;
const GENERALIZED_TIME: u8 = 0x18;

/// id-pkix-ocsp-basic, 1.3.6.1.5.5.7.48.1.1.
const BASIC_RESPONSE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];
/// id-sha1, 1.3.14.3.2.26.
const SHA1: &[u8] = &[0x2b, 0x0e, 3, 2, 0x1a];
/// id-sha256, 2.16.840.1.101.3.4.2.1. The last arcs of SHA-384 and SHA-512 are 2 and 3.
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2];
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3];

/// Returns the status of a certificate from an OCSP response. Verifies that the issuer, or a
/// responder that the issuer has authorised, signed it for this certificate and that it is valid at
/// this time.
///
/// An expired response that reports a revocation still counts, as in an expired revocation list,
/// unless the reason is certificateHold. A revocation also counts if clients refuse an extension of
/// the responder's certificate.
///
/// # Errors
/// Returns the reason if the response does not give the status of the certificate.
pub fn read_ocsp(
    response: &[u8],
    leaf: &Certificate,
    issuer: &Issuer,
    now: Timestamp,
) -> Result<Answer, Unusable> {
    if response.len() > MAX_OCSP_BYTES {
        return Err(Unusable::TooLarge);
    }
    let basic = Basic::read(response)?;
    let single = basic.about(leaf, issuer)?;
    let from = single.this_update;
    let without_end = Timestamp(from.0.saturating_add(LIFE_WITHOUT_END));
    let until = single.next_update.unwrap_or(without_end);
    let freshness = fresh(from, until, now);
    let is_permanent = single.status.is_some_and(Status::is_permanent);
    if is_permanent && matches!(freshness, Err(Unusable::Outdated(_))) {
        // The responder's certificate was valid when it signed.
        basic.verify(issuer, from, single.status)?;
    } else {
        basic.verify(issuer, now, single.status)?;
        freshness?;
    }
    let status = single.status.ok_or(Unusable::Unknown)?;
    Ok(Answer { status, until })
}

/// Returns the first time at which a response of a certificate in it is outdated. The signature is
/// not verified.
pub fn ocsp_outdated_from(response: &[u8]) -> Option<Timestamp> {
    let mut responses = Basic::read(response).ok()?.responses;
    let singles = std::iter::from_fn(|| {
        let mut fields = der::expect(&mut responses, der::SEQUENCE)?.content;
        der::expect(&mut fields, der::SEQUENCE)?; // the certificate
        read_single(fields)
    });
    let ends = singles.map(|single| {
        let without_end = Timestamp(single.this_update.0.saturating_add(LIFE_WITHOUT_END));
        single.next_update.unwrap_or(without_end)
    });
    ends.min()
        .map(|end| Timestamp(end.0.saturating_add(CLOCK_SKEW + 1)))
}

/// Returns the URL of a GET request for the status of a certificate (RFC 6960, appendix A.1; RFC
/// 5019, section 5).
pub fn ocsp_url(responder: &str, leaf: &Certificate, issuer: &Issuer) -> Option<String> {
    use base64::Engine as _;
    let request = ocsp_request(leaf, issuer)?;
    let request = base64::engine::general_purpose::STANDARD.encode(request);
    let request = utf8_percent_encode(&request, NON_ALPHANUMERIC);
    Some(format!("{}/{request}", responder.trim_end_matches('/')))
}

/// Returns the DER of a request for the status of a certificate (RFC 6960, section 4.1.1), which is the body
/// of a POST request. The issuer is identified by SHA-1 because every responder supports it.
pub fn ocsp_request(leaf: &Certificate, issuer: &Issuer) -> Option<Vec<u8>> {
    let hash = |bytes| digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
    let (_, key) = der::public_key(&issuer.spki)?;
    let algorithm = [der::encode(der::OBJECT_IDENTIFIER, SHA1), vec![5, 0]].concat();
    let id = [
        der::sequence(&algorithm),
        der::encode(der::OCTET_STRING, hash(&issuer.name).as_ref()),
        der::encode(der::OCTET_STRING, hash(key).as_ref()),
        der::encode(der::INTEGER, serial(leaf)?),
    ];
    // The five layers: OCSPRequest, TBSRequest, requestList, Request, CertID.
    Some((0..5).fold(id.concat(), |inner, _| der::sequence(&inner)))
}

/// A BasicOCSPResponse, unverified.
struct Basic<'a> {
    signed: Signed<'a>,
    responder: Responder<'a>,
    /// The content of the time of signing.
    produced_at: &'a [u8],
    /// The content of the list of SingleResponses.
    responses: &'a [u8],
    /// The content of the list of certificates.
    certificates: &'a [u8],
}

/// The claimed signer.
#[derive(Clone, Copy)]
enum Responder<'a> {
    /// A name as DER.
    Name(&'a [u8]),
    /// The SHA-1 of a key's bits.
    Key(&'a [u8]),
}

impl Responder<'_> {
    fn is(self, name: &[u8], spki: &[u8]) -> bool {
        match self {
            Self::Name(wanted) => is_same_name(wanted, name),
            Self::Key(wanted) => der::public_key(spki).is_some_and(|(_, key)| {
                digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, key).as_ref() == wanted
            }),
        }
    }
}

/// The response for one certificate.
struct Single {
    /// `None` if the responder does not know the certificate.
    status: Option<Status>,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
}

impl<'a> Basic<'a> {
    fn read(mut response: &'a [u8]) -> Result<Self, Unusable> {
        let unreadable = |what| move || Unusable::Unreadable(what);
        let mut outer = der::expect(&mut response, der::SEQUENCE)
            .filter(|_| response.is_empty())
            .ok_or_else(unreadable("it is not a DER sequence, or is cut short"))?
            .content;
        let status = der::expect(&mut outer, der::ENUMERATED)
            .ok_or_else(unreadable("its status"))?
            .content;
        match status {
            [0] => {}
            [1] => return Err(Unusable::Refused("malformedRequest")),
            [2] => return Err(Unusable::Refused("internalError")),
            [3] => return Err(Unusable::Refused("tryLater")),
            [5] => return Err(Unusable::Refused("sigRequired")),
            [6] => return Err(Unusable::Refused("unauthorized")),
            _ => return Err(Unusable::Unreadable("its status")),
        }
        let basic = der::explicit(&mut outer, EXPLICIT_0, der::SEQUENCE).flatten();
        let basic = basic.and_then(|bytes| {
            let mut bytes = bytes.content;
            let kind = der::expect(&mut bytes, der::OBJECT_IDENTIFIER)?;
            let mut inner = der::expect(&mut bytes, der::OCTET_STRING)?.content;
            let basic = der::expect(&mut inner, der::SEQUENCE)?;
            (kind.content == BASIC_RESPONSE && inner.is_empty()).then_some(basic.content)
        });
        let mut basic = basic.ok_or_else(unreadable("it is no basic response"))?;
        let tbs = der::expect(&mut basic, der::SEQUENCE).ok_or_else(unreadable("what it says"))?;
        let algorithm = der::expect(&mut basic, der::SEQUENCE);
        let signature = der::expect(&mut basic, der::BIT_STRING);
        let (algorithm, signature) = algorithm
            .zip(signature.and_then(|s| der::bits(s.content)))
            .ok_or_else(unreadable("its signature"))?;
        let certificates = match der::explicit(&mut basic, EXPLICIT_0, der::SEQUENCE) {
            None => &[][..],
            Some(list) => list.ok_or_else(unreadable("its certificates"))?.content,
        };
        let (responder, produced_at, responses) =
            Self::read_data(tbs.content).ok_or_else(unreadable("what it says"))?;
        Ok(Self {
            signed: Signed {
                message: tbs.whole,
                algorithm: algorithm.content,
                inner_algorithm: None,
                signature,
            },
            responder,
            produced_at,
            responses,
            certificates,
        })
    }

    /// Returns the responder, the time of signing and the list of responses in the ResponseData.
    fn read_data(mut data: &'a [u8]) -> Option<(Responder<'a>, &'a [u8], &'a [u8])> {
        der::optional(&mut data, EXPLICIT_0); // the version
        let mut id = der::split(&mut data)?;
        let responder = match id.tag {
            EXPLICIT_1 => Responder::Name(der::expect(&mut id.content, der::SEQUENCE)?.whole),
            EXPLICIT_2 => Responder::Key(der::expect(&mut id.content, der::OCTET_STRING)?.content),
            _ => return None,
        };
        let produced_at = der::expect(&mut data, GENERALIZED_TIME)?.content;
        let responses = der::expect(&mut data, der::SEQUENCE)?.content;
        if let Some(extensions) = der::explicit(&mut data, EXPLICIT_1, der::SEQUENCE) {
            refuse_critical(extensions?.content)?;
        }
        Some((responder, produced_at, responses))
    }

    /// Returns the response for this certificate.
    fn about(&self, leaf: &Certificate, issuer: &Issuer) -> Result<Single, Unusable> {
        let mut responses = self.responses;
        while !responses.is_empty() {
            let single = der::expect(&mut responses, der::SEQUENCE)
                .ok_or(Unusable::Unreadable("what it says"))?;
            let mut fields = single.content;
            let is_wanted = der::expect(&mut fields, der::SEQUENCE)
                .and_then(|id| is_id_of(id.content, leaf, issuer))
                .ok_or(Unusable::Unreadable("which certificate it is about"))?;
            if is_wanted {
                return read_single(fields)
                    .ok_or(Unusable::Unreadable("its entry for the certificate"));
            }
        }
        Err(Unusable::OtherCertificate)
    }

    /// Verifies that the signer of this status is the issuer, or a responder that the issuer has
    /// authorised (RFC 6960, section 4.2.2.2).
    fn verify(
        &self,
        issuer: &Issuer,
        now: Timestamp,
        status: Option<Status>,
    ) -> Result<(), Unusable> {
        let is_issuer = self.responder.is(&issuer.name, &issuer.spki);
        let by_issuer = is_issuer.then(|| self.signed.by(&issuer.spki));
        if let Some(link) = by_issuer {
            // Two keys may share a name. In that case a certificate in the response has the other
            // key.
            if link == Link::Verified || self.certificates.is_empty() {
                return verified(link);
            }
        }
        let mut certificates = self.certificates;
        let all = std::iter::from_fn(|| der::expect(&mut certificates, der::SEQUENCE));
        let candidates = all
            .map(|der| Certificate::from_der(der.whole.to_vec()))
            .filter(|c| {
                c.facts()
                    .is_ok_and(|f| self.responder.is(&f.subject_der, &f.spki))
            });
        let mut fault = None;
        for candidate in candidates.take(MAX_RESPONDERS) {
            let result = self.verify_by(&candidate, issuer, now, status);
            match result {
                Ok(()) => return Ok(()),
                Err(found) => fault = fault.or(Some(found)),
            }
        }
        Err(fault.unwrap_or_else(|| match by_issuer {
            Some(Link::Unverifiable) => Unusable::Unverifiable,
            Some(_) => Unusable::WrongSignature,
            None => {
                let why = "it is neither the issuer nor does it show a certificate";
                Unusable::NotAuthorised(why.into())
            }
        }))
    }

    fn verify_by(
        &self,
        responder: &Certificate,
        issuer: &Issuer,
        now: Timestamp,
        status: Option<Status>,
    ) -> Result<(), Unusable> {
        let Ok(facts) = responder.facts() else {
            return Err(Unusable::Unreadable("its responder's certificate"));
        };
        let link = key_signed(&issuer.spki, PublicKeyHash::of(&issuer.spki), responder);
        let not = |why: &str| {
            Err(Unusable::NotAuthorised(format!(
                "the certificate of `{}` {why}",
                facts.name()
            )))
        };
        // Some clients refuse these names and extensions, and others do not: good counts only if
        // all accept it, and a revocation must not be lost.
        let is_revoked = matches!(status, Some(Status::Revoked(_)));
        let is_issuer = match is_revoked {
            true => is_same_name(&facts.issuer_der, &issuer.name),
            false => facts.issuer_der == issuer.name,
        };
        if !is_issuer || link == Link::No {
            return not("is of another issuer");
        }
        verified(link)?;
        if !facts.may_sign_ocsp {
            return not("lacks the extended key usage OCSPSigning");
        }
        if let Some(why) = extension_fault(&facts.extensions).filter(|_| !is_revoked) {
            return not(&why);
        }
        if facts.not_before.seconds_since(now) > CLOCK_SKEW {
            return not("is not valid yet");
        }
        if now.seconds_since(facts.not_after) > CLOCK_SKEW {
            return not("has expired");
        }
        verified(self.signed.by(&facts.spki))
    }
}

/// Returns the fault for which a client refuses the extensions of a responder's certificate: path
/// validation refuses an unknown critical extension and a duplicate one (RFC 5280, section 4.2).
///
/// GnuTLS also refuses id-pkix-ocsp-nocheck if it is critical, which it should not be (RFC 6960,
/// section 4.2.2.2.1).
fn extension_fault(extensions: &Extensions) -> Option<String> {
    let mut critical = extensions.list.iter().filter(|l| l.is_critical);
    if let Some(unknown) = critical.find(|l| !l.kind.is_processed()) {
        let name = unknown.kind.name();
        return Some(format!("has the unsupported critical extension {name}"));
    }
    if let Some(kind) = extensions.first_duplicate() {
        return Some(format!("has the extension {} more than once", kind.name()));
    }
    let is_unreadable = extensions.has_unreadable_entry || extensions.is_cut_short;
    is_unreadable.then(|| "has an extension that cannot be read".to_owned())
}

/// Returns true if a CertID's content identifies this certificate, or `None` if it cannot be read.
fn is_id_of(mut id: &[u8], leaf: &Certificate, issuer: &Issuer) -> Option<bool> {
    let mut algorithm = der::expect(&mut id, der::SEQUENCE)?.content;
    let hash = match der::expect(&mut algorithm, der::OBJECT_IDENTIFIER)?.content {
        SHA1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        SHA256 => &digest::SHA256,
        SHA384 => &digest::SHA384,
        SHA512 => &digest::SHA512,
        _ => return Some(false),
    };
    let name_hash = der::expect(&mut id, der::OCTET_STRING)?.content;
    let key_hash = der::expect(&mut id, der::OCTET_STRING)?.content;
    let number = der::expect(&mut id, der::INTEGER)?.content;
    let (_, key) = der::public_key(&issuer.spki)?;
    Some(
        serial(leaf) == Some(number)
            && digest::digest(hash, &issuer.name).as_ref() == name_hash
            && digest::digest(hash, key).as_ref() == key_hash,
    )
}

/// Reads the fields after the CertID in a SingleResponse.
fn read_single(mut fields: &[u8]) -> Option<Single> {
    const GOOD: u8 = 0x80;
    const REVOKED: u8 = EXPLICIT_1;
    const UNKNOWN: u8 = 0x82;
    let status = der::split(&mut fields)?;
    let status = match status.tag {
        GOOD => Some(Status::Good),
        REVOKED => {
            let mut info = status.content;
            let at = read_time(der::expect(&mut info, GENERALIZED_TIME)?)?;
            let reason = match der::explicit(&mut info, EXPLICIT_0, der::ENUMERATED) {
                None => None,
                Some(code) => reason(code?.content),
            };
            Some(Status::Revoked(Revoked { at, reason }))
        }
        UNKNOWN => None,
        _ => return None,
    };
    let this_update = read_time(der::expect(&mut fields, GENERALIZED_TIME)?)?;
    let next_update = match der::explicit(&mut fields, EXPLICIT_0, GENERALIZED_TIME) {
        None => None,
        Some(time) => Some(read_time(time?)?),
    };
    if let Some(extensions) = der::explicit(&mut fields, EXPLICIT_1, der::SEQUENCE) {
        refuse_critical(extensions?.content)?;
    }
    Some(Single {
        status,
        this_update,
        next_update,
    })
}

/// Returns `None` if there is a critical extension: no known extension changes the meaning of a
/// response, and an unknown critical one must not be ignored (RFC 6960, section 4.4).
fn refuse_critical(mut extensions: &[u8]) -> Option<()> {
    while !extensions.is_empty() {
        if der::extension(&mut extensions)?.critical {
            return None;
        }
    }
    Some(())
}
