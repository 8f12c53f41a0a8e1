//! What older programs stored still decodes, and every kind says what of it may be seen.

use metachat_jobs::compose;
use metachat_jobs::config::{Config, Sources};
use windlass::engine::Catalogue;
use windlass::{Json, testing};

/// The kinds of the product, on a database that nobody opens.
fn catalogue(settings: &[(&str, &str)]) -> anyhow::Result<Catalogue> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let sources = Sources {
        flags: settings.iter().map(owned).collect(),
        ..Sources::default()
    };
    let config = Config::load(&sources)?;
    compose::catalogue(&config, &compose::open(&config.database)?)
}

#[tokio::test]
async fn the_args_of_every_kind_decode_for_ever() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    testing::assert_golden(&catalogue(&[]).unwrap(), golden);
}

#[tokio::test]
async fn what_people_wrote_is_hidden() {
    let catalogue = catalogue(&[]).unwrap();
    for file in ["1", "2"] {
        let path = format!(
            "{}/tests/golden/process_message/{file}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let args = Json::parse(std::fs::read_to_string(path).unwrap().trim()).unwrap();
        let shown = catalogue.redacted("process_message", &args);
        for word in ["When do you", "31612345678", "Ada", "this one", "visitor-1"] {
            assert!(!shown.as_str().contains(word), "{shown:?} tells {word}");
        }
        assert!(shown.as_str().contains("tenantId"), "{}", shown.as_str());
    }
}

#[tokio::test]
async fn a_key_seals_the_kinds_that_the_settings_name() {
    let key = "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let sealed = |settings: &[(&str, &str)]| -> Vec<&'static str> {
        let catalogue = catalogue(settings).unwrap();
        let kinds = catalogue.kinds();
        kinds
            .filter(|kind| catalogue.get(kind).unwrap().options.seal)
            .collect()
    };
    assert_eq!(sealed(&[]), Vec::<&str>::new());
    assert_eq!(sealed(&[("sealing.keys", key)]), ["process_message"]);
    let all = "process_message,ingest_document";
    assert_eq!(
        sealed(&[("sealing.keys", key), ("sealing.kinds", all)]),
        ["ingest_document", "process_message"]
    );
    let unknown = catalogue(&[("sealing.keys", key), ("sealing.kinds", "mail")]).unwrap_err();
    assert!(
        format!("{unknown:#}").contains("there is no kind mail"),
        "{unknown:#}"
    );
}
