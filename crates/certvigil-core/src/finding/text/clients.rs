//! Text of findings about clients that refuse a server.

use super::super::{Client, ClientRefusal, Property, Refusal, Refused, TraitPosition};
use super::{Text, list};

const UPDATE: &str = "update the TLS library or the firmware of the server, or of the load balancer or firewall in front of it";

/// Returns the text of [`Detail::RefusedByClients`](super::Detail::RefusedByClients).
pub(super) fn refused(refused: &Refused) -> Text {
    match refused {
        Refused::Chain {
            refusals,
            accepted_by,
        } => {
            let mut parts: Vec<String> = refusals
                .iter()
                .map(|one| {
                    let verb = if one.clients.len() == 1 {
                        "refuses"
                    } else {
                        "refuse"
                    };
                    let clients = titles(&one.clients);
                    format!("{clients} {verb} the certificate: {}", one.refusal.reason)
                })
                .collect();
            if !accepted_by.is_empty() {
                let verb = if accepted_by.len() == 1 {
                    "accepts"
                } else {
                    "accept"
                };
                parts.push(format!("{} {verb} it", titles(accepted_by)));
            }
            let first = refusals.first().map(|one| &one.refusal);
            Text::new(parts.join("; "), first.map_or(OTHERWISE, advice))
        }
        Refused::NoSecureRenegotiation => Text::new(
            "OpenSSL 3 and the clients that use it, such as curl, Python and Node.js, refuse the server: it does not \
             support secure renegotiation (RFC 5746), and their error is `unsafe legacy renegotiation disabled`",
            "update the server's TLS library or firmware, or enable TLS 1.3, which has no renegotiation",
        ),
        Refused::UnrecognizedName => Text::new(
            "Java refuses the server: it warns with the alert `unrecognized_name` that it does not know the name in the \
             handshake, and then continues with a default",
            "configure a virtual host for the name on the server: nginx `server_name`, Apache `ServerName` or `ServerAlias`",
        ),
        Refused::NoRenegotiationAlert => Text::new(
            "OpenSSL, and clients that use it, GnuTLS and Java refuse the server: it sends the alert `no_renegotiation` \
             during the handshake, where it has no meaning",
            UPDATE,
        ),
        Refused::WarningAlert { alert } => Text::new(
            format!("Java refuses the server: it sends {alert} as a warning during the handshake"),
            UPDATE,
        ),
        Refused::LargeHello => Text::new(
            "current browsers refuse the server, and so do Go since 1.24, OpenSSL since 3.5 and rustls: it cannot read \
             their ClientHello, which is larger than one packet because of its ML-KEM key share; certvigil connected with \
             a smaller one",
            "update the TLS library or the firmware of the server, or of the load balancer or firewall in front of it: it \
             must read until it has the whole message (https://tldr.fail)",
        ),
        Refused::EchRejected {
            public_name,
            refusals,
        } => Text::new(
            format!(
                "browsers that use Encrypted Client Hello, such as Chromium and Firefox, refuse the server: it does not \
                 accept the `ech` parameter of its HTTPS record, and they refuse its certificate for the public name \
                 {public_name}: {}",
                reason_of(refusals)
            ),
            format!(
                "update the `ech` parameter of the HTTPS record to the present keys of the server, or remove it; or serve a \
                 certificate that is valid for {public_name} too"
            ),
        ),
        Refused::EchAccepted { refusals } => Text::new(
            format!(
                "browsers that use Encrypted Client Hello, such as Chromium and Firefox, refuse the server: with it, the \
                 server has another certificate, which they refuse: {}",
                reason_of(refusals)
            ),
            "install the same certificate for connections with and without Encrypted Client Hello, or remove the `ech` \
             parameter of the HTTPS record",
        ),
        Refused::EchFailed {
            public_name,
            reason,
            ..
        } => Text::new(
            format!(
                "browsers that use Encrypted Client Hello, such as Chromium and Firefox, cannot connect: handshakes with \
                 the `ech` parameter of the HTTPS record fail, in which the server name is {public_name}: {reason}"
            ),
            format!(
                "remove the `ech` parameter of the HTTPS record, or make the server accept the name {public_name} and \
                 decrypt with the present keys"
            ),
        ),
        Refused::EchMalformed { .. } => Text::new(
            "Chromium refuses the server: the `ech` parameter of its HTTPS record cannot be decoded",
            "correct the `ech` parameter of the HTTPS record, an ECHConfigList of RFC 9849, or remove it",
        ),
        Refused::SmallDhPrime {
            refused_by,
            bits,
            required_bits,
        } => {
            let clients = match refused_by.as_slice() {
                [Client::Openssl] => "OpenSSL at its current security level refuses".into(),
                clients => format!("{} refuse", titles(clients)),
            };
            Text::new(
                format!(
                    "{clients} the server: its Diffie-Hellman prime has {bits} bits, less than {required_bits}"
                ),
                "enable ECDHE cipher suites on the server, or give it Diffie-Hellman parameters of 2048 bits or more, such \
                 as ffdhe2048 of RFC 7919",
            )
        }
        Refused::NoCommonOffer {
            refused_by,
            cipher_suite,
            group,
            is_signed_with_sha1,
        } => {
            let verb = if refused_by.len() == 1 {
                "refuses"
            } else {
                "refuse"
            };
            let clients = titles(refused_by);
            let group = group
                .map(|group| format!(" over {group}"))
                .unwrap_or_default();
            let signature = if *is_signed_with_sha1 {
                ", signed with SHA-1"
            } else {
                ""
            };
            Text::new(
                format!(
                    "{clients} {verb} the server: it has no cipher suite, group and signature algorithm that they offer, only \
                     {cipher_suite}{group}{signature}"
                ),
                "allow TLS 1.3, or for TLS 1.2 cipher suites with ECDHE and AES-GCM or ChaCha20-Poly1305, the groups X25519 \
                 and P-256, and signatures with SHA-256, on the server",
            )
        }
    }
}

