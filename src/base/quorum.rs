//! Majorities.

use crate::base::ids::LogIndex;

/// Votes needed out of `voters`: more than half (Raft paper 5.2).
#[must_use]
pub fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// The highest index that `quorum` of the logs have reached (Raft paper 5.3), given where each ends,
/// highest first; zero when there are fewer.
#[must_use]
pub fn reached_by(quorum: usize, descending: &[LogIndex]) -> LogIndex {
    descending.get(quorum.saturating_sub(1)).copied().unwrap_or_default()
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
            let mut indexes: Vec<LogIndex> = matched.iter().map(|&m| LogIndex(m)).collect();
            indexes.sort_unstable_by(|a, b| b.cmp(a));
            prop_assert_eq!(reached_by(majority(indexes.len()), &indexes), LogIndex(by_counting));
            prop_assert_eq!(reached_by(indexes.len() + 1, &indexes), LogIndex(0));
        }
    }
}
