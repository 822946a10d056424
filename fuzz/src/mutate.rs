//! Mutations: the same seed, the same inputs.

/// The longest input that is made, in bytes.
const LONGEST: usize = 1 << 16;

/// Numbers that get past a first check, or just not.
const EDGES: [u64; 12] =
    [0, 1, 7, 8, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x7fff_ffff_ffff_ffff];

/// Makes inputs of others.
#[derive(Debug)]
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// One that begins at a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// One of the inputs, or something between two of them, with some changes.
    #[must_use]
    pub fn make(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.pick(corpus).cloned().unwrap_or_default();
        for _ in 0..=self.below(6) {
            self.change(&mut input, corpus);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        match self.below(9) {
            0 => input.truncate(at),
            1 => input.insert(at, self.next() as u8),
            2 => {
                let end = at + self.below(input.len() - at + 1);
                input.drain(at..end);
            }
            3 => {
                let end = at + self.below((input.len() - at + 1).min(256));
                let piece = input[at..end].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, piece);
            }
            4 => {
                let other = self.pick(corpus).cloned().unwrap_or_default();
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            5 | 6 => {
                // A number, of any width, in either order.
                let width = 1 << self.below(4);
                let edge = EDGES[self.below(EDGES.len())].wrapping_add(self.below(3) as u64);
                let (little, big) = (edge.to_le_bytes(), edge.to_be_bytes());
                let bytes = if self.below(4) == 0 { &big[8 - width..] } else { &little[..width] };
                for (place, byte) in input.iter_mut().skip(at).zip(bytes) {
                    *place = *byte;
                }
            }
            7 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = self.next() as u8;
                }
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
        }
    }

    fn pick<'a, T>(&mut self, several: &'a [T]) -> Option<&'a T> {
        let at = self.below(several.len().max(1));
        several.get(at)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
