//! Memory of histories: the pool that connections take it from.

use super::history::History;

/// Most bytes that the pool keeps, and that each history in it may have (arbitrary): enough for
/// many more than wait for an acknowledgement at once.
const POOL_BYTES_MAX: usize = 512 << 10;
const HISTORY_BYTES_MAX: usize = 16 << 10;

/// Histories that are kept for their memory: nearly every message begins and ends with one.
/// hot: see NOTES#pool
#[derive(Debug, Default)]
pub(crate) struct BufferPool {
    #[expect(clippy::vec_box, reason = "a connection keeps a pointer, as most of them have no history")]
    kept: Vec<Box<History>>,
    /// Memory of all of them.
    bytes: usize,
}

impl BufferPool {
    /// Takes an empty history.
    pub(in crate::tcp) fn take(&mut self) -> Box<History> {
        let Some(mut history) = self.kept.pop() else { return Box::default() };
        self.bytes -= history.resident();
        // Here and not in `recycle`, when its memory is no longer in the cache.
        history.clear();
        history
    }

    /// Keeps the memory of a history, unless it is too much.
    pub(in crate::tcp) fn recycle(&mut self, history: Box<History>) {
        if history.resident() <= HISTORY_BYTES_MAX.min(POOL_BYTES_MAX - self.bytes) {
            self.bytes += history.resident();
            self.kept.push(history);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::overlap::evidence::{ChecksumVerdict, Provenance};

    #[test]
    fn the_pool_is_bounded_by_its_memory() {
        let mut pool = BufferPool::default();
        for len in (0..3_000).map(|n| 13 * n) {
            let mut history = Box::<History>::default();
            for _ in 0..2 {
                history.push(&vec![7; len / 2], Provenance { ttl: 64, checksum: ChecksumVerdict::Passed });
            }
            pool.recycle(history);
        }
        let resident = |pool: &BufferPool| pool.kept.iter().map(|history| history.resident()).sum::<usize>();
        assert_eq!(pool.bytes, resident(&pool));
        assert!((POOL_BYTES_MAX - HISTORY_BYTES_MAX..=POOL_BYTES_MAX).contains(&pool.bytes), "{}", pool.bytes);
        for _ in 0..10 {
            assert_eq!(pool.take().held(), size_of::<History>(), "as if it were new");
        }
        assert_eq!(pool.bytes, resident(&pool));
    }
}
