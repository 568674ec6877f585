//! Certificates shared by content: thousands of servers present the same few.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::{Certificate, Fingerprint, Inner};

/// Maximum certificates in one generation of recent certificates. The table keeps the current and
/// the previous generation although nothing else holds them, so that a server that is probed again
/// soon needs no second reading.
pub const MAX_RECENT_CERTIFICATES: usize = 2_048;
/// Maximum DER bytes in one generation. The facts read from a certificate take about three times as
/// much in addition.
pub const MAX_RECENT_BYTES: usize = 4 * 1024 * 1024;
/// Minimum entries before the table removes those of certificates that are gone.
const MIN_SWEEP: usize = 4_096;

/// A table that reads, hashes and keeps equal bytes once: all callers get the same [`Certificate`].
///
/// A certificate stays in the table while a caller holds it. In addition the table itself holds
/// [`MAX_RECENT_CERTIFICATES`] of [`MAX_RECENT_BYTES`], so certificates from untrusted servers do
/// not make it grow.
///
/// The key is the SHA-256, for which no collision can be made.
#[derive(Default)]
pub struct Interner(Mutex<Table>);

impl Interner {
    /// Returns the certificate with these bytes.
    pub fn certificate(&self, der: &[u8]) -> Certificate {
        let sha256 = Fingerprint::of(der);
        if let Some(known) = self.table().get(&sha256) {
            return known;
        }
        // Read outside the lock.
        let new = Certificate::read(der.to_vec(), sha256);
        self.table().add(new)
    }

    /// Returns the shared copy of the certificate.
    pub fn share(&self, certificate: &Certificate) -> Certificate {
        let mut table = self.table();
        let known = table.get(&certificate.sha256());
        known.unwrap_or_else(|| table.add(certificate.clone()))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Interner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interner({} known)", self.table().known.len())
    }
}

#[derive(Default)]
struct Table {
    /// All certificates that a caller holds, and some that are gone.
    known: HashMap<Fingerprint, Weak<Inner>>,
    /// Number of entries at which the table removes those that are gone.
    sweep_at: usize,
    recent: Generation,
    before: Generation,
}

impl Table {
    fn get(&mut self, sha256: &Fingerprint) -> Option<Certificate> {
        if let Some(recent) = self.recent.held.get(sha256) {
            return Some(recent.clone());
        }
        let known = Certificate(self.known.get(sha256)?.upgrade()?);
        self.keep(known.clone());
        Some(known)
    }

    /// Adds a certificate. One that another thread added in the meantime takes precedence.
    fn add(&mut self, new: Certificate) -> Certificate {
        if let Some(known) = self.get(&new.sha256()) {
            return known;
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|_, weak| weak.strong_count() > 0);
            self.sweep_at = MIN_SWEEP.max(2 * self.known.len());
        }
        self.known.insert(new.sha256(), Arc::downgrade(&new.0));
        self.keep(new.clone());
        new
    }

    fn keep(&mut self, certificate: Certificate) {
        if self.recent.is_full() {
            self.before = std::mem::take(&mut self.recent);
        }
        self.recent.bytes += certificate.der().len();
        self.recent.held.insert(certificate.sha256(), certificate);
    }
}

/// Certificates added in one period.
#[derive(Default)]
struct Generation {
    held: HashMap<Fingerprint, Certificate>,
    bytes: usize,
}

impl Generation {
    fn is_full(&self) -> bool {
        self.held.len() >= MAX_RECENT_CERTIFICATES || self.bytes >= MAX_RECENT_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns distinct bytes of this length.
    fn bytes(number: usize, length: usize) -> Vec<u8> {
        let mut der = number.to_be_bytes().to_vec();
        der.resize(length.max(der.len()), 0);
        der
    }

    fn is_same(a: &Certificate, b: &Certificate) -> bool {
        Arc::ptr_eq(&a.0, &b.0)
    }

    fn held(interner: &Interner) -> (usize, usize) {
        let table = interner.table();
        let both = [&table.recent, &table.before];
        let count = both.iter().map(|g| g.held.len()).sum();
        (count, both.iter().map(|g| g.bytes).sum())
    }

    #[test]
    fn equal_bytes_share_one_certificate() {
        let interner = Interner::default();
        let a = interner.certificate(b"a");
        assert!(is_same(&a, &interner.certificate(b"a")));
        assert!(!is_same(&a, &interner.certificate(b"b")));
        let given = Certificate::from_der(b"a".to_vec());
        assert!(is_same(&a, &interner.share(&given)));
        let first = Certificate::from_der(b"c".to_vec());
        assert!(is_same(&first, &interner.share(&first)));
        assert!(is_same(&first, &interner.certificate(b"c")));
    }

    #[test]
    fn interner_drops_unused_certificates_except_recent_ones() {
        let interner = Interner::default();
        let held_by_us = interner.certificate(b"ours");
        let last = 5 * MAX_RECENT_CERTIFICATES;
        for number in 0..last {
            // Requested all the time, as a common intermediate is.
            interner.certificate(b"common");
            interner.certificate(&bytes(number, 8));
        }
        let (count, _) = held(&interner);
        assert!(count <= 2 * MAX_RECENT_CERTIFICATES, "{count}");
        let mut table = interner.table();
        assert!(table.known.len() <= 2 * MIN_SWEEP.max(2 * count));
        assert!(table.get(&Fingerprint::of(&bytes(0, 8))).is_none());
        assert!(table.get(&Fingerprint::of(&bytes(last - 1, 8))).is_some());
        assert!(table.get(&Fingerprint::of(b"common")).is_some());
        drop(table);
        assert!(is_same(&held_by_us, &interner.certificate(b"ours")));
    }

    #[test]
    fn interner_limits_recent_certificates_by_total_size() {
        const SIZE: usize = MAX_RECENT_BYTES / 10;
        let interner = Interner::default();
        for number in 0..100 {
            interner.certificate(&bytes(number, SIZE));
        }
        let (count, bytes) = held(&interner);
        assert!(bytes <= 2 * (MAX_RECENT_BYTES + SIZE), "{bytes}");
        assert!(count < 30, "{count}");
    }

    proptest! {
        #[test]
        fn interned_certificate_keeps_its_der_and_fingerprint(
            asked in prop::collection::vec((0usize..30, any::<bool>()), 1..200),
        ) {
            let interner = Interner::default();
            let mut held = HashMap::new();
            for (number, hold) in asked {
                let der = bytes(number, 8);
                let got = interner.certificate(&der);
                prop_assert_eq!(got.der(), &der[..]);
                prop_assert_eq!(got.sha256(), Fingerprint::of(&der));
                if let Some(before) = held.get(&number) {
                    prop_assert!(is_same(before, &got));
                }
                if hold {
                    held.insert(number, got);
                }
            }
        }
    }
}
