//! Completions and manual pages, made from the command line itself so that they cannot disagree.

use std::io;
use std::path::Path;

use clap::CommandFactory as _;
use clap_mangen::Man;

use super::{Cli, Code, output};

pub(super) fn completions(shell: clap_complete::Shell) -> Code {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "certvigil", &mut text);
    output::print(&String::from_utf8_lossy(&text), Code::Ok)
}

pub(super) fn manual(directory: &Path) -> Code {
    match std::fs::create_dir_all(directory).and_then(|()| write_pages(directory)) {
        Ok(()) => Code::Ok,
        Err(error) => output::fail(&format!(
            "cannot write the manual pages to {}: {error}",
            directory.display()
        )),
    }
}

/// A page for each command.
fn write_pages(directory: &Path) -> io::Result<()> {
    // `certvigil help` tells what the pages do.
    let mut root = Cli::command().disable_help_subcommand(true);
    let version = root.render_version();
    root.build();
    let mut commands = Vec::new();
    list(&root, &mut commands);
    let names: Vec<&str> = commands.iter().map(|command| page_name(command)).collect();
    for command in &commands {
        let name = page_name(command);
        let mut page = Vec::new();
        // What stands behind the help has sections of its own here.
        let bare = (*command).clone().after_help(None::<&str>);
        Man::new(bare)
            .manual("certvigil")
            .source(version.trim())
            .render(&mut page)?;
        page.extend(exit_status(name).as_bytes());
        page.extend(examples(command).as_bytes());
        page.extend(see_also(name, &names).as_bytes());
        std::fs::write(directory.join(format!("{name}.1")), page)?;
    }
    Ok(())
}

fn list<'a>(command: &'a clap::Command, all: &mut Vec<&'a clap::Command>) {
    all.push(command);
    for below in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        list(below, all);
    }
}

/// `certvigil-config-check`.
fn page_name(command: &clap::Command) -> &str {
    command.get_display_name().unwrap_or(command.get_name())
}

/// What the exit codes of a command are, as a section in roff.
fn exit_status(page: &str) -> String {
    let codes: &[(u8, &str)] = match page {
        "certvigil" | "certvigil-check" => &[
            (0, "no finding reaches the severity of \\-\\-fail\\-on"),
            (1, "the most severe finding is a warning"),
            (2, "there is a critical finding"),
            (3, "a result is unknown, or the command line is invalid"),
        ],
        "certvigil-inspect" => &[
            (0, "at least one address served a certificate"),
            (
                3,
                "no address served a certificate, or the command line is invalid",
            ),
        ],
        "certvigil-demo" => &[
            (
                0,
                "every planted fault was found, and nothing else was reported",
            ),
            (
                1,
                "a planted fault was missed, or something else was reported",
            ),
            (3, "the demo failed to run"),
        ],
        _ => &[(0, "success"), (3, "failure")],
    };
    let mut text = String::from(".SH \"EXIT STATUS\"\n");
    for (code, meaning) in codes {
        text.push_str(&format!(".TP\n{code}\n{meaning}\n"));
    }
    text
}

/// The examples in a command's help, as a section in roff.
fn examples(command: &clap::Command) -> String {
    let help = command.get_after_help().map(ToString::to_string);
    let help = help.unwrap_or_default();
    let Some(lines) = help.strip_prefix("Examples:\n") else {
        return String::new();
    };
    format!(".SH EXAMPLES\n.nf\n{}\n.fi\n", lines.replace('-', "\\-"))
}

/// The other pages, as a section in roff.
fn see_also(page: &str, all: &[&str]) -> String {
    let others = all.iter().filter(|other| **other != page);
    let others = others.map(|other| format!("{}(1)", other.replace('-', "\\-")));
    let others: Vec<String> = others.collect();
    format!(".SH \"SEE ALSO\"\n{}\n", others.join(", "))
}
