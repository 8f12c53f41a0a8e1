use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use std::sync::mpsc;

use lopdf::content::{Content, Operation};
use lopdf::{
    Document, EncryptionState, EncryptionVersion, Object, Permissions, Stream, dictionary,
};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

fn extractor() -> Extractor {
    Extractor::new(ExtractOptions::default())
}

async fn text(kind: Kind, bytes: impl Into<Vec<u8>>) -> Result<String, Unreadable> {
    match extractor().extract(kind, bytes.into()).await {
        Ok(extracted) => Ok(extracted.text),
        Err(ExtractError::Unreadable(error)) => Err(error),
        Err(ExtractError::Busy) => panic!("nobody else is at it"),
    }
}

/// A PDF of which so many pages show one stream.
fn sharing(line: &str, lines: usize, pages: usize) -> Document {
    let mut document = pdf(&[&vec![line; lines]]);
    let page = document.page_iter().next().unwrap();
    let page = document.get_object(page).unwrap().clone();
    let kids: Vec<Object> = (0..pages)
        .map(|_| document.add_object(page.clone()).into())
        .collect();
    let tree = page.as_dict().unwrap().get(b"Parent").unwrap();
    let tree = document
        .get_object_mut(tree.as_reference().unwrap())
        .unwrap();
    let tree = tree.as_dict_mut().unwrap();
    tree.set("Count", i64::try_from(kids.len()).unwrap());
    tree.set("Kids", kids);
    document
}

/// A PDF with these lines on each of its pages.
fn pdf(pages: &[&[&str]]) -> Document {
    let mut document = Document::with_version("1.5");
    let root = document.new_object_id();
    let font = document.add_object(dictionary! {
        "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Courier",
        "Encoding" => "WinAnsiEncoding",
    });
    let resources = document.add_object(dictionary! { "Font" => dictionary! { "F1" => font } });
    let kids: Vec<Object> = pages
        .iter()
        .map(|lines| {
            let mut operations = vec![
                Operation::new("BT", vec![]),
                Operation::new("Tf", vec!["F1".into(), 12.into()]),
            ];
            for line in *lines {
                operations.push(Operation::new("Td", vec![0.into(), 20.into()]));
                operations.push(Operation::new("Tj", vec![Object::string_literal(*line)]));
            }
            operations.push(Operation::new("ET", vec![]));
            let content = Content { operations }.encode().unwrap();
            let content = document.add_object(Stream::new(dictionary! {}, content));
            let page = dictionary! { "Type" => "Page", "Parent" => root, "Contents" => content };
            document.add_object(page).into()
        })
        .collect();
    let count = i64::try_from(kids.len()).unwrap();
    let tree = dictionary! {
        "Type" => "Pages", "Kids" => kids, "Count" => count, "Resources" => resources,
        "MediaBox" => vec![0.into(), 0.into(), 595.into(), 842.into()],
    };
    document.objects.insert(root, Object::Dictionary(tree));
    let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => root });
    document.trailer.set("Root", catalog);
    let id = Object::string_literal("0123456789abcdef");
    document.trailer.set("ID", vec![id.clone(), id]);
    document
}

fn saved(mut document: Document) -> Vec<u8> {
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

fn encrypted(password: &str) -> Vec<u8> {
    let mut document = pdf(&[&["the umbrella costs ten euros"]]);
    let version = EncryptionVersion::V2 {
        document: &document,
        owner_password: "owner",
        user_password: password,
        key_length: 128,
        permissions: Permissions::PRINTABLE,
    };
    let state = EncryptionState::try_from(version).unwrap();
    document.encrypt(&state).unwrap();
    saved(document)
}

fn docx(body: &str) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    archive.start_file("word/document.xml", options).unwrap();
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:document xmlns:w=\"w\"><w:body>{body}</w:body></w:document>"
    );
    archive.write_all(xml.as_bytes()).unwrap();
    archive.finish().unwrap().into_inner()
}

#[tokio::test]
async fn a_pdf_gives_the_text_of_its_pages() {
    let document = pdf(&[
        &["The umbrella", "costs ten euros."],
        &["The rain is free."],
    ]);
    let text = text(Kind::Pdf, saved(document)).await.unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(
        words.join(" "),
        "The umbrella costs ten euros. The rain is free."
    );
}

#[tokio::test]
async fn a_pdf_that_cannot_be_read_says_why() {
    let opened = text(Kind::Pdf, encrypted("")).await.unwrap();
    assert!(
        opened.contains("umbrella"),
        "no password is needed: {opened}"
    );
    for (bytes, problem) in [
        (encrypted("secret"), Unreadable::Encrypted(Kind::Pdf)),
        (saved(pdf(&[&[]])), Unreadable::Empty(Kind::Pdf)),
        (
            b"%PDF-1.5 and then nothing".to_vec(),
            Unreadable::Damaged(Kind::Pdf),
        ),
        (b"not at all".to_vec(), Unreadable::Damaged(Kind::Pdf)),
        (Vec::new(), Unreadable::Damaged(Kind::Pdf)),
    ] {
        assert_eq!(text(Kind::Pdf, bytes).await, Err(problem));
    }
}

