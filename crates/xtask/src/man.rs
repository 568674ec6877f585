//! Manual pages, generated from the definition of the command line.

use std::io;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;

/// Writes one manual page for each command below `root` to a directory, which is created.
pub(crate) fn write_pages(root: Command, directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    // The pages replace `certvigil help`.
    let mut root = root.disable_help_subcommand(true);
    let version = root.render_version();
    root.build();
    let mut commands = Vec::new();
    list(&root, &mut commands);
    let names: Vec<&str> = commands.iter().map(|command| page_name(command)).collect();
    for command in &commands {
        let name = page_name(command);
        let mut page = Vec::new();
        // The examples, which follow the help of a command, have a section of their own here.
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

fn list<'a>(command: &'a Command, all: &mut Vec<&'a Command>) {
    all.push(command);
    for below in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        list(below, all);
    }
}

/// Returns the name of a command's page, such as `certvigil-config-check`.
fn page_name(command: &Command) -> &str {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
}

/// Returns the exit codes of a command as a section in roff.
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

/// Returns the examples in a command's help as a section in roff.
fn examples(command: &Command) -> String {
    let help = command.get_after_help().map(ToString::to_string);
    let help = help.unwrap_or_default();
    let Some(lines) = help.strip_prefix("Examples:\n") else {
        return String::new();
    };
    format!(".SH EXAMPLES\n.nf\n{}\n.fi\n", lines.replace('-', "\\-"))
}

/// Returns the names of the other pages as a section in roff.
fn see_also(page: &str, all: &[&str]) -> String {
    let others = all.iter().filter(|other| **other != page);
    let others = others.map(|other| format!("{}(1)", other.replace('-', "\\-")));
    let others: Vec<String> = others.collect();
    format!(".SH \"SEE ALSO\"\n{}\n", others.join(", "))
}
