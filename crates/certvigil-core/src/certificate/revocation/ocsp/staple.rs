//! The form of a stapled OCSP response. GnuTLS and Java parse parts of it that do not matter for the
//! status of the certificate, and refuse the handshake if they cannot. As measured with GnuTLS 3.7.9
//! and Java 17.

use super::super::super::{Certificate, der};
use super::{
    Basic, EXPLICIT_0, GENERALIZED_TIME, Issuer, MAX_OCSP_BYTES, Unusable, is_id_of, read_single,
};

/// The faults of a stapled response's form for which clients refuse it. `None` if there is none, or
/// if it is not known what the client does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StapleFaults {
    /// For GnuTLS, which parses the whole response strictly, and reads its first entry only.
    pub gnutls: Option<Unusable>,
    /// For Java, which parses the whole response as part of the Certificate message of TLS 1.3
    /// (`sun.security.provider.certpath.OCSPResponse`).
    pub java: Option<Unusable>,
}

/// Returns the faults of a stapled response. Without the issuer, it is not known which certificate
/// an entry is about.
pub fn staple_faults(response: &[u8], leaf: &Certificate, issuer: Option<&Issuer>) -> StapleFaults {
    if response.len() > MAX_OCSP_BYTES {
        return StapleFaults::default();
    }
    let basic = match Basic::read(response) {
        Ok(basic) => basic,
        Err(fault) => {
            return StapleFaults {
                gnutls: None,
                java: (!is_read_by_java(response)).then_some(fault),
            };
        }
    };
    let of_both = certificates(&basic);
    let entries = entries(&basic);
    let of_first = || {
        let issuer = issuer?;
        let mut responses = basic.responses;
        let mut first = der::expect(&mut responses, der::SEQUENCE)?.content;
        let id = der::expect(&mut first, der::SEQUENCE)?;
        let is_other = is_id_of(id.content, leaf, issuer) == Some(false);
        is_other.then_some(Unusable::OutOfScope(
            "its first entry is about another, and GnuTLS reads only that one",
        ))
    };
    let java = of_both
        .clone()
        .or_else(|| zone(basic.produced_at, Zone::Missing))
        .or(entries.java);
    let gnutls = of_both
        .or_else(|| zone(basic.produced_at, Zone::Offset))
        .or(entries.gnutls)
        .or_else(of_first);
    StapleFaults { gnutls, java }
}

/// Returns true if Java reads a response that certvigil does not read: it ignores what follows the
/// response, and the contents of one that is an error. It knows the unused status 4.
fn is_read_by_java(response: &[u8]) -> bool {
    const LAST_STATUS: u8 = 6;
    let mut rest = response;
    let Some(mut outer) = der::expect(&mut rest, der::SEQUENCE).map(|tlv| tlv.content) else {
        return false;
    };
    let status = der::expect(&mut outer, der::ENUMERATED).map(|status| status.content);
    let is_error = matches!(status, Some([1..=LAST_STATUS]));
    is_error || !rest.is_empty()
}

/// Returns the fault of a certificate in the response that cannot be read. It does not matter whose it is.
fn certificates(basic: &Basic<'_>) -> Option<Unusable> {
    let mut certificates = basic.certificates;
    while !certificates.is_empty() {
        let der = der::expect(&mut certificates, der::SEQUENCE);
        let read = der.map(|der| Certificate::from_der(der.whole.to_vec()));
        if read.is_none_or(|certificate| certificate.facts().is_err()) {
            return Some(Unusable::Unreadable("a certificate in it"));
        }
    }
    None
}

/// Returns the faults of the entries, whichever certificate each is about.
fn entries(basic: &Basic<'_>) -> StapleFaults {
    let mut faults = StapleFaults::default();
    let mut responses = basic.responses;
    while !responses.is_empty() {
        let single = der::expect(&mut responses, der::SEQUENCE);
        let fields = single.and_then(|single| {
            let mut fields = single.content;
            der::expect(&mut fields, der::SEQUENCE).map(|_| fields) // the certificate
        });
        let Some(fields) = fields else {
            let fault = Some(Unusable::Unreadable("an entry in it"));
            faults.java = faults.java.or_else(|| fault.clone());
            faults.gnutls = faults.gnutls.or(fault);
            break;
        };
        if read_single(fields).is_none() {
            let fault = Unusable::Unreadable("an entry in it, or the entry's critical extension");
            faults.java = faults.java.or(Some(fault));
        }
        faults.gnutls = faults.gnutls.or_else(|| of_gnutls(fields));
    }
    faults
}

/// Returns the fault for which GnuTLS does not parse an entry, of which these are the fields after
/// the CertID. It ignores extensions.
fn of_gnutls(mut fields: &[u8]) -> Option<Unusable> {
    const GOOD: u8 = 0x80;
    const UNKNOWN: u8 = 0x82;
    let status = der::split(&mut fields)?;
    if matches!(status.tag, GOOD | UNKNOWN) && !status.content.is_empty() {
        return Some(Unusable::Unreadable("a status with content"));
    }
    let this_update = der::expect(&mut fields, GENERALIZED_TIME)?;
    let next_update = der::explicit(&mut fields, EXPLICIT_0, GENERALIZED_TIME).flatten();
    let mut times = std::iter::once(this_update).chain(next_update);
    times.find_map(|time| zone(time.content, Zone::Offset))
}

/// The zone of a GeneralizedTime, from the one that every client reads to the one that none reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Zone {
    /// `Z`.
    Utc,
    /// An offset from UTC, which DER does not allow (X.690, section 11.7).
    Offset,
    /// None.
    Missing,
}

/// Returns a fault if the zone of a time is this one or a worse one.
fn zone(time: &[u8], refused: Zone) -> Option<Unusable> {
    /// The sign and four digits.
    const OFFSET: usize = 5;
    let sign = time.len().checked_sub(OFFSET).and_then(|at| time.get(at));
    let zone = match time.last() {
        Some(b'Z') => Zone::Utc,
        _ if matches!(sign, Some(b'+' | b'-')) => Zone::Offset,
        _ => Zone::Missing,
    };
    (zone >= refused).then_some(Unusable::Unreadable("a time in it that is not in UTC"))
}
