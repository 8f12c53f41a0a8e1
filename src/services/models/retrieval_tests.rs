//! The offline pair on a small body of documents: a natural question must find the right one, and
//! the answer must cite it.

use super::hash::{similarity, vector};
use super::{ChatModel, ChatRequest, Passage, Role, Turn, extractive};
use crate::services::chunking::{ChunkOptions, Chunker, Format};

/// The platform's default `ragConfig.minSimilarity` and `topK`.
const MIN_SIMILARITY: f32 = 0.5;
const TOP_K: usize = 5;

const DOCUMENTS: &[(&str, &str)] = &[
    (
        "backups.md",
        "# Backups\n\nEvery night at two the scheduler takes a dump of the database, compresses it and \
         encrypts it with AES-256-GCM. The file goes to object storage in another region. Backups are \
         kept for thirty days, then deleted by the clean-up job.\n\n## Proving that they work\n\nOnce a \
         week the newest backup is restored into a scratch database and the row counts are compared with \
         the manifest. If the restore fails, an alert goes to the operators.",
    ),
    (
        "retries.md",
        "# Retries and dead letters\n\nA job whose attempt fails is tried again later. The pause doubles \
         with every attempt, with jitter, up to ten minutes. After the last attempt the job becomes a \
         dead letter: it is set aside with its history and waits for an operator, who can requeue it \
         from the dashboard or with `jobctl requeue`.\n\nErrors marked as permanent skip the remaining \
         attempts.",
    ),
    (
        "shutdown.md",
        "# Stopping a worker\n\nOn SIGTERM the process stops claiming new work and lets running jobs \
         finish within the grace period of thirty seconds. What is still running then is handed back to \
         the queue without using up an attempt. A second signal exits at once.",
    ),
    (
        "leases.md",
        "# Leases and fencing\n\nA worker holds a lease on each job it runs and extends it with a \
         heartbeat every fifteen seconds. If a worker crashes, its lease expires and another worker \
         takes the job over within 45 seconds. A fencing token, the claim number, keeps a late worker \
         from recording an outcome for a job it has lost.",
    ),
    (
        "webhooks.md",
        "# Webhooks\n\nSubscribe a URL to events such as `message.sent` and we POST a JSON document to it. \
         Each delivery is signed: the header `X-Webhook-Signature` holds an HMAC-SHA256 of the body. A \
         receiver must answer with a 2xx status within ten seconds, otherwise the delivery is repeated \
         up to five times.",
    ),
    (
        "embedding.md",
        "# Documents and search\n\nAn uploaded document is cut into chunks of about a thousand \
         characters. Each chunk is turned into a vector of 1024 numbers by the embedding model and \
         stored with pgvector. When a customer asks something, the chunks most similar to the question \
         are given to the language model as context.",
    ),
    (
        "rate-limits.md",
        "# Rate limits\n\nEvery tenant may enqueue six hundred messages a minute. Above that the API \
         answers with status 429 and a Retry-After header. One busy tenant cannot starve the others, \
         because workers take turns between tenants.",
    ),
    (
        "schedules.md",
        "# Schedules\n\nRecurring work is declared as cron expressions in the time zone UTC. Only the \
         elected leader fires a tick, so that it happens once however many processes run. A tick that \
         was missed while everything was down is caught up according to the policy of its schedule: \
         skip, once, or all.",
    ),
    (
        "ollama.md",
        "# Language models\n\nThe answers come from a model served by Ollama. Set `ollama.base_url` to its \
         address and `ollama.chat_model` to the model's name, and pull the model on that server first. \
         While Ollama is unreachable its jobs wait; the circuit breaker tries again every fifteen \
         seconds. Without a GPU, use the offline model called `extractive`, which quotes your documents.",
    ),
    (
        "installation.md",
        "# Getting started\n\nYou need nothing but the Rust toolchain. Clone the repository and start \
         everything in one process with:\n\n```sh\ncargo run\n```\n\nIt keeps its data in a SQLite file in \
         the current directory. Open http://localhost:3000 in a browser to see the dashboard.",
    ),
    (
        "api-keys.md",
        "# API keys\n\nA request is authenticated by the header `X-API-Key`. Keys are stored as hashes only, \
         so a lost key cannot be shown again: create a new one in the settings and revoke the old one. \
         Revoked keys stop working at once.",
    ),
    (
        "whatsapp.md",
        "# WhatsApp\n\nIncoming WhatsApp messages arrive over RabbitMQ. A reply longer than 4096 characters \
         is split into several. Outside the window of 24 hours after the customer's last message, \
         WhatsApp accepts approved templates only.",
    ),
    (
        "metrics.md",
        "# Metrics\n\nPrometheus scrapes `/metrics` on port 9090. The most important figures are the age of \
         the oldest available job and the number of dead letters; there are Grafana boards for both. \
         Figures about customers' messages are kept for ninety days.",
    ),
];

