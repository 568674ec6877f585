//! HTTP Basic credentials.

use secrecy::SecretString;

/// HTTP Basic credentials. The name is a secret too: it is where an API key stands.
#[derive(Clone)]
pub struct BasicAuth {
    /// The user name.
    pub username: SecretString,
    /// The password, if there is one.
    pub password: Option<SecretString>,
}
