//! certvigil knows which certificate ought to be served, looks at every place where one is
//! served, and says what is wrong and how to mend it.
//!
//! The house has floors, and a floor uses only the floors under it:
//!
//! - **ground** (pure: no sockets, no files, no clock): [`model`], [`certificate`], [`instance`],
//!   [`observation`], [`tlsa`], [`finding`], [`judge`], [`guard`], [`config`], [`report`];
//! - **rim** (each touches the outside in one way): [`source`], [`trust`], [`resolve`], [`look`],
//!   [`remote`], [`store`], [`web`];
//! - **engine**: [`scan`], the one path from a target to a judged result; [`schedule`], when to take it;
//! - **faces**: [`lab`] (the demo's servers and stand-in API), [`serve`] (the monitor) and [`cli`].

pub mod cli;
pub mod config;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod lab;
pub mod remote;
pub mod report;
pub mod scan;
pub mod schedule;
pub mod serve;
pub mod source;
pub mod store;

pub use certvigil_core::{certificate, finding, guard, instance, judge, model, observation, tlsa};
pub use certvigil_probe::{look, resolve, revocation, trust};
pub use exporter_web as web;
