//! The result of resolving a name.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::ech::EchPlaces;
use crate::model::{Families, Family};
use crate::observation::{ErrorKind, ProbeError};

/// Result of resolving a name.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    /// Addresses without duplicates, IPv4 first, sorted.
    pub addresses: Vec<IpAddr>,
    /// Reason why there is no address, or why those of one family are unknown.
    pub failure: Option<ProbeError>,
    /// Families for which no name server returned addresses: SERVFAIL, no response, or no name
    /// server to query.
    pub unanswered: Option<Families>,
    /// Further addresses, which only the HTTPS records of the host give (RFC 9460). Clients without
    /// support for these records do not use them.
    pub hinted: Vec<IpAddr>,
    /// Parameters `ech` of the HTTPS records.
    pub ech: EchPlaces,
    /// Duration of the lookup. `None` if no query was sent.
    pub took: Option<Duration>,
}

impl Resolution {
    /// Creates a result without addresses, for this reason.
    pub fn failed(failure: ProbeError) -> Self {
        Self {
            failure: Some(failure),
            ..Self::default()
        }
    }

    pub(super) fn of(addresses: impl IntoIterator<Item = IpAddr>, families: Families) -> Self {
        let all: BTreeSet<IpAddr> = addresses.into_iter().collect();
        let addresses: Vec<IpAddr> = all
            .iter()
            .copied()
            .filter(|ip| families.has(Family::of(*ip)))
            .collect();
        let failure = addresses.is_empty().then(|| {
            ProbeError::new(
                ErrorKind::DnsNoAddress,
                format!(
                    "there is no {} address among those that were given",
                    families.name()
                ),
            )
        });
        Self {
            addresses,
            failure,
            ..Self::default()
        }
    }

    /// Creates a result of the addresses that the hosts file has for a name.
    pub(super) fn of_hosts_file(
        name: &str,
        addresses: impl IntoIterator<Item = IpAddr>,
        families: Families,
    ) -> Self {
        let mut resolution = Self::of(addresses, families);
        if let Some(failure) = &mut resolution.failure {
            failure.message = format!(
                "the hosts file has no {} address for {name}",
                families.name()
            );
        }
        resolution
    }

    /// Creates a result without addresses of these families, for this reason. It is certain that
    /// there are none only if a name server reported it.
    pub(super) fn without_addresses(failure: ProbeError, families: Families) -> Self {
        Self {
            unanswered: (!failure.is_dns_answer()).then_some(families),
            ..Self::failed(failure)
        }
    }

    /// Adds the known addresses of the families that no name server returned.
    pub(super) fn keep(&mut self, known: &[IpAddr]) {
        let Some(families) = self.unanswered else {
            return;
        };
        let kept = known
            .iter()
            .copied()
            .filter(|ip| families.has(Family::of(*ip)) && !self.addresses.contains(ip));
        let kept: Vec<IpAddr> = kept.collect();
        if kept.is_empty() {
            return;
        }
        self.addresses.extend(kept);
        self.addresses.sort();
        self.addresses.dedup();
        if let Some(failure) = &mut self.failure {
            failure.message.push_str(KEPT);
        }
    }
}

/// Suffix of the message of a DNS failure that leaves known addresses in use.
const KEPT: &str = "; the addresses of the last successful lookup are still probed";

/// Combines the results of both families. A family without records, or whose response reports that
/// the name does not exist, is not reported if the other family has addresses.
pub(super) fn combine(
    name: &str,
    families: Families,
    answers: [Result<Vec<IpAddr>, ProbeError>; 2],
) -> Resolution {
    let mut addresses = BTreeSet::new();
    let (mut failures, mut unanswered) = (Vec::new(), Vec::new());
    for (answer, family) in answers.into_iter().zip([Family::V4, Family::V6]) {
        match answer {
            Ok(found) => addresses.extend(found),
            Err(error) => {
                if !error.is_dns_answer() {
                    unanswered.push(family);
                }
                failures.push(error);
            }
        }
    }
    let rank = |error: &ProbeError| match error.kind {
        ErrorKind::DnsServfail => 3,
        ErrorKind::DnsTimeout => 2,
        ErrorKind::DnsNxdomain => 1,
        _ => 0,
    };
    let worst = failures.into_iter().max_by_key(rank);
    let failure = if addresses.is_empty() {
        Some(worst.unwrap_or_else(|| {
            ProbeError::new(
                ErrorKind::DnsNoAddress,
                format!("{name} has no {} address", families.name()),
            )
        }))
    } else {
        worst.filter(|error| rank(error) > 1)
    };
    Resolution {
        addresses: addresses.into_iter().collect(),
        failure,
        unanswered: Families::listed(&unanswered),
        hinted: Vec::new(),
        ech: EchPlaces::default(),
        took: None,
    }
}
