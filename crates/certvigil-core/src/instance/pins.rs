//! Sets of pins.

use std::ops::Deref;
use std::sync::Arc;

/// Sorted set of fingerprints or hashes of public keys. Clones share its memory.
///
/// An entry of an inventory usually has one pin. A node of a B-tree has space for eleven.
///
/// ```
/// use certvigil_core::certificate::Fingerprint;
/// use certvigil_core::instance::Pins;
///
/// let [first, second] = [Fingerprint::of(b"1"), Fingerprint::of(b"2")];
/// let pins = Pins::from([second, first, second]);
/// assert_eq!(pins, Pins::from([first, second]));
/// assert!(pins.contains(&first));
/// assert!(!pins.contains(&Fingerprint::of(b"3")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pins<T>(Arc<[T]>);

impl<T: Ord> Pins<T> {
    /// Returns true if the set contains the pin.
    pub fn contains(&self, pin: &T) -> bool {
        self.0.binary_search(pin).is_ok()
    }
}

impl<T: Ord> FromIterator<T> for Pins<T> {
    fn from_iter<I: IntoIterator<Item = T>>(pins: I) -> Self {
        let mut pins: Vec<T> = pins.into_iter().collect();
        pins.sort_unstable();
        pins.dedup();
        Self(pins.into())
    }
}

impl<T: Ord, const N: usize> From<[T; N]> for Pins<T> {
    fn from(pins: [T; N]) -> Self {
        pins.into_iter().collect()
    }
}

/// The pins in ascending order.
impl<T> Deref for Pins<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'a, T> IntoIterator for &'a Pins<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
