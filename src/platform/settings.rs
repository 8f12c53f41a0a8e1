//! What a tenant configured, read leniently: a value that makes no sense costs that value only, and
//! is named, so that somebody can be told.

mod escalation;
mod retention;

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Private;
pub use escalation::{EscalationSettings, SelfAssessment};
pub use retention::RetentionSettings;

/// `tenants.settings`, as far as background work reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantSettings {
    /// `brandName`: who answers.
    pub brand_name: String,
    /// `tone`, such as `friendly`.
    pub tone: String,
    /// `locale`: preferred languages, best first.
    pub locale: Vec<String>,
    /// `enableRag`: whether answers are looked up in the tenant's documents.
    pub enable_rag: bool,
    /// `ragConfig`.
    pub rag: RagSettings,
    /// `enableHumanHandoff`: whether a keyword calls a human.
    pub enable_human_handoff: bool,
    /// `humanHandoffKeywords`.
    pub human_handoff_keywords: Vec<String>,
    /// `enableFunctionCalling`: whether the model may search the documents by itself.
    pub enable_function_calling: bool,
    /// `messageDebounceMs`: how long to wait for more messages, to answer them together.
    pub debounce: Option<Duration>,
    /// `texts`: what people are told, in the tenant's own words.
    pub texts: TextSettings,
    /// `confidenceEscalation`.
    pub escalation: EscalationSettings,
    /// `llm`.
    pub llm: LlmSettings,
    /// `retention`.
    pub retention: RetentionSettings,
}

/// `texts`: what people are told, where it is not what everybody is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextSettings {
    /// `handoff`: a human will answer.
    pub handoff: Option<String>,
    /// `failure`: it could not be answered.
    pub failure: Option<String>,
    /// `limit`: the tenant's plan allows no more.
    pub limit: Option<String>,
}

/// `ragConfig`: how documents are searched.
#[derive(Debug, Clone, PartialEq)]
pub struct RagSettings {
    /// `topK`: how many chunks are used.
    pub top_k: u32,
    /// `minSimilarity`, 0 to 1.
    pub min_similarity: f64,
    /// `hybridWeights.keyword`.
    pub keyword_weight: f64,
    /// `hybridWeights.vector`.
    pub vector_weight: f64,
}

/// `llm`: which model answers, and how it is called.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LlmSettings {
    /// `provider`, such as `ollama`.
    pub provider: Option<String>,
    /// `model`.
    pub model: Option<String>,
    /// `apiKey`.
    pub api_key: Option<Private<String>>,
    /// `baseUrl`.
    pub base_url: Option<String>,
    /// `organizationId`.
    pub organization_id: Option<String>,
    /// `additionalHeaders`.
    pub headers: Vec<(String, Private<String>)>,
    /// `pricing`: US dollars for a thousand tokens, of the request and of the answer.
    pub pricing: Option<(f64, f64)>,
    /// `timeoutMs`.
    pub timeout: Option<Duration>,
    /// `temperature`.
    pub temperature: Option<f64>,
    /// `topP`.
    pub top_p: Option<f64>,
    /// `maxTokens`.
    pub max_tokens: Option<u32>,
    /// `systemPrompt`.
    pub system_prompt: Option<String>,
}

impl Default for RagSettings {
    fn default() -> Self {
        Self {
            top_k: 5,
            min_similarity: 0.5,
            keyword_weight: 0.3,
            vector_weight: 0.7,
        }
    }
}

impl Default for TenantSettings {
    fn default() -> Self {
        Self {
            brand_name: "Meta Chat".to_owned(),
            tone: "friendly".to_owned(),
            locale: vec!["en-US".to_owned()],
            enable_rag: false,
            rag: RagSettings::default(),
            enable_human_handoff: false,
            human_handoff_keywords: Vec::new(),
            enable_function_calling: false,
            debounce: None,
            texts: TextSettings::default(),
            escalation: EscalationSettings::default(),
            llm: LlmSettings::default(),
            retention: RetentionSettings::default(),
        }
    }
}

impl TenantSettings {
    /// Reads the settings, and names each value that had to be left out.
    pub fn parse(value: &Value) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let defaults = Self::default();
        let mut root = Fields::of(value, "", &mut problems);
        let settings = Self {
            brand_name: root.text("brandName").unwrap_or(defaults.brand_name),
            tone: root.text("tone").unwrap_or(defaults.tone),
            locale: root.texts("locale").unwrap_or(defaults.locale),
            enable_rag: root.flag("enableRag").unwrap_or(defaults.enable_rag),
            rag: RagSettings::read(root.object("ragConfig")),
            enable_human_handoff: root
                .flag("enableHumanHandoff")
                .unwrap_or(defaults.enable_human_handoff),
            human_handoff_keywords: root
                .texts("humanHandoffKeywords")
                .unwrap_or(defaults.human_handoff_keywords),
            enable_function_calling: root
                .flag("enableFunctionCalling")
                .unwrap_or(defaults.enable_function_calling),
            debounce: root
                .whole("messageDebounceMs", 0..=60_000)
                .filter(|millis| *millis > 0)
                .map(|millis| Duration::from_millis(millis.into())),
            texts: TextSettings::read(root.object("texts")),
            escalation: EscalationSettings::read(root.object("confidenceEscalation")),
            llm: LlmSettings::read(root.object("llm")),
            retention: RetentionSettings::read(root.object("retention")),
        };
        (settings, problems)
    }
}

