//! Findings about the handshake itself: its version, cipher suite and parameters, and its failure.

use crate::finding::{CipherWeakness, Client, Detail, Finding, Refused, Severity};
use crate::model::Target;
use crate::observation::{KeyProof, Parameters, ProbeError, Served, Status, TlsVersion};

/// Minimum Diffie-Hellman prime, in bits, that OpenSSL accepts at security level 2: Debian's
/// default, and OpenSSL's own since 3.2.
const OPENSSL_MIN_DH_BITS: u64 = 2048;
/// Minimum Diffie-Hellman prime, in bits, that Java accepts (`jdk.tls.disabledAlgorithms`).
/// OpenSSL's security level 1 and GnuTLS have about the same limit.
const JAVA_MIN_DH_BITS: u64 = 1024;

/// Returns the findings about a handshake in which the server presented a certificate.
pub(super) fn findings(served: &Served) -> impl Iterator<Item = Finding> {
    // A file has no handshake.
    let served = served.file().is_none().then_some(served);
    served.into_iter().flat_map(of_handshake)
}

fn of_handshake(served: &Served) -> impl Iterator<Item = Finding> {
    [
        old_version(served),
        legacy_cipher(served),
        no_secure_renegotiation(served),
        unrecognized_name(served),
        no_renegotiation(served),
        warning(served),
        large_hello(served),
        small_dh_prime(served),
        no_common_offer(served),
    ]
    .into_iter()
    .flatten()
}

/// Returns the finding for a deprecated version. The negotiated version is the newest that both
/// support, and certvigil supports all of them.
fn old_version(served: &Served) -> Option<Finding> {
    served.tls_version.is_deprecated().then(|| {
        Finding::new(Detail::LegacyProtocol {
            tls_version: served.tls_version,
            is_key_proved: is_key_proved(served),
        })
    })
}

fn is_key_proved(served: &Served) -> bool {
    match served.key_proof {
        KeyProof::Handshake | KeyProof::BareKey => true,
        KeyProof::None | KeyProof::File(_) => false,
    }
}

/// Returns the finding for a cipher that current clients do not offer. certvigil offers such suites
/// only after the server refuses all others, so the server supports no better one.
fn legacy_cipher(served: &Served) -> Option<Finding> {
    Some(Finding::new(Detail::LegacyCipher {
        cipher_suite: served.cipher_suite.to_string(),
        weakness: weakness(&served.cipher_suite)?,
        tls_version: served.tls_version,
        is_key_proved: is_key_proved(served),
    }))
}

/// Returns the weakness of a suite, by its IANA name. Returns `None` for a suite that is no weaker
/// than AES in CBC mode.
fn weakness(suite: &str) -> Option<CipherWeakness> {
    let has = |part: &str| suite.contains(part);
    Some(if has("_NULL_") {
        CipherWeakness::Null
    } else if has("_EXPORT_") {
        CipherWeakness::Export
    } else if has("_RC4_") {
        CipherWeakness::Rc4
    } else if has("_3DES_") {
        CipherWeakness::TripleDes
    } else if has("_DES_") || has("_DES40_") {
        CipherWeakness::Des
    } else if has("_IDEA_") || has("_RC2_") {
        CipherWeakness::SmallBlocks
    } else {
        return None;
    })
}

/// Returns the finding for a server without secure renegotiation (RFC 5746, section 3.4). Without
/// it, an attacker can insert data before that of the client (CVE-2009-3555).
fn no_secure_renegotiation(served: &Served) -> Option<Finding> {
    (served.parameters.secure_renegotiation == Some(false))
        .then(|| refused(Refused::NoSecureRenegotiation))
}

/// Returns the finding for a warning that ends the handshake of Java. Other clients ignore it.
fn unrecognized_name(served: &Served) -> Option<Finding> {
    (served.parameters.unrecognized_name && !served.tls_version.is_deprecated())
        .then(|| refused(Refused::UnrecognizedName))
}

/// Returns the finding for a warning that ends the handshake of OpenSSL, GnuTLS and Java. Go ignores
/// it.
fn no_renegotiation(served: &Served) -> Option<Finding> {
    let is_sent = served.parameters.no_renegotiation;
    is_sent.then(|| refused(Refused::NoRenegotiationAlert))
}

