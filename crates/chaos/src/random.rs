//! Numbers that a seed makes the same again.

/// A stream of numbers (SplitMix64). The same seed and the same places give the same stream.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed at a place: round, cloud, client.
    #[must_use]
    pub fn at(seed: u64, place: &[u64]) -> Random {
        let mut random = Random(seed);
        for part in place {
            random = Random(random.number() ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93));
        }
        random
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// One of these. There is at least one.
    pub fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).expect("an index fits")]
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Puts these in another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let place = usize::try_from(self.below(last as u64 + 1)).expect("an index fits");
            items.swap(last, place);
        }
    }

    /// A version 4 UUID.
    pub fn uuid(&mut self) -> String {
        let (high, low) = (self.number(), self.number());
        let bytes: Vec<u8> = high.to_be_bytes().into_iter().chain(low.to_be_bytes()).collect();
        let hex = |range: std::ops::Range<usize>| -> String {
            bytes[range].iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let variant = (bytes[8] & 0x3f) | 0x80;
        format!("{}-{}-4{}-{variant:02x}{}-{}", hex(0..4), hex(4..6), &hex(6..8)[1..], hex(9..10), hex(10..16))
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_seed_makes_the_same_numbers_again_and_places_make_others() {
        let numbers = |seed, place: &[u64]| {
            let mut random = Random::at(seed, place);
            [random.number(), random.number(), random.number()]
        };
        assert_eq!(numbers(7, &[1, 2]), numbers(7, &[1, 2]));
        assert_ne!(numbers(7, &[1, 2]), numbers(7, &[2, 1]));
        assert_ne!(numbers(7, &[1]), numbers(8, &[1]));
    }

    #[test]
    fn ids_are_version_4_and_differ() {
        let mut random = Random::at(1, &[]);
        let (one, two) = (random.uuid(), random.uuid());
        assert_ne!(one, two);
        assert_eq!((one.len(), &one[14..15]), (36, "4"), "{one}");
        assert!(matches!(&one[19..20], "8" | "9" | "a" | "b"), "{one}");
    }
}
