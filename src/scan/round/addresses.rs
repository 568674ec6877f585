//! Addresses and TLSA records of a target, looked up before it is probed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::ech::{EchParameter, EchPlaces};
use crate::model::{Hostname, Protocol, Target, Timings};
use crate::observation::{ErrorKind, Observation, Outcome, ProbeError};
use crate::resolve::{AddressQuery, Resolution};
use crate::scan::host_limits::AddressLimit;
use crate::scan::stopped::repeat_if_stopped;
use crate::scan::{Job, MAX_ON_DEMAND_ADDRESSES};
use crate::tlsa::{DaneCheck, TlsaLookup};

use super::{Round, unplaced};

/// Facts about a target that are needed before it is probed.
pub(super) struct Found {
    pub(super) addresses: Vec<IpAddr>,
    /// Those of the addresses that only HTTPS records give.
    pub(super) hinted: Vec<IpAddr>,
    /// Parameters `ech` of the HTTPS records.
    pub(super) ech: EchPlaces,
    pub(super) tlsa: TlsaLookup,
    /// Duration of the name resolution.
    pub(super) took: Option<Duration>,
    /// Time that remains for each probe.
    pub(super) left: Duration,
}

impl Found {
    /// Returns the parameter `ech` that browsers use at an address.
    pub(super) fn ech_at(&self, ip: IpAddr) -> Option<&Arc<EchParameter>> {
        self.ech.of(ip, !self.hinted.contains(&ip))
    }
}

impl Round {
    /// Finds the addresses of a target. Failures that prevent a probe are judged here.
    pub(super) async fn find(&self, job: &Job, target: &Arc<Target>) -> Option<Found> {
        #[cfg(test)]
        crate::scan::tests::panic_on_bad_host(target);
        let without_probe = |timings, error| {
            let key_types = job.key_types.each().iter();
            key_types
                .map(|kind| Observation {
                    timings,
                    ..unplaced(target, *kind, Outcome::Failed(ProbeError::clone(&error)))
                })
                .collect::<Vec<_>>()
        };
        if let Err(error) = &job.expectation {
            let error = ProbeError::new(ErrorKind::Internal, error.to_string());
            self.judge_all(job, without_probe(Timings::default(), error))
                .await;
            return None;
        }
        if !self.scanner.local {
            return None;
        }
        let timeout = job.options.timeout;
        let (hostname, port) = (&target.hostname, target.port);
        let before = job.resolved.as_ref().and_then(|resolved| resolved.took);
        let is_known = job.resolved.is_some()
            || !job.addresses.is_empty()
            || matches!(hostname, Hostname::Ip(_));
        let permits = &self.scanner.permits;
        // As with a probe, the timeout begins after the permit.
        let permit = match is_known && job.dane == DaneCheck::Off {
            true => None,
            false => {
                let _wait = permits.wait(job.due);
                permits.name().await
            }
        };
        let resolve = || async {
            match &job.resolved {
                Some(resolved) => resolved.clone(),
                None => {
                    let query = AddressQuery {
                        hostname,
                        port,
                        fixed: &job.addresses,
                        known: &job.known.addresses,
                        families: job.families,
                        is_https: target.protocol == Protocol::Https && target.names.is_empty(),
                    };
                    self.scanner.resolve(&query, timeout).await
                }
            }
        };
        let tlsa = || async {
            match job.dane {
                DaneCheck::Off => Ok(TlsaLookup::Unknown),
                // TLSA records of a UDP port are at another name.
                _ if target.protocol.is_quic() => Ok(TlsaLookup::NotApplicable),
                _ => match (job.unvouched_srv(target), job.unsigned_srv(target)) {
                    (Some(error), _) => Err(error.clone()),
                    (None, Some(service)) => Ok(TlsaLookup::UnsignedSrv {
                        service: service.clone(),
                    }),
                    (None, None) => self.scanner.tlsa(target, timeout).await,
                },
            }
        };
        let lookup = || async {
            let start = Instant::now();
            let (resolution, tlsa) = tokio::join!(resolve(), tlsa());
            (resolution, tlsa, start.elapsed())
        };
        let (resolution, tlsa, elapsed) = repeat_if_stopped(lookup, |_| true).await;
        drop(permit);
        let Resolution {
            mut addresses,
            failure,
            hinted,
            ech,
            took,
            ..
        } = resolution;
        addresses.extend(&hinted);
        let unprobed = self.limit_addresses(job, target, &mut addresses);
        let timings = Timings {
            resolve: took,
            ..Timings::default()
        };
        let left = timeout.saturating_sub(before.unwrap_or_default() + elapsed);
        let (tlsa, unknown) = match tlsa {
            Ok(tlsa) => (tlsa, None),
            Err(error) => {
                let known = job.known.tlsa.clone().map(TlsaLookup::Known);
                (
                    known.unwrap_or_else(|| TlsaLookup::Failed(error.clone())),
                    Some(error),
                )
            }
        };
        // Only one row has no address. The reason why there are no addresses takes precedence.
        if let Some(error) = failure.or(unprobed).or(unknown) {
            self.judge_all(job, without_probe(timings, error)).await;
        }
        Some(Found {
            addresses,
            hinted,
            ech,
            tlsa,
            took,
            left,
        })
    }

    /// Removes the addresses beyond the maximum. Returns the error that is reported for them.
    fn limit_addresses(
        &self,
        job: &Job,
        target: &Target,
        addresses: &mut Vec<IpAddr>,
    ) -> Option<ProbeError> {
        let own = AddressLimit::of(job, target);
        let limit = match self.scanner.permits.is_on_demand() {
            true => own
                .filter(|own| own.most() < MAX_ON_DEMAND_ADDRESSES)
                .unwrap_or(AddressLimit::OnDemand(MAX_ON_DEMAND_ADDRESSES)),
            false => own?,
        };
        let error = limit.apply(&target.hostname, addresses)?;
        tracing::debug!(
            "addresses not probed: hostname={} error=\"{error}\"",
            target.hostname
        );
        Some(error)
    }
}
