//! Where the API key comes from: a file, the environment, or the SSLMate client's own configuration.

use std::path::{Path, PathBuf};

use certvigil_probe::io::{BasicAuth, read_secret, read_short_text, warn_if_readable_by_others};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::config::SslmateSettings;

/// SSLMate's public service.
pub const DEFAULT_ENDPOINT: &str = "https://sslmate.com/api/v2";
/// The variable that may hold the API key.
pub const API_KEY_VARIABLE: &str = "SSLMATE_API_KEY";
/// The SSLMate client's configuration for the whole machine.
const SYSTEM_FILE: &str = "/etc/sslmate.conf";

/// What the process' surroundings say: the environment and the home folder.
pub struct Environment<'a> {
    /// Reads an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The user's home folder.
    pub home: Option<PathBuf>,
}

/// An API key with its endpoint.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    key: SecretString,
    pub(super) endpoint: String,
}

impl Credentials {
    /// Finds the key: the file that the settings name, else the environment, else the SSLMate
    /// client's own files, which may name an endpoint too.
    pub(super) fn find(
        settings: &SslmateSettings,
        environment: &Environment<'_>,
    ) -> Result<Self, String> {
        let mut client = ClientFile::default();
        let mut key = match &settings.api_key_file {
            Some(file) => Some(read_secret(file)?),
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
        let key = key.ok_or_else(|| {
            format!("there is no SSLMate API key: set {API_KEY_VARIABLE}, give `sslmate.api_key_file` in the configuration, or log in with the SSLMate client (~/.sslmate)")
        })?;
        let endpoint = settings
            .endpoint
            .clone()
            .or(client.api_endpoint)
            .unwrap_or_else(|| DEFAULT_ENDPOINT.into());
        Ok(Self {
            key,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
        })
    }

    /// The key as the user name, without a password.
    pub(super) fn basic_auth(&self) -> BasicAuth {
        BasicAuth {
            username: self.key.clone(),
            password: Some(SecretString::default()),
        }
    }
}

/// The two keys of the SSLMate client's configuration that matter here.
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