/// A question, the document that answers it, and words that must be quoted.
const QUESTIONS: &[(&str, &str, &str)] = &[
    ("How long do you keep backups?", "backups.md", "thirty days"),
    (
        "how do you know that a backup can be restored?",
        "backups.md",
        "restored",
    ),
    (
        "What happens to a job that keeps failing?",
        "retries.md",
        "tried again later",
    ),
    (
        "Can I requeue a dead letter?",
        "retries.md",
        "jobctl requeue",
    ),
    (
        "What does SIGTERM do to running jobs?",
        "shutdown.md",
        "grace period",
    ),
    (
        "What happens when a worker crashes in the middle of a job?",
        "leases.md",
        "45 seconds",
    ),
    (
        "How is a webhook delivery signed?",
        "webhooks.md",
        "HMAC-SHA256",
    ),
    (
        "How large are the chunks a document is split into?",
        "embedding.md",
        "a thousand characters",
    ),
    ("Why do I get status 429?", "rate-limits.md", "Retry-After"),
    (
        "In which time zone are cron schedules?",
        "schedules.md",
        "UTC",
    ),
    ("Can I use it without a GPU?", "ollama.md", "extractive"),
    (
        "What do jobs do while Ollama is unreachable?",
        "ollama.md",
        "jobs wait",
    ),
    (
        "How do I start everything on my laptop?",
        "installation.md",
        "cargo run",
    ),
    (
        "I lost my API key, what now?",
        "api-keys.md",
        "create a new one",
    ),
    (
        "What is the maximum length of a WhatsApp reply?",
        "whatsapp.md",
        "4096",
    ),
    (
        "On which port does Prometheus scrape?",
        "metrics.md",
        "9090",
    ),
];

const NOT_IN_THE_DOCUMENTS: &[&str] = &[
    "Who won the football world cup in 1974?",
    "Do you sell bicycles for children?",
    "What's the weather in Lisbon tomorrow?",
];

struct Indexed {
    source: &'static str,
    text: &'static str,
    vector: Vec<f32>,
}

fn index() -> Vec<Indexed> {
    let chunker = Chunker::new(ChunkOptions::default()).unwrap();
    DOCUMENTS
        .iter()
        .flat_map(|(source, text)| {
            let chunks = chunker.chunks(text, Format::Markdown);
            chunks.into_iter().map(move |chunk| Indexed {
                source,
                text: chunk.content,
                vector: vector(&chunk.text_to_embed()),
            })
        })
        .collect()
}

/// What the platform's vector search would give for a question, best first.
fn search<'a>(index: &'a [Indexed], question: &str) -> Vec<(f32, &'a Indexed)> {
    let question = vector(question);
    let mut hits: Vec<_> = index
        .iter()
        .map(|chunk| (similarity(&question, &chunk.vector), chunk))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .collect();
    hits.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    hits.truncate(TOP_K);
    hits
}

async fn answer(index: &[Indexed], question: &str) -> String {
    let passages = search(index, question)
        .into_iter()
        .map(|(_, chunk)| Passage {
            source: chunk.source.into(),
            text: chunk.text.into(),
        })
        .collect();
    let request = ChatRequest {
        history: vec![Turn {
            role: Role::User,
            content: question.into(),
        }],
        passages,
        ..ChatRequest::default()
    };
    extractive::Extractive.answer(&request).await.unwrap().text
}

#[test]
fn a_question_finds_its_document() {
    let index = index();
    let rank = |(question, source, _): &(&str, &str, &str)| {
        let hits = search(&index, question);
        hits.iter().position(|(_, chunk)| chunk.source == *source)
    };
    let ranks: Vec<_> = QUESTIONS.iter().map(rank).collect();
    let within = |n| ranks.iter().flatten().filter(|rank| **rank < n).count();
    let all = QUESTIONS.len();
    assert!(within(1) >= all - 1, "recall@1: {ranks:?}");
    assert_eq!(within(3), all, "recall@3: {ranks:?}");
}

#[tokio::test]
async fn the_answer_quotes_and_cites_the_right_document() {
    let index = index();
    for (question, source, words) in QUESTIONS {
        let answer = answer(&index, question).await;
        assert!(answer.contains(words), "{question}\n{answer}");
        assert!(
            answer.contains(&format!("] {source}")),
            "{question}\n{answer}"
        );
    }
}

#[tokio::test]
async fn what_is_not_in_the_documents_is_not_answered() {
    let index = index();
    for question in NOT_IN_THE_DOCUMENTS {
        let answer = answer(&index, question).await;
        assert!(
            answer.starts_with("I found nothing"),
            "{question}\n{answer}"
        );
    }
}
