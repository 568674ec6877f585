//! Limits for the hosts and addresses that DNS gives for an entry. The operator of the domain decides
//! on their number.

use std::fmt::Display;
use std::net::IpAddr;

use crate::model::Target;
use crate::observation::{ErrorKind, ProbeError};

use super::{Job, KnownPlaces};

/// Maximum hosts of one mail domain or service that are probed.
pub const MAX_FOUND_HOSTS: usize = 50;
/// Maximum addresses of one host that are probed, unless the inventory lists them.
pub const MAX_HOST_ADDRESSES: usize = 512;
/// Maximum addresses of all hosts of one mail domain or service that are probed. Each host has the
/// same share of them.
pub const MAX_DOMAIN_ADDRESSES: usize = 1000;

/// Removes the hosts of a domain or service beyond the maximum, which are the least preferred ones.
/// Returns the error that is reported for them.
pub(super) fn limit_hosts<T>(owner: impl Display, hosts: &mut Vec<T>) -> Option<ProbeError> {
    let all = hosts.len();
    let left_out = all.checked_sub(MAX_FOUND_HOSTS).filter(|n| *n > 0)?;
    hosts.truncate(MAX_FOUND_HOSTS);
    Some(ProbeError::new(
        ErrorKind::Internal,
        format!(
            "{left_out} of the {all} hosts of {owner} in DNS were not probed: at most {MAX_FOUND_HOSTS} are; remove records, or list the hosts as `hostnames`"
        ),
    ))
}

/// Maximum addresses of one target, and the reason for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressLimit {
    /// Maximum for on-demand probes.
    OnDemand(usize),
    /// Maximum for the host.
    Host,
    /// Share of the host in those of its domain or service.
    Share(usize),
}

impl AddressLimit {
    /// Returns the limit for a target of the monitor or of `check`; `None` if the inventory lists
    /// its addresses.
    pub(super) fn of(job: &Job, target: &Target) -> Option<Self> {
        if !job.addresses.is_empty() {
            return None;
        }
        let share = job.places.share_of(target);
        Some(share.map_or(Self::Host, Self::Share))
    }

    /// Returns the maximum.
    pub(super) fn most(self) -> usize {
        match self {
            Self::OnDemand(most) | Self::Share(most) => most,
            Self::Host => MAX_HOST_ADDRESSES,
        }
    }

    /// Removes the addresses beyond the maximum. Returns the error that is reported for them.
    pub(super) fn apply(
        self,
        host: impl Display,
        addresses: &mut Vec<IpAddr>,
    ) -> Option<ProbeError> {
        let (all, most) = (addresses.len(), self.most());
        let unprobed = all.checked_sub(most).filter(|count| *count > 0)?;
        interleave_families(addresses);
        addresses.truncate(most);
        let limit = match self {
            Self::OnDemand(_) => format!(
                "on demand at most {most} are; add the host to the inventory to have more of them probed"
            ),
            Self::Host => format!(
                "at most {most} are; remove records, or list the addresses of the host as `addresses`"
            ),
            Self::Share(_) => format!(
                "at most {most} are, because its domain has many hosts in DNS; remove records, or list the addresses of the host as `addresses`"
            ),
        };
        Some(ProbeError::new(
            ErrorKind::Internal,
            format!("{unprobed} of the {all} addresses of {host} were not probed: {limit}"),
        ))
    }
}

/// Sorts addresses so that those of both families alternate, and a prefix has some of each.
fn interleave_families(addresses: &mut Vec<IpAddr>) {
    addresses.sort();
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = addresses.iter().partition(|ip| ip.is_ipv4());
    let (v4, v6) = (v4.into_iter().enumerate(), v6.into_iter().enumerate());
    let mut ranked: Vec<(usize, IpAddr)> = v4.chain(v6).collect();
    ranked.sort();
    *addresses = ranked.into_iter().map(|(_, ip)| ip).collect();
}

