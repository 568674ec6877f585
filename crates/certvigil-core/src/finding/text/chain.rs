//! Text of findings about the served chain and the path to a root.

use crate::certificate::{Certificate, Oddity};
use crate::instance::SourceKind;

use super::super::{Fault, Missing, Namesake, NoPath, Nonconformant, Untrusted, Wanted};
use super::fault::advice;
use super::{Text, chain_command, described, is_or_are, names, plural};

/// Returns the text of [`Detail::MissingIntermediate`](super::Detail::MissingIntermediate).
pub(super) fn missing(missing: &Missing, expected: &Wanted) -> Text {
    match missing {
        Missing::Known {
            missing,
            issuer_url,
        } => {
            let subjects: Vec<String> = missing.iter().map(subject).collect();
            Text::new(
                format!(
                    "the intermediate{} {} {} not served",
                    plural(subjects.len()),
                    subjects.join(", "),
                    is_or_are(subjects.len())
                ),
                complete(&subjects.join(", then "), issuer_url.as_deref(), expected),
            )
        }
        Missing::Unknown {
            below,
            position,
            issuer,
            issuer_url,
            namesake,
        } => {
            let what = described(*position, below);
            let mut hint = append_unknown(issuer, issuer_url.as_deref(), expected);
            if issuer_url.is_none() {
                hint.push_str("; if it is a root that clients hold, give it as --ca-file");
            }
            Text::new(
                match namesake {
                    Some(namesake) => {
                        format!("{what} was issued by `{issuer}`, {}", difference(*namesake))
                    }
                    None => format!(
                        "the issuer of {what}, `{issuer}`, is not served, and is not a trusted root"
                    ),
                },
                hint,
            )
        }
        Missing::Reported => Text::new(
            "seen from there, the chain is not complete",
            format!(
                "append the missing intermediates to the server's certificate file and reload the server; {}",
                writes_whole_file(expected)
            ),
        ),
    }
}

fn subject(certificate: &Certificate) -> String {
    let facts = certificate.facts();
    format!("`{}`", facts.map_or("(unreadable)", |f| f.subject.as_str()))
}

/// The directives of the server's certificate file.
const DIRECTIVES: &str = "(nginx ssl_certificate, Apache SSLCertificateFile, HAProxy crt)";

/// Returns the fix for a server that does not serve these certificates of the expected chain. A file
/// with the expected certificate has them.
fn complete(names: &str, url: Option<&str>, expected: &Wanted) -> String {
    match expected {
        Wanted::Instance {
            source: SourceKind::Pem,
            ..
        } => format!(
            "install the file with the expected certificate (--cert, or `pem` of the entry), which has the \
             whole chain, leaf first, as the server's certificate file {DIRECTIVES}, and reload the server"
        ),
        _ => {
            let append = append(names, url);
            format!("{append}; {}", writes_whole_file(expected))
        }
    }
}

/// Returns the fix for an issuer that is unknown. `certvigil chain` downloads it from the URL.
fn append_unknown(issuer: &str, url: Option<&str>, expected: &Wanted) -> String {
    let append = append(&format!("`{issuer}`"), url);
    match (url, expected) {
        (Some(_), _)
        | (
            _,
            Wanted::Instance {
                source: SourceKind::Sslmate | SourceKind::Download,
                ..
            },
        ) => format!("{append}; {}", writes_whole_file(expected)),
        // Certificates of public authorities contain an issuer URL. Without one, the issuer may be
        // the root of a private authority.
        (None, _) => append,
    }
}

fn append(names: &str, url: Option<&str>) -> String {
    let from = url
        .map(|url| format!(" (DER at {url})"))
        .unwrap_or_default();
    format!(
        "append the PEM of {names}{from} to the server's certificate file, after the leaf \
         {DIRECTIVES}, and reload the server"
    )
}

/// Returns the command that writes the server's certificate file. Sources return the chain, which the
/// command does not verify; that of a file must end at a trusted root.
fn writes_whole_file(expected: &Wanted) -> String {
    let command = chain_command(expected);
    match expected {
        Wanted::Instance {
            source: SourceKind::Sslmate | SourceKind::Download,
            ..
        } => format!("{command} writes the whole file"),
        _ => format!(
            "{command} writes the whole file (add --ca-file ROOT if the system does not have the root)"
        ),
    }
}

fn difference(namesake: Namesake) -> &'static str {
    match namesake {
        Namesake::ServedWithOtherKey => {
            "of which another certificate is served, with a key that did not sign"
        }
        Namesake::ServedNoAuthority => "of which a certificate is served that may not issue others",
        Namesake::RootWithOtherKey => {
            "which is not served; the trusted root of that name has another key"
        }
    }
}

