//! A small seeded generator of numbers: SplitMix64, for which eight lines suffice.
//!
//! It is not for secrets. It is here, and not in a dependency, so that a seed in an old failure message still means
//! the same frames after every update. Next: [`super::net`], [`super::generate`].

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// The same seed gives the same numbers, on every machine and in every version.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 when `bound` is 0. The bias (below 2⁻³² for the bounds used here) does not matter.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next_u64() % bound as u64) as usize }
    }

    /// A number in `low..=high`; `low` when the two are crossed.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True with this probability (0 never, 1 always).
    pub fn chance(&mut self, probability: f64) -> bool {
        // 53 bits: what an f64 holds exactly.
        ((self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64) < probability
    }

    /// One of these; `None` of an empty slice.
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