impl KnownPlaces {
    /// Returns the maximum addresses of a target that DNS gives for a mail domain or service. If
    /// there are several, the largest share applies.
    fn share_of(&self, target: &Target) -> Option<usize> {
        let mail = self.mail.values();
        let mail = mail.filter(|mail| mail.hosts.contains(&target.hostname));
        let mail = mail.map(|mail| mail.hosts.len());
        let services = self.services.values().filter(|places| {
            let mut places = places.iter();
            places.any(|place| place.hostname == target.hostname && place.port == target.port)
        });
        let fewest = mail.chain(services.map(Vec::len)).min()?;
        let share = MAX_DOMAIN_ADDRESSES / fewest.max(1);
        (share < MAX_HOST_ADDRESSES).then_some(share)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use super::*;
    use crate::mail::MailDomain;
    use crate::model::{Hostname, Protocol};

    fn host(number: usize) -> Hostname {
        format!("mx{number}.example").parse().unwrap()
    }

    fn target(number: usize) -> Target {
        Target::new("mail".to_owned(), host(number), 25, Protocol::Smtp)
    }

    fn places(domains: &[(&str, std::ops::Range<usize>)]) -> KnownPlaces {
        let mail = domains.iter().map(|(domain, hosts)| {
            let domain: Hostname = domain.parse().unwrap();
            let mail = MailDomain {
                domain: domain.clone(),
                hosts: hosts.clone().map(host).collect(),
                is_authenticated: None,
                sts: None,
                sts_fault: None,
            };
            (domain, Arc::new(mail))
        });
        KnownPlaces {
            mail: mail.collect(),
            ..KnownPlaces::default()
        }
    }

    #[test]
    fn hosts_beyond_the_maximum_are_reported() {
        let mut few: Vec<usize> = (0..MAX_FOUND_HOSTS).collect();
        assert_eq!(limit_hosts("example.com", &mut few), None);
        let mut many: Vec<usize> = (0..500).collect();
        let error = limit_hosts("example.com", &mut many).unwrap();
        assert_eq!(many, few);
        assert_eq!(error.kind, ErrorKind::Internal);
        let message = "450 of the 500 hosts of example.com in DNS were not probed: at most 50 are;";
        assert!(error.message.starts_with(message), "{error}");
    }

    #[test]
    fn hosts_of_a_domain_share_its_addresses() {
        let known = places(&[("many.example", 0..50), ("few.example", 49..51)]);
        assert_eq!(known.share_of(&target(0)), Some(20));
        // The domain with the fewest hosts decides.
        assert_eq!(known.share_of(&target(49)), Some(500));
        assert_eq!(known.share_of(&target(60)), None);
        let one = places(&[("one.example", 0..1)]);
        assert_eq!(one.share_of(&target(0)), None);
        let all = MAX_FOUND_HOSTS * (MAX_DOMAIN_ADDRESSES / MAX_FOUND_HOSTS);
        assert!(all <= MAX_DOMAIN_ADDRESSES);
    }

    #[test]
    fn addresses_beyond_the_maximum_are_reported_and_both_families_stay() {
        let v4 = (0..3_000_u32).map(|n| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n)));
        let v6 = (0..3_000_u32).map(|n| IpAddr::V6(Ipv4Addr::from_bits(n).to_ipv6_mapped()));
        let mut addresses: Vec<IpAddr> = v4.chain(v6).collect();
        let mut reversed: Vec<IpAddr> = addresses.iter().rev().copied().collect();
        let error = AddressLimit::Share(20).apply("mx1.example", &mut addresses);
        let message = error.unwrap().message;
        let begins = "5980 of the 6000 addresses of mx1.example were not probed: at most 20 are";
        assert!(message.starts_with(begins), "{message}");
        assert_eq!(addresses.len(), 20);
        assert_eq!(addresses.iter().filter(|ip| ip.is_ipv4()).count(), 10);
        // The same addresses are probed each time, in whatever order DNS returns them.
        assert!(AddressLimit::Share(20).apply("x", &mut reversed).is_some());
        assert_eq!(addresses, reversed);
        assert_eq!(AddressLimit::Share(20).apply("x", &mut addresses), None);
    }
}
