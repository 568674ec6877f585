//! Zones of link-local addresses (RFC 4007, section 11).

use crate::cli::output;
use crate::cli::targets::TargetError;
use crate::model::TargetAddress;

/// Reports the zones of link-local addresses, which no row of a result has.
pub(in crate::cli) fn report_zones(places: &[TargetAddress]) {
    for place in places {
        if let Some(zone) = &place.zone
            && scope_of(place).is_ok()
        {
            output::note(&format!(
                "`{}` is probed in the zone `{zone}`",
                place.hostname
            ));
        }
    }
}

/// Returns the index of the network interface that is the zone of a link-local address; 0 if the
/// target has none.
pub(super) fn scope_of(place: &TargetAddress) -> Result<u32, TargetError> {
    let Some(zone) = &place.zone else {
        return Ok(0);
    };
    match zone.parse() {
        Ok(index) if index > 0 => Ok(index),
        _ => interface_index(zone).ok_or_else(|| TargetError::Zone {
            hostname: place.hostname.clone(),
            zone: zone.clone(),
        }),
    }
}

#[cfg(target_os = "linux")]
fn interface_index(name: &str) -> Option<u32> {
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)).ok()?;
    rustix::net::netdevice::name_to_index(&socket, name).ok()
}

#[cfg(not(target_os = "linux"))]
fn interface_index(_name: &str) -> Option<u32> {
    None
}
