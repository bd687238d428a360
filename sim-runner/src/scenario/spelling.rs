//! "Did you mean": the known word nearest to what was written.
//!
//! Distance is optimal string alignment (insert, delete, replace, swap neighbours), in characters,
//! case ignored. A word is only suggested when about a third of it or less is wrong: a far-fetched
//! guess is worse than none.

/// Longer words are never suggested for, so that garbage costs nothing.
const LONGEST: usize = 64;

/// The candidate nearest to `word`; the first of equals.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(LONGEST + 1).collect();
    if word.len() > LONGEST {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let letters: Vec<char> = candidate.to_lowercase().chars().collect();
        let allowed = (word.len().max(letters.len()) / 3).max(1);
        let distance = distance(&word, &letters);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_what_was_probably_meant() {
        let words = ["servers", "clients", "boot", "kill", "leader"];
        assert_eq!(nearest("sevrers", words), Some("servers"));
        assert_eq!(nearest("Kil", words), Some("kill"));
        assert_eq!(nearest("lead", words), Some("leader"));
        assert_eq!(nearest("xyzzy", words), None);
        assert_eq!(nearest(&"k".repeat(1000), words), None);
    }
}
