//! The `certvigil` command.

fn main() {}
