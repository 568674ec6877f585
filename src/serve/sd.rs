//! `/sd`: the inventory's hosts and ports, for Prometheus' HTTP service discovery.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use serde::{Serialize, Serializer as _};

use crate::model::{Hostname, Protocol, Target, Timestamp};
use crate::source::{SourceFailure, TargetFiles};

use super::answer::{JSON, Response, answer, plain_text, retry_later};
use super::plan::Plan;
use super::snapshot::Snapshot;

/// Label that overrides the path of Prometheus' scrape job.
const METRICS_PATH: &str = "__metrics_path__";

/// Maximum time since the first failure of a source for which the list is withheld. An entry whose
/// source never answers must not hide the new targets of all others.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// Target with its labels, as [Prometheus expects
/// it](https://prometheus.io/docs/prometheus/latest/http_sd/).
#[derive(Serialize)]
struct Group {
    labels: BTreeMap<String, String>,
    targets: [String; 1],
}

/// Returns one target for each host name, port and protocol. Under a path prefix, they have the
/// path of `/probe` there.
///
/// While a source has not answered since the start, the list would lack its hosts, and Prometheus
/// would drop them. Prometheus [keeps its last
/// list](https://prometheus.io/docs/prometheus/latest/http_sd/) if the status is not 200.
pub(super) fn discovery(snapshot: &Snapshot, now: Timestamp, prefix: &str) -> Response {
    let plan = &snapshot.plan;
    if let Some(source) = awaited(snapshot, now) {
        let text = format!(
            "the list of targets is not complete: the source `{source}` has not answered since the start; try again"
        );
        return retry_later(plain_text(StatusCode::SERVICE_UNAVAILABLE, text));
    }
    let mut groups: BTreeMap<(&Hostname, u16, Protocol), Vec<&Arc<Target>>> = BTreeMap::new();
    // A file is no target of the network.
    for target in plan.targets.keys().filter(|target| !target.is_file()) {
        let place = (&target.hostname, target.port, target.protocol);
        groups.entry(place).or_default().push(target);
    }
    let groups = groups
        .into_iter()
        .map(|((hostname, port, protocol), targets)| {
            let sources: BTreeSet<&str> = targets
                .iter()
                .filter_map(|t| plan.targets.get(*t)?.expectation.as_ref().ok())
                .map(|kept| kept.loaded.expected.source.name())
                .collect();
            let names: Vec<&str> = targets.iter().map(|t| t.certificate.as_str()).collect();
            let mut labels = own_labels(plan, &targets);
            for (name, value) in [
                ("__param_module", protocol.name().to_owned()),
                ("__meta_certvigil_certificate", names.join(",")),
                ("__meta_certvigil_hostname", hostname.to_string()),
                ("__meta_certvigil_port", port.to_string()),
                ("__meta_certvigil_protocol", protocol.name().to_owned()),
                ("__meta_certvigil_source", Vec::from_iter(sources).join(",")),
            ] {
                labels.insert(name.to_owned(), value);
            }
            if !prefix.is_empty() {
                labels.insert(METRICS_PATH.to_owned(), format!("{prefix}/probe"));
            }
            Group {
                labels,
                targets: [place(hostname, port, protocol)],
            }
        });
    // One group at a time: a tree of a million targets would need gigabytes.
    let mut body = Vec::new();
    match serde_json::Serializer::new(&mut body).collect_seq(groups) {
        Ok(()) => answer(StatusCode::OK, JSON, body),
        Err(error) => plain_text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// Returns the name of a source that has not answered since the start, and may still do so.
fn awaited(snapshot: &Snapshot, now: Timestamp) -> Option<String> {
    let is_awaited = |failure: Option<&SourceFailure>| {
        let max_wait = i64::try_from(MAX_WAIT.as_secs()).unwrap_or(i64::MAX);
        failure.is_none_or(|failure| now.seconds_since(failure.since) < max_wait)
    };
    let mut unanswered = snapshot.plan.unanswered();
    let watch = unanswered
        .find(|watch| watch.may_answer_later() && is_awaited(watch.failure.as_ref()))
        .map(|watch| watch.source().unwrap_or_else(|| "configuration".into()));
    watch.or_else(|| {
        let mut files = snapshot.runtime.target_files.states();
        let file = files
            .find(|(_, file)| file.last_success.is_none() && is_awaited(file.failure.as_ref()));
        file.map(|(path, _)| TargetFiles::source(path))
    })
}

/// Returns the labels on which all entries of these targets agree.
fn own_labels(plan: &Plan, targets: &[&Arc<Target>]) -> BTreeMap<String, String> {
    let entries = targets.iter().filter_map(|target| {
        let planned = plan.targets.get(*target)?;
        Some(&plan.watches.get(&planned.key)?.entry)
    });
    let mut labels: Option<BTreeMap<String, String>> = None;
    for entry in entries {
        let own = &entry.notes.labels;
        match &mut labels {
            None => labels = Some(own.clone()),
            Some(labels) => labels.retain(|name, value| own.get(name) == Some(value)),
        }
    }
    labels.unwrap_or_default()
}

/// Returns a host and port as Prometheus' target. UDP targets include the protocol, because
/// Prometheus identifies targets by this text, and the same port over TCP is another target.
fn place(hostname: &Hostname, port: u16, protocol: Protocol) -> String {
    let place = match hostname {
        Hostname::Ip(ip) if ip.is_ipv6() => format!("[{ip}]:{port}"),
        other => format!("{other}:{port}"),
    };
    if protocol.is_quic() {
        format!("{protocol}://{place}")
    } else {
        place
    }
}
