//! The words that an answer, or a question, is judged by. English, lower case, straight apostrophes.

/// Words of unsureness: said outright, of degree, of sending elsewhere, softening, putting off.
pub(super) const HEDGING: [&str; 32] = [
    "i'm not sure",
    "i am not sure",
    "i'm not certain",
    "i don't know",
    "i'm unsure",
    "not entirely sure",
    "might be",
    "may be",
    "could be",
    "perhaps",
    "maybe",
    "possibly",
    "probably",
    "it is possible that",
    "you should contact",
    "you may want to contact",
    "please consult",
    "please check with",
    "speak to a specialist",
    "ask a professional",
    "i think",
    "i believe",
    "i guess",
    "i assume",
    "it seems",
    "as far as i know",
    "to my knowledge",
    "i would need to check",
    "i'd have to check",
    "someone will get back to you",
    "i cannot confirm",
    "i can't confirm",
];

/// Words of sureness.
pub(super) const CERTAIN: [&str; 9] = [
    "definitely",
    "certainly",
    "absolutely",
    "clearly",
    "without a doubt",
    "for sure",
    "guaranteed",
    "i am certain",
    "i'm certain",
];

/// Words instead of an answer.
pub(super) const DEFLECTING: [&str; 4] = [
    "i can't help with that",
    "i cannot help with that",
    "i don't have that information",
    "i do not have that information",
];

/// Words that say little.
pub(super) const VAGUE: [&str; 7] = [
    "something",
    "somehow",
    "various",
    "some kind",
    "several",
    "stuff",
    "sometimes",
];

/// Questions where a wrong answer does harm.
pub(super) const HIGH_STAKES: [&str; 9] = [
    "medical",
    "legal",
    "financial",
    "health",
    "diagnosis",
    "medication",
    "lawsuit",
    "investment",
    "emergency",
];

/// Without May, which is mostly the verb; its dates have numbers.
pub(super) const MONTHS: [&str; 11] = [
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

pub(super) const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
