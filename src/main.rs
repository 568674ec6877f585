//! The `certvigil` command.

use std::process::ExitCode;

/// jemalloc returns freed memory to the system. glibc's allocator keeps it, so that the memory of
/// `serve` would grow for hours (docs/performance.md).
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    certvigil::cli::run(std::env::args_os())
}
