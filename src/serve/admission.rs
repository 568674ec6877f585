//! Admission of on-demand probes: targets of the inventory are admitted, and other targets if the
//! guard admits their name and all of its addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use hyper::StatusCode;

use crate::model::{Families, Hostname};
use crate::resolve::{AddressQuery, Resolution};

use super::expectations::Watch;
use super::plan::Plan;
use super::runtime::Runtime;

/// Target that may be probed.
pub(super) enum Admitted {
    /// A host of the inventory, whatever it resolves to, with the addresses that the inventory
    /// sets.
    Known(BTreeSet<IpAddr>),
    /// Another host, at the addresses that the guard admitted.
    At(Resolution),
}

/// Reason why a target is not probed.
pub(super) enum Refused {
    /// Probing it is not allowed.
    Forbidden(String),
    /// It may be in the inventory, but not all sources have returned a result yet.
    TooEarly,
    /// This source, which has not answered since the start, may set its expected certificate.
    Awaited(String),
}

impl Refused {
    /// Returns the reason to refuse a host until the source of this entry has answered.
    pub(super) fn awaiting(watch: &Watch) -> Self {
        watch.source().map_or(Self::TooEarly, Self::Awaited)
    }

    /// Returns true if the client should try again.
    pub(super) fn is_early(&self) -> bool {
        matches!(self, Self::TooEarly | Self::Awaited(_))
    }

    /// Returns the status and the text of the response.
    pub(super) fn reported(self) -> (StatusCode, String) {
        match self {
            Self::Forbidden(why) => (StatusCode::FORBIDDEN, why),
            Self::TooEarly => (
                StatusCode::SERVICE_UNAVAILABLE,
                "not all sources have returned their certificates yet; try again".into(),
            ),
            Self::Awaited(source) => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "the expected certificate is not known: the source `{source}` has not answered since the start, and may be that of this host; try again, or list the `hostnames` of its entry"
                ),
            ),
        }
    }
}

/// Checks that a host and port may be probed. The result includes the checked addresses, because a
/// second lookup could return other ones.
///
/// # Errors
/// Returns the reason, and the setting that would allow it.
pub(super) async fn admit(
    runtime: &Runtime,
    plan: &Plan,
    hostname: &Hostname,
    port: u16,
    families: Option<Families>,
    timeout: Duration,
) -> Result<Admitted, Refused> {
    if let Some(addresses) = plan.known(hostname, port) {
        return Ok(Admitted::Known(addresses));
    }
    runtime.guard.may_name(hostname).map_err(|why| {
        if plan.is_whole() {
            Refused::Forbidden(format!("port {port} of {hostname}: {why}"))
        } else {
            Refused::TooEarly
        }
    })?;
    let query = AddressQuery {
        families,
        ..AddressQuery::new(hostname, port)
    };
    let resolution = runtime.scanner.resolve(&query, timeout).await;
    for &ip in &resolution.addresses {
        runtime.guard.may_reach(ip).map_err(|why| {
            Refused::Forbidden(format!(
                "{hostname} has an address that may not be probed: {why}"
            ))
        })?;
    }
    Ok(Admitted::At(resolution))
}
