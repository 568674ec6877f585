//! Generates what packages contain beside the program. `cargo xtask man DIRECTORY` writes the
//! manual pages.

mod man;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};

/// Command line of the generator.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Task {
    /// Write the manual pages to a directory
    Man {
        /// Path to the directory; created if missing
        directory: PathBuf,
    },
}

fn main() -> ExitCode {
    let Task::Man { directory } = Task::parse();
    match man::write_pages(certvigil::cli::Cli::command(), &directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed stderr cannot show the error.
            let _ = writeln!(
                std::io::stderr(),
                "error: cannot write the manual pages to {}: {error}",
                directory.display()
            );
            ExitCode::FAILURE
        }
    }
}
