//! One binary for everything that runs the program, or talks to it over real sockets.
//!
//! What needs a server from Debian is ignored with the package's name; `make test` installs them
//! (`tests/packages.txt`) and runs all.

mod dns;
mod fixture;
mod nginx;
mod openssl;
mod support;
