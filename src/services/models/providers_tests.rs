//! Each provider's protocol, against a real little server that speaks it, well and badly.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;

type Behaviour = dyn Fn(usize) -> Response + Send + Sync;

#[derive(Clone)]
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<(String, HeaderMap, Value)>>>,
    behaviour: Arc<Behaviour>,
}

impl Server {
    /// Answers its n-th request, counted from 0.
    async fn start(behaviour: impl Fn(usize) -> Response + Send + Sync + 'static) -> Self {
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

    fn request(&self, n: usize) -> (String, HeaderMap, Value) {
        self.seen.lock().unwrap()[n].clone()
    }

    fn choice(&self, provider: Provider) -> ChatChoice {
        ChatChoice {
            provider: Some(provider),
            model: Some("m".into()),
            key: Some(SecretString::from("SECRET-key")),
            base_url: Some(self.url.clone()),
            ..ChatChoice::default()
        }
    }

    fn chat(&self, provider: Provider) -> Arc<dyn ChatModel> {
        models().chat_for(&self.choice(provider)).unwrap()
    }
}

async fn handle(State(server): State<Server>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let n = {
        let mut seen = server.seen.lock().unwrap();
        let body = serde_json::from_slice(&body).unwrap();
        seen.push((parts.uri.path().to_owned(), parts.headers, body));
        seen.len() - 1
    };
    (server.behaviour)(n)
}

/// Whose tenants' servers are on this machine.
fn models() -> Models {
    Models::new(&ModelOptions {
        tenant_private_addresses: true,
        ..ModelOptions::default()
    })
    .unwrap()
}

fn turn(role: Role, content: &str) -> Turn {
    Turn {
        role,
        content: content.into(),
    }
}

/// A question with a tool on offer.
fn question() -> ChatRequest {
    ChatRequest {
        system: "You are Ada.".into(),
        history: vec![
            turn(Role::Assistant, "Welcome!"),
            turn(Role::User, "Hello"),
            turn(Role::User, "When are you open?"),
        ],
        tools: vec![Tool {
            name: "search",
            description: "Looks things up.".into(),
            parameters: json!({"type": "object"}),
        }],
        temperature: Some(1.5),
        max_tokens: Some(200),
        ..ChatRequest::default()
    }
}

/// The same after one round.
fn asked_once(call: ToolCall) -> ChatRequest {
    ChatRequest {
        rounds: vec![ToolRound {
            text: String::new(),
            calls: vec![call],
            results: vec!["From nine.".into()],
        }],
        must_answer: true,
        ..question()
    }
}

fn plain() -> ChatRequest {
    ChatRequest {
        history: vec![turn(Role::User, "Hello")],
        ..ChatRequest::default()
    }
}

fn usage(prompt_tokens: u32, completion_tokens: u32) -> Usage {
    Usage {
        prompt_tokens,
        completion_tokens,
    }
}

fn status(status: u16, retry_after: Option<&str>) -> Response {
    let mut response = (StatusCode::from_u16(status).unwrap(), "SECRET").into_response();
    if let Some(seconds) = retry_after {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, seconds.parse().unwrap());
    }
    response
}

