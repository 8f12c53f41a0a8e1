//! How sure an answer is of itself: by what the model says of it, by its words, and by its form.

use serde::Serialize;

use super::phrases::{CERTAIN, DEFLECTING, HEDGING, HIGH_STAKES, MONTHS, VAGUE, WEEKDAYS};

/// What each signal weighs.
const SELF_ASSESSMENT: f64 = 0.5;
const HEDGES: f64 = 0.25;
const QUALITY: f64 = 0.15;

/// What is thought of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Confidence {
    /// 0 to 1.
    pub(super) score: f64,
    /// In a word.
    pub(super) level: Level,
    /// What the model said of itself.
    pub(super) self_reported: Option<Level>,
    /// Whether the question is of a kind where a wrong answer does harm.
    pub(super) high_stakes: bool,
    /// What it was judged by.
    pub(super) signals: Vec<Signal>,
}

/// One thing an answer is judged by.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Signal {
    pub(super) name: &'static str,
    pub(super) score: f64,
    #[serde(skip)]
    weight: f64,
}

/// How sure, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    High,
    Medium,
    Low,
    VeryLow,
}

impl Level {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::VeryLow => "very_low",
        }
    }

    /// What a model means by the word.
    const fn score(self) -> f64 {
        match self {
            Self::High => 0.9,
            Self::Medium => 0.6,
            Self::Low => 0.3,
            Self::VeryLow => 0.1,
        }
    }

    fn of(score: f64) -> Self {
        match score {
            score if score >= 0.8 => Self::High,
            score if score >= 0.6 => Self::Medium,
            score if score >= 0.4 => Self::Low,
            _ => Self::VeryLow,
        }
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "high" => Some(Self::High),
            "medium" => Some(Self::Medium),
            "low" => Some(Self::Low),
            "very low" | "very_low" => Some(Self::VeryLow),
            _ => None,
        }
    }
}

/// Judges an answer to a question. `domains` are the tenant's high-stakes words, beside our own.
pub(super) fn analyse(question: &str, answer: &str, domains: &[String]) -> Confidence {
    let marks = marks(answer);
    let said = strip(answer);
    let (question, lower) = (plain(question), plain(&said));
    let mut signals = Vec::new();
    if let Some(mark) = marks.first() {
        signals.push(Signal {
            name: "self_assessment",
            score: mark.score,
            weight: SELF_ASSESSMENT,
        });
    }
    signals.push(Signal {
        name: "hedging",
        score: hedging(&lower),
        weight: HEDGES,
    });
    signals.push(Signal {
        name: "quality",
        score: quality(&question, &lower),
        weight: QUALITY,
    });
    let weights: f64 = signals.iter().map(|signal| signal.weight).sum();
    let sum: f64 = signals
        .iter()
        .map(|signal| signal.score * signal.weight)
        .sum();
    let score = sum / weights;
    let own = domains.iter().map(|word| plain(word));
    let words = HIGH_STAKES.iter().map(|word| (*word).to_owned()).chain(own);
    Confidence {
        score,
        level: Level::of(score),
        self_reported: marks.first().map(|mark| mark.level),
        high_stakes: words
            .filter(|word| !word.trim().is_empty())
            .any(|word| question.contains(&word)),
        signals,
    }
}

/// The answer without what the model says of itself: no person is to read it, nor the model again.
pub(super) fn strip(answer: &str) -> String {
    let mut text = answer.to_owned();
    for mark in marks(answer).iter().rev() {
        text.replace_range(mark.from..mark.to, "");
    }
    if text.len() == answer.len() {
        return text;
    }
    // A mark on a line of its own leaves the line behind.
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim().to_owned()
}

/// Where a model says how sure it is.
struct Mark {
    from: usize,
    to: usize,
    level: Level,
    score: f64,
}

