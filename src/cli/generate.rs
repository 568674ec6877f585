//! Shell completions, generated from the definition of the command line.

use clap::CommandFactory as _;

use super::{Cli, Code, output};

pub(super) fn completions(shell: clap_complete::Shell) -> Code {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "certvigil", &mut text);
    output::print(&String::from_utf8_lossy(&text), Code::Ok)
}
