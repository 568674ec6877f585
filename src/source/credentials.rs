//! Credentials of the account: user name and password, or an API key from a file, the environment,
//! or the SSLMate client's own configuration.

use std::path::{Path, PathBuf};

use certvigil_probe::io::{BasicAuth, read_secret, read_short_text, warn_if_readable_by_others};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::config::SslmateSettings;

use super::SetupError;

/// API of SSLMate's public service.
pub const DEFAULT_ENDPOINT: &str = "https://sslmate.com/api/v2";
/// Environment variable with the API key.
pub const API_KEY_VARIABLE: &str = "SSLMATE_API_KEY";
/// System-wide configuration of the SSLMate client.
const SYSTEM_FILE: &str = "/etc/sslmate.conf";

/// Process environment and home directory.
pub struct Environment<'a> {
    /// Reads an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Home directory of the user.
    pub home: Option<PathBuf>,
}

/// Credentials and their endpoint.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    login: Login,
    pub(super) endpoint: String,
}

/// Credentials of an account. Both forms are equivalent.
#[derive(Clone, Debug)]
enum Login {
    Key(SecretString),
    User {
        name: SecretString,
        password: SecretString,
    },
}

impl Credentials {
    /// Finds the credentials. Those in the settings take precedence, then the API key in the
    /// environment, then the one in the SSLMate client's own files, which may name an endpoint too.
    pub(super) fn find(
        settings: &SslmateSettings,
        environment: &Environment<'_>,
    ) -> Result<Self, SetupError> {
        let endpoint = |of_client: Option<String>| {
            let endpoint = settings.endpoint.clone().or(of_client);
            let endpoint = endpoint.unwrap_or_else(|| DEFAULT_ENDPOINT.into());
            endpoint.trim_end_matches('/').to_owned()
        };
        if let Some(login) = &settings.login {
            return Ok(Self {
                login: Login::User {
                    name: SecretString::from(login.username.as_str()),
                    password: read_secret(&login.password_file).map_err(SetupError::file)?,
                },
                endpoint: endpoint(None),
            });
        }
        let mut client = ClientFile::default();
        let mut key = match &settings.api_key_file {
            Some(file) => Some(read_secret(file).map_err(SetupError::file)?),
            None => (environment.variable)(API_KEY_VARIABLE)
                .map(Zeroizing::new)
                .filter(|key| !key.trim().is_empty())
                .map(|key| SecretString::from(key.trim())),
        };
        if key.is_none() {
            let own = environment
                .home
                .as_deref()
                .map(|home| home.join(".sslmate"));
            client = own
                .iter()
                .map(PathBuf::as_path)
                .chain([Path::new(SYSTEM_FILE)])
                .find_map(|file| ClientFile::read(file).filter(|c| c.api_key.is_some()))
                .unwrap_or_default();
            key = client.api_key.take();
        }
        let key = key.ok_or(SetupError::NoApiKey {
            variable: API_KEY_VARIABLE,
        })?;
        Ok(Self {
            login: Login::Key(key),
            endpoint: endpoint(client.api_endpoint),
        })
    }

    /// Returns the API key as the user name with an empty password, or user name and password.
    pub(super) fn basic_auth(&self) -> BasicAuth {
        match &self.login {
            Login::Key(key) => BasicAuth {
                username: key.clone(),
                password: Some(SecretString::default()),
            },
            Login::User { name, password } => BasicAuth {
                username: name.clone(),
                password: Some(password.clone()),
            },
        }
    }

    /// Returns the API key, which must not be shown. A user name may be.
    pub(super) fn key(&self) -> Option<&SecretString> {
        match &self.login {
            Login::Key(key) => Some(key),
            Login::User { .. } => None,
        }
    }
}

/// Keys of the SSLMate client's configuration that are used here.
#[derive(Default)]
struct ClientFile {
    api_key: Option<SecretString>,
    api_endpoint: Option<String>,
}

impl ClientFile {
    fn read(file: &Path) -> Option<Self> {
        let read = Self::parse(&read_short_text(file).ok()?);
        if read.api_key.is_some() {
            warn_if_readable_by_others(file);
        }
        Some(read)
    }

    fn parse(text: &str) -> Self {
        let mut out = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.trim().split_once(char::is_whitespace) else {
                continue;
            };
            let value = Some(value.trim()).filter(|v| !v.is_empty());
            match key {
                "api_key" => out.api_key = value.map(SecretString::from),
                "api_endpoint" => out.api_endpoint = value.map(str::to_owned),
                _ => {}
            }
        }
        out
    }
}
