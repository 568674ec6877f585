//! certvigil knows which certificates are expected, probes every server, and reports what is wrong
//! and how to fix it.
//!
//! This crate is the program. It re-exports modules of the other crates of the workspace:
//!
//! - `certvigil-core`: certificates, observations, findings and the judge, without I/O;
//! - `certvigil-probe`: name resolution, probes and revocation over the network;
//! - `certvigil-testbed`: faulty servers and a sandbox of the SSLMate API, for `demo` and tests;
//! - `exporter-web`: a web server for Prometheus exporters;
//! - `yaml-config`: YAML files with errors that name their lines.

pub mod cli;
pub mod config;
mod embedded;
pub mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod remote;
pub mod report;
pub mod scan;
pub mod schedule;
#[cfg(feature = "serve")]
pub mod serve;
pub mod source;
pub mod store;
#[cfg(feature = "demo")]
pub mod testbed;

pub use certvigil_core::{
    certificate, finding, guard, instance, judge, mail, model, mta_sts, observation, tlsa,
};
pub use certvigil_probe::{ech, probe, resolve, revocation, trust};
#[cfg(feature = "serve")]
pub use exporter_web as web;
