//! Address families for which this machine has no route.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::Family;

/// Address of a root name server in each family, as an example of the public Internet. A machine
/// without a route to it has no default route. No packet is sent to it.
const PUBLIC_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 41, 0, 4));
const PUBLIC_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30));
/// Discard port (RFC 863). Routes depend only on the address, but sockets require a port.
const ANY_PORT: u16 = 9;
/// Linux error for an address family that the kernel lacks, because the machine was started without
/// IPv6.
const EAFNOSUPPORT: i32 = 97;

/// Routes of this machine. Clones share the record of logged notices.
#[derive(Clone, Debug, Default)]
pub(super) struct Routes {
    noticed: Arc<[AtomicBool; 2]>,
}

impl Routes {
    /// Removes the addresses of a family for which this machine has no route, and logs this once.
    pub(super) fn skip_unavailable(&self, addresses: &mut Vec<IpAddr>) {
        let Some(family) = unavailable(addresses, has_route) else {
            return;
        };
        addresses.retain(|ip| Family::of(*ip) != family);
        let [v4, v6] = &*self.noticed;
        let (noticed, flag) = match family {
            Family::V4 => (v4, "-4"),
            Family::V6 => (v6, "-6"),
        };
        if !noticed.swap(true, Ordering::Relaxed) {
            let (name, other) = (family.name(), family.other().name());
            tracing::warn!(
                "this machine has no route for {name}: the {name} addresses of hosts that have {other} addresses too are \
                 skipped; {flag} or `families` in the configuration requests them"
            );
        }
    }
}

/// Returns the family for which a machine has no route, if it has a route to an address of the
/// other family. A route to one address of a family, or to the public Internet, counts as a route
/// for the family.
fn unavailable(addresses: &[IpAddr], has_route: impl Fn(IpAddr) -> bool) -> Option<Family> {
    let reaches_any = |family| {
        let mut of_family = addresses.iter().filter(|ip| Family::of(**ip) == family);
        of_family.any(|ip| has_route(*ip))
    };
    let has_any = |family| addresses.iter().any(|ip| Family::of(*ip) == family);
    let is_unavailable = |family: &Family| {
        let public = match family {
            Family::V4 => PUBLIC_V4,
            Family::V6 => PUBLIC_V6,
        };
        has_any(*family)
            && has_any(family.other())
            && !reaches_any(*family)
            && !has_route(public)
            && reaches_any(family.other())
    };
    [Family::V6, Family::V4].into_iter().find(is_unavailable)
}

/// Returns true if this machine has a route to an address and a source address for it. If this
/// cannot be determined, the probe reports the failure.
fn has_route(ip: IpAddr) -> bool {
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let connected =
        UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(SocketAddr::new(ip, ANY_PORT)));
    !connected.is_err_and(|error| is_no_route(&error))
}

fn is_no_route(error: &io::Error) -> bool {
    error.raw_os_error() == Some(EAFNOSUPPORT)
        || matches!(
            error.kind(),
            ErrorKind::NetworkUnreachable
                | ErrorKind::HostUnreachable
                | ErrorKind::AddrNotAvailable
                | ErrorKind::Unsupported
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the family that a machine with routes to these addresses lacks.
    fn lacks(addresses: &[&str], routes: &[&str]) -> Option<Family> {
        let read = |texts: &[&str]| -> Vec<IpAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let routes = read(routes);
        unavailable(&read(addresses), |ip| routes.contains(&ip))
    }

    #[test]
    fn family_without_a_route_is_skipped_if_the_other_family_has_one() {
        let (v4, v6) = ("192.0.2.1", "2001:db8::1");
        let (public_v4, public_v6) = (PUBLIC_V4.to_string(), PUBLIC_V6.to_string());
        assert_eq!(lacks(&[v4, v6], &[v4, &public_v4]), Some(Family::V6));
        assert_eq!(lacks(&[v4, v6], &[v6, &public_v6]), Some(Family::V4));
        // The same on a machine without a default route.
        assert_eq!(lacks(&[v4, v6], &[v4]), Some(Family::V6));
        assert_eq!(lacks(&[v4, v6], &[v4, v6]), None);
    }

    #[test]
    fn an_address_is_probed_if_its_family_has_a_route_to_anywhere() {
        let (v4, v6, own) = ("192.0.2.1", "2001:db8::1", "fd00::1");
        let public_v6 = PUBLIC_V6.to_string();
        assert_eq!(lacks(&[v4, v6], &[v4, &public_v6]), None);
        assert_eq!(lacks(&[v4, v6, own], &[v4, own]), None);
    }

    #[test]
    fn a_host_keeps_its_only_addresses() {
        let (v4, v6) = ("192.0.2.1", "2001:db8::1");
        assert_eq!(lacks(&[v6], &[]), None);
        assert_eq!(lacks(&[v4], &[]), None);
        assert_eq!(lacks(&[v4, v6], &[]), None);
        assert_eq!(lacks(&[], &[]), None);
    }

    #[test]
    fn loopback_has_a_route_on_every_machine() {
        assert!(has_route(Ipv4Addr::LOCALHOST.into()));
        let error = |code| is_no_route(&io::Error::from_raw_os_error(code));
        // EAFNOSUPPORT, EADDRNOTAVAIL, ENETUNREACH and EHOSTUNREACH, but not EMFILE or EACCES.
        assert!([97, 99, 101, 113].into_iter().all(error));
        assert!(![24, 13].into_iter().any(error));
    }
}
