//! Text of findings about TLSA records (DANE).

use crate::certificate::Certificate;
use crate::model::and_more;
use crate::tlsa::TlsaRecord;

use super::super::{TlsaMismatch, TlsaMissing};
use super::{Text, expected_name};

/// Maximum records in a message.
const MAX_RECORDS: usize = 3;
/// Maximum characters of a record in a message, enough to identify it.
const MAX_RECORD_LENGTH: usize = 22;

/// Returns the text of [`Detail::TlsaMismatch`](super::Detail::TlsaMismatch).
pub(super) fn mismatch(
    name: &str,
    is_authenticated: bool,
    mismatch: &TlsaMismatch,
    publish: &TlsaRecord,
) -> Text {
    let publish = || {
        format!(
            "publish `{name} IN TLSA {publish}` beside what is there, and take out what is for no certificate any more"
        )
    };
    let text = match mismatch {
        TlsaMismatch::WrongCertificate { expected } => Text::new(
            format!(
                "the TLSA records at `{name}` are for the expected certificate, and another is served"
            ),
            format!("install {} and reload the server", expected_name(expected)),
        ),
        TlsaMismatch::Untrusted { record } => Text::new(
            format!(
                "the TLSA record {} at `{name}` is for what is served, and demands a trusted root above it too, to \
                 which there is no valid path",
                brief(record)
            ),
            format!(
                "make the path to the root valid; if its clients need none, {}",
                publish()
            ),
        ),
        TlsaMismatch::NoPath {
            record,
            reason,
            hostname,
        } => Text::new(
            format!(
                "the TLSA record {} at `{name}` names an authority, and there is no valid path to it: {reason}",
                brief(record)
            ),
            format!(
                "serve the certificates up to that authority, with itself, and a leaf that is valid now for {hostname}"
            ),
        ),
        TlsaMismatch::AuthorityNotServed { authority } => authority_not_served(name, authority),
        TlsaMismatch::PendingOnly => Text::new(
            format!(
                "the TLSA records at `{name}` are for the pending instance only, which is not there yet"
            ),
            publish(),
        ),
        TlsaMismatch::PreviousOnly => Text::new(
            format!(
                "the TLSA records at `{name}` are for the previous instance: they were not renewed with the certificate"
            ),
            publish(),
        ),
        TlsaMismatch::NoMatch {
            is_accepted,
            records,
            record_count,
        } => {
            let (what, verb) = if *is_accepted {
                ("the served certificate", "does not fit")
            } else {
                (
                    "neither the served certificate nor the expected one",
                    "fits",
                )
            };
            let records = and_more(records.iter().take(MAX_RECORDS).map(brief), *record_count);
            Text::new(
                format!("{what} {verb} the TLSA records at `{name}`: {records}"),
                publish(),
            )
        }
        TlsaMismatch::Unusable { record, is_mail } => {
            let why = record.as_ref().and_then(|record| {
                let why = match record.association() {
                    Err(why) => why.to_string(),
                    Ok(_) if *is_mail => {
                        "mail servers use usages 2 and 3 only (RFC 7672, section 3.1.3)".to_owned()
                    }
                    Ok(_) => return None,
                };
                Some((record, why))
            });
            let example = why.map(|(record, why)| format!(": of {}, {why}", brief(record)));
            let effect = if *is_mail {
                "mail servers that use DANE encrypt and do not authenticate the host"
            } else {
                "clients of DANE go on as if there were none"
            };
            Text::new(
                format!(
                    "no TLSA record at `{name}` can be used, so that {effect}{}",
                    example.unwrap_or_default()
                ),
                publish(),
            )
        }
    };
    if is_authenticated {
        return text;
    }
    Text::new(
        format!(
            "{}; the name server does not report them as authenticated by DNSSEC, and clients of DANE ignore such records",
            text.message
        ),
        format!(
            "{}; sign the zone, or use a name server that validates DNSSEC",
            text.hint
        ),
    )
}

/// Returns the text of [`Detail::TlsaMissing`](super::Detail::TlsaMissing).
pub(super) fn missing(missing: &TlsaMissing) -> Text {
    match missing {
        TlsaMissing::NoRecords { name, publish } => Text::new(
            format!("DANE is required, and there are no TLSA records at `{name}`"),
            format!("publish `{name} IN TLSA {publish}`"),
        ),
        TlsaMissing::NotAuthenticated { name } => Text::new(
            format!(
                "DANE is required, and DNSSEC does not authenticate the TLSA records at `{name}`, or the addresses of the host"
            ),
            "sign the zones of the host and of the records, check the DS records in the parent zone, and ask a name server that validates (--dns)",
        ),
        TlsaMissing::UnsignedMx {
            domain,
            is_host_protected,
        } => {
            let effect = if *is_host_protected {
                "an attacker can replace them, and the TLSA records of the mail host then have no effect"
            } else {
                "senders do not use DANE securely for this domain"
            };
            Text::new(
                format!("DNSSEC does not authenticate the MX records of {domain}: {effect}"),
                format!(
                    "sign the zone of {domain}, check its DS records in the parent zone, and ask a name server that validates (--dns)"
                ),
            )
        }
        TlsaMissing::UnsignedSrv { service } => Text::new(
            format!(
                "DNSSEC does not authenticate the SRV records of `{service}`: clients do not use the TLSA records of its hosts"
            ),
            "sign the zone of the SRV records, check its DS records in the parent zone, and ask a name server that validates (--dns)",
        ),
        TlsaMissing::NotApplicable { hostname, protocol } => Text::new(
            format!(
                "DANE is required, and certvigil checks no TLSA records of {hostname} with {protocol}"
            ),
            "name the host instead of its address, and check it over TCP; or do not require DANE here",
        ),
    }
}

fn authority_not_served(name: &str, authority: &Certificate) -> Text {
    let subject = authority.facts().map_or("(unreadable)", |f| &f.subject);
    Text::new(
        format!(
            "the TLSA records at `{name}` name the authority `{subject}`, which is not served along"
        ),
        format!(
            "append the PEM of `{subject}` to the server's certificate file, though it be a root, and \
             reload the server (RFC 7671, section 5.2.2)"
        ),
    )
}

/// Returns the beginning of a record.
fn brief(record: &TlsaRecord) -> String {
    let record = record.to_string();
    match record.char_indices().nth(MAX_RECORD_LENGTH) {
        Some((at, _)) => format!("{}…", record.get(..at).unwrap_or_default()),
        None => record,
    }
}
