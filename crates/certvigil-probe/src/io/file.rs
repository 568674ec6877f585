//! Files of bounded size.

use std::io::Read as _;
use std::path::Path;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

/// The largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// The largest file with a secret or with a client's configuration, in bytes.
const MAX_SHORT_FILE_BYTES: u64 = 64 << 10;

/// Reads a file of a size that certificates have.
///
/// # Errors
/// Why it cannot be read, in words.
pub fn read_bounded(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|e| format!("it cannot be read: {e}"))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("it is larger than {MAX_FILE_BYTES} bytes"));
    }
    Ok(bytes)
}

/// Reads a secret from a file: its first line, without white space around it.
///
/// # Errors
/// Why there is none, in words with the file.
pub fn read_secret(file: &Path) -> Result<SecretString, String> {
    let text = read_short_text(file)
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

/// Reads a short file that may have a secret in it.
///
/// # Errors
/// Why it cannot be read, in words.
pub fn read_short_text(file: &Path) -> Result<Zeroizing<String>, String> {
    let size = std::fs::metadata(file).map_err(|e| e.to_string())?.len();
    if size > MAX_SHORT_FILE_BYTES {
        return Err(format!("it is larger than {MAX_SHORT_FILE_BYTES} bytes"));
    }
    std::fs::read_to_string(file)
        .map(Zeroizing::new)
        .map_err(|e| e.to_string())
}

/// Tells of a file with a secret that everybody on the machine can read.
#[cfg(unix)]
pub fn warn_if_readable_by_others(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    if std::fs::metadata(file).is_ok_and(|m| m.permissions().mode() & 0o007 != 0) {
        tracing::warn!(
            "{}: everybody can read this secret; chmod o= it",
            file.display()
        );
    }
}

/// Does nothing where files have no mode.
#[cfg(not(unix))]
pub fn warn_if_readable_by_others(_file: &Path) {}
