//! The offline embedder: texts lie close together when they share words.
//!
//! A vector is a bag of features, each hashed to one of the dimensions and a sign:
//! - every word, without its ending; words like "the" and "how" count little;
//! - every pair of neighbouring content words;
//! - every three letters in a row of a content word, so that related forms and typing errors meet.
//!
//! A feature that occurs n times weighs 1 + ln n. The hash is FNV-1a with 64 bits, finished as in
//! splitmix64 because FNV alone leaves the high bits of short texts alike: the same on every machine
//! and in every version. Whoever changes any of this, or of what a word is, must change [`NAME`], since
//! the vectors no longer compare.
//!
//! It knows no meaning: "car" and "vehicle" are strangers.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::words::{is_stop, stem, words};
use super::{DIMENSIONS, Embedder};
use crate::services::Error;

/// What is recorded beside the vectors.
const NAME: &str = "hash-1";

const WORD: f32 = 1.0;
const STOP_WORD: f32 = 0.05;
const PAIR: f32 = 0.5;
const TRIGRAM: f32 = 0.2;

/// What every text has in common, in the last dimension. Learned models put unrelated texts at a
/// similarity of about 0.4, bags of words at 0; this lifts one to the other without changing any
/// order, so that one threshold (the platform's default is 0.5) means the same for both.
const COMMON: f32 = 0.9;

/// See the module's description.
#[derive(Debug)]
pub(super) struct HashEmbedder;

#[async_trait]
impl Embedder for HashEmbedder {
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Error> {
        Ok(texts.iter().map(|text| vector(text)).collect())
    }

    fn name(&self) -> &str {
        NAME
    }

    fn is_cheap(&self) -> bool {
        true
    }
}

/// The text's vector, of length 1.
pub(super) fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSIONS];
    for (hash, weight) in features(text) {
        let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
        vector[dimension(hash)] += sign * weight;
    }
    let says_something = normalise(&mut vector);
    vector[DIMENSIONS - 1] = if says_something { COMMON } else { -COMMON };
    normalise(&mut vector);
    vector
}

/// All but the last dimension hold features.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the remainder of a small number is small"
)]
fn dimension(hash: u64) -> usize {
    (hash % (DIMENSIONS as u64 - 1)) as usize
}

/// The features' hashes with their weights. Sorted, because adding floats in another order gives
/// another vector.
fn features(text: &str) -> BTreeMap<u64, f32> {
    let mut features = BTreeMap::new();
    let mut count = |feature: &[&str], weight: f32| {
        let (times, _) = features.entry(hash(feature)).or_insert((0.0, weight));
        *times += 1.0_f32;
    };
    let mut before: Option<String> = None;
    for word in words(text) {
        if is_stop(&word) {
            count(&["w", &word], STOP_WORD);
            continue;
        }
        let root = stem(&word);
        count(&["w", root], WORD);
        if let Some(before) = &before {
            count(&["p", before, root], PAIR);
        }
        for trigram in trigrams(&word) {
            count(&["t", &trigram], TRIGRAM);
        }
        before = Some(root.to_owned());
    }
    features
        .into_iter()
        .map(|(hash, (times, weight))| (hash, weight * (1.0 + times.ln())))
        .collect()
}

/// Three letters in a row, with the word's two ends marked.
fn trigrams(word: &str) -> Vec<String> {
    let letters: Vec<char> = format!("^{word}$").chars().collect();
    letters.windows(3).map(String::from_iter).collect()
}

/// FNV-1a over the parts, each closed with a byte that no UTF-8 text holds; then splitmix64's end.
fn hash(parts: &[&str]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    finish(hash)
}

fn finish(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Brings the vector to length 1, if it has a direction; says whether it has.
fn normalise(vector: &mut [f32]) -> bool {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        for x in vector {
            *x /= length;
        }
    }
    length > 0.0
}

/// How alike two vectors of length 1 are.
#[cfg(test)]
pub(super) fn similarity(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn alike(a: &str, b: &str) -> f32 {
        similarity(&vector(a), &vector(b))
    }

    #[test]
    fn forms_of_a_word_meet_and_unrelated_texts_stay_below_half() {
        assert!(alike("restoring a backup", "How are backups restored?") > 0.8);
        assert!(alike("restore the database", "databse restore") > 0.6);
        assert!(alike("the customer wrote to us", "queue depth by priority") < 0.5);
        assert!((alike("the same", "The SAME!") - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_hash_never_changes() {
        // Worked out by another program, in another language.
        assert_eq!(hash(&[]), 0xf52a_15e9_a9b5_e89b);
        assert_eq!(hash(&["w", "backup"]), 0xe404_51c6_a0b4_2721);
        assert_eq!(hash(&["t", "^üb"]), 0x5eae_54ba_d663_7d6c);
        assert_ne!(hash(&["p", "ab", "c"]), hash(&["p", "a", "bc"]));
    }

    #[test]
    fn the_vectors_never_change() {
        let vector = vector("How are backups restored? Restored backups, retried.");
        let fingerprint: f32 = vector
            .iter()
            .zip(1_u16..)
            .map(|(x, n)| x * f32::from(n))
            .sum();
        assert!(
            (fingerprint + 93.4646).abs() < 0.01,
            "{NAME} is now {fingerprint}"
        );
    }

    proptest! {
        #[test]
        fn every_text_has_a_vector_of_length_one(text in "\\PC*|[ \\t\\n.]*|[a-z ]{0,300}") {
            let vector = vector(&text);
            prop_assert_eq!(vector.len(), DIMENSIONS);
            let norm = similarity(&vector, &vector);
            prop_assert!((norm - 1.0).abs() < 1e-4, "{}", norm);
        }
    }
}
