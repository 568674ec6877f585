//! Fuzz targets for the parsers of server input.

/// Fuzz target for [`super::cleartext`].
pub fn cleartext_reader(data: &[u8]) {
    super::cleartext::fuzzing::cleartext_reader(data);
}

/// Fuzz target for [`super::starttls`].
pub fn starttls(data: &[u8]) {
    super::starttls::fuzzing::starttls(data);
}
