use metachat_jobs::platform::{Error, Hit, Platform};
use windlass::db::Db;

use super::fixture::{chunk, document, ready, tenant, vector};
use crate::support::{postgres, sqlite, with_postgres};

super::on_all!(
    the_nearest_chunks_come_first,
    only_ready_documents_are_found,
    any_word_is_enough_and_more_words_are_better,
    rare_words_count_more_than_common_ones,
    scripts_without_blanks_are_searched_by_their_parts,
    a_question_may_hold_anything,
    a_question_of_the_wrong_shape_is_refused,
);

fn contents(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.content.as_str()).collect()
}

async fn the_nearest_chunks_come_first(platform: Platform) {
    tenant(&platform, "acme").await;
    let id = ready(
        &platform,
        "acme",
        "FAQ",
        &[
            chunk(0, "opposite", &[-1.0, 0.0]),
            chunk(1, "across", &[0.0, 2.0]),
            chunk(2, "same", &[7.0, 0.0]),
            chunk(3, "near", &[3.0, 4.0]),
        ],
    )
    .await;
    let query = vector(&[0.5, 0.0]);
    let hits = platform.nearest("acme", &query, 10, -1.0).await.unwrap();
    assert_eq!(contents(&hits), ["same", "near", "across", "opposite"]);
    for (hit, expected) in hits.iter().zip([1.0, 0.6, 0.0, -1.0]) {
        assert!(
            (hit.score - expected).abs() < 1e-6,
            "{} for {expected}",
            hit.score
        );
    }
    assert_eq!(hits[0].document_id, id);
    assert_eq!(hits[0].document_name, "FAQ");
    assert_eq!(hits[0].position, 2);
    assert_eq!(hits[0].metadata["charStart"], 0);

    let best = platform.nearest("acme", &query, 2, -1.0).await.unwrap();
    assert_eq!(contents(&best), ["same", "near"]);
    let similar = platform.nearest("acme", &query, 10, 0.5).await.unwrap();
    assert_eq!(contents(&similar), ["same", "near"]);
    assert_eq!(platform.nearest("acme", &query, 0, 0.0).await.unwrap(), []);
}

async fn only_ready_documents_are_found(platform: Platform) {
    tenant(&platform, "acme").await;
    let mut tx = platform.begin("acme").await.unwrap();
    let new = document("Draft", "text");
    let draft = platform
        .insert_document(&mut tx, "acme", &new)
        .await
        .unwrap();
    let chunks = [chunk(0, "draft word", &[1.0])];
    platform
        .replace_chunks(&mut tx, "acme", &draft, 1, &chunks)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    ready(
        &platform,
        "acme",
        "FAQ",
        &[chunk(0, "ready word", &[0.5, 1.0])],
    )
    .await;
    let near = platform
        .nearest("acme", &vector(&[1.0]), 5, -1.0)
        .await
        .unwrap();
    assert_eq!(contents(&near), ["ready word"]);
    let words = platform.keyword("acme", "word", 5).await.unwrap();
    assert_eq!(contents(&words), ["ready word"]);
}

async fn any_word_is_enough_and_more_words_are_better(platform: Platform) {
    tenant(&platform, "acme").await;
    ready(
        &platform,
        "acme",
        "Cjenik",
        &[
            chunk(0, "Dostava je besplatna.", &[1.0]),
            chunk(1, "Cijena dostave u Zagrebu iznosi 5 eura", &[1.0]),
            chunk(2, "Radno vrijeme trgovine", &[1.0]),
        ],
    )
    .await;
    let hits = platform
        .keyword("acme", "Kolika je cijena dostave u Zagrebu?", 5)
        .await
        .unwrap();
    assert_eq!(
        contents(&hits),
        [
            "Cijena dostave u Zagrebu iznosi 5 eura",
            "Dostava je besplatna."
        ]
    );
    assert!(hits[0].score > hits[1].score);
    assert_eq!(hits[0].document_name, "Cjenik");
    assert!(hits.iter().all(|hit| hit.score > 0.0 && hit.score <= 1.0));
    let bent = platform.keyword("acme", "dostavom", 5).await.unwrap();
    assert_eq!(bent.len(), 2, "words are bent at their end");
    assert_eq!(
        platform
            .keyword("acme", "cijena je", 1)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        platform
            .keyword("acme", "nothing of this", 5)
            .await
            .unwrap(),
        []
    );
}

async fn rare_words_count_more_than_common_ones(platform: Platform) {
    tenant(&platform, "acme").await;
    let chunks: Vec<_> = (0..20)
        .map(|n| match n {
            7 => chunk(n, "the zeppelin", &[1.0]),
            _ => chunk(n, "what is the price of the other one", &[1.0]),
        })
        .collect();
    ready(&platform, "acme", "FAQ", &chunks).await;
    let hits = platform
        .keyword("acme", "what is the price of the zeppelin", 2)
        .await
        .unwrap();
    assert_eq!(hits[0].content.as_str(), "the zeppelin");
    assert!(
        hits[0].score > 2.0 * hits[1].score,
        "{} {}",
        hits[0].score,
        hits[1].score
    );
}

