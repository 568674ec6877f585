//! The `certvigil` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    certvigil::cli::run(std::env::args_os())
}
