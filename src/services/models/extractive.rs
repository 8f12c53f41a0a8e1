//! The offline chat model: it quotes the sentences of the passages that fit the question best, and
//! says where they stand. It writes no sentence of its own, so it can be wrong only about what fits.

mod sentences;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use async_trait::async_trait;
use tokio::time::Instant;

use super::words::{is_stop, stem, words};
use super::{ChatAnswer, ChatModel, ChatRequest, Passage, Usage};
use crate::services::Error;
use sentences::{Sentence, sentences};

const NOTHING_FITS: &str = "I found nothing in the documents that answers this.";
/// The most sentences quoted.
const MOST_QUOTES: usize = 3;
/// The share of the question a sentence must speak to.
const FITS: f32 = 0.34;
/// A further sentence is quoted if it fits nearly as well as the best one.
const NEARLY: f32 = 0.7;
/// What a word of the question counts in a sentence's heading, and in its document's name.
const IN_HEADING: f32 = 0.6;
const IN_SOURCE: f32 = 0.3;
/// What another form of a word counts ("delivers" for "delivery").
const OTHER_FORM: f32 = 0.7;
/// The letters two forms of a word must share.
const SHARED_LETTERS: usize = 5;
/// A sentence with more words than this matches by chance, the more so the longer it is.
const MANY_WORDS: f32 = 40.0;
/// The most characters of a sentence that are quoted.
const LONGEST_QUOTE: usize = 400;
/// What a sentence loses for each passage before its own: those were found to fit better.
const LATER_PASSAGE: f32 = 0.02;

/// See the module's description. Sampling settings have no meaning for it.
#[derive(Debug)]
pub(super) struct Extractive;

#[async_trait]
impl ChatModel for Extractive {
    async fn answer(&self, request: &ChatRequest) -> Result<ChatAnswer, Error> {
        let began = Instant::now();
        Ok(ChatAnswer {
            text: answer(&request.question(), &request.passages),
            calls: Vec::new(),
            usage: Usage::default(),
            model: self.name().to_owned(),
            latency: began.elapsed(),
        })
    }

    fn name(&self) -> &'static str {
        "extractive"
    }

    fn provider(&self) -> &'static str {
        "offline"
    }

    fn is_free(&self) -> bool {
        true
    }
}

fn answer(question: &str, passages: &[Passage]) -> String {
    let quotes = best(question, passages);
    if quotes.is_empty() {
        return NOTHING_FITS.to_owned();
    }
    let mut sources: Vec<&str> = Vec::new();
    let mut text = String::new();
    for quote in quotes {
        let known = sources.iter().position(|source| *source == quote.source);
        let number = known.unwrap_or_else(|| {
            sources.push(quote.source);
            sources.len() - 1
        });
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\"{}\" [{}]", shortened(&quote.text), number + 1);
    }
    text.push_str("\nSources:");
    for (i, source) in sources.iter().enumerate() {
        let _ = write!(text, "\n[{}] {source}", i + 1);
    }
    text
}

/// The text, cut after a word if it is too long to quote.
fn shortened(text: &str) -> Cow<'_, str> {
    let Some((end, _)) = text.char_indices().nth(LONGEST_QUOTE) else {
        return text.into();
    };
    let cut = &text[..end];
    let whole_words = cut.rfind(char::is_whitespace).unwrap_or(end);
    format!("{}…", cut[..whole_words].trim_end()).into()
}

/// A sentence of a passage, ready to be compared.
struct Candidate<'a> {
    source: &'a str,
    text: String,
    said: BTreeSet<String>,
    heading: BTreeSet<String>,
    name: BTreeSet<String>,
    passage: u8,
}

/// The sentences to quote, best first.
fn best<'a>(question: &str, passages: &'a [Passage]) -> Vec<Candidate<'a>> {
    let asked = roots(question);
    let candidates = candidates(passages);
    let rarity = rarity(&asked, &candidates);
    let whole: f32 = rarity.values().sum();

    let mut scored: Vec<(f32, Candidate<'a>)> = candidates
        .into_iter()
        .map(|candidate| (candidate.score(&rarity) / whole, candidate))
        .filter(|(score, _)| *score >= FITS)
        .collect();
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    scored.dedup_by(|(_, a), (_, b)| a.text == b.text);
    let least = scored.first().map_or(0.0, |(best, _)| best * NEARLY);
    scored
        .into_iter()
        .take(MOST_QUOTES)
        .take_while(|(score, _)| *score >= least)
        .map(|(_, candidate)| candidate)
        .collect()
}

fn candidates(passages: &[Passage]) -> Vec<Candidate<'_>> {
    let numbered = passages.iter().zip(0_u8..);
    numbered
        .flat_map(|(passage, number)| {
            let name = roots(&passage.source);
            sentences(&passage.text)
                .into_iter()
                .map(move |Sentence { heading, text }| Candidate {
                    source: &passage.source,
                    said: roots(&text),
                    heading: roots(&heading),
                    name: name.clone(),
                    text,
                    passage: number,
                })
        })
        .collect()
}

