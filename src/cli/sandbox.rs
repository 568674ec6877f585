//! `certvigil sandbox`: a local SSLMate account with its API and its own authority.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use clap::ValueHint;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use url::Url;

use crate::model::parse_duration;
use crate::resolve::Override;
use crate::testbed::sandbox::account::Policy;
use crate::testbed::sandbox::{AccountScenario, Sandbox, Settings};
use crate::testbed::{self, BASE_PATH, Credentials};

use super::error::{Error, ListenError};
use super::serve::{Listen, signals};
use super::{Code, block_on, now, output};

/// Name of the file with the root certificate in the state directory.
const ROOT_FILE: &str = "ca.pem";

/// Run a local sandbox of the SSLMate API with its own certificate authority
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address and port to listen on; without an address, on all of them
    #[arg(long, value_name = "[ADDR]:PORT", default_value = "127.0.0.1:10844")]
    listen: Listen,

    /// Path to the state directory, which keeps the account and the authority; created if missing
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    state_dir: Option<PathBuf>,

    /// API key that the sandbox accepts
    #[arg(long, value_name = "KEY", default_value = "1_sandbox", value_parser = secret, value_hint = ValueHint::Other)]
    api_key: String,

    /// User name and password that the sandbox accepts
    #[arg(long, value_name = "NAME:PASSWORD", default_value = "sandbox:sandbox", value_hint = ValueHint::Other)]
    user: User,

    /// Path to a scenario file with the certificates of a new account
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    scenario: Option<PathBuf>,

    /// Approve orders after this time, such as 30s, or never
    #[arg(long, value_name = "DURATION", default_value = "2s")]
    approval_delay: Delay,

    /// Lifetime of bought certificates
    #[arg(long, value_name = "DURATION", default_value = "365d", value_parser = lifetime)]
    lifetime: i64,

    /// URL to which issued certificates are posted; repeatable
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    webhook: Vec<Url>,

    /// Test these addresses for HOST (* for any host) and PORT instead of those in DNS; repeatable
    #[arg(long, value_name = "HOST:PORT:ADDR[,ADDR]", value_hint = ValueHint::Other)]
    resolve: Vec<Override>,

    /// URL of the sandbox in its certificates and responses [default: http:// and the listen address]
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    external_url: Option<Url>,
}

/// Reason why the value of a flag is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum SandboxFlagError {
    /// The text has no user name or no password.
    #[error("it is not a user name and a password; write NAME:PASSWORD")]
    User,
    /// The text is no duration.
    #[error("`{0}` is not a duration; write it as 10s, 5m or 90d")]
    Duration(String),
    /// The lifetime is zero.
    #[error("a certificate cannot expire when it is issued; give at least 1s")]
    NoLifetime,
    /// The text cannot be a user name of HTTP Basic authentication.
    #[error("an API key must have at least one character, and no colon")]
    ApiKey,
}

/// Reason why the sandbox does not start.
#[derive(Debug, thiserror::Error)]
enum SandboxError {
    /// The root certificate cannot be written.
    #[error("cannot write {}: {error}", file.display())]
    Write {
        /// File of the root certificate.
        file: PathBuf,
        /// Error of the operating system.
        error: std::io::Error,
    },
    /// The scenario cannot be read.
    #[error("cannot read {}: {error}", file.display())]
    Read {
        /// File of the scenario.
        file: PathBuf,
        /// Error of the operating system.
        error: std::io::Error,
    },
    /// The scenario is invalid.
    #[error("{0}")]
    Scenario(String),
}

/// User name and password.
#[derive(Clone, Debug)]
struct User {
    name: String,
    password: String,
}

impl FromStr for User {
    type Err = SandboxFlagError;

    fn from_str(text: &str) -> Result<Self, SandboxFlagError> {
        match text.split_once(':') {
            Some((name, password)) if !name.is_empty() && !password.is_empty() => Ok(Self {
                name: name.to_owned(),
                password: password.to_owned(),
            }),
            _ => Err(SandboxFlagError::User),
        }
    }
}

/// Seconds from an order to its approval. `None` without automatic approval.
#[derive(Clone, Copy, Debug)]
struct Delay(Option<i64>);

impl FromStr for Delay {
    type Err = SandboxFlagError;

    fn from_str(text: &str) -> Result<Self, SandboxFlagError> {
        match text {
            "never" => Ok(Self(None)),
            "0" => Ok(Self(Some(0))),
            _ => Ok(Self(Some(seconds(text)?))),
        }
    }
}

/// Maximum delay and lifetime in seconds: five years, which is less than the lifetime of the
/// authority.
const MAX_SECONDS: u64 = 5 * 365 * 86_400;