async fn scripts_without_blanks_are_searched_by_their_parts(platform: Platform) {
    tenant(&platform, "acme").await;
    let chunks = [
        chunk(
            0,
            "五十ユーロ以上のご注文は配送料が無料になります。",
            &[1.0],
        ),
        chunk(1, "営業時間は午前九時から午後五時までです。", &[1.0]),
        chunk(2, "Delivery is free in Tokyo.", &[1.0]),
    ];
    ready(&platform, "acme", "FAQ", &chunks).await;
    let first = async |question: &str| {
        let hits = platform.keyword("acme", question, 1).await.unwrap();
        hits.first().map(|hit| hit.position)
    };
    assert_eq!(first("配送料はいくらですか").await, Some(0));
    assert_eq!(first("営業時間を教えて").await, Some(1));
    assert_eq!(first("返品").await, None);
    assert_eq!(first("delivery 京都").await, Some(2), "both kinds in one");
}

async fn a_question_may_hold_anything(platform: Platform) {
    tenant(&platform, "acme").await;
    ready(
        &platform,
        "acme",
        "FAQ",
        &[chunk(0, "price NEAR or not", &[1.0])],
    )
    .await;
    for question in [
        "price' | !! & (",
        "\"price\" AND NEAR(",
        "price:* <-> \\",
        "-price ^ {content}: 価格 \0 😀",
    ] {
        let hits = platform.keyword("acme", question, 5).await.unwrap();
        assert_eq!(contents(&hits), ["price NEAR or not"], "{question}");
    }
    for question in ["", "?!", "\0", "😀"] {
        assert_eq!(
            platform.keyword("acme", question, 5).await.unwrap(),
            [],
            "{question}"
        );
    }
}

async fn a_question_of_the_wrong_shape_is_refused(platform: Platform) {
    let refused = platform.nearest("acme", &[1.0; 32], 5, 0.5).await;
    assert!(matches!(refused, Err(Error::Invalid { .. })));
    let nowhere = platform.nearest("acme", &vector(&[]), 5, 0.5).await;
    assert!(matches!(nowhere, Err(Error::Invalid { .. })));
}

/// An existing platform has no index on words: the same answers, by a look at each chunk.
#[tokio::test]
async fn words_are_found_without_an_index_too() {
    with_postgres(async move |url| {
        let db = postgres(&url, &[]);
        let platform = Platform::new(db.clone());
        let _ = platform.prepare().await.unwrap();
        tenant(&platform, "acme").await;
        let chunks = [
            chunk(0, "Cijena dostave iznosi 5 eura", &[1.0]),
            chunk(1, "Dostava je besplatna", &[1.0]),
            chunk(2, "Radno vrijeme", &[1.0]),
        ];
        ready(&platform, "acme", "Cjenik", &chunks).await;
        let ask = async || {
            platform
                .keyword("acme", "cijena dostave?", 5)
                .await
                .unwrap()
        };
        let with = ask().await;
        assert_eq!(with.len(), 2);
        super::fixture::run(&db, "drop index chunks_content_simple_idx").await;
        assert_eq!(ask().await, with);
    })
    .await;
}

/// The index returns the nearest chunks of all tenants; here none of them is ours.
#[tokio::test]
async fn a_small_tenant_finds_its_own_behind_a_big_ones_nearer_chunks() {
    with_postgres(async move |url| {
        // Leaves the planner nothing but the vector index.
        let forced = ["enable_seqscan", "enable_bitmapscan", "enable_sort"].map(|s| (s, "off"));
        let platform = Platform::new(postgres(&url, &forced));
        let _ = platform.prepare().await.unwrap();
        tenant(&platform, "big").await;
        tenant(&platform, "small").await;
        let nearer: Vec<_> = (0_u16..300)
            .map(|n| chunk(n.into(), "theirs", &[1.0, f32::from(n) / 10_000.0]))
            .collect();
        ready(&platform, "big", "Theirs", &nearer).await;
        let ours = [
            chunk(0, "second", &[0.1, 1.0]),
            chunk(1, "first", &[1.0, 1.0]),
        ];
        ready(&platform, "small", "Ours", &ours).await;
        let hits = platform
            .nearest("small", &vector(&[1.0]), 5, 0.0)
            .await
            .unwrap();
        assert_eq!(contents(&hits), ["first", "second"]);
    })
    .await;
}

/// The other way round, the index is asked once for each chunk: half a minute for ten thousand.
#[tokio::test]
async fn sqlite_asks_the_word_index_first_and_once_for_each_term() {
    let folder = tempfile::tempdir().unwrap();
    let db = sqlite(folder.path());
    let _ = Platform::new(db.clone()).prepare().await.unwrap();
    let Db::Sqlite(db) = db else {
        panic!("not SQLite")
    };
    let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(concat!(
        "explain query plan ",
        include_str!("../../../src/platform/sqlite/sql/keyword.sql")
    ))
    .fetch_all(db.readers())
    .await
    .unwrap();
    let steps: Vec<_> = plan.iter().map(|(.., step)| step.as_str()).collect();
    let asked = steps
        .iter()
        .position(|step| step.starts_with("SCAN chunks_fts VIRTUAL TABLE"))
        .unwrap_or_else(|| panic!("{steps:#?}"));
    assert!(steps[asked - 1].starts_with("SCAN json_each"), "{steps:#?}");
    assert!(
        steps[asked + 1].starts_with("SEARCH c USING INTEGER PRIMARY KEY"),
        "{steps:#?}"
    );
}