/// `[confidence: low]`, `(confidence: 40%)` and `confidence level: low`, in the order they stand.
fn marks(answer: &str) -> Vec<Mark> {
    // Of the same length as the answer: only ASCII letters change.
    let lower = answer.to_ascii_lowercase();
    let mut marks = Vec::new();
    let mut from = 0;
    while let Some(at) = lower[from..].find("confidence").map(|at| from + at) {
        from = at + "confidence".len();
        if let Some(mark) = mark_at(&lower, at) {
            from = mark.to;
            marks.push(mark);
        }
    }
    marks
}

fn mark_at(lower: &str, at: usize) -> Option<Mark> {
    let after = &lower[at + "confidence".len()..];
    let opened = lower[..at].trim_end().chars().next_back();
    let inside = |close: char| {
        let (inside, _) = after.trim_start().strip_prefix(':')?.split_once(close)?;
        Some(inside)
    };
    let (close, open) = match opened {
        Some('[') => (']', '['),
        Some('(') => (')', '('),
        _ => return bare(lower, at, after),
    };
    let value = inside(close)?.trim();
    let from = lower[..at].rfind(open)?;
    let to = at + lower[at..].find(close)? + close.len_utf8();
    let (level, score) = if open == '(' {
        let digits = value.strip_suffix('%')?.trim();
        let percent: f64 = (digits.len() <= 3)
            .then(|| digits.parse::<u16>().ok())??
            .into();
        let score = (percent / 100.0).min(1.0);
        (Level::of(score), score)
    } else {
        let level = Level::parse(value)?;
        (level, level.score())
    };
    Some(Mark {
        from,
        to,
        level,
        score,
    })
}

/// `confidence level: low`, to the end of the words.
fn bare(lower: &str, at: usize, after: &str) -> Option<Mark> {
    let value = after
        .trim_start()
        .strip_prefix("level")?
        .trim_start()
        .strip_prefix(':')?;
    let value = value.trim_start();
    let words = ["very low", "very_low", "medium", "high", "low"];
    let word = words.into_iter().find(|word| value.starts_with(word))?;
    let rest = &value[word.len()..];
    if rest.starts_with(|c: char| c.is_alphanumeric()) {
        return None;
    }
    let end = lower.len() - rest.len();
    let level = Level::parse(word)?;
    Some(Mark {
        from: at,
        // The full stop of "Confidence level: low." says nothing more.
        to: end + usize::from(rest.starts_with('.')),
        level,
        score: level.score(),
    })
}

/// 1 if it hedges nothing, less the more it does; certainty makes up for some of it.
fn hedging(lower: &str) -> f64 {
    let count = |phrases: &[&str]| {
        let found = phrases.iter().filter(|phrase| has_phrase(lower, phrase));
        f64::from(u32::try_from(found.count()).unwrap_or(u32::MAX))
    };
    let (hedges, certain) = (count(&HEDGING), count(&CERTAIN));
    let severity = (hedges / 3.0).min(1.0) - 0.5 * (certain / 2.0).min(1.0);
    1.0 - severity.max(0.0)
}

/// The mean of what its length, its completeness and its details say.
fn quality(question: &str, lower: &str) -> f64 {
    let words = |text: &str| text.split_whitespace().count();
    let length = match (words(question), words(lower)) {
        (asked, said) if asked > 10 && said < 15 => 0.3,
        (_, said) if said > 500 => 0.6,
        _ => 0.9,
    };
    let deflects = DEFLECTING.iter().any(|phrase| has_phrase(lower, phrase));
    let evades = ["it depends", "it varies", "unclear"]
        .iter()
        .any(|phrase| has_phrase(lower, phrase));
    let completeness = match (deflects, question.contains('?') && evades) {
        (true, _) => 0.2,
        (_, true) => 0.5,
        _ => 0.8,
    };
    (length + completeness + specificity(lower)) / 3.0
}

