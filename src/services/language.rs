//! In which language a text is written.

use whatlang::{Lang, detect as guess};

/// How much of a text is looked at: more makes nothing surer.
const SAMPLE: usize = 8 * 1024;
/// Fewer letters say nothing.
const FEWEST_LETTERS: usize = 10;

/// The language of a text by its ISO 639-1 code, such as `hr`; `None` if it cannot be told.
pub fn detect(text: &str) -> Option<&'static str> {
    let end = text.floor_char_boundary(SAMPLE);
    let sample = &text[..end];
    let letters = sample.chars().filter(|c| c.is_alphabetic());
    if letters.take(FEWEST_LETTERS).count() < FEWEST_LETTERS {
        return None;
    }
    Some(code(guess(sample)?.lang()))
}

/// ISO 639-1 for the 639-3 that the detector speaks.
const fn code(language: Lang) -> &'static str {
    match language {
        Lang::Afr => "af",
        Lang::Aka => "ak",
        Lang::Amh => "am",
        Lang::Ara => "ar",
        Lang::Aze => "az",
        Lang::Bel => "be",
        Lang::Ben => "bn",
        Lang::Bul => "bg",
        Lang::Cat => "ca",
        Lang::Ces => "cs",
        Lang::Cmn => "zh",
        Lang::Cym => "cy",
        Lang::Dan => "da",
        Lang::Deu => "de",
        Lang::Ell => "el",
        Lang::Eng => "en",
        Lang::Epo => "eo",
        Lang::Est => "et",
        Lang::Fin => "fi",
        Lang::Fra => "fr",
        Lang::Guj => "gu",
        Lang::Heb => "he",
        Lang::Hin => "hi",
        Lang::Hrv => "hr",
        Lang::Hun => "hu",
        Lang::Hye => "hy",
        Lang::Ind => "id",
        Lang::Ita => "it",
        Lang::Jav => "jv",
        Lang::Jpn => "ja",
        Lang::Kan => "kn",
        Lang::Kat => "ka",
        Lang::Khm => "km",
        Lang::Kor => "ko",
        Lang::Lat => "la",
        Lang::Lav => "lv",
        Lang::Lit => "lt",
        Lang::Mal => "ml",
        Lang::Mar => "mr",
        Lang::Mkd => "mk",
        Lang::Mya => "my",
        Lang::Nep => "ne",
        Lang::Nld => "nl",
        Lang::Nob => "no",
        Lang::Ori => "or",
        Lang::Pan => "pa",
        Lang::Pes => "fa",
        Lang::Pol => "pl",
        Lang::Por => "pt",
        Lang::Ron => "ro",
        Lang::Rus => "ru",
        Lang::Sin => "si",
        Lang::Slk => "sk",
        Lang::Slv => "sl",
        Lang::Sna => "sn",
        Lang::Spa => "es",
        Lang::Srp => "sr",
        Lang::Swe => "sv",
        Lang::Tam => "ta",
        Lang::Tel => "te",
        Lang::Tgl => "tl",
        Lang::Tha => "th",
        Lang::Tuk => "tk",
        Lang::Tur => "tr",
        Lang::Ukr => "uk",
        Lang::Urd => "ur",
        Lang::Uzb => "uz",
        Lang::Vie => "vi",
        Lang::Yid => "yi",
        Lang::Zul => "zu",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platforms_languages_are_told_apart() {
        for (text, language) in [
            (
                "The delivery is free of charge for every order above fifty euros.",
                "en",
            ),
            (
                "Die Lieferung ist für jede Bestellung über fünfzig Euro kostenlos.",
                "de",
            ),
            (
                "La livraison est gratuite pour toute commande supérieure à cinquante euros.",
                "fr",
            ),
            (
                "El envío es gratuito para todos los pedidos superiores a cincuenta euros.",
                "es",
            ),
            (
                "La consegna è gratuita per tutti gli ordini superiori ai cinquanta euro.",
                "it",
            ),
            (
                "Dostawa jest bezpłatna dla każdego zamówienia powyżej pięćdziesięciu euro.",
                "pl",
            ),
            (
                "Доставка бесплатна для каждого заказа стоимостью более пятидесяти евро.",
                "ru",
            ),
            (
                "配送料は五十ユーロ以上のご注文ですべて無料になります。",
                "ja",
            ),
            ("全場購物滿五十歐元即可享受免費送貨服務，歡迎選購。", "zh"),
            (
                "التوصيل مجاني لجميع الطلبات التي تزيد قيمتها عن خمسين يورو",
                "ar",
            ),
        ] {
            assert_eq!(detect(text), Some(language), "{text}");
        }
        let hrvatski = "Dostava je besplatna za sve narudžbe iznad pedeset eura. Ako niste \
                        zadovoljni kupnjom, robu možete vratiti u roku od trideset dana.";
        assert_eq!(detect(hrvatski), Some("hr"));
    }

    #[test]
    fn what_says_too_little_is_of_no_language() {
        for text in ["", "   ", "42 % 17", "ok", "😀😀😀😀😀😀😀😀😀😀😀😀"]
        {
            assert_eq!(detect(text), None, "{text}");
        }
    }

    #[test]
    fn a_long_text_is_sampled_between_characters() {
        let long = "ž".repeat(SAMPLE);
        assert!(detect(&long).is_none_or(|code| code.len() == 2));
    }
}