/// Returns the finding for another warning that ends the handshake of Java.
fn warning(served: &Served) -> Option<Finding> {
    let alert = served.parameters.warning?;
    (!served.tls_version.is_deprecated()).then(|| refused(Refused::WarningAlert { alert }))
}

/// Returns the finding for a server that cannot read the ClientHello of clients with ML-KEM.
fn large_hello(served: &Served) -> Option<Finding> {
    let is_refused = served.parameters.refused_large_hello;
    is_refused.then(|| refused(Refused::LargeHello))
}

fn refused(refused: Refused) -> Finding {
    Finding::new(Detail::RefusedByClients(refused))
}

/// Returns the finding for a small prime (RFC 8270). The limits are those of the clients' defaults.
fn small_dh_prime(served: &Served) -> Option<Finding> {
    let bits = served.parameters.dh_bits?;
    let refused_by = refusing_prime(bits);
    if refused_by.is_empty() {
        return None;
    }
    Some(refused(Refused::SmallDhPrime {
        refused_by,
        bits,
        required_bits: OPENSSL_MIN_DH_BITS,
    }))
}

/// Returns the clients that refuse a Diffie-Hellman prime of this size.
fn refusing_prime(bits: u64) -> Vec<Client> {
    if bits < JAVA_MIN_DH_BITS {
        vec![Client::Openssl, Client::Gnutls, Client::Java]
    } else if bits < OPENSSL_MIN_DH_BITS {
        vec![Client::Openssl]
    } else {
        Vec::new()
    }
}

/// Returns the finding for a server that shares no offer with some clients, unless the version or
/// the cipher has a finding of its own.
fn no_common_offer(served: &Served) -> Option<Finding> {
    if served.tls_version.is_deprecated() || weakness(&served.cipher_suite).is_some() {
        return None;
    }
    let refused_by = refused_by(served);
    if refused_by.is_empty() {
        return None;
    }
    let severity = severity_of(refused_by.len());
    let parameters = served.parameters;
    let detail = Detail::RefusedByClients(Refused::NoCommonOffer {
        refused_by,
        cipher_suite: served.cipher_suite.to_string(),
        group: parameters.rare_group,
        is_signed_with_sha1: parameters.sha1_signature,
    });
    Some(Finding::with_severity(severity, detail))
}

/// Number of refusing clients that are most of [`Client::ALL`].
const MOST_CLIENTS: usize = Client::ALL.len() / 2 + 1;

/// Returns the severity of a finding about this many clients that refuse a server.
pub(super) fn severity_of(refusing: usize) -> Severity {
    if refusing >= MOST_CLIENTS {
        Severity::Critical
    } else {
        Severity::Warning
    }
}

/// Returns the clients that refuse the handshake, each group with its reason as a clause.
pub(super) fn refusals(served: &Served) -> Vec<(Vec<Client>, String)> {
    let parameters = served.parameters;
    let mut refusals = Vec::new();
    let mut add = |clients: Vec<Client>, reason: String| {
        if !clients.is_empty() {
            refusals.push((clients, reason));
        }
    };
    add(refused_by(served), refusal_reason(served));
    if parameters.secure_renegotiation == Some(false) {
        let reason = "the server does not support secure renegotiation (RFC 5746)";
        add(vec![Client::Openssl], reason.to_owned());
    }
    if parameters.unrecognized_name {
        let reason = "the server sends the warning `unrecognized_name`";
        add(vec![Client::Java], reason.to_owned());
    }
    if parameters.no_renegotiation {
        let reason = "the server sends the warning `no_renegotiation` during the handshake";
        let clients = vec![Client::Openssl, Client::Gnutls, Client::Java];
        add(clients, reason.to_owned());
    }
    if let Some(alert) = parameters.warning {
        let reason = format!("the server sends {alert} as a warning during the handshake");
        add(vec![Client::Java], reason);
    }
    if parameters.refused_large_hello {
        let reason = "the server cannot read a ClientHello of more than one packet";
        add(vec![Client::Chromium, Client::Rustls], reason.to_owned());
    }
    if let Some(bits) = parameters.dh_bits {
        let reason = format!("the server's Diffie-Hellman prime has only {bits} bits");
        add(refusing_prime(bits), reason);
    }
    refusals
}

