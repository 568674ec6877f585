//! Text of findings about MTA-STS (RFC 8461).

use crate::model::{Hostname, and_more};
use crate::mta_sts::{StsFault, StsMode};

use super::super::StsMismatch;
use super::Text;

/// Maximum patterns in a message.
const MAX_PATTERNS: usize = 4;

/// Returns the text of [`Detail::MtaStsMismatch`](super::Detail::MtaStsMismatch).
pub(super) fn mismatch(
    domain: &Hostname,
    hostname: &Hostname,
    id: &str,
    mode: StsMode,
    mismatch: &StsMismatch,
) -> Text {
    let effect = match mode {
        StsMode::Enforce => "senders do not deliver to it (mode enforce)",
        StsMode::Testing | StsMode::None => "senders report it and deliver (mode testing)",
    };
    match mismatch {
        StsMismatch::Host {
            patterns,
            pattern_count,
        } => {
            let patterns = and_more(patterns.iter().take(MAX_PATTERNS), *pattern_count);
            Text::new(
                format!(
                    "the MTA-STS policy of {domain} (id {id}) does not allow the mail host {hostname}, and {effect}; it allows {patterns}"
                ),
                format!(
                    "add `mx: {hostname}` to {} and change the id in `_mta-sts.{domain}`, or remove the host from the MX records",
                    url(domain)
                ),
            )
        }
        StsMismatch::Certificate => Text::new(
            format!(
                "the MTA-STS policy of {domain} (id {id}) requires a trusted certificate for {hostname}, and {effect}, although a TLSA record matches"
            ),
            "install a certificate of a public authority for the host; senders that do not use DANE apply MTA-STS",
        ),
    }
}

/// Returns the text of [`Detail::MtaStsUnusable`](super::Detail::MtaStsUnusable).
pub(super) fn unusable(domain: &Hostname, fault: &StsFault) -> Text {
    let of_record = format!(
        "publish exactly one record `_mta-sts.{domain} IN TXT \"v=STSv1; id=1;\"`, with a new id for each change of the policy (RFC 8461, section 3.1)"
    );
    let at = url(domain);
    let (reason, hint) = match fault {
        StsFault::SeveralRecords { count } => (
            format!("`_mta-sts.{domain}` has {count} records"),
            of_record,
        ),
        StsFault::InvalidRecord { record } => (
            format!("the record `{record}` at `_mta-sts.{domain}` is invalid"),
            of_record,
        ),
        StsFault::Fetch { reason } => (
            format!("{at} cannot be fetched: {reason}"),
            format!(
                "serve the policy at that URL, with a certificate of a public authority for mta-sts.{domain}"
            ),
        ),
        StsFault::HttpStatus { status } => (
            format!("{at} has the HTTP status {status}"),
            "serve the policy at that URL with status 200, without a redirect (RFC 8461, section 3.3)"
                .to_owned(),
        ),
        StsFault::MediaType { content_type } => (
            format!("{at} has the media type `{content_type}`"),
            "serve the policy with the media type text/plain (RFC 8461, section 3.2)".to_owned(),
        ),
        StsFault::InvalidPolicy { reason } => (
            format!("the policy at {at} is invalid: {reason}"),
            "write the lines `version: STSv1`, `mode: enforce`, `mx: HOST` for each mail host, and `max_age: 604800`"
                .to_owned(),
        ),
    };
    Text::new(
        format!("senders cannot use the MTA-STS policy of {domain}: {reason}"),
        hint,
    )
}

/// Returns the URL of a policy (RFC 8461, section 3.3).
fn url(domain: &Hostname) -> String {
    format!("https://mta-sts.{domain}/.well-known/mta-sts.txt")
}
