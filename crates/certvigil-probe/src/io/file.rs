//! Reading of files of bounded size.

use std::io::Read as _;
use std::path::Path;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

/// Maximum size of a file, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Maximum size of a file with a secret or with the configuration of a client, in bytes.
const MAX_SHORT_FILE_BYTES: u64 = 64 << 10;

/// Reads a file whose size is plausible for certificates.
///
/// # Errors
/// A message with the reason if the file cannot be read.
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

/// Reads a secret from the first line of a file, without surrounding white space.
///
/// # Errors
/// A message with the file and the reason if there is no secret.
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

/// Reads a short file that may contain a secret.
///
/// # Errors
/// A message with the reason if the file cannot be read.
pub fn read_short_text(file: &Path) -> Result<Zeroizing<String>, String> {
    let size = std::fs::metadata(file).map_err(|e| e.to_string())?.len();
    if size > MAX_SHORT_FILE_BYTES {
        return Err(format!("it is larger than {MAX_SHORT_FILE_BYTES} bytes"));
    }
    std::fs::read_to_string(file)
        .map(Zeroizing::new)
        .map_err(|e| e.to_string())
}

/// Logs a warning if all users of the machine can read a file with a secret.
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

/// Does nothing on systems where files have no mode.
#[cfg(not(unix))]
pub fn warn_if_readable_by_others(_file: &Path) {}
