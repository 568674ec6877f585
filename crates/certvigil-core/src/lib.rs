//! Judges certificate installations, without I/O: compares served certificates with expected ones,
//! validates paths, and reports findings.

#[cfg(any(test, feature = "authority"))]
pub mod authority;
pub mod certificate;
pub mod finding;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod guard;
pub mod instance;
pub mod judge;
pub mod mail;
pub mod model;
pub mod mta_sts;
pub mod observation;
pub mod tlsa;
