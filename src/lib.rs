//! certvigil knows which certificate ought to be served, looks at every place where one is
//! served, and says what is wrong and how to mend it.
//!
//! This is the program. Below it are the crates of the workspace, whose modules it re-exports:
//!
//! - `certvigil-core`: certificates, observations, findings and the judge, without I/O;
//! - `certvigil-probe`: name resolution, probes and revocation over the network;
//! - `certvigil-testbed`: wrong servers and a stand-in for the SSLMate API, for `demo` and tests;
//! - `exporter-web`: a web server for Prometheus exporters;
//! - `yaml-config`: YAML files with errors that name their lines.

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
