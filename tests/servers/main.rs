//! The program with real servers and clients. A test that needs a Debian package is ignored, with
//! the name of the package: `make test` installs the packages (`tests/packages.txt`) and runs all
//! tests.

// Tests fail by panics and read clocks.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests read the clock, print and fail by a panic"
)]

#[path = "../common/mod.rs"]
mod common;

use common::{canned, fixture, support};

mod cleartext;
mod cli;
mod clients;
mod command_line;
mod dane;
mod dane_mail;
mod dns;
mod files;
mod formats;
mod h3;
mod hooks;
mod mail;
mod monitor_dns;
mod mta_sts;
mod nginx;
mod openssl;
mod prometheus;
mod reach;
mod revocation;
mod sandbox;
mod services;
mod starttls;
mod status_page;
mod terminal;
mod web;
mod xmpp;
