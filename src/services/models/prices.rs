use std::collections::HashMap;

use serde::{Deserialize, Deserializer, de};

use super::Usage;

/// What models cost, by their names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prices(HashMap<String, Price>);

/// What a model costs, in US dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// Of the request.
    pub prompt_usd: f64,
    /// Of the answer.
    pub completion_usd: f64,
}

/// A text that is no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no price; write the model, then US dollars for a million tokens of the request and of the answer, such as \"gpt-4o 2.50 10.00\""
)]
pub struct InvalidPrice(String);

impl Price {
    /// What this much costs, in US dollars.
    pub fn of(self, usage: Usage) -> f64 {
        let cost = |tokens: u32, usd: f64| f64::from(tokens) * usd / 1e6;
        cost(usage.prompt_tokens, self.prompt_usd)
            + cost(usage.completion_tokens, self.completion_usd)
    }
}

impl Prices {
    /// From texts such as `gpt-4o 2.50 10.00`.
    pub fn new<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidPrice> {
        let price = |line: &str| {
            let mut words = line.split_whitespace();
            let model = words.next()?;
            let mut usd = || {
                let usd: f64 = words.next()?.parse().ok()?;
                (usd.is_finite() && usd >= 0.0).then_some(usd)
            };
            let price = Price {
                prompt_usd: usd()?,
                completion_usd: usd()?,
            };
            words.next().is_none().then(|| (model.to_owned(), price))
        };
        let prices = lines
            .into_iter()
            .map(|line| price(line).ok_or_else(|| InvalidPrice(line.to_owned())));
        Ok(Self(prices.collect::<Result<_, _>>()?))
    }

    /// What a model costs, if that is known.
    pub fn get(&self, model: &str) -> Option<Price> {
        self.0.get(model).copied()
    }
}

impl<'de> Deserialize<'de> for Prices {
    /// A list of texts, or one text with commas, as a variable holds it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Lines {
            One(String),
            Many(Vec<String>),
        }
        let lines = match Lines::deserialize(deserializer)? {
            Lines::One(text) => text.split(',').map(str::to_owned).collect(),
            Lines::Many(lines) => lines,
        };
        let lines = lines
            .iter()
            .map(|line| line.trim())
            .filter(|line| !line.is_empty());
        Self::new(lines).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_cost_what_the_table_says() {
        let prices = Prices::new(["gpt-4o 2.50 10.00", "llama3.2 0 0"]).unwrap();
        let usage = Usage {
            prompt_tokens: 1_000_000,
            completion_tokens: 100_000,
        };
        let cost = prices.get("gpt-4o").unwrap().of(usage);
        assert!((cost - 3.5).abs() < 1e-9, "{cost}");
        assert!(prices.get("gpt-5").is_none());
    }

    #[test]
    fn what_is_no_price_is_named() {
        for wrong in [
            "gpt-4o",
            "gpt-4o 1",
            "gpt-4o 1 x",
            "gpt-4o 1 -2",
            "m 1 2 3",
            "m 1 inf",
        ] {
            assert_eq!(Prices::new([wrong]), Err(InvalidPrice(wrong.to_owned())));
        }
    }

    #[test]
    fn a_variable_holds_them_with_commas() {
        let prices: Prices = serde_json::from_value("a 1 2, b 3 4".into()).unwrap();
        assert_eq!(prices, Prices::new(["a 1 2", "b 3 4"]).unwrap());
        assert_eq!(
            serde_json::from_value::<Prices>("".into()).unwrap(),
            Prices::default()
        );
    }
}
