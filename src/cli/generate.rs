//! Completions and manual pages, made from the command line itself so that they cannot disagree.

use std::path::Path;

use clap::CommandFactory as _;

use super::{Cli, Code, output};

pub(super) fn completions(shell: clap_complete::Shell) -> Code {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "certvigil", &mut text);
    output::print(&String::from_utf8_lossy(&text), Code::Ok)
}

pub(super) fn manual(directory: &Path) -> Code {
    let made = std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), directory));
    match made {
        Ok(()) => Code::Ok,
        Err(error) => output::fail(&format!(
            "{}: the manual pages cannot be written: {error}",
            directory.display()
        )),
    }
}
