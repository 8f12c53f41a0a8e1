//! `confidenceEscalation`: when an answer is too unsure to be left to the machine.

use super::Fields;

/// `confidenceEscalation`, with what its mode means filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct EscalationSettings {
    /// `enabled`: whether answers are judged at all.
    pub enabled: bool,
    /// Below this, 0 to 1, a human answers instead: `immediateEscalationThreshold`, or the mode's.
    pub immediate_below: f64,
    /// Below this a human looks at what was answered: `suggestReviewThreshold`, or the mode's.
    pub review_below: f64,
    /// The same where the question is of a high-stakes domain: the mode's.
    pub high_stakes_review_below: f64,
    /// `addDisclaimers`: whether a middling answer says that it may be wrong.
    pub add_disclaimers: bool,
    /// `disclaimerText`, instead of the built-in one.
    pub disclaimer: Option<String>,
    /// `selfAssessmentStrategy`: how the model tells how sure it is.
    pub strategy: SelfAssessment,
    /// `highStakesDomains`: words of the tenant's own, beside the built-in ones.
    pub high_stakes_domains: Vec<String>,
}

/// How a model tells how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelfAssessment {
    /// By a marker at the end of its answer.
    ExplicitMarker,
    /// By weighing before it answers, and a marker.
    ChainOfThought,
    /// By its words.
    UncertaintyAcknowledgment,
}

/// `mode`: how soon a human is called.
#[derive(Debug, Clone, Copy)]
enum Mode {
    Strict,
    Standard,
    Lenient,
}

impl Default for EscalationSettings {
    fn default() -> Self {
        Self::of(Mode::Standard)
    }
}

impl EscalationSettings {
    fn of(mode: Mode) -> Self {
        let (immediate_below, review_below, high_stakes_review_below) = match mode {
            Mode::Strict => (0.5, 0.75, 0.85),
            Mode::Standard => (0.3, 0.6, 0.8),
            Mode::Lenient => (0.2, 0.4, 0.7),
        };
        Self {
            enabled: false,
            immediate_below,
            review_below,
            high_stakes_review_below,
            add_disclaimers: true,
            disclaimer: None,
            strategy: SelfAssessment::ExplicitMarker,
            high_stakes_domains: Vec::new(),
        }
    }

    pub(super) fn read(mut fields: Fields<'_>) -> Self {
        let mode = fields.read("mode", "strict, standard or lenient", |value| {
            match value.as_str()? {
                "strict" => Some(Mode::Strict),
                "standard" => Some(Mode::Standard),
                "lenient" => Some(Mode::Lenient),
                _ => None,
            }
        });
        let defaults = Self::of(mode.unwrap_or(Mode::Standard));
        let strategies = "explicit_marker, chain_of_thought or uncertainty_acknowledgment";
        let strategy = fields.read("selfAssessmentStrategy", strategies, |value| {
            match value.as_str()? {
                "explicit_marker" => Some(SelfAssessment::ExplicitMarker),
                "chain_of_thought" => Some(SelfAssessment::ChainOfThought),
                "uncertainty_acknowledgment" => Some(SelfAssessment::UncertaintyAcknowledgment),
                _ => None,
            }
        });
        Self {
            enabled: fields.flag("enabled").unwrap_or(defaults.enabled),
            immediate_below: fields
                .number("immediateEscalationThreshold", 0.0..=1.0)
                .unwrap_or(defaults.immediate_below),
            review_below: fields
                .number("suggestReviewThreshold", 0.0..=1.0)
                .unwrap_or(defaults.review_below),
            add_disclaimers: fields
                .flag("addDisclaimers")
                .unwrap_or(defaults.add_disclaimers),
            disclaimer: fields.filled("disclaimerText"),
            strategy: strategy.unwrap_or(defaults.strategy),
            high_stakes_domains: fields.texts("highStakesDomains").unwrap_or_default(),
            ..defaults
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::platform::TenantSettings;

    fn thresholds(escalation: &Value) -> ((f64, f64, f64), Vec<String>) {
        let settings = json!({"confidenceEscalation": escalation});
        let (settings, problems) = TenantSettings::parse(&settings);
        let escalation = settings.escalation;
        let thresholds = (
            escalation.immediate_below,
            escalation.review_below,
            escalation.high_stakes_review_below,
        );
        (thresholds, problems)
    }

    #[test]
    fn a_mode_sets_what_is_not_set_by_itself() {
        let none = Vec::<String>::new();
        for (mode, expected) in [
            (json!({}), (0.3, 0.6, 0.8)),
            (json!({"mode": "strict"}), (0.5, 0.75, 0.85)),
            (json!({"mode": "lenient"}), (0.2, 0.4, 0.7)),
            (
                json!({"mode": "strict", "suggestReviewThreshold": 0.9, "immediateEscalationThreshold": 0.1}),
                (0.1, 0.9, 0.85),
            ),
        ] {
            assert_eq!(thresholds(&mode), (expected, none.clone()));
        }
    }

    #[test]
    fn an_unknown_mode_is_standard_and_named() {
        let (found, problems) = thresholds(&json!({"mode": "paranoid", "enabled": true}));
        assert_eq!(found, (0.3, 0.6, 0.8));
        let expected =
            "confidenceEscalation.mode: expected strict, standard or lenient, found text";
        assert_eq!(problems, [expected]);
    }
}
