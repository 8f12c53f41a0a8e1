//! Against a real little server that speaks Ollama's protocol, well and badly.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::services::Error;
use crate::services::models::{
    ChatKind, ChatRequest, DIMENSIONS, EmbedderKind, ModelOptions, Models, OllamaOptions, Passage,
    Role, Turn, Usage,
};

/// What the server answers to a path and a body.
type Behaviour = dyn Fn(&str, Value) -> Response + Send + Sync;

#[derive(Clone)]
struct Ollama {
    url: String,
    /// Every request, in order.
    seen: Arc<Mutex<Vec<(String, Value)>>>,
    behaviour: Arc<Behaviour>,
}

impl Ollama {
    async fn start(behaviour: impl Fn(&str, Value) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            seen: Arc::default(),
            behaviour: Arc::new(behaviour),
        };
        let router = Router::new().fallback(handle).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    fn options(&self) -> OllamaOptions {
        OllamaOptions {
            base_url: self.url.clone(),
            ..OllamaOptions::default()
        }
    }

    fn models(&self) -> Models {
        models(self.options())
    }

    fn paths(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|(path, _)| path.clone()).collect()
    }

    fn body(&self, n: usize) -> Value {
        self.seen.lock().unwrap()[n].1.clone()
    }
}

async fn handle(State(server): State<Ollama>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await;
    let body: Value = serde_json::from_slice(&body.unwrap()).unwrap();
    let seen = (path.clone(), body.clone());
    server.seen.lock().unwrap().push(seen);
    (server.behaviour)(&path, body)
}

fn models(ollama: OllamaOptions) -> Models {
    Models::new(&ModelOptions {
        embedder: EmbedderKind::Ollama,
        model: ChatKind::Ollama,
        ollama,
        ..ModelOptions::default()
    })
    .unwrap()
}

/// A vector that tells which text it stands for: the number in its name.
fn vector_of(text: &Value) -> Vec<f32> {
    let mut vector = vec![0.5; DIMENSIONS];
    vector[0] = text.as_str().unwrap().parse().unwrap();
    vector
}

fn texts(count: usize) -> Vec<String> {
    (1..=count).map(|n| n.to_string()).collect()
}

fn embeddings(vectors: &[Vec<f32>]) -> Response {
    Json(json!({ "model": "m", "embeddings": vectors })).into_response()
}