#[tokio::test]
async fn openai_is_asked_with_tools_and_told_their_results() {
    let server = Server::start(|n| {
        let message = if n == 0 {
            json!({"content": null, "tool_calls": [{"id": "call_1", "type": "function",
                "function": {"name": "search", "arguments": "{\"query\":\"hours\"}"}}]})
        } else {
            json!({"content": "From nine."})
        };
        let usage = json!({"prompt_tokens": 31, "completion_tokens": 9, "total_tokens": 40});
        Json(json!({"choices": [{"message": message}], "usage": usage})).into_response()
    })
    .await;
    let chat = server.chat(Provider::Openai);
    let answer = chat.answer(&question()).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.usage), ("", usage(31, 9)));
    let call = answer.calls[0].clone();
    assert_eq!((call.id.as_str(), call.name.as_str()), ("call_1", "search"));
    assert_eq!(call.arguments, json!({"query": "hours"}));

    let (path, headers, body) = server.request(0);
    assert_eq!(path, "/chat/completions");
    assert_eq!(headers["authorization"], "Bearer SECRET-key");
    let search = json!({"name": "search", "description": "Looks things up.",
        "parameters": {"type": "object"}});
    let expected = json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": "You are Ada."},
            {"role": "assistant", "content": "Welcome!"},
            {"role": "user", "content": "Hello"},
            {"role": "user", "content": "When are you open?"},
        ],
        "temperature": 1.5,
        "max_tokens": 200,
        "tools": [{"type": "function", "function": search}],
    });
    assert_eq!(body, expected);

    let answer = chat.answer(&asked_once(call)).await.unwrap();
    assert_eq!(
        (answer.text.as_str(), answer.calls.len()),
        ("From nine.", 0)
    );
    let (_, _, body) = server.request(1);
    let function = json!({"name": "search", "arguments": "{\"query\":\"hours\"}"});
    let round = json!([
        {"role": "assistant", "content": "",
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}]},
        {"role": "tool", "content": "From nine.", "tool_call_id": "call_1"},
    ]);
    assert_eq!(json!(body["messages"].as_array().unwrap()[4..]), round);
    assert_eq!(body["tool_choice"], "none");
}

#[tokio::test]
async fn openai_gets_nothing_that_it_refuses() {
    let reply = json!({"choices": [{"message": {"content": "Yes."}}]});
    let server = Server::start(move |_| Json(reply.clone()).into_response()).await;
    for (model, tokens) in [
        ("gpt-4o", "max_tokens"),
        ("o3-mini", "max_completion_tokens"),
    ] {
        let choice = ChatChoice {
            model: Some(model.into()),
            organization: Some("org-1".into()),
            headers: vec![("x-team".into(), "blue".into()), ("\n".into(), "no".into())],
            ..server.choice(Provider::Deepseek)
        };
        let chat = models().chat_for(&choice).unwrap();
        assert_eq!((chat.provider(), chat.name()), ("deepseek", model));
        let request = ChatRequest {
            max_tokens: Some(5),
            temperature: Some(0.5),
            top_p: Some(0.5),
            must_answer: true,
            ..plain()
        };
        let answer = chat.answer(&request).await.unwrap();
        assert_eq!(answer.usage, Usage::default());
        let n = server.seen.lock().unwrap().len() - 1;
        let (_, headers, body) = server.request(n);
        assert_eq!(
            (&headers["openai-organization"], &headers["x-team"]),
            (&"org-1".parse().unwrap(), &"blue".parse().unwrap())
        );
        let mut keys: Vec<_> = body
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        let mut expected = vec![tokens, "messages", "model"];
        // Those that reason choose their words as they like.
        if tokens == "max_tokens" {
            expected.extend(["temperature", "top_p"]);
        }
        expected.sort_unstable();
        assert_eq!(keys, expected);
    }
}

#[tokio::test]
async fn anthropic_is_asked_with_tools_and_told_their_results() {
    let server = Server::start(|n| {
        let content = if n == 0 {
            json!([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "toolu_1", "name": "search", "input": {"query": "hours"}}])
        } else {
            json!([{"type": "text", "text": "From nine."}])
        };
        let usage = json!({"input_tokens": 31, "cache_read_input_tokens": 5, "output_tokens": 9});
        Json(json!({"content": content, "usage": usage})).into_response()
    })
    .await;
    let chat = server.chat(Provider::Anthropic);
    let answer = chat.answer(&question()).await.unwrap();
    assert_eq!(
        (answer.text.as_str(), answer.usage),
        ("Let me see.", usage(36, 9))
    );

    let (path, headers, body) = server.request(0);
    assert_eq!(path, "/v1/messages");
    assert_eq!(headers["x-api-key"], "SECRET-key");
    assert_eq!(headers["anthropic-version"], "2023-06-01");
    let said = |text: &str| json!({"type": "text", "text": text});
    let expected = json!({
        "model": "m",
        "max_tokens": 200,
        "system": "You are Ada.",
        "messages": [{"role": "user", "content": [said("Hello"), said("When are you open?")]}],
        "temperature": 1.0,
        "tools": [{"name": "search", "description": "Looks things up.",
            "input_schema": {"type": "object"}}],
    });
    assert_eq!(body, expected);

    let answer = chat
        .answer(&asked_once(answer.calls[0].clone()))
        .await
        .unwrap();
    assert_eq!(answer.text, "From nine.");
    let (_, _, body) = server.request(1);
    let call = json!({"type": "tool_use", "id": "toolu_1", "name": "search",
        "input": {"query": "hours"}});
    let result = json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": "From nine."});
    let round = json!([
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]);
    assert_eq!(json!(body["messages"].as_array().unwrap()[1..]), round);
    assert_eq!(body["tool_choice"], json!({"type": "none"}));
}