impl RagSettings {
    fn read(mut fields: Fields<'_>) -> Self {
        let defaults = Self::default();
        let top_k = fields.whole("topK", 1..=50);
        let min_similarity = fields.number("minSimilarity", 0.0..=1.0);
        let mut weights = fields.object("hybridWeights");
        Self {
            top_k: top_k.unwrap_or(defaults.top_k),
            min_similarity: min_similarity.unwrap_or(defaults.min_similarity),
            keyword_weight: weights
                .number("keyword", 0.0..=1.0)
                .unwrap_or(defaults.keyword_weight),
            vector_weight: weights
                .number("vector", 0.0..=1.0)
                .unwrap_or(defaults.vector_weight),
        }
    }
}

impl TextSettings {
    fn read(mut fields: Fields<'_>) -> Self {
        Self {
            handoff: fields.filled("handoff"),
            failure: fields.filled("failure"),
            limit: fields.filled("limit"),
        }
    }
}

impl LlmSettings {
    /// Whose models a tenant may choose.
    const PROVIDERS: [&str; 4] = ["openai", "anthropic", "ollama", "deepseek"];

    fn read(mut fields: Fields<'_>) -> Self {
        let providers = Self::PROVIDERS.join(", ");
        let provider = fields.read("provider", &format!("one of {providers}"), |value| {
            let known = |name: &&str| Self::PROVIDERS.contains(name);
            value.as_str().filter(known).map(str::to_owned)
        });
        // A model, a key and an address of a provider that is not there are of no use to another.
        let whole = provider.is_some() || !fields.has("provider");
        let mut choice = |key: &str| fields.filled(key).filter(|_| whole);
        let (model, api_key) = (choice("model"), choice("apiKey").map(Private));
        let (base_url, organization_id) = (choice("baseUrl"), choice("organizationId"));
        Self {
            provider,
            model,
            api_key,
            base_url,
            organization_id,
            headers: fields.headers("additionalHeaders"),
            pricing: pricing(fields.object("pricing")),
            timeout: fields
                .whole("timeoutMs", 1..=600_000)
                .map(|millis| Duration::from_millis(millis.into())),
            temperature: fields.number("temperature", 0.0..=2.0),
            top_p: fields.number("topP", 0.0..=1.0),
            max_tokens: fields.whole("maxTokens", 1..=1_000_000),
            system_prompt: fields.text("systemPrompt"),
        }
    }
}

fn pricing(mut fields: Fields<'_>) -> Option<(f64, f64)> {
    let mut usd = |key| fields.number(key, 0.0..=1000.0);
    let (prompt, completion) = (usd("promptTokenUsdPer1K"), usd("completionTokenUsdPer1K"));
    Some((prompt?, completion?))
}

/// The fields of one object, by name. What is absent or null is `None`; what is of the wrong kind
/// is `None` and a problem.
struct Fields<'a> {
    path: String,
    object: Option<&'a Map<String, Value>>,
    problems: &'a mut Vec<String>,
}

impl<'a> Fields<'a> {
    fn of(value: &'a Value, path: &str, problems: &'a mut Vec<String>) -> Self {
        if !value.is_object() && !value.is_null() {
            let name = if path.is_empty() { "settings" } else { path };
            problems.push(format!(
                "{name}: expected an object, found {}",
                kind_of(value)
            ));
        }
        Self {
            path: path.to_owned(),
            object: value.as_object(),
            problems,
        }
    }

