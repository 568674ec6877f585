//! Host names whose DNS lookup fails while the monitor runs. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::judge::Judged;
use crate::model::{Hostname, Target};
use crate::observation::{ErrorKind, Observation, Outcome, ProbeError};

use super::plan::Plan;
use super::snapshot::TargetResults;
use super::state::LogLine;

/// Host names whose DNS lookup fails (SERVFAIL, timeout), each with the targets whose last probe
/// saw the failure.
#[derive(Debug, Default)]
pub(super) struct DnsFailures(BTreeMap<Hostname, BTreeSet<Target>>);

/// Change of a host name's DNS lookup, for the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The lookup fails. This many addresses of the last successful lookup are still probed.
    Failed {
        hostname: Hostname,
        addresses: usize,
        error: ProbeError,
    },
    /// The lookup returns addresses again.
    Recovered {
        hostname: Hostname,
        addresses: usize,
    },
    /// A name server reports that the name or its addresses no longer exist.
    Removed { hostname: Hostname, kind: ErrorKind },
}

impl DnsFailures {
    /// Applies the results of a probed target. Returns the change for its host name. A failure in
    /// the first probe of a target is not a change.
    pub(super) fn update(
        &mut self,
        target: &Target,
        before: Option<&TargetResults>,
        now: &TargetResults,
    ) -> Option<Change> {
        let hostname = &target.hostname;
        let addresses = now.known().len();
        if let Some(error) = dns_failure(now.judged()) {
            let failing = self.0.entry(hostname.clone()).or_default();
            let is_new = failing.is_empty();
            failing.insert(target.clone());
            return (is_new && before.is_some()).then(|| Change::Failed {
                hostname: hostname.clone(),
                addresses,
                error: error.clone(),
            });
        }
        let removed = dns_answer(now.judged());
        if addresses == 0 && removed.is_none() {
            // The host was not looked up.
            return None;
        }
        let failing = self.0.get_mut(hostname)?;
        failing.remove(target);
        if !failing.is_empty() {
            return None;
        }
        self.0.remove(hostname);
        let hostname = hostname.clone();
        Some(match removed {
            Some(kind) if addresses == 0 => Change::Removed { hostname, kind },
            _ => Change::Recovered {
                hostname,
                addresses,
            },
        })
    }

    /// Removes the targets that are not in a plan.
    pub(super) fn retain(&mut self, plan: &Plan) {
        self.0.retain(|_, targets| {
            targets.retain(|target| plan.targets.contains_key(target));
            !targets.is_empty()
        });
    }
}

impl Change {
    /// Returns the log line.
    pub(super) fn line(&self) -> LogLine {
        match self {
            Self::Failed { .. } | Self::Removed { .. } => LogLine::warning(self),
            Self::Recovered { .. } => LogLine::info(self),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed {
                hostname,
                addresses,
                error,
            } => write!(
                f,
                "DNS lookup failed: hostname={hostname} addresses_kept={addresses} error_kind={} error=\"{error}\"",
                error.kind
            ),
            Self::Recovered {
                hostname,
                addresses,
            } => write!(
                f,
                "DNS lookup ok again: hostname={hostname} addresses={addresses}"
            ),
            Self::Removed { hostname, kind } => write!(
                f,
                "DNS lookup returns no address, the known ones are no longer probed: hostname={hostname} error_kind={kind}"
            ),
        }
    }
}

/// Returns true if a result represents a failed DNS lookup (SERVFAIL, timeout) instead of a probed
/// address.
pub(super) fn is_dns_failure(judged: &Judged) -> bool {
    let kind = lookup_error(&judged.observation).map(|error| error.kind);
    matches!(kind, Some(ErrorKind::DnsServfail | ErrorKind::DnsTimeout))
}

/// Returns the failed DNS lookup among the results of a target.
fn dns_failure<'a>(results: impl Iterator<Item = &'a Judged>) -> Option<&'a ProbeError> {
    let mut failures = results.filter(|judged| is_dns_failure(judged));
    failures.find_map(|judged| lookup_error(&judged.observation))
}

/// Returns the error kind if the name server reported that a target has no address, or does not
/// exist.
pub(super) fn dns_answer<'a>(results: impl Iterator<Item = &'a Judged>) -> Option<ErrorKind> {
    let mut errors = results.filter_map(|judged| lookup_error(&judged.observation));
    errors.find_map(|error| match error.kind {
        ErrorKind::DnsNxdomain | ErrorKind::DnsNoAddress => Some(error.kind),
        _ => None,
    })
}