/// Returns the first reason.
fn reason_of(refusals: &[ClientRefusal]) -> &str {
    refusals.first().map_or("", |one| &one.refusal.reason)
}

fn titles(clients: &[Client]) -> String {
    let titles: Vec<&str> = clients.iter().map(|client| client.title()).collect();
    list(&titles)
}

fn advice(refusal: &Refusal) -> &'static str {
    let Some(of) = refusal.of else {
        return OTHERWISE;
    };
    match (of.place, of.property) {
        (TraitPosition::Beside, _) => "serve only the certificates of the valid path",
        _ if of.is_of_leaf_key() => {
            "serve a certificate with an RSA or a P-256 key, or one beside this: servers choose by what the client offers"
        }
        (
            _,
            Property::KeyIdentifier | Property::KeyIdentifierOfNone | Property::KeyIdentifierIssuer,
        ) => {
            "serve the issuer's certificate that the authorityKeyIdentifier names, or have the certificate reissued by the present one"
        }
        (_, Property::NameEncoding | Property::NameCase | Property::NameInBmp) => {
            "have the certificate reissued with the issuer's name encoded byte by byte as in the issuer's certificate"
        }
        (_, Property::NoDigitalSignature | Property::EmptyKeyUsage) => {
            "have the certificate reissued with digitalSignature in its key usage"
        }
        (TraitPosition::Intermediate, Property::WeakRsa | Property::TinyRsa) => {
            "have the certificate issued by an authority with a stronger key"
        }
        (TraitPosition::Leaf, Property::WeakRsa | Property::TinyRsa) => {
            "have the certificate reissued for a key of RSA 2048, EC P-256 or stronger"
        }
        (_, Property::NotSelfIssued | Property::StoredLeaf | Property::StoredLeafAlone) => {
            "give clients the root of this certificate: OpenSSL accepts another certificate as trust anchor only with -partial_chain"
        }
        (_, Property::OtherPathFirst) => {
            "serve only the certificates of the valid path, the leaf first and each issuer after it"
        }
        (
            _,
            Property::ManyServed
            | Property::MoreServed
            | Property::EmptyEntry
            | Property::UnreadableEntry,
        ) => "serve only the certificates of the valid path",
        (
            _,
            Property::LargeMessage
            | Property::LargeMessage64
            | Property::LargeMessage100
            | Property::LargeMessage128,
        ) => {
            "have the certificate reissued with fewer names, and serve only the certificates of the valid path"
        }
        (_, Property::NoKeyEncipherment) => {
            "enable cipher suites with ECDHE on the server, or have the certificate reissued with keyEncipherment in its key usage"
        }
        (_, Property::PssSalt | Property::PssHashes | Property::PssTrailer) => {
            "have the certificate reissued with one hash and a salt of its length (`-sigopt rsa_pss_saltlen:digest` of OpenSSL)"
        }
        (_, Property::AnyExtendedKeyUsage | Property::NetscapeTypeNotServer) => {
            "have the certificate reissued with serverAuth as its extended key usage"
        }
        (TraitPosition::Root, _) => {
            "give clients a root that all of them accept, and issue below it"
        }
        _ => OTHERWISE,
    }
}

const OTHERWISE: &str = "have the certificate reissued without that, or serve a chain that all clients accept; --format json shows each client's answer";