    fn object(&mut self, key: &str) -> Fields<'_> {
        let value = self.object.and_then(|o| o.get(key)).unwrap_or(&Value::Null);
        let path = self.path_of(key);
        Fields::of(value, &path, self.problems)
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.read(key, "text", |v| Some(v.as_str()?.to_owned()))
    }

    fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        self.read(key, "a list of texts", |value| {
            let items = value.as_array()?.iter();
            items.map(|v| Some(v.as_str()?.to_owned())).collect()
        })
    }

    /// A text with something in it.
    fn filled(&mut self, key: &str) -> Option<String> {
        self.text(key).filter(|text| !text.trim().is_empty())
    }

    fn has(&self, key: &str) -> bool {
        let value = self.object.and_then(|object| object.get(key));
        value.is_some_and(|value| !value.is_null())
    }

    fn headers(&mut self, key: &str) -> Vec<(String, Private<String>)> {
        let header = |(name, value): (&String, &Value)| {
            Some((name.clone(), Private(value.as_str()?.to_owned())))
        };
        let headers = self.read(key, "an object of texts", |value| {
            value.as_object()?.iter().map(header).collect()
        });
        headers.unwrap_or_default()
    }

    fn flag(&mut self, key: &str) -> Option<bool> {
        self.read(key, "true or false", Value::as_bool)
    }

    fn number(&mut self, key: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        self.read(key, &expected, |value| {
            value.as_f64().filter(|n| range.contains(n))
        })
    }

    fn whole(&mut self, key: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.read(key, &expected, |value| {
            let number = u32::try_from(value.as_u64()?).ok()?;
            range.contains(&number).then_some(number)
        })
    }

    fn read<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.object?.get(key).filter(|value| !value.is_null())?;
        let found = read(value);
        if found.is_none() {
            // The value itself may be a key put into the wrong field.
            let path = self.path_of(key);
            self.problems.push(format!(
                "{path}: expected {expected}, found {}",
                kind_of(value)
            ));
        }
        found
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "another number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_configured_is_all_defaults_and_no_problem() {
        for nothing in [
            json!({}),
            Value::Null,
            json!({"brandName": null, "llm": {}}),
        ] {
            assert_eq!(
                TenantSettings::parse(&nothing),
                (TenantSettings::default(), vec![])
            );
        }
    }

    #[test]
    fn a_partial_rag_config_keeps_the_other_defaults() {
        let value = json!({"ragConfig": {"topK": 9, "hybridWeights": {"vector": 1}}});
        let (settings, problems) = TenantSettings::parse(&value);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(
            settings.rag,
            RagSettings {
                top_k: 9,
                vector_weight: 1.0,
                ..RagSettings::default()
            }
        );
    }

    #[test]
    fn a_bad_value_costs_that_value_only_and_is_named_without_being_shown() {
        let (settings, problems) = TenantSettings::parse(&json!({
            "brandName": "Acme",
            "tone": 7,
            "locale": ["hr", 3],
            "enableRag": "yes",
            "ragConfig": {"topK": -1, "minSimilarity": 1.5, "hybridWeights": []},
            "llm": {"provider": "ollama", "apiKey": ["sk-secret"], "timeoutMs": 1.5, "maxTokens": 256}
        }));
        assert_eq!(settings.brand_name, "Acme");
        assert_eq!(settings.llm.provider.as_deref(), Some("ollama"));
        assert_eq!(settings.llm.max_tokens, Some(256));
        let defaults = TenantSettings::default();
        assert_eq!(settings.tone, defaults.tone);
        assert_eq!(settings.locale, defaults.locale);
        assert_eq!(settings.rag, defaults.rag);
        assert_eq!(
            problems,
            [
                "tone: expected text, found another number",
                "locale: expected a list of texts, found a list",
                "enableRag: expected true or false, found text",
                "ragConfig.topK: expected a whole number from 1 to 50, found another number",
                "ragConfig.minSimilarity: expected a number from 0 to 1, found another number",
                "ragConfig.hybridWeights: expected an object, found a list",
                "llm.apiKey: expected text, found a list",
                "llm.timeoutMs: expected a whole number from 1 to 600000, found another number",
            ]
        );
    }

    #[test]
    fn settings_that_are_no_object_are_a_problem_and_not_the_end() {
        let (settings, problems) = TenantSettings::parse(&json!("oops"));
        assert_eq!(settings, TenantSettings::default());
        assert_eq!(problems, ["settings: expected an object, found text"]);
    }

    #[test]
    fn an_unknown_provider_costs_what_was_meant_for_it() {
        let (settings, problems) = TenantSettings::parse(&json!({"llm": {
            "provider": "gpt", "model": "m", "apiKey": "sk-secret", "temperature": 0.5,
        }}));
        assert_eq!((settings.llm.model, settings.llm.api_key), (None, None));
        assert_eq!(settings.llm.temperature, Some(0.5));
        let expected =
            "llm.provider: expected one of openai, anthropic, ollama, deepseek, found text";
        assert_eq!(problems, [expected]);
    }

    #[test]
    fn the_key_is_never_printed() {
        let (settings, _) = TenantSettings::parse(&json!({"llm": {"apiKey": "sk-secret"}}));
        assert_eq!(settings.llm.api_key.as_ref().unwrap().as_str(), "sk-secret");
        assert!(!format!("{settings:?}").contains("sk-secret"));
    }
}
