//! How a client takes leave in each protocol, so that the server's log does not tell of one that was lost.

use crate::model::{Protocol, Target};

use super::xmpp;

/// Words to leave with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::look) struct Farewell {
    /// What the server says first once TLS is there: to speak before it would be rude.
    pub(in crate::look) after_greeting: bool,
    /// What is said inside TLS.
    pub(in crate::look) words: Vec<u8>,
    /// What is said to a server with which TLS did not come about.
    pub(super) in_the_clear: Vec<u8>,
}

/// An UnbindRequest of LDAP (RFC 4511, section 4.3), as message 2.
const UNBIND: &[u8] = b"\x30\x05\x02\x01\x02\x42\x00";

/// How to leave what speaks this protocol; `None` where closing is all that there is.
///
/// PostgreSQL's Terminate and MySQL's COM_QUIT are for those who have logged in: before that, the server
/// would take them for a login that is broken.
pub(in crate::look) fn farewell(target: &Target) -> Option<Farewell> {
    let (words, in_the_clear, after_greeting) = match target.protocol {
        Protocol::Smtp | Protocol::Lmtp | Protocol::Pop3 | Protocol::Ftp | Protocol::Nntp => {
            both("QUIT\r\n", false)
        }
        Protocol::Smtps | Protocol::Pop3s | Protocol::Ftps | Protocol::Nntps => {
            both("QUIT\r\n", true)
        }
        Protocol::Irc | Protocol::Ircs => both("QUIT\r\n", false),
        Protocol::Imap => both("a3 LOGOUT\r\n", false),
        Protocol::Imaps => both("a3 LOGOUT\r\n", true),
        // The server says what it can do anew (RFC 5804, section 2.2).
        Protocol::Sieve => both("LOGOUT\r\n", true),
        Protocol::Xmpp | Protocol::Xmpps | Protocol::XmppServer => {
            let namespace = match target.protocol {
                Protocol::XmppServer => xmpp::SERVER,
                _ => xmpp::CLIENT,
            };
            // TLS begins a new stream, which has to be open to be closed.
            let open = xmpp::open(namespace, &target.hostname);
            let close = "</stream:stream>";
            (format!("{open}{close}").into(), close.into(), false)
        }
        Protocol::Ldap | Protocol::Ldaps => (UNBIND.to_vec(), UNBIND.to_vec(), false),
        Protocol::Postgres | Protocol::Mysql | Protocol::Https | Protocol::H3 => return None,
    };
    Some(Farewell {
        after_greeting,
        words,
        in_the_clear,
    })
}

fn both(words: &str, after_greeting: bool) -> (Vec<u8>, Vec<u8>, bool) {
    (words.into(), words.into(), after_greeting)
}
