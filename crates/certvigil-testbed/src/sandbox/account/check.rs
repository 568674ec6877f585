//! Checks of common names, e-mail addresses, countries and CSRs.

use certvigil_core::certificate::{Key, SigningRequest};
use certvigil_core::model::Hostname;

use super::{ApiError, CsrError};
use crate::sandbox::authority::has_usual_encoding;

/// Maximum characters of a common name: ub-common-name of RFC 5280, appendix A.1.
const MAX_COMMON_NAME: usize = 64;
/// Maximum characters of an e-mail address (RFC 5321, section 4.5.3.1.3, without the brackets).
const MAX_EMAIL: usize = 254;
const RSA_BITS: [usize; 3] = [2048, 3072, 4096];
const CURVES: [&str; 2] = ["P-256", "P-384"];

/// Country codes of ISO 3166-1.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI \
    BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY \
    CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN \
    GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH \
    KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO \
    MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL \
    PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV \
    SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN \
    VU WF WS YE YT ZA ZM ZW";

/// Returns the canonical form of a common name: lower case, IDNs as A-labels.
pub(super) fn common_name(text: &str) -> Result<String, ApiError> {
    let name = dns_name(text)
        .ok_or_else(|| ApiError::BadCommonName(format!("`{text}` is not a valid common name")))?;
    if name.len() > MAX_COMMON_NAME {
        let message = format!("A common name may have at most {MAX_COMMON_NAME} characters");
        return Err(ApiError::BadCommonName(message));
    }
    Ok(name)
}

/// Returns the canonical form of a host name or a wildcard. Returns `None` for anything else.
pub(super) fn dns_name(text: &str) -> Option<String> {
    let (wildcard, host) = match text.strip_prefix("*.") {
        Some(host) => ("*.", host),
        None => ("", text),
    };
    match host.parse() {
        Ok(Hostname::Dns(name)) if !host.ends_with('.') => Some(format!("{wildcard}{name}")),
        _ => None,
    }
}

/// Checks an e-mail address.
pub(super) fn email(param: &str, text: &str) -> Result<String, ApiError> {
    let is_local = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let is_valid = text.split_once('@').is_some_and(|(local, domain)| {
        let is_local = !local.is_empty() && local.chars().all(is_local);
        is_local && domain.contains('.') && matches!(domain.parse(), Ok(Hostname::Dns(_)))
    });
    if is_valid && text.len() <= MAX_EMAIL {
        return Ok(text.to_owned());
    }
    let message = format!("`{text}` is not an e-mail address");
    Err(ApiError::of(param, message))
}

/// Reads and checks a CSR for this common name. Returns it with its country.
pub(super) fn csr(text: &str, cn: &str) -> Result<SigningRequest, CsrError> {
    let request = SigningRequest::from_pem(text)?;
    match &request.key {
        Key::Rsa(bits) if RSA_BITS.contains(bits) => {}
        Key::Rsa(_) => return Err(CsrError::BadBitsize),
        Key::Ec(curve, _) if CURVES.contains(&curve.as_str()) => {}
        Key::Ec(..) => return Err(CsrError::BadCurve),
        _ => return Err(CsrError::BadKeyType),
    }
    if !has_usual_encoding(&request) {
        return Err(CsrError::BadKeyEncoding);
    }
    let is_cn = |name: &String| dns_name(name).is_some_and(|name| name == cn);
    if !request.common_names.iter().any(is_cn) {
        return Err(CsrError::BadCommonName(cn.to_owned()));
    }
    country(&request).ok_or(CsrError::BadCountry)?;
    Ok(request)
}

/// Returns the country of a CSR if it is valid.
pub(super) fn country(request: &SigningRequest) -> Option<String> {
    let [country] = request.countries.as_slice() else {
        return None;
    };
    let mut known = COUNTRIES.split_ascii_whitespace();
    known.any(|c| c == country).then(|| country.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_the_countries_of_iso_3166() {
        let all: Vec<&str> = COUNTRIES.split_ascii_whitespace().collect();
        assert_eq!(all.len(), 249);
        assert!(all.is_sorted() && all.iter().all(|c| c.len() == 2));
    }

    #[test]
    fn names_are_host_names_or_wildcards() {
        assert_eq!(dns_name("WWW.Example.com").unwrap(), "www.example.com");
        assert_eq!(dns_name("*.example.com").unwrap(), "*.example.com");
        for wrong in [
            "",
            "*",
            "*.*.example.com",
            "a b",
            "127.0.0.1",
            "::1",
            "a.",
            "x..y",
        ] {
            assert_eq!(dns_name(wrong), None, "{wrong}");
        }
        assert!(common_name(&format!("{}.example.com", "a".repeat(60))).is_err());
    }

    #[test]
    fn addresses_have_one_domain() {
        assert!(email("approver_email", "admin@example.com").is_ok());
        for wrong in [
            "",
            "admin",
            "@example.com",
            "a@b@example.com",
            "a@localhost",
            "a b@x.de",
        ] {
            assert!(email("approver_email", wrong).is_err(), "{wrong}");
        }
    }
}
