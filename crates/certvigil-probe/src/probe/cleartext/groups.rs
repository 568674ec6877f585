//! Key exchange groups that rustls lacks, by their numbers in IANA's registry "TLS Supported
//! Groups".

/// Groups of TLS 1.2 and before: those to which current servers may be restricted, then the curves
/// of old servers and their certificates. A server may withhold a certificate whose curve was not
/// offered (RFC 8422, section 2.2.2).
pub(super) const OF_TLS12: [(u16, &str); 7] = [
    (0x001e, "x448"),
    (0x001a, "brainpoolP256r1"),
    (0x001b, "brainpoolP384r1"),
    (0x001c, "brainpoolP512r1"),
    (0x0016, "secp256k1"),
    (0x0015, "secp224r1"),
    (0x0013, "secp192r1"),
];

/// Groups of [`OF_TLS12`] that Java and GnuTLS offer.
pub(super) const OF_JAVA: [(u16, &str); 1] = [(0x001e, "x448")];

/// Groups of TLS 1.3: finite fields (RFC 7919), brainpool curves (RFC 8734), and the Russian and
/// Chinese ones (RFC 9367, RFC 8998).
pub(super) const OF_TLS13: [(u16, &str); 17] = [
    (0x0100, "ffdhe2048"),
    (0x0101, "ffdhe3072"),
    (0x0102, "ffdhe4096"),
    (0x0103, "ffdhe6144"),
    (0x0104, "ffdhe8192"),
    (0x001f, "brainpoolP256r1tls13"),
    (0x0020, "brainpoolP384r1tls13"),
    (0x0021, "brainpoolP512r1tls13"),
    (0x0022, "GC256A"),
    (0x0023, "GC256B"),
    (0x0024, "GC256C"),
    (0x0025, "GC256D"),
    (0x0026, "GC512A"),
    (0x0027, "GC512B"),
    (0x0028, "GC512C"),
    (0x0029, "curveSM2"),
    (0x11ed, "SecP384r1MLKEM1024"),
];

/// Returns the name of a group that rustls lacks.
pub(super) fn name(group: u16) -> Option<&'static str> {
    let mut all = OF_TLS12.iter().chain(&OF_TLS13);
    all.find(|(number, _)| *number == group)
        .map(|(_, name)| *name)
}
