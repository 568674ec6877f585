//! One binary for everything that runs the program, or talks to it over real sockets.
//!
//! What needs a server from Debian is ignored with the package's name; `make test` installs them
//! and runs all.

// Helpers of tests are tests too, which clippy sees only of what is marked as one.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod cli;
mod config;
mod docs;
mod floors;
mod markdown;
mod readme;
mod schema;
mod support;
