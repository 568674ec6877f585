//! Quit commands of the protocols, so that the server does not log a lost connection.

use crate::model::Protocol;

use super::super::Look;
use super::xmpp;

/// Data to send before the connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::look) struct Quit {
    /// True if the server sends a greeting after the TLS handshake. The client must not send
    /// anything before it.
    pub(in crate::look) after_greeting: bool,
    /// Data to send inside TLS.
    pub(in crate::look) command: Vec<u8>,
    /// Data to send in cleartext to a server with which no TLS handshake was performed.
    pub(super) in_cleartext: Vec<u8>,
}

/// UnbindRequest of LDAP (RFC 4511, section 4.3), as message 2.
const UNBIND: &[u8] = b"\x30\x05\x02\x01\x02\x42\x00";

/// Returns the quit command of the target's protocol. `None` if the protocol only closes the
/// connection.
///
/// PostgreSQL's Terminate and MySQL's COM_QUIT are only for authenticated clients. Before the
/// login, the server would treat them as a malformed login.
pub(in crate::look) fn quit(look: Look<'_>) -> Option<Quit> {
    let protocol = look.target.protocol;
    let (command, in_cleartext, after_greeting) = match protocol {
        Protocol::Smtp | Protocol::Lmtp | Protocol::Pop3 | Protocol::Ftp | Protocol::Nntp => {
            both("QUIT\r\n", false)
        }
        Protocol::Smtps | Protocol::Pop3s | Protocol::Ftps | Protocol::Nntps => {
            both("QUIT\r\n", true)
        }
        Protocol::Irc | Protocol::Ircs => both("QUIT\r\n", false),
        Protocol::Imap => both("a3 LOGOUT\r\n", false),
        Protocol::Imaps => both("a3 LOGOUT\r\n", true),
        // The server sends its capabilities again (RFC 5804, section 2.2).
        Protocol::Sieve => both("LOGOUT\r\n", true),
        Protocol::Xmpp | Protocol::Xmpps | Protocol::XmppServer | Protocol::XmppsServer => {
            // TLS starts a new stream, which must be opened before it can be closed.
            let open = xmpp::open(xmpp::namespace(protocol), look.target.sent_name());
            let close = "</stream:stream>";
            (format!("{open}{close}").into(), close.into(), false)
        }
        Protocol::Ldap | Protocol::Ldaps => (UNBIND.to_vec(), UNBIND.to_vec(), false),
        _ => return None,
    };
    Some(Quit {
        after_greeting,
        command,
        in_cleartext,
    })
}

fn both(command: &str, after_greeting: bool) -> (Vec<u8>, Vec<u8>, bool) {
    (command.into(), command.into(), after_greeting)
}
