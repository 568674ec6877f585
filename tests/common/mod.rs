//! What the test binaries share: runs of the program, servers and certificates of the tests, and
//! readers of the repository's files.

// Each binary uses a part.
#![allow(dead_code, reason = "no test binary needs all helpers")]

pub(crate) mod canned;
pub(crate) mod cleartext;
pub(crate) mod client_auth;
pub(crate) mod dashboards;
pub(crate) mod dialogue;
pub(crate) mod example;
pub(crate) mod example_history;
pub(crate) mod fixture;
pub(crate) mod h3;
pub(crate) mod markdown;
pub(crate) mod monitor;
pub(crate) mod nginx;
pub(crate) mod resolution;
pub(crate) mod rollout;
pub(crate) mod schema;
pub(crate) mod support;
pub(crate) mod tlsa;
pub(crate) mod web_client;
