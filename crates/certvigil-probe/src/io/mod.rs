//! Bounded input: files, secrets, the system's roots, and HTTP.

mod auth;
mod error;
mod file;
mod http;
mod roots;
mod secrets;
mod threads;

pub use auth::BasicAuth;
pub use error::{ApiError, SourceError};
pub use file::{
    ReadError, ReadTextError, SecretError, is_stream, read_bounded, read_certificate_file,
    read_certificate_file_within, read_password, read_password_within, read_secret,
    read_secret_within, read_short_text, read_up_to, warn_if_readable_by_others,
};
pub use http::{Answer, Clock, Http, Requests, read};
pub use roots::{RootStoreError, api_roots, system_root_files, system_roots};
pub use secrets::Secrets;
pub use threads::{on_own_thread, on_reader};
