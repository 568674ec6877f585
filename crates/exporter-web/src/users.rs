//! User authentication with HTTP Basic (RFC 7617) and passwords stored as bcrypt hashes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bcrypt::HashParts;
use hyper::header::HeaderValue;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

use super::error::ValueError;
use super::limits::{MAX_COST, MIN_COST};

/// Maximum concurrent password hashes. Hashing is expensive by design, and probes need CPU time
/// too.
const MAX_CONCURRENT_HASHES: usize = 2;
/// Maximum requests that wait for a password hash. Further ones are refused and must retry.
const MAX_WAITING: usize = 64;
/// Maximum cached correct passwords. Beyond it, the cache is cleared.
const MAX_REMEMBERED: usize = 256;

/// Users of the web configuration. If there are none, no authentication is required.
pub(super) struct Users {
    hashes: HashMap<String, Hash>,
    /// Hash that is compared with the password of an unknown user, so that the comparison takes the
    /// same time.
    decoy: Hash,
    remembered: Remembered,
    waiting: Semaphore,
    hashing: Arc<Semaphore>,
}

/// Result of an authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// The request is allowed.
    Granted,
    /// The user name and password are invalid or missing.
    Denied,
    /// Too many other requests are waiting.
    Busy,
}

impl Default for Users {
    fn default() -> Self {
        Self::new(HashMap::new())
    }
}

impl Users {
    pub(super) fn new(hashes: HashMap<String, Hash>) -> Self {
        let cost = hashes.values().map(|hash| hash.cost).max();
        Self {
            hashes,
            decoy: Hash::decoy(cost.unwrap_or(MIN_COST)),
            remembered: Remembered::default(),
            waiting: Semaphore::new(MAX_WAITING),
            hashing: Arc::new(Semaphore::new(MAX_CONCURRENT_HASHES)),
        }
    }

    /// Authenticates the sender of this `Authorization` header.
    pub(super) async fn admit(&self, authorization: Option<&HeaderValue>) -> Admission {
        if self.hashes.is_empty() {
            return Admission::Granted;
        }
        let Some((user, password)) = authorization.and_then(credentials) else {
            return Admission::Denied;
        };
        let known = self.hashes.get(&user);
        let hash = known.unwrap_or(&self.decoy);
        let tag = self.remembered.tag(&user, &password);
        if known.is_some() && self.remembered.has(&tag) {
            return Admission::Granted;
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            return Admission::Busy;
        };
        let Ok(permit) = self.hashing.clone().acquire_owned().await else {
            return Admission::Busy;
        };
        let hash = hash.text.clone();
        let is_right = tokio::task::spawn_blocking(move || {
            // The permit is released when the hash is computed, even if the client has closed the
            // connection.
            let _permit = permit;
            bcrypt::verify(password.as_slice(), hash.expose_secret()).unwrap_or(false)
        });
        if is_right.await.unwrap_or(false) && known.is_some() {
            self.remembered.add(tag);
            return Admission::Granted;
        }
        Admission::Denied
    }
}

/// bcrypt hash of a password.
#[derive(Clone)]
pub(super) struct Hash {
    text: SecretString,
    cost: u32,
}

impl Hash {
    /// Parses a hash. The hash is a secret, so the error does not contain it.
    pub(super) fn parse(text: &str) -> Result<Self, ValueError> {
        let parts: HashParts = text.parse().map_err(|_| ValueError::Hash)?;
        let cost = parts.get_cost();
        if !(MIN_COST..=MAX_COST).contains(&cost) {
            return Err(ValueError::HashCost(cost));
        }
        Ok(Self {
            text: text.into(),
            cost,
        })
    }

    /// Creates a hash of this cost that matches no known password, because its bits were never
    /// computed.
    fn decoy(cost: u32) -> Self {
        let (salt, hash) = (".".repeat(22), ".".repeat(31));
        Self {
            text: format!("$2b${cost:02}${salt}{hash}").into(),
            cost,
        }
    }
}