/// Returns the text of [`Detail::InvalidAuthority`](super::Detail::InvalidAuthority).
pub(super) fn invalid_authority(faults: &[Fault]) -> Text {
    let Some((first, more)) = faults.split_first() else {
        return Text::new("an authority of the path may not issue", "");
    };
    let more = more.iter().map(|fault| fault.kind.to_string());
    let message: Vec<String> = std::iter::once(first.to_string()).chain(more).collect();
    Text::new(message.join(", and "), advice(first))
}

/// Returns the text of [`Detail::UntrustedRoot`](super::Detail::UntrustedRoot).
pub(super) fn untrusted(untrusted: &Untrusted) -> Text {
    let serve_chain = "serve the chain that belongs to the certificate; if its clients hold that root, give it as --ca-file";
    match untrusted {
        Untrusted::Root { subject } => Text::new(
            format!("the chain ends at `{subject}`, which is not a trusted root"),
            serve_chain,
        ),
        Untrusted::Issuer { issuer, namesake } => {
            let why = namesake.map_or("which is neither served nor a trusted root", difference);
            Text::new(
                format!("the chain ends below `{issuer}`, {why}"),
                serve_chain,
            )
        }
        Untrusted::Circle => Text::new(
            "the served authorities issued each other, and none of them is a trusted root",
            "serve the chain that belongs to the certificate",
        ),
        Untrusted::TooManyCandidates => Text::new(
            "the server sends more certificates of one name than are tried: no valid path was found among the first",
            "serve the leaf and its chain, and nothing else",
        ),
        Untrusted::InvalidPath { fault } => Text::new(
            format!("the path to the root is not valid: {fault}"),
            advice(fault),
        ),
        Untrusted::Unverifiable { fault } => unverifiable(fault),
        Untrusted::NoValidPath { reason, fault } => no_valid_path(reason, fault.as_ref()),
    }
}

fn unverifiable(fault: &Fault) -> Text {
    Text::new(format!("the path cannot be judged: {fault}"), advice(fault))
}

fn no_valid_path(reason: &NoPath, fault: Option<&Fault>) -> Text {
    Text::new(
        format!("there is no valid path to a trusted root: {reason}"),
        fault.map_or("replace the certificate by one that clients accept", advice),
    )
}

/// Returns the text of
/// [`Detail::NonconformantCertificate`](super::Detail::NonconformantCertificate).
pub(super) fn nonconformant(nonconformant: &Nonconformant) -> Text {
    match nonconformant {
        Nonconformant::Refused {
            certificate,
            position,
            deviations,
        } => refused(&described(*position, certificate), &listed(deviations)),
        Nonconformant::Unreadable { reason, .. } => refused("the certificate", reason),
        Nonconformant::Accepted {
            certificate,
            position,
            deviations,
            baseline_deviations,
        } => accepted(
            &described(*position, certificate),
            deviations,
            baseline_deviations,
        ),
        Nonconformant::MoreFindings { count } => Text::new(
            format!("the served certificates have {count} more findings, which are not listed"),
            "fix the listed ones first; nearly all certificates of such a chain are faulty",
        ),
        Nonconformant::Unverifiable { fault } => unverifiable(fault),
        Nonconformant::NoValidPath { reason, fault } => no_valid_path(reason, fault.as_ref()),
    }
}

fn refused(what: &str, why: &str) -> Text {
    Text::new(
        format!("strict clients refuse {what}: {why}"),
        "replace it by one that follows RFC 5280",
    )
}

fn accepted(what: &str, deviations: &[Oddity], baseline_deviations: &[Oddity]) -> Text {
    if deviations.is_empty() {
        return Text::new(
            format!(
                "{what} deviates from the CA/Browser Forum's rules for public authorities, which most clients do not check: {}",
                listed(baseline_deviations)
            ),
            "nothing is broken; an authority of your own need not follow these rules",
        );
    }
    let more = match baseline_deviations {
        [] => String::new(),
        more => format!(
            "; and from the rules for public authorities: {}",
            listed(more)
        ),
    };
    Text::new(
        format!(
            "{what} deviates from RFC 5280, which only strict validators check: {}{more}",
            listed(deviations)
        ),
        "nothing is broken for most clients; have it reissued for strict ones, such as Python's ssl module since 3.13",
    )
}

fn listed(deviations: &[Oddity]) -> String {
    let deviations: Vec<String> = deviations.iter().map(ToString::to_string).collect();
    deviations.join(", ")
}

/// Returns the text of [`Detail::UnrelatedCertificate`](super::Detail::UnrelatedCertificate).
pub(super) fn unrelated(certificates: &[Certificate], is_chain_complete: bool) -> Text {
    Text::new(
        format!(
            "{} {} served, but on no path from the certificate",
            names(certificates),
            is_or_are(certificates.len())
        ),
        if is_chain_complete {
            "take what is not needed out of the server's certificate file"
        } else {
            "when the chain is complete, take what is not needed out of the server's certificate file"
        },
    )
}
