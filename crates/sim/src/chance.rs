//! Randomness that can be replayed and thinned out. Every draw is a hash of (seed, kind, number of the draw of that
//! kind), so that switching one fault off does not shift all the others, and a failing schedule can be shrunk.

use std::collections::BTreeSet;

/// What a draw is for: each kind has its own sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The set-up of the schedule.
    Setup,
    /// Which thing in the world moves.
    World,
    /// How much time passes.
    Time,
    /// A fault.
    Fault,
    /// What the user does.
    User,
    /// Clusters that are made by half, or lose a part.
    Part,
}

const KINDS: usize = 6;

/// A seeded source of choices.
#[derive(Clone, Debug)]
pub struct Chance {
    seed: u64,
    counters: [u64; KINDS],
    /// Numbers of faults and user events that are switched off, for shrinking.
    muted: BTreeSet<u64>,
    injected: Vec<u64>,
    occurrences: u64,
    /// Nothing bad happens any more.
    pub calm: bool,
}

impl Chance {
    /// A source for this seed.
    pub fn new(seed: u64) -> Chance {
        Chance {
            seed,
            counters: [0; KINDS],
            muted: BTreeSet::new(),
            injected: Vec::new(),
            occurrences: 0,
            calm: false,
        }
    }

    /// The same source, with some of its faults and user events switched off.
    pub fn muted(seed: u64, muted: BTreeSet<u64>) -> Chance {
        Chance { muted, ..Chance::new(seed) }
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&mut self, kind: Kind, bound: u64) -> u64 {
        let index = kind as usize;
        self.counters[index] += 1;
        mix(self.seed ^ ((index as u64) << 56), self.counters[index]) % bound
    }

    /// True in `percent` of the cases.
    pub fn percent(&mut self, kind: Kind, percent: u64) -> bool {
        self.below(kind, 100) < percent
    }

    /// True in `permille` of the cases, unless the world is calm or this very occurrence is muted. Each that comes
    /// true has a number of its own, by which it can be muted.
    pub fn trouble(&mut self, kind: Kind, permille: u64) -> bool {
        if self.calm {
            return false;
        }
        let fires = self.below(kind, 1_000) < permille;
        if !fires {
            return false;
        }
        let number = ((kind as u64) << 32) | self.counters[kind as usize];
        self.occurrences += 1;
        if self.muted.contains(&number) {
            return false;
        }
        self.injected.push(number);
        true
    }

    /// The numbers of everything that came true.
    pub fn injected(&self) -> &[u64] {
        &self.injected
    }
}

fn mix(seed: u64, counter: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ counter.wrapping_mul(0xD134_2543_DE82_EF95);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn muting_one_occurrence_leaves_the_others() {
        let run = |muted: BTreeSet<u64>| {
            let mut chance = Chance::muted(7, muted);
            for _ in 0..200 {
                chance.trouble(Kind::Fault, 100);
            }
            chance.injected().to_vec()
        };
        let all = run(BTreeSet::new());
        assert!(all.len() > 5);
        let without = run(BTreeSet::from([all[2]]));
        let expected: Vec<u64> = all.iter().copied().filter(|number| *number != all[2]).collect();
        assert_eq!(without, expected);
    }
}
