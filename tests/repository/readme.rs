//! The documentation shows what the program does.
//!
//! A `console` block is run. A line `$ COMMAND` is a command; the lines after it are its output, to
//! stdout and stderr alike. `...` alone in a line matches any lines, `[..]` anything within a line.
//! A block with a file name after the language is written to that file first. A `sh` block is not
//! run, but it may name only commands and flags that exist. The same is true of code in the text.
//! `docs/history.md` has a history in its folder, and the pages of [`WITH_EXAMPLE`] have
//! certificates and a server at port 8443. There, `certvigil check FLAGS www.example.com` is led to
//! this server, which takes the part of port 443. `docs/rehearse.md` needs nginx and has its own
//! test.

use std::path::Path;

use clap::CommandFactory as _;

use crate::common::example::example;
use crate::common::example_history::keep_example;
use crate::markdown::{Block, code_spans, documents};
use crate::support;

#[test]
fn console_blocks_show_the_actual_output() {
    let mut wrong = Vec::new();
    let mut commands = 0;
    for document in documents() {
        if document.path == Path::new(crate::rehearse::PAGE) {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        if document.path == Path::new("docs/history.md") {
            keep_example(&folder.path().join("state"));
        }
        let has_example = WITH_EXAMPLE.map(Path::new);
        let example = has_example
            .contains(&document.path.as_path())
            .then(|| example(folder.path()));
        // The server listens at a port that was free.
        let port = example.as_ref().map(|server| server.port().to_string());
        let port = port.as_deref().unwrap_or(PORT);
        for block in document.blocks() {
            match block.info.split_once(' ') {
                Some((_, file)) => {
                    let text = block.lines.join("\n").replace(PORT, port) + "\n";
                    std::fs::write(folder.path().join(file), text).unwrap();
                }
                None if block.info == "console" => {
                    for shown in shown(&block) {
                        commands += 1;
                        let example_port = example.as_ref().map(|_| port);
                        let command = with_example(&shown.command, example_port);
                        let written = run(&command.replace(PORT, port), folder.path());
                        let written = match command == shown.command {
                            true => written.replace(port, PORT),
                            false => written.replace(&format!(":{port}"), ":443"),
                        };
                        let written: Vec<&str> = written.lines().collect();
                        if !fits(&shown.output, &written) {
                            wrong.push(format!(
                                "{}:{}: $ {}\n--- shown\n{}\n--- written\n{}\n",
                                document.path.display(),
                                shown.line,
                                shown.command,
                                shown.output.join("\n"),
                                written.join("\n")
                            ));
                        }
                    }
                }
                None => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(commands > 0, "there is no console block");
}

/// The pages whose folder has the files of `formats::example`.
const WITH_EXAMPLE: [&str; 6] = [
    "docs/formats.md",
    "docs/verify.md",
    "docs/chain.md",
    "docs/inspect.md",
    "docs/moving.md",
    "docs/quick-start.md",
];

/// Port of the server in the examples.
const PORT: &str = "8443";

/// A command that checks `www.example.com` as a reader types it, with the flags that lead to the
/// server of the example instead of port 443, and that trust its root.
fn with_example(command: &str, port: Option<&str>) -> String {
    const TYPED: &str = " www.example.com";
    match (port, command.strip_prefix("certvigil check ")) {
        (Some(port), Some(rest)) if rest.contains(TYPED) && !rest.contains("--resolve") => {
            let rest = rest.replace(TYPED, &format!("{TYPED}:{port}"));
            let place = format!("{HOST}:{port}:127.0.0.1", HOST = TYPED.trim());
            format!("certvigil check --ca-file root.pem --resolve {place} {rest}")
        }
        _ => command.to_owned(),
    }
}

pub(crate) struct Shown<'a> {
    pub(crate) line: usize,
    pub(crate) command: String,
    pub(crate) output: Vec<&'a str>,
}

pub(crate) fn shown<'a>(block: &Block<'a>) -> Vec<Shown<'a>> {
    let mut all: Vec<Shown<'a>> = Vec::new();
    let mut continued = false;
    for (at, line) in block.lines.iter().enumerate() {
        match (line.strip_prefix("$ "), all.last_mut()) {
            (Some(command), _) => all.push(Shown {
                line: block.line + at,
                command: command.to_owned(),
                output: Vec::new(),
            }),
            (None, Some(last)) if continued => last.command.push_str(&format!("\n{line}")),
            (None, Some(last)) => last.output.push(line),
            (None, None) => panic!("line {}: a command begins with `$ `", block.line + at),
        }
        continued = line.ends_with('\\') && (continued || line.starts_with("$ "));
    }
    all
}

/// Runs a command as a reader would, with the tested program.
pub(crate) fn run(command: &str, folder: &Path) -> String {
    let command = command.replace("cargo run --release -- ", "certvigil ");
    let output = support::shell()
        .args(["-c", &format!("exec 2>&1\n{command}")])
        .current_dir(folder)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns true if the written lines match the shown ones.
pub(crate) fn fits(shown: &[&str], written: &[&str]) -> bool {
    match (shown, written) {
        ([], []) => true,
        (["...", rest @ ..], _) => (0..=written.len()).any(|skip| fits(rest, &written[skip..])),
        ([first, rest @ ..], [line, more @ ..]) => line_fits(first, line) && fits(rest, more),
        _ => false,
    }
}

/// Replaces what differs between runs: ports that the system chose, dates, and the width of
/// columns.
fn normalised(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line.trim_end();
    while let Some(first) = rest.chars().next() {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let is_date = digits(rest) == 4
            && rest[4..].starts_with('-')
            && digits(&rest[5..]) == 2
            && rest[7..].starts_with('-')
            && digits(&rest[8..]) == 2;
        if is_date {
            out.push_str("DATE");
            rest = &rest[10..];
        } else if first == ':'
            && out.ends_with(|c: char| c.is_ascii_digit() || c == ']')
            && digits(&rest[1..]) > 3
        {
            out.push_str(":PORT");
            rest = &rest[1 + digits(&rest[1..])..];
        } else if first == ' ' {
            out.push(' ');
            rest = rest.trim_start_matches(' ');
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

fn line_fits(shown: &str, written: &str) -> bool {
    let (shown, written) = (&*normalised(shown), &*normalised(written));
    let mut parts = shown.trim_end().split("[..]");
    let Some(mut rest) = written
        .trim_end()
        .strip_prefix(parts.next().unwrap_or_default())
    else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn output_matching_detects_differences() {
    assert!(fits(&["a", "...", "c"], &["a", "b", "b", "c"]));
    assert!(fits(&["a", "...", "c"], &["a", "c"]));
    assert!(!fits(&["a", "...", "c"], &["a", "c", "d"]));
    assert!(!fits(&["a"], &["a", "b"]));
    assert!(!fits(&["a", "b"], &["a"]));
    assert!(line_fits("took [..] ms", "took 12 ms"));
    assert!(line_fits("[..] of [..]", "1 of 2"));
    assert!(!line_fits("took [..] ms", "took 12 s"));
    assert!(!line_fits("took 12", "took 123"));
}

#[test]
fn shown_commands_use_existing_subcommands_and_flags() {
    let mut wrong = Vec::new();
    let mut commands = 0;
    for document in documents() {
        let mut shown: Vec<(usize, String)> = Vec::new();
        for block in document.blocks().iter().filter(|b| b.info == "sh") {
            let text = block.lines.join("\n").replace("\\\n", " ");
            shown.extend(text.lines().map(|line| (block.line, line.to_owned())));
        }
        for (line, text) in document.prose() {
            let spans = code_spans(text).into_iter();
            let spans = spans.filter(|span| span.starts_with("certvigil "));
            shown.extend(spans.map(|span| (line, span.to_owned())));
        }
        for (line, text) in shown {
            for words in invocations(&text) {
                commands += 1;
                if let Err(why) = is_known(&words) {
                    wrong.push(format!("{}:{line}: {text}: {why}", document.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(commands > 0, "no command is shown");
}

/// The arguments of every call of the program in a shell line.
fn invocations(line: &str) -> Vec<Vec<String>> {
    let line = line.replace("cargo run --release -- ", "certvigil ");
    let line = line.split(" #").next().unwrap_or_default();
    let commands = line.split([';', '|', '&', '(', ')']);
    let words = commands.map(|command| {
        let words = command.split_whitespace();
        let words = words.map(|word| word.trim_matches(['\'', '"']).to_owned());
        words
            .skip_while(|word| word != "certvigil" && !word.ends_with("/certvigil"))
            .skip(1)
            .take_while(|word| !word.starts_with('>'))
            .collect::<Vec<String>>()
    });
    words.filter(|words| !words.is_empty()).collect()
}

/// Returns an error if a subcommand or flag does not exist.
fn is_known(words: &[String]) -> Result<(), String> {
    let mut root = certvigil::cli::Cli::command();
    root.build();
    let mut command = &root;
    for word in words {
        if let Some(flag) = word.strip_prefix("--").filter(|f| !f.is_empty()) {
            let name = flag.split('=').next().unwrap_or_default();
            if !command.get_arguments().any(|a| a.get_long() == Some(name)) {
                return Err(format!("there is no --{name}"));
            }
        } else if let Some(short) = word.strip_prefix('-').and_then(|f| f.chars().next()) {
            let shorts = || command.get_arguments().filter_map(clap::Arg::get_short);
            if !shorts().any(|s| s == short) {
                return Err(format!("there is no -{short}"));
            }
        } else if command.has_subcommands() {
            command = command
                .find_subcommand(word)
                .ok_or_else(|| format!("there is no command `{word}`"))?;
        }
    }
    Ok(())
}

#[test]
fn shown_command_check_detects_unknown_commands() {
    let refused = |line: &str| {
        invocations(line)
            .iter()
            .any(|words| is_known(words).is_err())
    };
    assert!(!refused(
        "sudo certvigil check --cert x -v a.example && echo done"
    ));
    assert!(!refused("certvigil config check f.yml"));
    assert!(refused("certvigil check --certificate x"));
    assert!(refused("true && certvigil chek"));
    assert!(refused("certvigil check -x"));
    assert!(refused("cargo run --release -- nothing"));
}
