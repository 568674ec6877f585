//! The log of what has become of endpoints.

use crate::finding::Severity;
use crate::judge::{Judged, Verdict};

use super::board::{Looked, is_same_endpoint};
use super::dns_failures::is_dns_failure;

/// Logs what has become of endpoints: a log of every look would be one that nobody reads.
pub(super) fn tell_changes(before: Option<&Looked>, now: &Looked) {
    let is_first = before.is_none();
    // Those of a host that has been probed before are logged by host, not by endpoint.
    let is_by_host = |judged: &&Judged| !is_first && is_dns_failure(judged);
    for judged in now.results.iter().filter(|judged| !is_by_host(judged)) {
        let old = before.and_then(|b| b.results.iter().find(|old| is_same_endpoint(old, judged)));
        let was = old.map(Judged::severity);
        let severity = judged.severity();
        let worst = was.map_or(severity, |was| was.max(severity));
        if was == Some(severity) || worst < Severity::Warning {
            continue;
        }
        let change = match was {
            Some(was) => format!("{severity}, was {was}"),
            // Over a restart too: what is long known is not a change.
            None => format!("{severity} at the first look"),
        };
        let observation = &judged.observation;
        let target = &observation.target;
        let ip = observation
            .ip
            .map_or_else(|| "no address".into(), |ip| ip.to_string());
        let why = match (judged.findings.first(), &judged.verdict) {
            (Some(finding), _) => format!("{}: {}", finding.code(), finding.message()),
            (None, Verdict::Inconclusive(error)) => {
                format!("{}: {error}", error.kind)
            }
            (None, Verdict::Conclusive(_)) => "all is well".into(),
        };
        let line = format!(
            "{} at {ip} port {} seen from {}: {change}: {why}",
            target.hostname,
            target.port_label(),
            observation.vantage
        );
        if severity >= Severity::Warning {
            tracing::warn!("{line}");
        } else {
            tracing::info!("{line}");
        }
    }
}
