//! HTTP Basic credentials.

use secrecy::SecretString;

/// HTTP Basic credentials. The user name is a secret too, because APIs accept their key there.
#[derive(Clone)]
pub struct BasicAuth {
    /// User name.
    pub username: SecretString,
    /// Password, if there is one.
    pub password: Option<SecretString>,
}
