//! Which targets may be looked at on demand: those of the inventory, and what the guard lets through once
//! its name has been resolved.

use std::time::Duration;

use crate::model::Hostname;
use crate::resolve::Resolution;

use super::board::Plan;
use super::engine::Engine;

/// What may be looked at.
pub(super) enum Admitted {
    /// A host of the inventory, whatever it resolves to.
    Known,
    /// Another one, at the addresses that were judged fit to look at.
    At(Resolution),
}

/// Whether a host and port may be looked at. What is looked at has to be what was judged, or a name could turn to
/// another address in between: so the addresses come along.
///
/// # Errors
/// Why not, and what would allow it.
pub(super) async fn admit(
    engine: &Engine,
    plan: &Plan,
    hostname: &Hostname,
    port: u16,
    timeout: Duration,
) -> Result<Admitted, String> {
    let known = |t: &&crate::model::Target| t.hostname == *hostname && t.port == port;
    if plan.targets.keys().any(|t| known(&t)) {
        return Ok(Admitted::Known);
    }
    engine.guard.may_name(hostname)?;
    let resolution = engine.scanner.resolve(hostname, port, &[], timeout).await;
    for &ip in &resolution.addresses {
        engine
            .guard
            .may_reach(ip)
            .map_err(|why| format!("{hostname} has an address that may not be looked at: {why}"))?;
    }
    Ok(Admitted::At(resolution))
}
