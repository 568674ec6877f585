//! The readers of what a server says, for `fuzz/`.

/// See [`super::cleartext`].
pub fn cleartext_reader(data: &[u8]) {
    super::cleartext::fuzzing::cleartext_reader(data);
}

/// See [`super::starttls`].
pub fn starttls(data: &[u8]) {
    super::starttls::fuzzing::starttls(data);
}
