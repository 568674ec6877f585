//! The repository: documentation, packages, dashboards and the layers of the code agree with each
//! other and with the program.

// Tests fail by panics and read clocks.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by a panic"
)]

#[path = "../common/mod.rs"]
mod common;

use common::{canned, fixture, markdown, schema, support};

mod architecture;
mod comparison;
mod config;
mod dashboards;
mod debian;
mod deploy;
mod dist;
mod docs;
mod generated;
mod instructions;
mod layers;
mod moving;
mod pictures;
mod prometheus;
mod readme;
mod rehearse;
mod release;
mod scale;