fn status(status: u16, headers: &[(header::HeaderName, &str)], body: &'static str) -> Response {
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

fn pieces(pieces: Vec<&'static [u8]>) -> stream::Iter<impl Iterator<Item = Piece>> {
    stream::iter(pieces.into_iter().map(|p| Ok(Bytes::from_static(p))))
}

type Piece = Result<Bytes, Infallible>;

fn question() -> ChatRequest {
    ChatRequest {
        system: "You are Ada.".into(),
        history: vec![
            Turn {
                role: Role::User,
                content: "Hello".into(),
            },
            Turn {
                role: Role::Assistant,
                content: "Hi!".into(),
            },
            Turn {
                role: Role::User,
                content: "When are you open?".into(),
            },
        ],
        passages: vec![Passage {
            source: "hours.md".into(),
            text: "From nine to five.".into(),
        }],
        temperature: Some(0.7),
        top_p: None,
        max_tokens: Some(200),
        ..ChatRequest::default()
    }
}

async fn embed_error(server: &Ollama) -> Error {
    let models = server.models();
    models.embedder.embed(&texts(2)).await.unwrap_err()
}

async fn chat_error(server: &Ollama) -> Error {
    server.models().chat.answer(&question()).await.unwrap_err()
}

#[tokio::test]
async fn embeds_in_batches_and_keeps_the_order() {
    let server = Ollama::start(|_, body| {
        let input = body["input"].as_array().unwrap();
        embeddings(&input.iter().map(vector_of).collect::<Vec<_>>())
    })
    .await;
    let models = models(OllamaOptions {
        embed_batch: 2,
        ..server.options()
    });
    let vectors = models.embedder.embed(&texts(5)).await.unwrap();

    let order: Vec<f32> = vectors.iter().map(|v| v[0]).collect();
    assert_eq!(order, [1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(server.paths(), ["/api/embed"; 3]);
    let expected = json!({ "model": "mxbai-embed-large", "input": ["1", "2"] });
    assert_eq!(server.body(0), expected);
    assert!(models.embedder.embed(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_old_server_is_asked_text_by_text() {
    let server = Ollama::start(|path, body| match path {
        "/api/embeddings" => {
            Json(json!({ "embedding": vector_of(&body["prompt"]) })).into_response()
        }
        _ => status(404, &[], "404 page not found"),
    })
    .await;
    let vectors = server.models().embedder.embed(&texts(2)).await.unwrap();
    assert_eq!((vectors[0][0], vectors[1][0]), (1.0, 2.0));
    let expected = ["/api/embed", "/api/embeddings", "/api/embeddings"];
    assert_eq!(server.paths(), expected);
}

#[tokio::test]
async fn a_missing_model_is_named_with_its_remedy() {
    let not_found = |_: &str, _| status(404, &[], r#"{"error":"model \"m\" not found"}"#);
    let server = Ollama::start(not_found).await;
    for (error, model) in [
        (embed_error(&server).await, "mxbai-embed-large"),
        (chat_error(&server).await, "llama3.2"),
    ] {
        assert!(!error.is_transient());
        let pull = format!("run `ollama pull {model}`");
        assert!(error.to_string().contains(&pull), "{error}");
    }
    assert_eq!(server.paths(), ["/api/embed", "/api/chat"]);
}

#[tokio::test]
async fn something_that_is_not_ollama_is_recognised() {
    let server = Ollama::start(|_, _| status(404, &[], "<html>nothing here</html>")).await;
    for error in [embed_error(&server).await, chat_error(&server).await] {
        assert!(!error.is_transient());
        assert!(
            error.to_string().contains("not an Ollama server"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn vectors_that_cannot_be_stored_are_refused() {
    let short = vec![0.5; 768];
    let zero = vec![0.0; DIMENSIONS];
    let good = vec![0.5; DIMENSIONS];
    for (vectors, reason) in [
        (vec![good.clone(), short], "768 numbers"),
        (vec![good.clone(), zero], "without direction"),
        (vec![good], "2 texts with 1 vectors"),
    ] {
        let server = Ollama::start(move |_, _| embeddings(&vectors)).await;
        let error = embed_error(&server).await;
        assert!(!error.is_transient());
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_its_protocol_is_refused_and_not_quoted() {
    for body in ["<html>SECRET</html>", r#"{"embeddings":"SECRET"}"#] {
        let server = Ollama::start(move |_, _| status(200, &[], body)).await;
        let error = embed_error(&server).await;
        assert!(!error.is_transient());
        assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
    }
    let server = Ollama::start(|_, _| status(200, &[], "SECRET\n")).await;
    let error = chat_error(&server).await;
    assert!(!error.is_transient());
    assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
}

/// As a server does whose model makes no numbers of a text: it says that it broke, each time.
#[tokio::test]
async fn a_text_that_breaks_a_server_that_is_well_is_refused_and_opens_no_circuit() {
    let server = Ollama::start(|path, body| {
        let vector = |text: &Value| {
            let known = text.as_str().unwrap().parse().unwrap_or(0.0);
            let mut vector = vec![0.5; DIMENSIONS];
            vector[0] = known;
            vector
        };
        let inputs = body["input"].as_array().cloned().unwrap_or_default();
        if inputs.iter().any(|text| text == "3") || body["prompt"] == "3" {
            return status(500, &[], "json: unsupported value: NaN");
        }
        match path {
            "/api/embed" => embeddings(&inputs.iter().map(vector).collect::<Vec<_>>()),
            _ => Json(json!({ "embedding": vector(&body["prompt"]) })).into_response(),
        }
    })
    .await;
    let models = server.models();
    for _ in 0..10 {
        let error = models.embedder.embed(&texts(3)).await.unwrap_err();
        assert!(!error.is_transient(), "{error}");
        assert!(error.to_string().contains("breaks on a text"), "{error}");
    }
    assert_eq!(models.embedder.embed(&texts(2)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn overload_and_breakdown_are_waited_out_and_refusals_are_not() {
    let server = Ollama::start(|_, _| status(429, &[(header::RETRY_AFTER, "7")], "SECRET")).await;
    for error in [embed_error(&server).await, chat_error(&server).await] {
        assert!(error.is_transient());
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        assert!(!format!("{error:?}").contains("SECRET"));
    }
    let server = Ollama::start(|_, _| status(500, &[], "SECRET")).await;
    assert!(embed_error(&server).await.is_transient());
    let server = Ollama::start(|_, _| status(400, &[], "SECRET")).await;
    let error = chat_error(&server).await;
    assert!(!error.is_transient());
    assert!(error.to_string().contains("400 Bad Request"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_down_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let models = models(OllamaOptions {
        base_url: format!("http://user:SECRET@{address}"),
        ..OllamaOptions::default()
    });
    let error = models.embedder.embed(&texts(1)).await.unwrap_err();
    assert!(error.is_transient());
    let text = error.to_string();
    let expected = format!("ollama at {address} is unavailable: cannot connect: ");
    assert!(text.starts_with(&expected), "{text}");
    assert!(!format!("{models:?} {error:?}").contains("SECRET"));
}

#[tokio::test]
async fn chats_as_a_stream() {
    let server = Ollama::start(|_, _| {
        let answer: Vec<&[u8]> = vec![
            b"{\"message\":{\"role\":\"assistant\",\"content\":\"From nine\"},\"do",
            b"ne\":false}\n{\"message\":{\"content\":\" to f\xc3",
            b"\xbcnf [1]\"},\"done\":false}\n",
            b"{\"message\":{\"content\":\"\"},\"done\":true,",
            b"\"prompt_eval_count\":31,\"eval_count\":9}\n",
        ];
        Body::from_stream(pieces(answer)).into_response()
    })
    .await;
    let answer = server.models().chat.answer(&question()).await.unwrap();

    assert_eq!(answer.text, "From nine to fünf [1]");
    let usage = Usage {
        prompt_tokens: 31,
        completion_tokens: 9,
    };
    assert_eq!((answer.usage, answer.model.as_str()), (usage, "llama3.2"));

    let mut body = server.body(0);
    let system = body["messages"][0]["content"].take();
    let system = system.as_str().unwrap();
    assert!(system.starts_with("You are Ada.\n\n"), "{system}");
    assert!(
        system.ends_with("[1] hours.md\nFrom nine to five."),
        "{system}"
    );
    let expected = json!({
        "model": "llama3.2",
        "stream": true,
        "messages": [
            { "role": "system", "content": null },
            { "role": "user", "content": "Hello" },
            { "role": "assistant", "content": "Hi!" },
            { "role": "user", "content": "When are you open?" },
        ],
        "options": { "temperature": 0.7, "num_predict": 200 },
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn the_end_of_the_answer_is_not_awaited() {
    // Whatever comes after `done`, or never comes, is not our business.
    let server = Ollama::start(|_, _| {
        let done: Vec<&[u8]> = vec![b"{\"message\":{\"content\":\"Yes.\"},\"done\":true}\n"];
        Body::from_stream(pieces(done).chain(stream::pending())).into_response()
    })
    .await;
    let answer = server.models().chat.answer(&question()).await.unwrap();
    assert_eq!(answer.text, "Yes.");
}

#[tokio::test]
async fn a_silent_server_is_left_after_the_idle_timeout() {
    let first: &[u8] = b"{\"message\":{\"content\":\"From\"},\"done\":false}\n";
    for begin in [vec![], vec![first]] {
        let server = Ollama::start(move |_, _| {
            Body::from_stream(pieces(begin.clone()).chain(stream::pending())).into_response()
        })
        .await;
        let models = models(OllamaOptions {
            idle_timeout_ms: 40,
            ..server.options()
        });
        let error = models.chat.answer(&question()).await.unwrap_err();
        assert!(error.is_transient());
        assert!(error.to_string().ends_with("silent for 40ms"), "{error}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_left_after_the_total_timeout() {
    let server = Ollama::start(|_, _| {
        let word = Bytes::from_static(b"{\"message\":{\"content\":\"and \"},\"done\":false}\n");
        let beat = tokio::time::interval(Duration::from_millis(5));
        let words = stream::unfold((beat, word), |(mut beat, word)| async {
            beat.tick().await;
            Some((Piece::Ok(word.clone()), (beat, word)))
        });
        Body::from_stream(words).into_response()
    })
    .await;
    let models = models(OllamaOptions {
        timeout_ms: 80,
        ..server.options()
    });
    let error = models.chat.answer(&question()).await.unwrap_err();
    assert!(error.is_transient());
    assert!(
        error.to_string().ends_with("did not finish in time"),
        "{error}"
    );
}

#[tokio::test]
async fn embedding_is_left_after_the_total_timeout() {
    let server =
        Ollama::start(|_, _| Body::from_stream(stream::pending::<Piece>()).into_response()).await;
    let models = models(OllamaOptions {
        timeout_ms: 40,
        ..server.options()
    });
    let error = models.embedder.embed(&texts(1)).await.unwrap_err();
    assert!(error.is_transient());
    assert!(
        error.to_string().ends_with("did not finish in time"),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_taken_for_an_answer() {
    let half: &[u8] = b"{\"message\":{\"content\":\"From\"},\"done\":false}\n";
    let broken: &[u8] = b"{\"error\":\"SECRET\"}\n";
    for end in [vec![half], vec![half, broken]] {
        let server =
            Ollama::start(move |_, _| Body::from_stream(pieces(end.clone())).into_response()).await;
        let error = chat_error(&server).await;
        assert!(error.is_transient(), "{error}");
        assert!(!format!("{error:?}").contains("SECRET"));
    }
}

#[tokio::test]
async fn after_failures_in_a_row_both_models_leave_the_server_alone() {
    let server = Ollama::start(|_, _| status(503, &[], "")).await;
    let models = server.models();
    for _ in 0..3 {
        assert!(models.embedder.embed(&texts(1)).await.is_err());
        assert!(models.chat.answer(&question()).await.is_err());
    }
    assert_eq!(server.paths().len(), 5, "the sixth call was not made");
    let error = models.chat.answer(&question()).await.unwrap_err();
    assert!(error.is_transient());
    assert!(error.retry_after().is_some_and(|wait| !wait.is_zero()));
}

#[tokio::test]
async fn a_path_in_the_address_is_kept() {
    let server = Ollama::start(|_, _| status(200, &[], "{\"done\":true}")).await;
    for base_url in [
        format!("{}/gpu", server.url),
        format!("{}/gpu/", server.url),
    ] {
        let models = models(OllamaOptions {
            base_url,
            ..server.options()
        });
        models.chat.answer(&question()).await.unwrap();
    }
    assert_eq!(server.paths(), ["/gpu/api/chat"; 2]);
}