/// Cache of user names with their correct passwords, so that each is hashed only once. Its entries
/// reveal nothing without the key.
struct Remembered {
    key: Option<hmac::Key>,
    tags: Mutex<Vec<hmac::Tag>>,
}

impl Default for Remembered {
    fn default() -> Self {
        Self {
            // Without random numbers, nothing is cached.
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok(),
            tags: Mutex::default(),
        }
    }
}

impl Remembered {
    fn tag(&self, user: &str, password: &[u8]) -> Option<hmac::Tag> {
        let mut context = hmac::Context::with_key(self.key.as_ref()?);
        // The length distinguishes `a` with `bc` from `ab` with `c`.
        context.update(&user.len().to_be_bytes());
        context.update(user.as_bytes());
        context.update(password);
        Some(context.sign())
    }

    fn has(&self, tag: &Option<hmac::Tag>) -> bool {
        let Some(tag) = tag else { return false };
        let tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        tags.iter().fold(false, |found, known| {
            found | verify_slices_are_equal(known.as_ref(), tag.as_ref()).is_ok()
        })
    }

    fn add(&self, tag: Option<hmac::Tag>) {
        let Some(tag) = tag else { return };
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        if tags.len() >= MAX_REMEMBERED {
            tags.clear();
        }
        tags.push(tag);
    }
}