#[tokio::test]
async fn ollama_is_asked_with_tools_and_told_their_results() {
    let server = Server::start(|n| {
        let message = if n == 0 {
            json!({"content": "", "tool_calls": [
                {"function": {"name": "search", "arguments": {"query": "hours"}}}]})
        } else {
            json!({"content": "From nine."})
        };
        let line =
            json!({"message": message, "done": true, "prompt_eval_count": 31, "eval_count": 9});
        format!("{line}\n").into_response()
    })
    .await;
    let chat = server.chat(Provider::Ollama);
    let answer = chat.answer(&question()).await.unwrap();
    assert_eq!(answer.usage, usage(31, 9));
    let call = answer.calls[0].clone();
    assert_eq!(
        (call.name.as_str(), &call.arguments),
        ("search", &json!({"query": "hours"}))
    );
    let (path, _, body) = server.request(0);
    assert_eq!(path, "/api/chat");
    assert_eq!(body["tools"][0]["function"]["name"], "search");

    let answer = chat.answer(&asked_once(call)).await.unwrap();
    assert_eq!(answer.text, "From nine.");
    let (_, _, body) = server.request(1);
    let round = json!([
        {"role": "assistant", "content": "",
            "tool_calls": [{"function": {"name": "search", "arguments": {"query": "hours"}}}]},
        {"role": "tool", "content": "From nine.", "tool_name": "search"},
    ]);
    assert_eq!(json!(body["messages"].as_array().unwrap()[4..]), round);
    assert!(body.get("tools").is_none(), "it has to answer now");
}

#[tokio::test]
async fn overload_is_waited_out_and_refusals_are_not_at_every_provider() {
    for provider in [Provider::Openai, Provider::Anthropic, Provider::Ollama] {
        let server = Server::start(|_| status(429, Some("7"))).await;
        let chat = server.chat(provider);
        let error = chat.answer(&plain()).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        assert!(!format!("{error:?} {chat:?}").contains("SECRET"));

        for code in [408, 409, 425, 500, 503, 529] {
            let server = Server::start(move |_| status(code, None)).await;
            let error = server.chat(provider).answer(&plain()).await.unwrap_err();
            assert!(error.is_transient(), "{provider:?} {code}");
        }
        for code in [400, 401, 402, 403, 413, 422] {
            let server = Server::start(move |_| status(code, None)).await;
            let error = server.chat(provider).answer(&plain()).await.unwrap_err();
            assert!(!error.is_transient(), "{provider:?} {code}");
            assert!(!format!("{error:?}").contains("SECRET"));
        }
    }
}

