//! One test binary for everything that runs the program or connects to it over real sockets.
//!
//! Tests that need a server from Debian are ignored, with the name of the package. `make test`
//! installs the packages (`tests/packages.txt`) and runs all tests.

// Tests fail by panics and read clocks.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod api_faults;
mod architecture;
mod canned;
mod chain;
mod cleartext;
mod cli;
mod command_line;
mod comparison;
mod config;
mod dane;
mod dane_mail;
mod dashboards;
mod demo;
mod deploy;
mod dist;
mod dns;
mod docs;
mod files;
mod fixture;
mod formats;
mod generated;
mod h3;
mod history;
mod hooks;
mod hostile;
mod https_records;
mod inspect;
mod instructions;
mod layers;
mod mail;
mod markdown;
mod moving;
mod mssql;
mod mta_sts;
mod nginx;
mod openssl;
mod package;
mod permissions;
mod pictures;
mod prometheus;
mod reach;
mod readme;
mod rehearse;
mod release;
mod result;
mod revocation;
mod sandbox;
mod scale;
mod schedule;
mod schema;
mod serve;
mod services;
mod shared;
mod sources;
mod stand_in;
mod starttls;
mod starttls_servers;
mod support;
mod terminal;
mod unchanged;
mod verify;
mod web;
mod wrong_certificates;
mod wrong_servers;
mod xmpp;
