//! A small seeded random number generator: SplitMix64, in eight lines.
//!
//! It is not for secrets. It is not a dependency, so that a seed in an old failure message gives
//! the same frames after every update. Next: [`super::net`], [`super::generate`].

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// Makes a generator. Equal seeds give equal numbers, on every machine and in every version.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number in `0..bound`; 0 if `bound` is 0. The bias, below 2⁻³² for the bounds used
    /// here, does not matter.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next_u64() % bound as u64) as usize }
    }

    /// Returns a number in `low..=high`; `low` if the range is empty.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Returns true with this probability (0 never, 1 always).
    pub fn chance(&mut self, probability: f64) -> bool {
        // An f64 holds 53 bits exactly.
        ((self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64) < probability
    }

    /// Returns a random element; `None` for an empty slice.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_algorithm() {
        // From the reference C code at <https://prng.di.unimi.it/splitmix64.c>, seed 1234567.
        let mut rng = Rng::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| rng.next_u64()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn bounds_hold_and_edges_do_not_panic() {
        let mut rng = Rng::new(0);
        for _ in 0..1_000 {
            assert!(rng.below(7) < 7);
            assert!((3..=5).contains(&rng.between(3, 5)));
            assert!(!rng.chance(0.0) && rng.chance(1.0));
        }
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.between(5, 3), 5);
        assert_eq!(rng.pick::<u8>(&[]), None);
    }
}
