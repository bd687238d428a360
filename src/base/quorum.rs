//! Majorities.

use crate::base::ids::LogIndex;

/// Votes needed out of `voters`: more than half (Raft paper 5.2).
#[must_use]
pub fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// The highest index that a majority has reached, given what each voter has (Raft paper 5.3);
/// zero without voters.
#[must_use]
pub fn committed_index(mut matched: Vec<LogIndex>) -> LogIndex {
    let voters = matched.len();
    if voters == 0 {
        return LogIndex(0);
    }
    matched.sort_unstable_by(|a, b| b.cmp(a));
    matched[majority(voters) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_counting(matched in prop::collection::vec(0u64..8, 1..8)) {
            let by_counting = (0..8)
                .filter(|&i| matched.iter().filter(|&&m| m >= i).count() * 2 > matched.len())
                .max()
                .unwrap_or(0);
            let indexes = matched.iter().map(|&m| LogIndex(m)).collect();
            prop_assert_eq!(committed_index(indexes), LogIndex(by_counting));
        }
    }
}