/// Returns the user name and the password of a header. A user name contains no colon. A password
/// may contain any bytes.
fn credentials(header: &HeaderValue) -> Option<(String, Zeroizing<Vec<u8>>)> {
    let text = header.to_str().ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    let (user, rest) = decoded.split_at_checked(colon)?;
    let user = String::from_utf8(user.to_vec()).ok()?;
    let password = rest.strip_prefix(b":")?.to_vec();
    Some((user, Zeroizing::new(password)))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use proptest::prelude::*;

    use super::*;

    fn header(text: &str) -> HeaderValue {
        HeaderValue::from_str(text).unwrap()
    }

    fn basic(user: &str, password: &str) -> HeaderValue {
        header(&format!(
            "Basic {}",
            STANDARD.encode(format!("{user}:{password}"))
        ))
    }

    fn users(all: &[(&str, &str)]) -> Users {
        let hash =
            |password: &str| Hash::parse(&bcrypt::hash(password, MIN_COST).unwrap()).unwrap();
        let all = all.iter().map(|(u, p)| ((*u).to_owned(), hash(p)));
        Users::new(all.collect())
    }

    #[tokio::test]
    async fn only_correct_credentials_are_admitted() {
        let users = users(&[("alice", "a:b"), ("bob", "")]);
        // Twice, because the second result comes from the cache.
        for _ in 0..2 {
            for (user, password, expected) in [
                ("alice", "a:b", Admission::Granted),
                ("alice", "a:", Admission::Denied),
                ("alice", "", Admission::Denied),
                ("bob", "", Admission::Granted),
                ("bob", "a:b", Admission::Denied),
                ("Alice", "a:b", Admission::Denied),
                ("carol", "a:b", Admission::Denied),
                ("", "", Admission::Denied),
            ] {
                let admission = users.admit(Some(&basic(user, password))).await;
                assert_eq!(admission, expected, "{user}:{password}");
            }
        }
        assert_eq!(users.remembered.tags.lock().unwrap().len(), 2);
        assert_eq!(users.admit(None).await, Admission::Denied);
        assert_eq!(Users::default().admit(None).await, Admission::Granted);
    }

    /// Common tools write `$2y$`, OpenBSD `$2b$`, and older tools `$2a$`.
    #[tokio::test]
    async fn bcrypt_hashes_of_all_versions_are_accepted() {
        let made = bcrypt::hash_with_salt("pässwörd", MIN_COST, [7; 16]).unwrap();
        for version in [
            bcrypt::Version::TwoA,
            bcrypt::Version::TwoB,
            bcrypt::Version::TwoY,
        ] {
            let hash = Hash::parse(&made.format_for_version(version)).unwrap();
            let users = Users::new(HashMap::from([("u".to_owned(), hash)]));
            let admission = users.admit(Some(&basic("u", "pässwörd"))).await;
            assert_eq!(admission, Admission::Granted);
        }
    }

    #[tokio::test]
    async fn unknown_user_costs_as_much_as_a_known_user() {
        let users = users(&[("alice", "x")]);
        assert_eq!(users.decoy.cost, users.hashes["alice"].cost);
        // The decoy must be a valid hash. With an invalid one, the comparison would fail early.
        assert_eq!(
            bcrypt::verify("x", users.decoy.text.expose_secret()).ok(),
            Some(false)
        );

        // Both wait for the same hash function.
        let all = users.hashing.acquire_many(MAX_CONCURRENT_HASHES as u32);
        let _all = all.await.unwrap();
        for user in ["alice", "carol"] {
            let header = basic(user, "y");
            let mut admission = pin!(users.admit(Some(&header)));
            let polled = admission
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(polled, Poll::Pending, "{user}");
        }
    }

    #[tokio::test]
    async fn password_check_is_busy_if_too_many_wait() {
        let users = users(&[("alice", "x")]);
        let right = basic("alice", "x");
        assert_eq!(users.admit(Some(&right)).await, Admission::Granted);
        let _all = users
            .waiting
            .acquire_many(MAX_WAITING as u32)
            .await
            .unwrap();
        let wrong = basic("alice", "y");
        assert_eq!(users.admit(Some(&wrong)).await, Admission::Busy);
        // A cached user does not wait.
        assert_eq!(users.admit(Some(&right)).await, Admission::Granted);
    }

    #[test]
    fn password_cache_is_bounded() {
        let remembered = Remembered::default();
        for at in 0..=MAX_REMEMBERED {
            remembered.add(remembered.tag(&at.to_string(), b""));
        }
        assert_eq!(remembered.tags.lock().unwrap().len(), 1);
        assert!(!remembered.has(&remembered.tag("0", b"")));
        assert_ne!(
            remembered.tag("a", b"bc").unwrap().as_ref(),
            remembered.tag("ab", b"c").unwrap().as_ref()
        );
    }

    #[test]
    fn unusable_hash_error_does_not_contain_the_hash() {
        for (text, says) in [
            ("secret", "not a bcrypt hash"),
            ("", "not a bcrypt hash"),
            ("$1$salt$secret", "not a bcrypt hash"),
            (&format!("$2y$17${}", ".".repeat(53)), "cost 17"),
            (&format!("$2y$31${}", ".".repeat(53)), "cost 31"),
            (&format!("$2y$03${}", ".".repeat(53)), "cost 3"),
            (&format!("$2y$10${}", "ß".repeat(53)), "not a bcrypt hash"),
        ] {
            let error = Hash::parse(text).err().unwrap().to_string();
            assert!(error.contains(says), "{text}: {error}");
            assert!(
                !error.contains("secret") && !error.contains("..."),
                "{error}"
            );
        }
    }

    #[test]
    fn invalid_authorization_header_is_ignored() {
        let read = |text: &str| credentials(&header(text));
        let expected = Some(("u".to_owned(), Zeroizing::new(b"p".to_vec())));
        assert_eq!(read("Basic dTpw"), expected);
        assert_eq!(read("bAsIc  dTpw "), expected);
        for text in [
            "",
            "Basic",
            "Basic ",
            "Basic dQ==",
            "Bearer dTpw",
            "Basic dTp",
            "Basic /zpw",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_authorization_header_does_not_panic(bytes in prop::collection::vec(32_u8..=255, 0..60)) {
            if let Ok(header) = HeaderValue::from_bytes(&bytes) {
                let _ = credentials(&header);
            }
        }

        #[test]
        fn basic_auth_credentials_round_trip(user in "[^:]{0,20}", password in prop::collection::vec(any::<u8>(), 0..20)) {
            let mut plain = format!("{user}:").into_bytes();
            plain.extend(&password);
            let header = header(&format!("Basic {}", STANDARD.encode(plain)));
            prop_assert_eq!(credentials(&header), Some((user, Zeroizing::new(password))));
        }
    }
}