/// Returns the clients that cannot negotiate a handshake with the server.
fn refused_by(served: &Served) -> Vec<Client> {
    let Parameters {
        refused_common_offer,
        refused_java_offer,
        refused_gnutls_offer,
        ..
    } = served.parameters;
    let is_of_all = is_of_rustls(served)
        && !served.tls_version.is_deprecated()
        && !refused_common_offer
        && !refused_java_offer
        && !refused_gnutls_offer;
    if served.file().is_some() || is_of_all {
        return Vec::new();
    }
    let all = Client::ALL.into_iter();
    all.filter(|client| !negotiates(*client, served)).collect()
}

/// Returns the reason of the clients that cannot negotiate a handshake, as a clause.
fn refusal_reason(served: &Served) -> String {
    if served.tls_version.is_deprecated() {
        let version = served.tls_version;
        return format!("the server speaks nothing newer than {version}");
    }
    let group = served.parameters.rare_group;
    let group = group.map(|group| format!(" over {group}"));
    let signature = match served.parameters.sha1_signature {
        true => ", signed with SHA-1",
        false => "",
    };
    format!(
        "it offers neither {}{}{signature} nor anything else that the server accepts",
        served.cipher_suite,
        group.unwrap_or_default()
    )
}

/// Returns true if a client can negotiate a handshake with the server, as far as this is known. A
/// suite that is weak was accepted after the server had refused everything better.
fn negotiates(client: Client, served: &Served) -> bool {
    let parameters = served.parameters;
    if served.tls_version.is_deprecated() {
        // OpenSSL 3 refuses them at security level 1 and above.
        return client == Client::Gnutls && served.tls_version != TlsVersion::Ssl30;
    }
    if let Some(weakness) = weakness(&served.cipher_suite) {
        return client == Client::Go && weakness == CipherWeakness::TripleDes;
    }
    let has_p521 = parameters.rare_group == Some("secp521r1");
    match client {
        // Neither finite-field Diffie-Hellman nor AES-CCM or Camellia, and no rare groups.
        // Chromium supports neither P-521 nor signatures with SHA-1.
        Client::Go => !parameters.refused_common_offer || has_p521,
        Client::Chromium => !parameters.refused_common_offer,
        // No key exchange without a signature.
        Client::Java => !parameters.refused_java_offer,
        // What Java offers, and RSA key exchange with AES as Chromium, or with SHA-256.
        Client::Openssl => {
            !(parameters.refused_common_offer && parameters.refused_java_offer)
                || RSA_SHA256_SUITES.contains(&&*served.cipher_suite)
        }
        // No CBC with SHA-256 or SHA-384, and no CCM with a tag of 8 octets.
        Client::Gnutls => !parameters.refused_gnutls_offer,
        Client::Rustls => is_of_rustls(served),
    }
}

/// Cipher suites with RSA key exchange that only OpenSSL offers by default.
const RSA_SHA256_SUITES: [&str; 2] = [
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA256",
];

/// Cipher suites of TLS 1.2 that rustls supports.
const RUSTLS_SUITES: [&str; 6] = [
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// Returns true if rustls can negotiate a handshake. The first handshake of a probe offers what
/// rustls offers, and P-521.
fn is_of_rustls(served: &Served) -> bool {
    let parameters = served.parameters;
    match served.tls_version {
        TlsVersion::Tls13 => !parameters.refused_common_offer,
        _ => {
            let suite = &*served.cipher_suite;
            // The names of other suites than those of TLS 1.2 lack this part.
            (RUSTLS_SUITES.contains(&suite) || !suite.contains("_WITH_"))
                && !parameters.sha1_signature
                && (parameters.rare_group.is_none() || !parameters.refused_common_offer)
        }
    }
}

/// Returns the finding for a handshake in which the server proved no key.
pub(super) fn failure(error: &ProbeError, target: &Target) -> Option<Finding> {
    (error.kind.status() == Status::HandshakeError).then(|| failed(error, target, false))
}

/// Returns the finding for a handshake that failed after the server proved its key.
pub(super) fn incomplete(served: &Served, target: &Target) -> Option<Finding> {
    let error = served.failure.as_ref()?;
    Some(failed(error, target, true))
}

fn failed(error: &ProbeError, target: &Target, is_key_proved: bool) -> Finding {
    Finding::new(Detail::HandshakeFailed {
        hostname: target.hostname.clone(),
        port: target.port,
        protocol: target.protocol,
        error: error.clone(),
        is_key_proved,
    })
}

#[cfg(test)]
mod tests;