fn specificity(lower: &str) -> f64 {
    let mut numbers = lower.split(|c: char| !c.is_ascii_digit());
    let year = numbers.any(|number| number.len() == 4);
    let details = [
        lower.bytes().any(|b| b.is_ascii_digit()),
        MONTHS.iter().any(|month| has_phrase(lower, month)),
        year,
        WEEKDAYS.iter().any(|day| has_phrase(lower, day)),
    ];
    let details = details.into_iter().filter(|there| *there).count();
    let vague = VAGUE.iter().filter(|word| has_phrase(lower, word)).count();
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    (0.5 + 0.2 * count(details) - 0.1 * count(vague)).clamp(0.2, 1.0)
}

/// Whole words only: "clearly" is not in "unclearly".
fn has_phrase(text: &str, phrase: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric();
    text.match_indices(phrase).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// Lower case, with the apostrophes that people type.
fn plain(text: &str) -> String {
    text.to_lowercase()
        .replace(['\u{2019}', '\u{2018}', '\u{02bc}'], "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &str = "When do you open?";
    const CLEAN: &str = "We open in the morning and close in the evening.";

    fn score(answer: &str) -> f64 {
        analyse(QUESTION, answer, &[]).score
    }

    #[track_caller]
    fn near(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() < 0.001,
            "{found} is not {expected}"
        );
    }

    #[test]
    fn a_clean_answer_scores_by_its_marker() {
        near(score(CLEAN), 0.9);
        for (marker, expected) in [
            ("high", 0.9),
            ("medium", 0.733),
            ("low", 0.567),
            ("very_low", 0.456),
            ("very low", 0.456),
        ] {
            near(score(&format!("{CLEAN} [confidence: {marker}]")), expected);
        }
        near(score(&format!("{CLEAN}\nConfidence level: low.")), 0.567);
        near(score(&format!("{CLEAN} (Confidence: 30%)")), 0.567);
        near(score(&format!("{CLEAN} (confidence: 999%)")), 0.956);
    }

    #[test]
    fn what_the_model_says_of_itself_is_taken_out() {
        for (answer, expected) in [
            ("Yes.\n\n[confidence: low]", "Yes."),
            ("Yes. [Confidence: VERY LOW] Truly.", "Yes.  Truly."),
            ("Yes. (confidence: 40%)", "Yes."),
            ("Yes.\nConfidence level: medium", "Yes."),
            ("[confidence: low] Yes. [confidence: high]", "Yes."),
            (
                "I have confidence: it works.",
                "I have confidence: it works.",
            ),
            (
                "Mit Zuversicht [confidence: größer]",
                "Mit Zuversicht [confidence: größer]",
            ),
            ("Über [ confidence : low ] alles", "Über  alles"),
        ] {
            assert_eq!(strip(answer), expected);
        }
    }

    #[test]
    fn hedges_lower_it_and_certainty_makes_up() {
        let unsure = score("I'm not sure, perhaps we open in the morning, but I think so.");
        let curly = score("I\u{2019}m not sure, perhaps we open in the morning, but I think so.");
        near(unsure, curly);
        assert!(unsure < 0.4, "{unsure}");
        let both = score("I'm not sure, perhaps in the morning, definitely, without a doubt.");
        assert!(both > unsure);
        near(hedging("it was unclearly said"), hedging("it was said"));
    }

    #[test]
    fn form_is_judged() {
        let long =
            "What exactly are all of the conditions for returning a parcel that was damaged?";
        assert!(quality(long, "yes.") < quality(QUESTION, "yes."));
        assert!(quality(QUESTION, "it depends.") < quality(QUESTION, "at nine."));
        assert!(
            specificity("on monday, 5 january 2026") > specificity("some day, maybe something")
        );
    }

    #[test]
    fn high_stakes_are_ours_and_the_tenants() {
        let own = ["Warranty".to_owned(), " ".to_owned()];
        for (question, expected) in [
            ("Which MEDICATION may I take?", true),
            ("What of my warranty?", true),
            ("When do you open?", false),
        ] {
            assert_eq!(
                analyse(question, CLEAN, &own).high_stakes,
                expected,
                "{question}"
            );
        }
    }
}
