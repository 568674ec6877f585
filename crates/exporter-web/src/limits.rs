//! Limits of the files and values of the web configuration.

/// Maximum size of a file, in bytes.
pub(super) const MAX_FILE_BYTES: u64 = 16 << 20;
/// Maximum certificates in a file.
pub(super) const MAX_CERTIFICATES: usize = 10_000;
/// Maximum cost of a hash. 2^16 rounds take seconds, and each step doubles them.
pub(super) const MAX_COST: u32 = 16;
/// Minimum cost that bcrypt supports.
pub(super) const MIN_COST: u32 = 4;
