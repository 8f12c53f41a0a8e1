//! What of a question is looked for in documents.

/// The most words of a question that are looked for, and the most parts of words.
const MOST: usize = 32;
/// Shorter words are looked for as they are.
const SHORTEST_WITH_STEM: usize = 5;
/// A stem is no shorter.
const SHORTEST_STEM: usize = 4;

/// The terms of a question, each once. Letters and digits only: whatever the query languages of the
/// databases give a meaning to is gone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Terms {
    /// Words.
    pub(super) words: Vec<String>,
    /// How longer words begin. Most languages bend words at their end, and which one this is nobody
    /// knows.
    pub(super) stems: Vec<String>,
    /// Pairs of characters of scripts that put no blanks between words.
    pub(super) parts: Vec<String>,
}

impl Terms {
    pub(super) fn of(question: &str) -> Self {
        let mut terms = Self::default();
        let words = question.split(|c: char| !c.is_alphanumeric());
        for word in words.filter(|word| !word.is_empty()) {
            let word = word.to_lowercase();
            if word.chars().any(is_unspaced) {
                terms.add_parts(&word);
            } else {
                terms.add_word(word);
            }
        }
        terms
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty() && self.parts.is_empty()
    }

    fn add_word(&mut self, word: String) {
        if self.words.len() < MOST && !self.words.contains(&word) {
            if let Some(stem) = stem(&word).filter(|stem| !self.stems.contains(stem)) {
                self.stems.push(stem);
            }
            self.words.push(word);
        }
    }

    fn add_parts(&mut self, word: &str) {
        let characters: Vec<char> = word.chars().collect();
        for pair in characters.windows(2.min(characters.len())) {
            let part: String = pair.iter().collect();
            if self.parts.len() < MOST && !self.parts.contains(&part) {
                self.parts.push(part);
            }
        }
    }
}

/// Seven tenths of a word, if it is long enough and no number.
fn stem(word: &str) -> Option<String> {
    let length = word.chars().count();
    if length < SHORTEST_WITH_STEM || word.chars().any(char::is_numeric) {
        return None;
    }
    let kept = (length * 7).div_ceil(10).max(SHORTEST_STEM);
    Some(word.chars().take(kept).collect())
}

/// Chinese, Japanese, Thai, Lao, Khmer and Burmese.
const fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_question_is_words_and_how_the_longer_ones_begin() {
        let terms = Terms::of("Kolika je cijena DOSTAVE dostave?! a1b2c3");
        assert_eq!(
            terms.words,
            own(&["kolika", "je", "cijena", "dostave", "a1b2c3"])
        );
        assert_eq!(terms.stems, own(&["kolik", "cijen", "dosta"]));
        assert_eq!(terms.parts, own(&[]));
    }

    #[test]
    fn scripts_without_blanks_are_cut_into_pairs() {
        let terms = Terms::of("配送料は? 円 Tokyo");
        assert_eq!(terms.parts, own(&["配送", "送料", "料は", "円"]));
        assert_eq!(terms.words, own(&["tokyo"]));
    }

    #[test]
    fn a_question_without_an_end_has_an_end() {
        let words: Vec<String> = (0..1000).map(|n| format!("word{n}")).collect();
        assert_eq!(Terms::of(&words.join(" ")).words.len(), MOST);
        let long: String = ('\u{4e00}'..='\u{9000}').collect();
        assert_eq!(Terms::of(&long).parts.len(), MOST);
        for nothing in ["", "?! \0", "😀"] {
            assert!(Terms::of(nothing).is_empty(), "{nothing}");
        }
    }
}
