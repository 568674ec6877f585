//! TLS probing over the network: resolves names, connects, speaks STARTTLS, performs handshakes,
//! and requests revocation status from issuers. The result of a probe is an observation of
//! `certvigil-core`.

pub mod ech;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod io;
pub mod mta_sts;
pub mod probe;
pub mod resolve;
pub mod revocation;
pub mod trust;

// Modules of `certvigil-core`, imported under their own names.
use certvigil_core::{certificate, guard, judge, model, observation, tlsa};