#[tokio::test]
async fn half_a_pdf_is_either_read_or_refused_and_ends_nothing() {
    let whole = saved(pdf(&[&["one"], &["two"], &["three"]]));
    for end in (0..whole.len()).step_by(23) {
        match text(Kind::Pdf, &whole[..end]).await {
            Ok(text) => assert!(!text.trim().is_empty()),
            Err(Unreadable::Damaged(_) | Unreadable::Empty(_)) => {}
            Err(other) => panic!("{end}: {other}"),
        }
    }
}

#[tokio::test]
async fn a_docx_gives_paragraphs_headings_lists_and_tables() {
    let file = docx(
        r#"<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>Prices</w:t></w:r></w:p>
           <w:p><w:r><w:t xml:space="preserve">Umbrellas &amp; </w:t></w:r><w:r><w:t>coats &#269;</w:t></w:r></w:p>
           <w:p><w:pPr><w:numPr><w:ilvl w:val="0"/></w:numPr></w:pPr><w:r><w:t>small</w:t></w:r></w:p>
           <w:p/>
           <w:tbl><w:tr><w:tc><w:p><w:r><w:t>red</w:t></w:r></w:p></w:tc>
           <w:tc><w:p><w:r><w:t>10</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
           <w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r></w:p>"#,
    );
    assert_eq!(
        text(Kind::Docx, file).await.unwrap(),
        "# Prices\n\nUmbrellas & coats č\n\n- small\n\nred | 10 |\n\na\tb\nc\n\n"
    );
}

#[tokio::test]
async fn a_docx_that_cannot_be_read_says_why() {
    let mut other = ZipWriter::new(Cursor::new(Vec::new()));
    other
        .start_file("hello", SimpleFileOptions::default())
        .unwrap();
    let other = other.finish().unwrap().into_inner();
    let whole = docx("<w:p><w:r><w:t>one</w:t></w:r></w:p>");
    for (bytes, problem) in [
        (other, Unreadable::Damaged(Kind::Docx)),
        (
            whole[..whole.len() / 2].to_vec(),
            Unreadable::Damaged(Kind::Docx),
        ),
        (docx("<w:p><w:r></w:p>"), Unreadable::Damaged(Kind::Docx)),
        (docx("<w:p/>"), Unreadable::Empty(Kind::Docx)),
        (
            [&[0xd0, 0xcf, 0x11, 0xe0][..], &[0; 512]].concat(),
            Unreadable::Encrypted(Kind::Docx),
        ),
    ] {
        assert_eq!(text(Kind::Docx, bytes).await, Err(problem));
    }
}

/// A few kilobytes that unpack to many megabytes.
#[tokio::test]
async fn what_unpacks_to_too_much_is_refused() {
    let small = Extractor::new(ExtractOptions {
        max_text_bytes: 64 << 10,
        ..ExtractOptions::default()
    });
    let bomb = docx(&"<w:p><w:r><w:t>boom</w:t></w:r></w:p>".repeat(200_000));
    assert!(bomb.len() < 100_000, "{} bytes", bomb.len());
    let refused = small.extract(Kind::Docx, bomb).await.unwrap_err();
    assert!(
        matches!(
            refused,
            ExtractError::Unreadable(Unreadable::TooLarge { .. })
        ),
        "{refused}"
    );

    let long = "a line of words\n".repeat(10_000);
    let refused = small.extract(Kind::Text, long.into_bytes()).await;
    assert!(matches!(
        refused,
        Err(ExtractError::Unreadable(Unreadable::TooLarge { .. }))
    ));
}

