use proptest::prelude::*;

use super::*;

fn chunker(size: usize, overlap: usize) -> Chunker {
    Chunker::new(ChunkOptions { size, overlap }).unwrap()
}

/// Text that looks like Markdown, and text that looks like nothing.
fn documents() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "#{1,7} ?[A-Za-zäß]{0,8}",
        "[a-zé🌍 .!?]{0,60}",
        "( {0,5}|\t)[-*>|`~=+] ?[a-z|]{0,9}",
        "```[a-z]{0,2}",
        "---|===|\\||:-:|[\\[\\]()!<>&;*_]{1,6}|\\$\\$?x",
        "[ \t\u{a0}\u{2028}]{0,4}",
    ];
    let lines = prop::collection::vec((line, "\n|\r\n|\n\n|\r"), 0..40)
        .prop_map(|lines| lines.into_iter().map(|(text, end)| text + &end).collect());
    prop_oneof![3 => lines, 1 => "\\PC{0,300}", 1 => any::<String>()]
}

fn formats() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Text), Just(Format::Markdown)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn chunks_put_together_are_the_document(
        document in documents(), format in formats(), size in 1_usize..120,
    ) {
        let chunks = chunker(size, 0).chunks(&document, format);
        if document.trim().is_empty() {
            prop_assert!(chunks.is_empty());
            return Ok(());
        }
        let whole: String = chunks.iter().map(|c| c.content).collect();
        prop_assert_eq!(&whole, &document);
        let (mut byte, mut character) = (0, 0);
        for (i, chunk) in chunks.iter().enumerate() {
            prop_assert_eq!(chunk.position, i);
            prop_assert_eq!(chunk.bytes.start, byte);
            prop_assert_eq!(chunk.chars.start, character);
            prop_assert!(!chunk.content.trim().is_empty());
            prop_assert!(chunk.content.trim().chars().count() <= size + size / 5);
            byte = chunk.bytes.end;
            character = chunk.chars.end;
        }
        prop_assert_eq!(character, document.chars().count());
    }

    #[test]
    fn with_overlap_nothing_is_lost_either(
        document in documents(), format in formats(), size in 20_usize..120, overlap in 1_usize..20,
    ) {
        let overlap = overlap.min(size / 2 - 1);
        let chunks = chunker(size, overlap).chunks(&document, format);
        prop_assume!(!document.trim().is_empty());
        let mut end = 0;
        for chunk in &chunks {
            prop_assert!(chunk.bytes.start <= end, "a gap before {:?}", chunk);
            prop_assert!(chunk.bytes.end > end);
            prop_assert_eq!(chunk.content, &document[chunk.bytes.clone()]);
            let before = document[..chunk.bytes.start].chars().count();
            prop_assert_eq!(chunk.chars.start, before);
            end = chunk.bytes.end;
        }
        prop_assert_eq!(end, document.len());
    }

    #[test]
    fn a_short_document_is_one_chunk(document in documents(), format in formats()) {
        let document: String = document.chars().take(99).collect();
        prop_assume!(!document.trim().is_empty());
        let chunks = Chunker::new(ChunkOptions::default()).unwrap();
        prop_assert_eq!(chunks.chunks(&document, format).len(), 1);
    }
}

fn headings_of(document: &str) -> Vec<Option<String>> {
    let chunks = chunker(1000, 0).chunks(document, Format::Markdown);
    chunks.into_iter().map(|c| c.heading).collect()
}

#[test]
fn each_section_is_cut_by_itself_and_knows_its_heading() {
    let body = "It says a good deal about its subject, at enough length to stand alone. ".repeat(2);
    let document = format!(
        "{body}\n\n# Setting `up`\n\n{body}\n\nSecond\nlevel\n------\n\n{body}\n\n\
         ```sh\n# not a heading\n```\n\n> # nor this\n"
    );
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        headings_of(&document),
        [None, some("Setting up"), some("Second level")]
    );
    let chunks = chunker(1000, 0).chunks(&document, Format::Markdown);
    assert_eq!(chunks[0].text_to_embed(), chunks[0].content);
    assert!(
        chunks[1]
            .text_to_embed()
            .starts_with("Setting up\n\n# Setting `up`")
    );
}

#[test]
fn a_heading_that_is_a_book_names_its_chunks_by_its_beginning() {
    let book = "žuto ".repeat(5_000);
    for document in [
        format!("# {book}\n\n{book}\n"),
        format!("{book}\n===\n\n{book}\n"),
    ] {
        let headings = headings_of(&document);
        assert!(headings.len() > 5);
        let named = "žuto ".repeat(40);
        assert_eq!(headings, vec![Some(named); headings.len()]);
    }
}

#[test]
fn front_matter_is_no_heading() {
    let body = "It says a good deal about its subject, at enough length to stand alone. ".repeat(2);
    let document = format!("---\ntitle: {body}\n---\n\n# Real\n\n{body}");
    assert_eq!(headings_of(&document), [None, Some("Real".to_owned())]);
}

#[test]
fn short_sections_are_joined() {
    let body = "It says a good deal about its subject, at enough length to stand alone. ".repeat(2);
    let some = |text: &str| Some(text.to_owned());
    // A heading alone goes with what it announces, under the name of the latter.
    let document = format!("# Guide\n\n## Install\n\n{body}\n\n## Run\n\n{body}");
    assert_eq!(headings_of(&document), [some("Install"), some("Run")]);
    // A short answer keeps its own name and takes the next along; a short end goes with the last.
    let document = format!("# Q1\n\nYes.\n\n# Q2\n\n{body}\n\n# Q3\n\nNo.");
    assert_eq!(headings_of(&document), [some("Q1")]);
    assert_eq!(headings_of("# A\n\nb\n\n# C\n\nd"), [some("A")]);
}

#[test]
fn a_long_section_is_cut_between_sentences() {
    let document = "One sentence of some length here. ".repeat(75);
    let chunks = chunker(1000, 0).chunks(&document, Format::Text);
    assert_eq!(chunks.len(), 3);
    assert!(chunks.iter().all(|c| c.content.ends_with(". ")));
}

#[test]
fn the_format_follows_from_the_mime_type() {
    assert_eq!(Format::of("text/Markdown; charset=utf-8"), Format::Markdown);
    assert_eq!(Format::of("text/x-markdown"), Format::Markdown);
    assert_eq!(Format::of("text/plain"), Format::Text);
    assert_eq!(Format::of(""), Format::Text);
}

#[test]
fn options_that_do_not_fit_are_refused() {
    for (size, overlap) in [(100, 50), (50, 80), (1, 1), (0, 0)] {
        assert!(Chunker::new(ChunkOptions { size, overlap }).is_err());
    }
}

#[test]
fn debug_shows_no_text() {
    let chunks = chunker(10, 0).chunks("# SECRET", Format::Markdown);
    assert!(!format!("{chunks:?}").contains("SECRET"));
}

#[test]
fn no_document_takes_time_with_its_square() {
    // Half a second where the work is in proportion, minutes where it is not.
    let bound = std::time::Duration::from_secs(30);
    let long = |pattern: &str| pattern.repeat(500_000 / pattern.len());
    for pattern in [
        " ",
        "x",
        "x\n",
        "- item\n",
        "A sentence. ",
        "*a ",
        "[",
        "\n# h\n",
    ] {
        let document = format!("x{}", long(pattern));
        for format in [Format::Text, Format::Markdown] {
            let began = std::time::Instant::now();
            let chunks = chunker(1000, 100).chunks(&document, format);
            assert!(!chunks.is_empty());
            assert!(began.elapsed() < bound, "{pattern:?} {format:?}");
        }
    }
}
