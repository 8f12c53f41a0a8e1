//! What becomes of an answer that is more or less sure of itself.

use super::confidence::{Confidence, Level};
use crate::platform::EscalationSettings;

/// What is said under an answer that may be wrong.
const DISCLAIMER: &str =
    "---\n\u{26a0}\u{fe0f} I am not sure about this answer; please check it before you rely on it.";

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It is not sent; a human answers.
    Immediate,
    /// It is sent, and a human looks at it.
    Review,
    /// It is sent, and says that it may be wrong.
    Disclaim,
    /// It is sent.
    Continue,
}

impl Action {
    /// As the platform writes it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Immediate => "immediate_escalation",
            Self::Review => "suggest_review",
            Self::Disclaim => "send_with_disclaimer",
            Self::Continue => "continue",
        }
    }

    /// Whether the conversation goes to a human.
    pub(super) const fn escalates(self) -> bool {
        matches!(self, Self::Immediate | Self::Review)
    }
}

/// Decides, by the settings alone: what a dashboard promises is what happens.
///
/// A model that reports `very_low` was told to do so when a human should answer; that stands whatever
/// the thresholds are. A question of a high-stakes domain is reviewed by the mode's stricter threshold.
pub(super) fn decide(confidence: &Confidence, settings: &EscalationSettings) -> Action {
    let score = confidence.score;
    let review_below = if confidence.high_stakes {
        settings.review_below.max(settings.high_stakes_review_below)
    } else {
        settings.review_below
    };
    if confidence.self_reported == Some(Level::VeryLow) || score < settings.immediate_below {
        Action::Immediate
    } else if score < review_below {
        Action::Review
    } else if confidence.level == Level::Medium && settings.add_disclaimers {
        Action::Disclaim
    } else {
        Action::Continue
    }
}

/// The answer as it is sent.
pub(super) fn worded(answer: &str, action: Action, settings: &EscalationSettings) -> String {
    let disclaims = matches!(action, Action::Review | Action::Disclaim) && settings.add_disclaimers;
    if !disclaims {
        return answer.to_owned();
    }
    let disclaimer = settings.disclaimer.as_deref().unwrap_or(DISCLAIMER);
    format!("{answer}\n\n{}", disclaimer.trim())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::confidence::analyse;
    use super::*;
    use crate::platform::TenantSettings;

    const CLEAN: &str = "We open in the morning and close in the evening.";

    fn settings(escalation: &Value) -> EscalationSettings {
        let (settings, problems) =
            TenantSettings::parse(&json!({"confidenceEscalation": escalation}));
        assert_eq!(problems, Vec::<String>::new());
        settings.escalation
    }

    fn decided(question: &str, marker: &str, escalation: &Value) -> Action {
        let answer = match marker {
            "" => CLEAN.to_owned(),
            marker => format!("{CLEAN} [confidence: {marker}]"),
        };
        let settings = settings(escalation);
        let confidence = analyse(question, &answer, &settings.high_stakes_domains);
        decide(&confidence, &settings)
    }

    /// Scores: none 0.9, medium 0.733, low 0.567, very_low 0.456.
    #[test]
    fn every_mode_and_threshold_does_what_it_promises() {
        use Action::{Continue, Disclaim, Immediate, Review};
        let standard = json!({});
        let strict = json!({"mode": "strict"});
        let lenient = json!({"mode": "lenient"});
        let mode = |mode: &str, name: &str, value: f64| json!({"mode": mode, name: value});
        let plain = json!({"addDisclaimers": false});
        for (settings, expected) in [
            // What the model says of itself: nothing, medium, low, very_low.
            (&standard, [Continue, Disclaim, Review, Immediate]),
            (&strict, [Continue, Review, Review, Immediate]),
            (&lenient, [Continue, Disclaim, Continue, Immediate]),
            (&plain, [Continue, Continue, Review, Immediate]),
            (
                &mode("standard", "immediateEscalationThreshold", 0.6),
                [Continue, Disclaim, Immediate, Immediate],
            ),
            (
                &mode("standard", "immediateEscalationThreshold", 0.95),
                [Immediate, Immediate, Immediate, Immediate],
            ),
            (
                &mode("standard", "suggestReviewThreshold", 0.5),
                [Continue, Disclaim, Continue, Immediate],
            ),
            (
                &mode("lenient", "suggestReviewThreshold", 0.8),
                [Continue, Review, Review, Immediate],
            ),
        ] {
            let found = ["", "medium", "low", "very_low"]
                .map(|marker| decided("When do you open?", marker, settings));
            assert_eq!(found, expected, "{settings}");
        }
    }

    #[test]
    fn a_low_score_alone_calls_a_human_only_below_the_threshold() {
        // Unsure words without a marker score below 0.4: the old rule escalated them in every mode.
        let answer = "I'm not sure, perhaps at 9 on Monday; I think so.";
        for (mode, expected) in [
            ("strict", Action::Immediate),
            ("standard", Action::Review),
            ("lenient", Action::Review),
        ] {
            let settings = settings(&json!({"mode": mode}));
            let confidence = analyse("When do you open?", answer, &[]);
            assert!(
                (0.3..0.4).contains(&confidence.score),
                "{}",
                confidence.score
            );
            assert_eq!(decide(&confidence, &settings), expected, "{mode}");
        }
    }

    #[test]
    fn high_stakes_are_reviewed_by_the_stricter_threshold() {
        for (mode, marker, expected) in [
            ("standard", "medium", Action::Review),
            ("lenient", "low", Action::Review),
            ("strict", "", Action::Continue),
        ] {
            let settings = json!({"mode": mode, "highStakesDomains": ["warranty"]});
            for question in ["Which medication may I take?", "What of my warranty?"] {
                assert_eq!(
                    decided(question, marker, &settings),
                    expected,
                    "{mode} {question}"
                );
            }
        }
    }

    #[test]
    fn a_disclaimer_stands_apart_and_only_where_it_is_wanted() {
        let own = settings(&json!({"disclaimerText": "Please check."}));
        assert_eq!(
            worded("Yes.", Action::Disclaim, &own),
            "Yes.\n\nPlease check."
        );
        assert_eq!(worded("Yes.", Action::Continue, &own), "Yes.");
        let built_in = worded("Yes.", Action::Review, &settings(&json!({})));
        assert!(built_in.starts_with("Yes.\n\n---\n"), "{built_in}");
        let none = settings(&json!({"addDisclaimers": false}));
        assert_eq!(worded("Yes.", Action::Review, &none), "Yes.");
    }
}
