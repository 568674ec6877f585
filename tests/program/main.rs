//! The program, run as a user would run it, and probed or probing over real sockets. Needs cargo
//! alone: none of these tests is ignored.

// Tests fail by panics and read clocks.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests read the clock and fail by a panic"
)]

#[path = "../common/mod.rs"]
mod common;

use common::{canned, fixture, markdown, schema, support};

mod api_faults;
mod chain;
mod cleartext;
mod cli;
mod command_line;
mod dane;
mod demo;
mod dns;
mod encrypted_hello;
mod formats;
mod h3;
mod history;
mod hooks;
mod hostile;
mod https_records;
mod inspect;
mod large_hello;
mod mssql;
mod permissions;
mod reach;
mod result;
mod root_store;
mod sandbox;
mod schedule;
mod serve;
mod services;
mod shared;
mod sources;
mod stand_in;
mod starttls;
mod terminal;
mod unchanged;
mod verify;
mod web;
mod wrong_certificates;
mod wrong_servers;
