//! "Did you mean …?": the nearest of some known words.

/// The word nearest to `word`, if one is near enough to be what was meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    let limit = if length < 4 { 1 } else { 2 };
    known
        .into_iter()
        // Each edit changes the length by one at most.
        .filter(|known| known.chars().count().abs_diff(length) <= limit)
        .map(|known| (distance(word, known), known))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, known)| known)
}

/// Levenshtein's edit distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (above, y) in row.iter().skip(1).zip(&b) {
            left = (diagonal + usize::from(x != *y))
                .min(above + 1)
                .min(left + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_edits() {
        for (a, b, edits) in [
            ("api", "api", 0),
            ("apo", "api", 1),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }

    #[test]
    fn only_what_is_near_is_offered() {
        assert_eq!(
            nearest("intervall", ["interval", "timeout"]),
            Some("interval")
        );
        assert_eq!(nearest("apo", ["api", "billing"]), Some("api"));
        assert_eq!(nearest("xyz", ["api", "billing"]), None);
    }
}
