//! Command line: parses the arguments, runs the command and returns its exit code.

mod chain;
mod check;
mod dashboards;
#[cfg(feature = "demo")]
mod demo;
mod error;
mod exit;
mod flags;
mod generate;
mod history;
mod inspect;
#[cfg_attr(
    not(feature = "serve"),
    expect(dead_code, reason = "a part is only for servers")
)]
mod limits;
#[cfg_attr(
    not(feature = "serve"),
    expect(dead_code, reason = "a part is only for servers")
)]
mod log;
mod output;
mod plan;
mod progress;
mod rendering;
#[cfg(feature = "demo")]
mod sandbox;
#[cfg(feature = "serve")]
mod serve;
mod targets;
mod time;
mod usage;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, CommandFactory as _, Parser, Subcommand};

use crate::model::Timestamp;

use error::Error;

pub use exit::Code;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "certvigil",
    version,
    about = "Test and monitor which TLS certificates your servers serve",
    long_about = "certvigil tests and monitors TLS certificate installation. It knows which certificate each \
                  server should serve, probes every IPv4 and IPv6 address, and reports what is wrong and how to \
                  fix it.",
    after_help = "Exit codes: 0 ok, 1 warning, 2 critical, 3 unknown or usage error",
    propagate_version = true,
    args_override_self = true,
    max_term_width = 100
)]
pub struct Cli {
    /// Log more to stderr; repeat for more detail
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = AFTER_OTHERS)]
    verbose: u8,

    #[command(subcommand)]
    command: Command,
}

/// Display order that puts global flags after those of the command.
const AFTER_OTHERS: usize = 100;

#[derive(Debug, Subcommand)]
enum Command {
    Check(Box<check::Args>),
    Verify(Box<verify::Args>),
    Inspect(Box<inspect::Args>),
    Chain(chain::Args),
    #[cfg(feature = "serve")]
    Serve(serve::Args),
    #[cfg(feature = "demo")]
    Demo(demo::Args),
    History(history::Args),
    #[cfg(feature = "demo")]
    Sandbox(sandbox::Args),
    /// Validate a configuration file
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Export the Grafana dashboards and Prometheus rules
    Dashboards {
        #[command(subcommand)]
        command: dashboards::Command,
    },
    /// Print shell completions
    Completions {
        /// Shell to print completions for
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Report errors in a configuration file, or list what it tests
    Check {
        /// Path to the configuration file
        file: PathBuf,
    },
}

/// Joins `--dane required` to `--dane=required`. The value is optional, so clap would take the next
/// TARGET for it without an equals sign.
fn joined(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    for argument in arguments {
        match joined.last_mut() {
            Some(flag) if flag == "--dane" && argument == "required" => flag.push("=required"),
            _ => joined.push(argument),
        }
    }
    joined
}

/// Runs the command line and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = joined(arguments);
    output::hide(&arguments);
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() {
                exit::of_usage_error(&Cli::command(), &arguments)
            } else {
                Code::Ok
            };
            match usage::message(&error, &arguments) {
                Some(text) => {
                    output::fail(&text);
                }
                None => return output::print_help(&error, code).into(),
            }
            return code.into();
        }
    };
    limits::forbid_core_dumps();
    let is_quiet = matches!(&cli.command, Command::Check(arguments) if arguments.is_quiet());
    if let Command::Check(arguments) = &cli.command {
        output::use_colour(arguments.colour());
    }
    match &cli.command {
        #[cfg(feature = "serve")]
        Command::Serve(arguments) => output::start_logging_of_server(cli.verbose, arguments.log()),
        #[cfg(feature = "demo")]
        Command::Demo(arguments) if arguments.goes_on() => {
            output::start_logging_of_server(cli.verbose, arguments.log());
        }
        // The sandbox logs its events by default.
        #[cfg(feature = "demo")]
        Command::Sandbox(_) => output::start_logging(Some(cli.verbose.saturating_add(1))),
        _ => output::start_logging((!is_quiet).then_some(cli.verbose)),
    }
    let code = match cli.command {
        Command::Check(arguments) => check::run(*arguments, cli.verbose),
        Command::Verify(arguments) => verify::run(*arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Chain(arguments) => chain::run(&arguments),
        #[cfg(feature = "serve")]
        Command::Serve(arguments) => serve::run(arguments),
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => demo::run(&arguments),
        Command::History(arguments) => history::run(&arguments),
        #[cfg(feature = "demo")]
        Command::Sandbox(arguments) => sandbox::run(arguments),
        Command::Config {
            command: ConfigCommand::Check { file },
        } => check_config(&file),
        Command::Dashboards { command } => dashboards::run(&command),
        Command::Completions { shell } => generate::completions(shell),
    };
    code.into()
}

fn check_config(file: &std::path::Path) -> Code {
    let inventory = match plan::read_inventory_and_targets(file) {
        Ok(inventory) => inventory,
        Err(error) => return output::fail(&error),
    };
    output::print(&crate::config::describe(&inventory), Code::Ok)
}

/// The only clock. All other code takes the time as an argument.
#[expect(
    clippy::disallowed_methods,
    reason = "the only place that reads the clock"
)]
fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = since_epoch.map(|d| d.as_secs()).unwrap_or_default();
    Timestamp(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// Runs a command on a new async runtime.
fn block_on<T>(command: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = runtime().map_err(Error::Runtime)?;
    let ended = runtime.block_on(command);
    // Open lookups and connections that are closing are not worth waiting for.
    runtime.shutdown_background();
    ended
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}
