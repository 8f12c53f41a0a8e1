//! Words as the offline models see them.

/// Words that say little about what a text is about. Sorted, for the search.
const STOP: &[&str] = &[
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be",
    "been", "before", "being", "big", "but", "by", "can", "could", "did", "do", "does", "doing",
    "done", "each", "far", "for", "from", "get", "gets", "had", "happen", "happens", "has", "have",
    "he", "her", "here", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just",
    "know", "large", "like", "long", "make", "many", "may", "me", "more", "most", "much", "must",
    "my", "need", "no", "not", "of", "often", "on", "one", "only", "or", "other", "our", "out",
    "over", "own", "please", "s", "same", "she", "should", "so", "some", "such", "t", "tell",
    "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those",
    "to", "too", "up", "us", "use", "used", "very", "want", "was", "we", "were", "what", "when",
    "where", "which", "while", "who", "whose", "why", "will", "with", "would", "you", "your",
];

/// The words of a text in order: runs of letters and digits, in lower case.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|run| !run.is_empty())
        .map(str::to_lowercase)
}

/// Whether a word says little.
pub(super) fn is_stop(word: &str) -> bool {
    STOP.binary_search(&word).is_ok()
}

/// A word without the commonest English endings, so that "backups" finds "backup" and "restoring"
/// finds "restore". Wrong now and then, always the same way on both sides.
pub(super) fn stem(word: &str) -> &str {
    let word = strip_plural(word);
    let word = ["ing", "ed", "es", "e"]
        .iter()
        .filter_map(|ending| word.strip_suffix(ending))
        .find(|stem| stem.chars().count() >= 3 && stem.contains(['a', 'e', 'i', 'o', 'u', 'y']))
        .map_or(word, undouble);
    match word.strip_suffix(['y', 'i']) {
        Some(stem) if stem.chars().count() >= 3 => stem, // "retry" and what is left of "retries"
        _ => word,
    }
}

fn strip_plural(word: &str) -> &str {
    match word.strip_suffix('s') {
        Some(stem) if stem.chars().count() >= 3 && !stem.ends_with(['s', 'u', 'i']) => stem,
        _ => word,
    }
}

/// "stopp" as left of "stopped" is "stop"; "ll" and "ss" belong to words.
fn undouble(stem: &str) -> &str {
    let mut back = stem.chars().rev();
    match (back.next(), back.next()) {
        (Some(a), Some(b)) if a == b && a.is_ascii_alphabetic() && !"lsaeiou".contains(a) => {
            &stem[..stem.len() - 1]
        }
        _ => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stop_words_are_sorted() {
        assert!(STOP.is_sorted());
        assert!(is_stop("the") && is_stop("a") && is_stop("your") && !is_stop("backup"));
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        let all: Vec<_> = words("Über-Größe: `idle_timeout_ms`=60s…").collect();
        assert_eq!(all, ["über", "größe", "idle", "timeout", "ms", "60s"]);
    }

    #[test]
    fn endings_meet() {
        for (a, b) in [
            ("backups", "backup"),
            ("restoring", "restore"),
            ("restored", "restores"),
            ("stopped", "stop"),
            ("queues", "queue"),
            ("messages", "message"),
            ("running", "run"),
            ("retries", "retry"),
            ("failed", "fails"),
        ] {
            assert_eq!(stem(a), stem(b), "{a} {b}");
        }
        for word in ["status", "class", "redis", "sing", "red", "is"] {
            assert_eq!(stem(word), word);
        }
    }
}