#[tokio::test]
async fn a_key_that_is_to_wait_makes_no_calls() {
    let server = Server::start(|_| status(429, Some("60"))).await;
    let models = models();
    for _ in 0..3 {
        let chat = models.chat_for(&server.choice(Provider::Openai)).unwrap();
        let error = chat.answer(&plain()).await.unwrap_err();
        assert!(error.retry_after() > Some(Duration::from_secs(50)));
    }
    assert_eq!(server.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_installations_key_never_goes_to_a_tenants_address() {
    let reply = json!({"choices": [{"message": {"content": "Yes."}}]});
    let server = Server::start(move |_| Json(reply.clone()).into_response()).await;
    let mut options = ModelOptions::default();
    options.openai.api_key = SecretString::from("SECRET-shared");
    options.openai.base_url.clone_from(&server.url);
    let models = Models::new(&options).unwrap();
    let own_address = ChatChoice {
        key: None,
        ..server.choice(Provider::Openai)
    };
    let ours = ChatChoice {
        base_url: None,
        ..own_address.clone()
    };
    for choice in [&own_address, &ours] {
        let chat = models.chat_for(choice).unwrap();
        chat.answer(&plain()).await.unwrap();
    }
    assert!(server.request(0).1.get("authorization").is_none());
    assert_eq!(server.request(1).1["authorization"], "Bearer SECRET-shared");
}

#[tokio::test]
async fn a_choice_that_makes_no_sense_is_named_with_its_remedy() {
    let choice = |provider, base_url: Option<&str>, model: Option<&str>| ChatChoice {
        provider: Some(provider),
        base_url: base_url.map(str::to_owned),
        model: model.map(str::to_owned),
        ..ChatChoice::default()
    };
    let forbidding = ModelOptions {
        tenant_addresses: false,
        ..ModelOptions::default()
    };
    for (options, choice, remedy) in [
        (
            ModelOptions::default(),
            choice(Provider::Anthropic, None, None),
            "models.anthropic.chat_model",
        ),
        (
            ModelOptions::default(),
            choice(Provider::Openai, Some("ftp://x"), None),
            "llm.baseUrl",
        ),
        (
            forbidding,
            choice(Provider::Openai, Some("https://x"), None),
            "models.tenant_addresses",
        ),
    ] {
        let models = Models::new(&options).unwrap();
        let error = models.chat_for(&choice).unwrap_err();
        assert!(!error.is_transient());
        assert!(error.to_string().contains(remedy), "{error}");
    }
}

/// Or it would speak in our name to whatever there is in our own network.
#[tokio::test]
async fn a_tenants_address_in_a_private_network_is_not_called() {
    let reply = json!({"choices": [{"message": {"content": "Yes."}}]});
    let server = Server::start(move |_| Json(reply.clone()).into_response()).await;
    let port = server.url.rsplit_once(':').unwrap().1;
    let models = Models::new(&ModelOptions::default()).unwrap();
    for address in [
        "http://127.0.0.1",
        "http://[::1]",
        "http://localhost",
        "http://10.0.0.1",
    ] {
        for provider in [Provider::Openai, Provider::Anthropic, Provider::Ollama] {
            let choice = ChatChoice {
                base_url: Some(format!("{address}:{port}")),
                ..server.choice(provider)
            };
            let refused = match models.chat_for(&choice) {
                Ok(chat) => chat.answer(&plain()).await.unwrap_err(),
                Err(error) => error,
            };
            let told = refused.to_string();
            assert!(
                !refused.is_transient() && told.contains("models.tenant_private_addresses"),
                "{address}: {told}"
            );
        }
    }
    assert_eq!(server.seen.lock().unwrap().len(), 0);
    // The installation's own server is one that it has chosen itself.
    let mut options = ModelOptions::default();
    options.openai.base_url = format!("{}/", server.url);
    let models = Models::new(&options).unwrap();
    let chat = models.chat_for(&server.choice(Provider::Openai)).unwrap();
    assert_eq!(chat.answer(&plain()).await.unwrap().text, "Yes.");
}

#[test]
fn a_tenant_cannot_make_its_host_fail_by_impatience() {
    let asked = |ours, theirs| {
        let choice = ChatChoice {
            timeout: Some(Duration::from_millis(theirs)),
            ..ChatChoice::default()
        };
        let options = ApiOptions {
            timeout_ms: ours,
            ..ApiOptions::default()
        };
        providers::timeout(&options, &choice).as_millis()
    };
    assert_eq!(asked(60_000, 1), 10_000);
    assert_eq!(asked(2_000, 1), 2_000);
    assert_eq!(asked(60_000, 30_000), 30_000);
}
