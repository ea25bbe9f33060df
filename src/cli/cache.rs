//! What was read once and is not read again: bounded by weight, and never stale, since it is kept by what names its bytes.

use std::cell::RefCell;
use std::hash::Hash;

use quick_cache::Weighter;
use quick_cache::unsync;

/// How many bytes of one kind are kept, counted as they were read.
const CAPACITY: u64 = 64 << 20;

/// About how many things of one kind are kept, for the size of its table at first.
const EXPECTED: usize = 64;

/// Values by what they were read from.
pub(crate) struct Cache<K, V>(RefCell<unsync::Cache<K, (V, u64), ByWeight>>);

/// Weighs a value by what was said of it.
#[derive(Clone)]
struct ByWeight;

impl<K, V> Weighter<K, (V, u64)> for ByWeight {
    fn weight(&self, _key: &K, (_, weight): &(V, u64)) -> u64 {
        *weight
    }
}

impl<K: Eq + Hash, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(RefCell::new(unsync::Cache::with_weighter(
            EXPECTED, CAPACITY, ByWeight,
        )))
    }
}

impl<K: Eq + Hash, V> Cache<K, V> {
    /// Shows a value, where it is kept.
    pub(crate) fn with<T>(&self, key: &K, look: impl FnOnce(&V) -> T) -> Option<T> {
        self.0.borrow().get(key).map(|(value, _)| look(value))
    }

    /// Keeps a value that was read from about so many bytes; one that is heavier than all that may be kept is not.
    pub(crate) fn keep(&self, key: K, value: V, bytes: usize) {
        // What stands around a value weighs something, too.
        let weight = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(256);
        self.0.borrow_mut().insert(key, (value, weight));
    }
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    /// A value, where it is kept.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.with(key, V::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_by_its_weight() {
        let cache: Cache<u32, u32> = Cache::default();
        for number in 0..1_000 {
            cache.keep(number, number, 1 << 20);
        }
        let kept = (0..1_000).filter(|number| cache.get(number) == Some(*number));
        assert!((1..=64).contains(&kept.count()));
        cache.keep(7, 8, usize::MAX);
        assert!(cache.get(&7).is_none_or(|value| value == 7));
    }
}