impl Candidate<'_> {
    /// How much of the question it speaks to, each word weighed by its rarity.
    #[expect(clippy::cast_precision_loss, reason = "sentences have few words")]
    fn score(&self, rarity: &HashMap<&str, f32>) -> f32 {
        let matched: f32 = rarity
            .iter()
            .map(|(word, weight)| weight * self.speaks_to(word))
            .sum();
        let by_rank = (1.0 - LATER_PASSAGE * f32::from(self.passage)).max(0.5);
        let by_length = (MANY_WORDS / self.said.len().max(1) as f32).min(1.0);
        matched * by_rank * by_length
    }

    fn speaks_to(&self, word: &str) -> f32 {
        let other_form = |said: &BTreeSet<String>| said.iter().any(|w| same_beginning(w, word));
        if self.said.contains(word) {
            1.0
        } else if other_form(&self.said) {
            OTHER_FORM
        } else if self.heading.contains(word) || other_form(&self.heading) {
            IN_HEADING
        } else if self.name.contains(word) {
            IN_SOURCE
        } else {
            0.0
        }
    }
}

/// The question's words, each with how rare it is among the candidates. What every sentence says
/// tells none of them apart; what none says weighs as much as what one says, so that a question
/// about something else finds nothing.
#[expect(clippy::cast_precision_loss, reason = "counts of sentences are small")]
fn rarity<'a>(asked: &'a BTreeSet<String>, candidates: &[Candidate<'_>]) -> HashMap<&'a str, f32> {
    let all = candidates.len() as f32;
    asked
        .iter()
        .map(|word| {
            let with = candidates.iter().filter(|c| c.said.contains(word)).count() as f32;
            (word.as_str(), (1.0 + all / with.max(1.0)).ln())
        })
        .collect()
}

/// The content words of a text without their endings.
fn roots(text: &str) -> BTreeSet<String> {
    words(text)
        .filter(|word| !is_stop(word))
        .map(|word| stem(&word).to_owned())
        .collect()
}

fn same_beginning(a: &str, b: &str) -> bool {
    let shared = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    shared >= SHARED_LETTERS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(source: &str, text: &str) -> Passage {
        Passage {
            source: source.into(),
            text: text.into(),
        }
    }

    fn documents() -> Vec<Passage> {
        vec![
            passage(
                "backups.md",
                "# Backups\n\nEvery night at two the database is backed up. Backups are kept for \
                 thirty days.\n\n- They are encrypted with AES.\n",
            ),
            passage(
                "opening-hours.md",
                "## Opening hours\n\nWe are open from nine to five. On Sundays we are closed.",
            ),
            passage("more.md", "Encrypted copies go to another city."),
        ]
    }

    #[test]
    fn quotes_what_fits_and_names_the_document() {
        let text = answer("How long are backups kept?", &documents());
        assert_eq!(
            text,
            "\"Backups are kept for thirty days.\" [1]\n\nSources:\n[1] backups.md"
        );
        let text = answer("are you open on sunday?", &documents());
        assert!(text.contains("\"On Sundays we are closed.\" [1]"), "{text}");
        assert!(text.ends_with("[1] opening-hours.md"), "{text}");
    }

    #[test]
    fn a_document_has_one_number_however_often_it_is_quoted() {
        let text = answer("Is anything encrypted?", &documents());
        assert!(text.contains("encrypted with AES.\" [1]"), "{text}");
        assert!(text.contains("another city.\" [2]"), "{text}");
        assert!(
            text.ends_with("Sources:\n[1] backups.md\n[2] more.md"),
            "{text}"
        );
    }

    #[test]
    fn says_so_when_nothing_fits() {
        for question in ["What is the capital of Peru?", "how does it?", ""] {
            assert_eq!(answer(question, &documents()), NOTHING_FITS, "{question}");
        }
        assert_eq!(answer("How long are backups kept?", &[]), NOTHING_FITS);
    }

    #[test]
    fn a_long_sentence_is_quoted_in_part() {
        let long = format!("Backups are {} kept.", "carefully ".repeat(60).trim());
        let text = answer("Are backups kept carefully?", &[passage("a", &long)]);
        let quote = text.lines().next().unwrap();
        assert!(quote.ends_with("carefully…\" [1]"), "{quote}");
        assert!(quote.chars().count() <= LONGEST_QUOTE + 7);
        assert_eq!(
            shortened(&"ü".repeat(500)).chars().count(),
            LONGEST_QUOTE + 1
        );
    }

    #[tokio::test]
    async fn answers_the_customers_last_message() {
        use crate::services::models::{Role, Turn};
        let turn = |role, content: &str| Turn {
            role,
            content: content.into(),
        };
        let request = ChatRequest {
            history: vec![
                turn(Role::User, "Is anything encrypted?"),
                turn(Role::Assistant, "Yes."),
                turn(Role::User, "When are you open?"),
            ],
            passages: documents(),
            ..ChatRequest::default()
        };
        let answer = Extractive.answer(&request).await.unwrap();
        assert!(answer.text.contains("from nine to five"), "{}", answer.text);
        assert_eq!(answer.usage, Usage::default());
    }
}
