//! When a certificate ends, and whether that is soon.

use crate::certificate::Facts;
use crate::finding::{Code, Finding, Severity};
use crate::model::Timestamp;

use super::Rules;
use super::served::Place;

/// What is to be told of the leaf's validity. Where a newer certificate is known, it need not be
/// renewed but installed.
pub(super) fn of_leaf(
    facts: &Facts,
    is_newer_known: bool,
    rules: &Rules,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !facts.has_validity {
        return findings;
    }
    // A certificate that ends before it begins can be both.
    if now < facts.not_before {
        findings.push(Finding::new(
            Code::NotYetValid,
            format!(
                "the certificate is not valid before {} (in {})",
                facts.not_before,
                span(facts.not_before, now)
            ),
            "check the clock here, or serve the certificate before it until then",
        ));
    }
    if now > facts.not_after {
        findings.push(Finding::new(
            Code::Expired,
            format!(
                "the certificate expired on {} ({} ago)",
                facts.not_after.date(),
                span(now, facts.not_after)
            ),
            if is_newer_known {
                "install the expected certificate and reload the server"
            } else {
                "install a renewed certificate and reload the server"
            },
        ));
    }
    if !findings.is_empty() {
        return findings;
    }
    let left = facts.not_after.seconds_since(now);
    let lifetime = facts.lifetime();
    let severity = if left < rules.crit.seconds_of(lifetime) {
        Severity::Critical
    } else if left < rules.warn.seconds_of(lifetime) {
        Severity::Warning
    } else {
        return findings;
    };
    findings.push(Finding::with_severity(
        Code::Expiring,
        severity,
        format!(
            "the certificate expires on {} (in {})",
            facts.not_after.date(),
            span(facts.not_after, now)
        ),
        if is_newer_known {
            "install the expected certificate before then and reload the server"
        } else {
            "renew the certificate, install it and reload the server"
        },
    ));
    findings
}

/// Whether a path that is valid now needs a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// It does, or there is no valid path.
    Needed,
    /// There is a valid path without it.
    NotNeeded,
}

/// The findings about the validity of an intermediate or a root above a leaf of this lifetime.
pub(super) fn of_authority(
    facts: &Facts,
    place: Place,
    need: Need,
    lifetime_of_leaf: i64,
    rules: &Rules,
    now: Timestamp,
) -> Option<Finding> {
    facts.validity()?;
    let what = place.describe(facts);
    let is_root = place == Place::Root;
    if now > facts.not_after {
        let message = format!(
            "{what} expired on {} ({} ago)",
            facts.not_after.date(),
            span(now, facts.not_after)
        );
        return Some(match need {
            Need::Needed => Finding::new(
                Code::ChainExpired,
                message,
                if is_root {
                    "have the certificate issued below a root that is valid now, and give that root to clients"
                } else {
                    "replace it by the one that came with the newest certificate"
                },
            ),
            Need::NotNeeded => Finding::with_severity(
                Code::ChainExpired,
                Severity::Warning,
                format!("{message}; clients that build the path without it accept the chain"),
                "remove it from the server's certificate file: some old clients try it first and fail",
            ),
        });
    }
    if need == Need::NotNeeded {
        return None;
    }
    if now < facts.not_before {
        return Some(Finding::new(
            Code::NotYetValid,
            format!("{what} is not valid before {}", facts.not_before),
            if is_root {
                "check the clock here; until then, have the certificate issued below a root that is valid now"
            } else {
                "check the clock here, or serve the one before it until then"
            },
        ));
    }
    let left = facts.not_after.seconds_since(now);
    // What outlasts a whole leaf is replaced along with it: a share of an authority's ten years is
    // no reason to warn for years.
    let soon = rules
        .warn
        .seconds_of(facts.lifetime())
        .min(lifetime_of_leaf);
    (left < soon).then(|| {
        Finding::new(
            Code::ChainExpiring,
            format!(
                "{what} expires on {} (in {})",
                facts.not_after.date(),
                span(facts.not_after, now)
            ),
            if is_root {
                "have the certificate issued below a root that lasts, and give that root to clients before then"
            } else {
                "reissue the certificate: its new chain has an intermediate that lasts"
            },
        )
    })
}

/// A span of time in its largest fitting unit.
fn span(later: Timestamp, earlier: Timestamp) -> String {
    let seconds = later.seconds_since(earlier).max(0);
    let (count, unit) = match seconds {
        0..=119 => (seconds, "second"),
        120..=7_199 => (seconds / 60, "minute"),
        7_200..=172_799 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}
