//! The log of changes of endpoints. A line for every probe would hide them.

use std::collections::BTreeSet;

use crate::finding::{Code, Severity};
use crate::judge::{Judged, Verdict};

use super::dns_failures::is_dns_failure;
use super::snapshot::{EndpointResult, TargetResults};
use super::state::LogLine;

/// Returns a line for each change between two probes of a target, for the endpoints that are `of`
/// the probe. Removed addresses have no line of their own if the log has one for their host
/// (`is_host_logged`).
pub(super) fn transitions(
    before: Option<&TargetResults>,
    now: &TargetResults,
    of: impl Fn(&EndpointResult) -> bool,
    is_host_logged: bool,
) -> Vec<LogLine> {
    // A vantage without earlier results is probed for the first time.
    let is_initial = before.is_none_or(|before| !before.endpoints.iter().any(|e| of(e)));
    // Changes of the DNS lookup of a host that was probed before are logged by host, not by
    // endpoint.
    let is_by_host = |judged: &Judged| !is_initial && is_dns_failure(judged);
    let mut lines = Vec::new();
    for endpoint in now.endpoints.iter().filter(|e| of(e)) {
        let judged = &endpoint.judged;
        if is_by_host(judged) {
            continue;
        }
        let old = before.and_then(|before| before.endpoint(judged));
        lines.extend(transition(old.map(|old| &*old.judged), judged, is_initial));
    }
    let gone = before.iter().flat_map(|before| &before.endpoints);
    let gone = gone.filter(|e| of(e) && now.endpoint(&e.judged).is_none());
    let gone = gone.filter(|e| !is_host_logged && e.observation().ip.is_some());
    lines.extend(gone.map(|e| LogLine::info(format_args!("address gone: {}", place(&e.judged)))));
    // The key types of one address share one line.
    lines.dedup();
    lines
}

/// Returns the line for a change of one endpoint, if there is one to log.
fn transition(old: Option<&Judged>, now: &Judged, is_initial: bool) -> Option<LogLine> {
    let severity = now.severity();
    let was = old.map(Judged::severity);
    let event = match was {
        Some(was) if severity == was => {
            let is_critical = severity == Severity::Critical;
            if !is_critical || old.is_none_or(|old| criticals(now).is_subset(&criticals(old))) {
                return None;
            }
            "endpoint critical for another reason".to_owned()
        }
        Some(was) if severity < Severity::Warning && was >= Severity::Warning => {
            "endpoint recovered".to_owned()
        }
        _ if severity < Severity::Warning => return None,
        _ => format!("endpoint {severity}"),
    };
    let mut text = format!("{event}: {}", place(now));
    if let Some(was) = was {
        text.push_str(&format!(" was={was}"));
    } else if is_initial {
        // The first probe after a restart is initial too, because a known fault is not a change.
        text.push_str(" initial=true");
    }
    match (now.findings.first(), &now.verdict) {
        (Some(finding), _) if severity >= Severity::Warning => {
            text.push_str(&format!(
                " code={} message={:?}",
                finding.code(),
                finding.message()
            ));
        }
        (_, Verdict::Inconclusive(error)) if severity >= Severity::Warning => {
            text.push_str(&format!(
                " error_kind={} error={:?}",
                error.kind, error.message
            ));
        }
        _ => {}
    }
    Some(match severity >= Severity::Warning {
        true => LogLine::warning(text),
        false => LogLine::info(text),
    })
}

fn criticals(judged: &Judged) -> BTreeSet<Code> {
    let findings = judged.findings.iter();
    let critical = findings.filter(|f| f.severity == Severity::Critical);
    critical.map(|f| f.code()).collect()
}

fn place(judged: &Judged) -> String {
    let observation = &judged.observation;
    let target = &observation.target;
    let ip = observation.ip.map(|ip| format!(" ip={ip}"));
    format!(
        "hostname={}{} port={} vantage={}",
        target.hostname,
        ip.unwrap_or_default(),
        target.port_label(),
        observation.vantage
    )
}

#[cfg(test)]
mod tests;
