//! One account of bytes: everything that came in has exactly one fate, or is still held.
//!
//! Invariant: `received == sum of all fates + pending`. There is one account for each place where
//! bytes come in, so that a byte that is decrypted or taken out of a datagram is counted in each
//! place once.

use super::{FATES, Fate};

/// Bytes that came in, by what became of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    received: u64,
    missing: u64,
    fates: [u64; FATES],
}

impl Default for Account {
    fn default() -> Self {
        Self { received: 0, missing: 0, fates: [0; FATES] }
    }
}

impl Account {
    /// Bytes that came in.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Bytes known to be missing; they are in no other column.
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// Bytes with this fate.
    pub const fn bytes(&self, fate: Fate) -> u64 {
        self.fates[fate as usize]
    }

    /// Bytes without a fate: what is still held. Negative if a byte was counted twice.
    pub fn balance(&self) -> i128 {
        i128::from(self.received) - self.fates.iter().map(|&n| i128::from(n)).sum::<i128>()
    }

    /// The columns, in the order of [`Fate::ALL`].
    pub(super) const fn columns(&self) -> &[u64; FATES] {
        &self.fates
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.received += other.received;
        self.missing += other.missing;
        for (mine, theirs) in self.fates.iter_mut().zip(other.fates) {
            *mine += theirs;
        }
    }

    /// Counts bytes that come in; each must get a fate or be held.
    pub(crate) const fn receive(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// Counts bytes that are known to be missing.
    pub(crate) const fn miss(&mut self, bytes: u64) {
        self.missing += bytes;
    }

    /// Gives bytes a fate.
    pub(crate) const fn count(&mut self, fate: Fate, bytes: usize) {
        self.fates[fate as usize] += bytes as u64;
    }

    /// Gives bytes that had one fate another.
    pub(crate) const fn recount(&mut self, from: Fate, to: Fate, bytes: u64) {
        self.fates[from as usize] -= bytes;
        self.fates[to as usize] += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_pending_until_it_has_a_fate_and_a_second_fate_shows() {
        let mut account = Account::default();
        account.receive(10);
        account.count(Fate::Head, 7);
        assert_eq!((account.received(), account.balance()), (10, 3));
        account.recount(Fate::Head, Fate::Body, 2);
        assert_eq!((account.bytes(Fate::Head), account.bytes(Fate::Body), account.balance()), (5, 2, 3));
        account.count(Fate::Tls, 4);
        assert_eq!(account.balance(), -1);
        account.miss(6);
        assert_eq!((account.missing(), account.balance()), (6, -1));
    }
}
