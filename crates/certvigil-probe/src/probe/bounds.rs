//! Limits for data that is read from a server.

/// Maximum length of a chain, including the leaf.
pub const MAX_CHAIN_CERTIFICATES: usize = 100;
/// Maximum size of a chain, in bytes. (rustls itself limits a message to 64 KiB.)
pub const MAX_CHAIN_BYTES: usize = 256 * 1024;
/// Maximum bytes that a server may send until the handshake ends: a chain of the maximum size, and
/// the same amount for everything else.
pub(super) const MAX_HANDSHAKE_BYTES: usize = 2 * MAX_CHAIN_BYTES;
/// Size of one read, in bytes.
pub(super) const READ_SIZE: usize = 8 * 1024;