/// Returns the error of a local result without an address.
fn lookup_error(observation: &Observation) -> Option<&ProbeError> {
    match &observation.outcome {
        Outcome::Failed(error) if observation.ip.is_none() && observation.vantage.is_local() => {
            Some(error)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::model::{KeyType, Protocol, Timestamp, Timings, Vantage};

    const HOST: &str = "www.example.com";
    const NXDOMAIN: Result<&str, ErrorKind> = Err(ErrorKind::DnsNxdomain);
    const SERVFAIL: Result<&str, ErrorKind> = Err(ErrorKind::DnsServfail);
    const TIMEOUT: Result<&str, ErrorKind> = Err(ErrorKind::DnsTimeout);
    const INTERNAL_ERROR: Result<&str, ErrorKind> = Err(ErrorKind::Internal);

    fn target(port: u16) -> Target {
        Target {
            certificate: "web".into(),
            hostname: HOST.parse().unwrap(),
            port,
            protocol: Protocol::Https,
            names: Box::default(),
        }
    }

    /// Last results of a monitor for two ports of one host.
    #[derive(Default)]
    struct Monitored {
        failures: DnsFailures,
        looked: BTreeMap<u16, TargetResults>,
    }

    impl Monitored {
        /// Probes a target and returns the log line. The probe saw these addresses, none of which
        /// responds, or these errors of the lookup.
        fn probe(&mut self, port: u16, seen: &[Result<&str, ErrorKind>]) -> String {
            let results = seen.iter().map(|one| {
                let (ip, kind) = match one {
                    Ok(ip) => (
                        Some(ip.parse::<IpAddr>().unwrap()),
                        ErrorKind::ConnectRefused,
                    ),
                    Err(kind) => (None, *kind),
                };
                let error = ProbeError::new(kind, "why");
                let observation = Observation {
                    target: target(port).into(),
                    ip,
                    key_type: KeyType::Any,
                    vantage: Vantage::local(),
                    timings: Timings::default(),
                    outcome: Outcome::Failed(error.clone()),
                };
                Judged::failed(observation, error)
            });
            let before = self.looked.remove(&port);
            let now = TargetResults::probed(
                &target(port),
                results.collect(),
                Timestamp(0),
                before.as_ref(),
            );
            let change = self.failures.update(&target(port), before.as_ref(), &now);
            self.looked.insert(port, now);
            change.map(|change| change.to_string()).unwrap_or_default()
        }
    }

    #[test]
    fn a_failure_and_its_recovery_are_each_logged_once_for_a_host() {
        let mut monitored = Monitored::default();
        for port in [443, 8443] {
            assert_eq!(monitored.probe(port, &[Ok("192.0.2.1")]), "");
        }
        let failed = monitored.probe(443, &[SERVFAIL, Ok("192.0.2.1")]);
        assert_eq!(
            failed,
            "DNS lookup failed: hostname=www.example.com addresses_kept=1 error_kind=dns_servfail error=\"why\""
        );
        assert_eq!(monitored.probe(443, &[TIMEOUT, Ok("192.0.2.1")]), "");
        assert_eq!(monitored.probe(8443, &[TIMEOUT, Ok("192.0.2.1")]), "");
        assert_eq!(monitored.probe(443, &[Ok("192.0.2.1")]), "");
        let recovered = monitored.probe(8443, &[Ok("192.0.2.1"), Ok("192.0.2.2")]);
        assert_eq!(
            recovered,
            "DNS lookup ok again: hostname=www.example.com addresses=2"
        );
        assert!(monitored.failures.0.is_empty());
    }

    #[test]
    fn dns_failure_at_the_first_probe_is_not_logged_but_its_recovery_is() {
        let mut monitored = Monitored::default();
        assert_eq!(monitored.probe(443, &[SERVFAIL]), "");
        let recovered = monitored.probe(443, &[Ok("192.0.2.1")]);
        assert!(recovered.starts_with("DNS lookup ok again"), "{recovered}");
    }

    #[test]
    fn nxdomain_after_a_dns_failure_is_not_a_recovery() {
        let mut monitored = Monitored::default();
        monitored.probe(443, &[Ok("192.0.2.1")]);
        monitored.probe(443, &[SERVFAIL, Ok("192.0.2.1")]);
        let removed = monitored.probe(443, &[NXDOMAIN]);
        assert!(removed.ends_with("error_kind=dns_nxdomain"), "{removed}");
        assert!(monitored.looked[&443].known().is_empty());
    }

    #[test]
    fn probe_without_a_lookup_keeps_the_known_addresses() {
        let mut monitored = Monitored::default();
        monitored.probe(443, &[Ok("192.0.2.1"), Ok("2001:db8::1")]);
        let known = monitored.looked[&443].known();
        assert_eq!(known.len(), 2);
        assert_eq!(monitored.probe(443, &[INTERNAL_ERROR]), "");
        assert_eq!(monitored.probe(443, &[INTERNAL_ERROR]), "");
        assert_eq!(monitored.looked[&443].known(), known);
        assert_eq!(monitored.probe(443, &[NXDOMAIN]), "");
        assert!(monitored.looked[&443].known().is_empty());
    }

    #[test]
    fn dns_failures_of_removed_targets_are_forgotten() {
        let mut monitored = Monitored::default();
        monitored.probe(443, &[SERVFAIL]);
        monitored.failures.retain(&Plan::default());
        assert!(monitored.failures.0.is_empty());
    }
}
