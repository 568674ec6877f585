//! Bounds of what is read from a server.

/// The longest chain that is read, leaf included.
pub const MAX_CHAIN_CERTIFICATES: usize = 100;
/// The most bytes of certificates that are read. (rustls itself stops at 64 KiB a message.)
pub const MAX_CHAIN_BYTES: usize = 256 * 1024;
/// The most bytes that a server may send until the handshake ends: a chain as large as allowed, and
/// as much again for everything else.
pub(super) const MAX_HANDSHAKE_BYTES: usize = 2 * MAX_CHAIN_BYTES;
/// How much is read at a time.
pub(super) const READ_SIZE: usize = 8 * 1024;
