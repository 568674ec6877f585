//! Probes TLS servers over the network: resolves names, connects, speaks STARTTLS, handshakes, and asks issuers for
//! revocation. What a probe sees is an observation of `certvigil-core`.

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod io;
pub mod look;
pub mod resolve;
pub mod revocation;
pub mod trust;

// Modules of the core by their own names.
use certvigil_core::{certificate, guard, judge, model, observation, tlsa};