#[tokio::test]
async fn html_gives_its_words_and_no_scripts() {
    let page = "<html><head><title>x</title><style>p { color: red }</style></head><body>\
                <h2>Prices</h2><p>An <b>umbrella</b> costs <a href='http://x/y'>ten</a> euros.</p>\
                <script>alert('no')</script><ul><li>red</li><li>blue</li></ul>\
                <table><tr><td>size</td><td>small</td></tr></table></body></html>";
    let text = text(Kind::Html, page).await.unwrap();
    for words in [
        "## Prices",
        "umbrella",
        "ten",
        "euros",
        "* red",
        "* blue",
        "size",
        "small",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    for gone in ["alert", "color", "http://x"] {
        assert!(!text.contains(gone), "{gone}: {text}");
    }
}

/// What recurses runs out of stack, and that is the end of the process.
#[tokio::test]
async fn elements_nested_without_end_are_refused() {
    let deep = "<div>".repeat(200_000) + "words";
    assert_eq!(
        text(Kind::Html, deep).await,
        Err(Unreadable::Damaged(Kind::Html))
    );
    let fair = "<div>".repeat(500) + "words" + &"</div>".repeat(500);
    assert!(text(Kind::Html, fair).await.unwrap().contains("words"));
    let mut list = String::new();
    for n in 0..5_000 {
        write!(list, "<p>{n}<br>").unwrap();
    }
    assert!(text(Kind::Html, list).await.unwrap().contains("4999"));
}

/// A closing tag of nothing closes nothing.
#[tokio::test]
async fn elements_nested_without_end_are_refused_however_they_are_hidden() {
    for hidden in ["<div></x>", "<div><!--</div>-->", "<div a='</div>'>"] {
        let deep = hidden.repeat(3_000) + "words";
        assert_eq!(
            text(Kind::Html, deep).await,
            Err(Unreadable::Damaged(Kind::Html)),
            "{hidden}"
        );
    }
    let wide = "<div><span>word</div>".repeat(900);
    assert!(text(Kind::Html, wide).await.unwrap().contains("word"));
}

/// What keeps a parser busy for hours loses its place when its time is over.
#[tokio::test]
async fn a_parser_gives_its_place_back_when_its_time_is_over() {
    let one = Extractor::new(ExtractOptions {
        timeout_ms: 300,
        parsers: 1,
        ..ExtractOptions::default()
    });
    let page = "<span></x>".repeat(300_000);
    let shared = saved(sharing("a line of words", 20_000, 500));
    for (kind, bytes) in [(Kind::Html, page.into_bytes()), (Kind::Pdf, shared)] {
        let slow = one.extract(kind, bytes).await;
        assert!(
            matches!(
                slow,
                Err(ExtractError::Unreadable(Unreadable::TooSlow { .. }))
            ),
            "{slow:?}"
        );
        let free = tokio::time::timeout(Duration::from_secs(20), one.parsers.acquire());
        drop(free.await.expect("the parser goes on and on").unwrap());
    }
}

#[tokio::test]
async fn text_is_read_in_the_encodings_that_can_be_told() {
    for bytes in [
        "čaj".as_bytes().to_vec(),
        [&[0xef, 0xbb, 0xbf], "čaj".as_bytes()].concat(),
        [0xff, 0xfe, 0x0d, 0x01, b'a', 0, b'j', 0].to_vec(),
        [0xfe, 0xff, 0x01, 0x0d, 0, b'a', 0, b'j'].to_vec(),
    ] {
        assert_eq!(text(Kind::Text, bytes).await.as_deref(), Ok("čaj"));
    }
    for bytes in [&[0xe8, b'a', b'j'][..], &[b'a', 0, b'b'], &[0xff, 0xfe, 1]] {
        assert_eq!(text(Kind::Text, bytes).await, Err(Unreadable::NotText));
    }
    assert_eq!(
        text(Kind::Markdown, " \n").await,
        Err(Unreadable::Empty(Kind::Markdown))
    );
}

#[tokio::test]
async fn a_parser_that_panics_or_never_ends_costs_its_file_only() {
    let one = Extractor::new(ExtractOptions {
        parsers: 1,
        ..ExtractOptions::default()
    });
    let panicked = one.beside(Kind::Pdf, |_| panic!("a bad file")).await;
    assert_eq!(panicked, Err(Unreadable::Damaged(Kind::Pdf).into()));

    let one = Extractor::new(ExtractOptions {
        timeout_ms: 20,
        parsers: 1,
        ..ExtractOptions::default()
    });
    let (end, ended) = mpsc::channel::<()>();
    let endless = one.beside(Kind::Pdf, move |_| {
        ended.recv().unwrap();
        Err(Unreadable::NotText)
    });
    assert!(matches!(
        endless.await,
        Err(ExtractError::Unreadable(Unreadable::TooSlow { .. }))
    ));
    assert_eq!(one.parsers.available_permits(), 0, "it still has its place");
    let next = one.extract(Kind::Pdf, Vec::new()).await;
    assert_eq!(
        next,
        Err(ExtractError::Busy),
        "and no file is blamed for it"
    );
    end.send(()).unwrap();
    let place = one.parsers.acquire().await.unwrap();
    drop(place); // the next file's turn has come
}

#[test]
fn a_kind_is_told_by_type_and_by_name_only_if_the_type_says_nothing() {
    for (mime_type, name, kind) in [
        ("text/plain", "a.pdf", Kind::Text),
        ("Text/Markdown; charset=utf-8", "a", Kind::Markdown),
        ("text/html", "a", Kind::Html),
        ("application/pdf", "a", Kind::Pdf),
        ("application/octet-stream", "Price list.DOCX", Kind::Docx),
        ("", "notes.md", Kind::Markdown),
    ] {
        assert_eq!(Kind::of(mime_type, name), Ok(kind), "{mime_type} {name}");
    }
    for (mime_type, name, shown) in [
        ("image/png", "a.pdf", "`image/png`"),
        (
            "application/octet-stream",
            "a.exe",
            "`application/octet-stream`",
        ),
        ("", "a", "an unnamed type"),
        ("a\n`b c`", "a", "`abc`"),
    ] {
        let problem = Kind::of(mime_type, name).unwrap_err();
        assert_eq!(problem, Unreadable::UnknownKind(shown.to_owned()));
    }
}
