//! Which targets may be looked at on demand: those of the inventory, and what the guard lets through once
//! its name has been resolved.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use hyper::StatusCode;

use crate::model::Hostname;
use crate::resolve::{AddressQuery, Resolution};

use super::plan::Plan;
use super::runtime::Runtime;

/// What may be looked at.
pub(super) enum Admitted {
    /// A host of the inventory, whatever it resolves to, with the addresses that the inventory fixes.
    Known(BTreeSet<IpAddr>),
    /// Another one, at the addresses that were judged fit to look at.
    At(Resolution),
}

/// Why something is not looked at.
pub(super) enum Refused {
    /// It may not be.
    Forbidden(String),
    /// It may be of the inventory, of which not everything has been said yet.
    TooEarly,
}

impl Refused {
    /// The status and the words of the answer.
    pub(super) fn told(self) -> (StatusCode, String) {
        match self {
            Self::Forbidden(why) => (StatusCode::FORBIDDEN, why),
            Self::TooEarly => (
                StatusCode::SERVICE_UNAVAILABLE,
                "not every source has been asked yet what is in the inventory: try again".into(),
            ),
        }
    }
}

/// Whether a host and port may be looked at. What is looked at has to be what was judged, or a name could turn to
/// another address in between: so the addresses come along.
///
/// # Errors
/// Why not, and what would allow it.
pub(super) async fn admit(
    runtime: &Runtime,
    plan: &Plan,
    hostname: &Hostname,
    port: u16,
    timeout: Duration,
) -> Result<Admitted, Refused> {
    if let Some(addresses) = plan.known(hostname, port) {
        return Ok(Admitted::Known(addresses));
    }
    runtime.guard.may_name(hostname).map_err(|why| {
        if plan.is_whole() {
            Refused::Forbidden(why)
        } else {
            Refused::TooEarly
        }
    })?;
    let query = AddressQuery::new(hostname, port);
    let resolution = runtime.scanner.resolve(&query, timeout).await;
    for &ip in &resolution.addresses {
        runtime.guard.may_reach(ip).map_err(|why| {
            Refused::Forbidden(format!(
                "{hostname} has an address that may not be looked at: {why}"
            ))
        })?;
    }
    Ok(Admitted::At(resolution))
}
