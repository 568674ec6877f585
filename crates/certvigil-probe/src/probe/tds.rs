//! TDS packets, which carry Microsoft SQL Server's PRELOGIN message and TLS handshake ([MS-TDS]
//! 2.2.3 and 2.2.6.5,
//! <https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/b46a581a-39de-4745-b076-ec4dbb7d13ec>).

/// Length of a packet's header, in bytes.
pub(super) const HEADER: usize = 8;
/// Packet type of PRELOGIN, and of TLS handshake messages in both directions.
pub(super) const PRELOGIN: u8 = 0x12;
/// Packet type of a server's response.
pub(super) const RESPONSE: u8 = 0x04;
/// Status of the last packet of a message.
pub(super) const END_OF_MESSAGE: u8 = 0x01;
/// Maximum length of a packet before the login negotiates another one, in bytes, header included.
pub(super) const MAX_PACKET: usize = 4096;

/// Fault of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PacketError {
    #[error("it sent a TDS packet of the unknown type {0}")]
    UnknownType(u8),
    /// The length is that of the whole packet, in bytes.
    #[error("it sent a TDS packet of {0} bytes")]
    TooShort(usize),
}

/// Header of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) is_last: bool,
    /// Length of the data after the header, in bytes.
    pub(super) length: usize,
}

impl Header {
    /// Parses the header of a server's packet.
    ///
    /// # Errors
    /// If the packet's type is neither a response nor PRELOGIN, or its length is too small.
    pub(super) fn parse(bytes: [u8; HEADER]) -> Result<Self, PacketError> {
        let [kind, status, high, low, ..] = bytes;
        if !is_packet(kind) {
            return Err(PacketError::UnknownType(kind));
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(length) = length.checked_sub(HEADER) else {
            return Err(PacketError::TooShort(length));
        };
        Ok(Self {
            is_last: status & END_OF_MESSAGE != 0,
            length,
        })
    }
}

/// Returns true for the first byte of a server's packet.
pub(super) fn is_packet(first: u8) -> bool {
    matches!(first, PRELOGIN | RESPONSE)
}

/// Returns the packets of a message.
pub(super) fn wrap(data: &[u8]) -> Vec<u8> {
    let mut packets = Vec::with_capacity(data.len() + HEADER);
    let mut parts = data.chunks(MAX_PACKET - HEADER).zip(1_u8..).peekable();
    while let Some((part, number)) = parts.next() {
        let status = match parts.peek() {
            Some(_) => 0,
            None => END_OF_MESSAGE,
        };
        let length = u16::try_from(part.len() + HEADER).unwrap_or(u16::MAX);
        let [high, low] = length.to_be_bytes();
        packets.extend([PRELOGIN, status, high, low, 0, 0, number, 0]);
        packets.extend(part);
    }
    packets
}

/// Parser of the packets in a stream. A server that has finished the handshake sends TLS records
/// without packets, which are passed on as they are.
#[derive(Debug, Default)]
pub(super) struct Unwrapper {
    header: Vec<u8>,
    /// Bytes of the current packet that have not been received.
    remaining: usize,
    is_bare: bool,
}

impl Unwrapper {
    /// Appends the data of received packets to `data`.
    ///
    /// # Errors
    /// Those of [`Header::parse`].
    pub(super) fn unwrap(
        &mut self,
        mut received: &[u8],
        data: &mut Vec<u8>,
    ) -> Result<(), PacketError> {
        while let Some(&first) = received.first() {
            if self.is_bare {
                data.extend(received);
                break;
            }
            if self.remaining > 0 {
                let count = self.remaining.min(received.len());
                let (part, rest) = received.split_at(count);
                data.extend(part);
                self.remaining -= count;
                received = rest;
                continue;
            }
            if self.header.is_empty() && is_record(first) {
                self.is_bare = true;
                continue;
            }
            self.header.push(first);
            received = received.get(1..).unwrap_or_default();
            if let Ok(header) = <[u8; HEADER]>::try_from(self.header.as_slice()) {
                self.header.clear();
                self.remaining = Header::parse(header)?.length;
            }
        }
        Ok(())
    }
}

/// Returns true for the first byte of a TLS record (RFC 8446, section 5.1).
fn is_record(first: u8) -> bool {
    matches!(first, 0x14..=0x17)
}

/// Fuzz target: the packets of a server in pieces, with the size of the pieces first. Asserts that
/// the size does not matter, and that wrapped data is unwrapped again.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(input: &[u8]) {
    let [size, received @ ..] = input else {
        return;
    };
    let in_pieces = |size: usize| {
        let (mut unwrapper, mut data) = (Unwrapper::default(), Vec::new());
        let mut outcome = Ok(());
        for piece in received.chunks(size.max(1)) {
            outcome = unwrapper.unwrap(piece, &mut data);
            if outcome.is_err() {
                break;
            }
        }
        (outcome, data)
    };
    let whole = in_pieces(received.len());
    assert_eq!(whole, in_pieces(usize::from(*size)));
    assert!(whole.1.len() <= received.len());
    let (mut unwrapper, mut data) = (Unwrapper::default(), Vec::new());
    assert_eq!(unwrapper.unwrap(&wrap(received), &mut data), Ok(()));
    assert_eq!(data, received);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn message_is_split_into_packets() {
        let packets = wrap(&[7; MAX_PACKET]);
        assert_eq!(packets.len(), MAX_PACKET + 2 * HEADER);
        assert_eq!(packets[..8], [0x12, 0, 0x10, 0, 0, 0, 1, 0]);
        assert_eq!(packets[MAX_PACKET..][..8], [0x12, 1, 0, 16, 0, 0, 2, 0]);
        assert!(wrap(&[]).is_empty());
    }

    #[test]
    fn records_after_the_handshake_are_not_packets() {
        let (mut unwrapper, mut data) = (Unwrapper::default(), Vec::new());
        let received = [&wrap(b"hello")[..], &[0x17, 3, 3, 0, 0]].concat();
        assert_eq!(unwrapper.unwrap(&received, &mut data), Ok(()));
        assert_eq!(data, b"hello\x17\x03\x03\0\0");
    }

    #[test]
    fn malformed_packets_are_errors() {
        let unwrap = |received: &[u8]| Unwrapper::default().unwrap(received, &mut Vec::new());
        assert_eq!(unwrap(b"HTTP/1.1 400"), Err(PacketError::UnknownType(b'H')));
        let short = [PRELOGIN, 1, 0, 7, 0, 0, 1, 0];
        assert_eq!(unwrap(&short), Err(PacketError::TooShort(7)));
    }

    proptest! {
        #[test]
        fn pieces_of_packets_do_not_matter(input in prop::collection::vec(any::<u8>(), 0..200)) {
            fuzz(&input);
        }
    }
}