/// Parses a duration and rounds it up to whole seconds.
fn seconds(text: &str) -> Result<i64, SandboxFlagError> {
    let wrong = || SandboxFlagError::Duration(text.to_owned());
    let duration = parse_duration(text).map_err(|_| wrong())?;
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i64::try_from(whole.min(MAX_SECONDS)).map_err(|_| wrong())
}

fn lifetime(text: &str) -> Result<i64, SandboxFlagError> {
    match seconds(text)? {
        0 => Err(SandboxFlagError::NoLifetime),
        seconds => Ok(seconds),
    }
}

/// Parses an API key: the user name of HTTP Basic authentication.
fn secret(text: &str) -> Result<String, SandboxFlagError> {
    if text.is_empty() || text.contains(':') || text.chars().any(char::is_control) {
        return Err(SandboxFlagError::ApiKey);
    }
    Ok(text.to_owned())
}

pub(super) fn run(args: Args) -> Code {
    match block_on(serve(args)) {
        Ok(code) => code,
        Err(error) => output::fail(&error),
    }
}

async fn serve(args: Args) -> Result<Code, Error> {
    // Handlers are installed before the output reports that the sandbox runs.
    let (hangups, _ignored) = mpsc::channel(1);
    let shutdown = signals(hangups)?;
    let scenario = args.scenario.as_deref().map(read_scenario).transpose();
    let scenario = scenario.map_err(Error::resource)?;
    let listener = args.listen.bind("--listen").await?;
    let origin = match &args.external_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => origin(&listener)?,
    };
    let policy = Policy {
        approval_delay: args.approval_delay.0,
        lifetime: args.lifetime,
        webhooks: args.webhook.iter().map(Url::to_string).collect(),
        ..Policy::new(origin.clone())
    };
    let settings = Settings {
        credentials: Credentials {
            api_key: args.api_key.clone(),
            username: args.user.name.clone(),
            password: args.user.password.clone(),
        },
        policy,
        scenario,
        state_dir: args.state_dir.clone(),
        authority: None,
        clock: Arc::new(now),
        logs_requests: true,
    };
    let resolve = args.resolve;
    let sandbox = Sandbox::open(settings, |root| testbed::tester(resolve, root));
    let sandbox = sandbox.map_err(|e| Error::resource(e.to_string()))?;
    if let Some(folder) = &args.state_dir {
        let file = folder.join(ROOT_FILE);
        std::fs::write(&file, sandbox.root().to_pem())
            .map_err(|error| SandboxError::Write { file, error })
            .map_err(Error::resource)?;
    }
    let text = format!(
        "API endpoint: {origin}{BASE_PATH}\nAPI key: {}\nUser name: {}\nRoot certificate: {origin}/ca.pem\n",
        args.api_key, args.user.name
    );
    let code = output::print(&text, Code::Ok);
    tokio::select! {
        () = sandbox.serve(listener) => {}
        () = shutdown => {}
    }
    Ok(code)
}

fn read_scenario(file: &std::path::Path) -> Result<AccountScenario, SandboxError> {
    let text = std::fs::read_to_string(file).map_err(|error| SandboxError::Read {
        file: file.to_owned(),
        error,
    })?;
    AccountScenario::parse(&text, file).map_err(|errors| SandboxError::Scenario(errors.to_string()))
}

/// Returns the URL of a listener without a path. Clients reach a wildcard address as localhost.
fn origin(listener: &TcpListener) -> Result<String, ListenError> {
    let address = listener.local_addr().map_err(ListenError::Address)?;
    Ok(match address.ip() {
        ip if ip.is_unspecified() => format!("http://localhost:{}", address.port()),
        IpAddr::V4(_) | IpAddr::V6(_) => format!("http://{address}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_and_lifetimes_are_whole_seconds() {
        assert_eq!("never".parse::<Delay>().unwrap().0, None);
        assert_eq!("0".parse::<Delay>().unwrap().0, Some(0));
        assert_eq!("1500ms".parse::<Delay>().unwrap().0, Some(2));
        assert_eq!(lifetime("90d"), Ok(90 * 86_400));
        assert!(lifetime("0s").is_err() && lifetime("soon").is_err());
    }

    #[test]
    fn a_user_has_a_name_and_a_password() {
        let user: User = "a:b:c".parse().unwrap();
        assert_eq!((user.name.as_str(), user.password.as_str()), ("a", "b:c"));
        assert!("a".parse::<User>().is_err() && ":b".parse::<User>().is_err());
    }
}
