//! Where the API key comes from: a file, the environment, or the SSLMate client's own configuration.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::config::SslmateSettings;

use super::http::BasicAuth;

/// SSLMate's public service.
pub const DEFAULT_ENDPOINT: &str = "https://sslmate.com/api/v2";
/// The variable that may hold the API key.
pub const API_KEY_VARIABLE: &str = "SSLMATE_API_KEY";
/// The SSLMate client's configuration for the whole machine.
const SYSTEM_FILE: &str = "/etc/sslmate.conf";
/// A key or a client's configuration is short.
const MAX_FILE_BYTES: u64 = 64 << 10;

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

/// Reads a secret from a file: its first line, without white space around it.
pub(crate) fn read_secret(file: &Path) -> Result<SecretString, String> {
    let text = read_bounded(file)
        .map_err(|e| format!("{}: the secret cannot be read: {e}", file.display()))?;
    let secret = text.lines().next().unwrap_or_default().trim();
    if secret.is_empty() {
        return Err(format!(
            "{}: the secret is empty: write it into the first line",
            file.display()
        ));
    }
    warn_if_readable_by_others(file);
    Ok(secret.into())
}

fn read_bounded(file: &Path) -> Result<Zeroizing<String>, String> {
    let size = std::fs::metadata(file).map_err(|e| e.to_string())?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("it is larger than {MAX_FILE_BYTES} bytes"));
    }
    std::fs::read_to_string(file)
        .map(Zeroizing::new)
        .map_err(|e| e.to_string())
}

/// Tells of a file with a secret that everybody on the machine can read.
#[cfg(unix)]
pub(crate) fn warn_if_readable_by_others(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    if std::fs::metadata(file).is_ok_and(|m| m.permissions().mode() & 0o007 != 0) {
        tracing::warn!(
            "{}: everybody can read this secret; chmod o= it",
            file.display()
        );
    }
}

#[cfg(not(unix))]
pub(crate) fn warn_if_readable_by_others(_file: &Path) {}

/// The two keys of the SSLMate client's configuration that matter here.
#[derive(Default)]
struct ClientFile {
    api_key: Option<SecretString>,
    api_endpoint: Option<String>,
}

impl ClientFile {
    fn read(file: &Path) -> Option<Self> {
        let read = Self::parse(&read_bounded(file).ok()?);
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
