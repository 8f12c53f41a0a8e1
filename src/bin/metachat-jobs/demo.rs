//! The demo: the whole flow on one file, with no server near. A tenant whose knowledge base is this
//! project's own documentation, one question asked and answered with citations, then it keeps serving.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use metachat_jobs::compose;
use metachat_jobs::config::{Config, Sources};
use metachat_jobs::jobs::{IngestDocument, ProcessMessage};
use metachat_jobs::platform::{ChannelType, NewDocument, Platform, Private};
use metachat_jobs::telemetry::{self, Monitors};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use windlass::{Client, JobId, JobRecord, State, Timestamp};

use crate::run::{Parts, Role, serve, stop_on_signal};

/// The tenant of the demo.
const TENANT: &str = "demo";
/// What is asked unless something else is.
const QUESTION: &str = "What happens to a job when its worker is killed?";
/// How long a step of the demo may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A document of this project and its text.
macro_rules! document {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../", $path)))
    };
}

/// The knowledge base.
const DOCUMENTS: [(&str, &str); 10] = [
    document!("README.md"),
    document!("ARCHITECTURE.md"),
    document!("CONTRIBUTING.md"),
    document!("crates/windlass/README.md"),
    document!("docs/guides/writing-jobs.md"),
    document!("docs/adr/0001-apalis-is-the-runtime-not-the-store.md"),
    document!("docs/adr/0002-live-and-finished-tables.md"),
    document!("docs/adr/0003-sql-in-files.md"),
    document!("docs/adr/0005-ordering-keys-by-hand-off.md"),
    document!("docs/adr/0006-rescue-by-lease-and-fence.md"),
];

/// What to show.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Keep the data in this folder; a temporary one otherwise.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// What to ask.
    #[arg(long, default_value = QUESTION)]
    question: String,
    /// End after the answer instead of serving on.
    #[arg(long)]
    once: bool,
}

/// Shows the whole flow.
pub(crate) async fn demo(args: DemoArgs, mut sources: Sources) -> anyhow::Result<()> {
    let started = Instant::now();
    let stop = stop_on_signal()?;
    let temporary = tempfile::tempdir().context("cannot make a temporary folder")?;
    let dir = args.dir.as_deref().unwrap_or(temporary.path());
    let key = uuid::Uuid::new_v4().simple().to_string();
    let config = configure(&mut sources, dir, &key)?;
    let _telemetry = telemetry::init(&config.log, &config.telemetry, Monitors::new())?;
    let parts = Parts::prepare(&config).await?;
    let listener = listen_somewhere(&config).await?;
    let address = listener.local_addr()?;
    let token = parts.sign_in_link().await?;
    let (client, platform) = (parts.client.clone(), parts.services.platform.clone());
    let running = tokio::spawn({
        let (config, stop) = (config.clone(), stop.clone());
        async move { serve(&config, Role::All, &parts, listener, stop).await }
    });

    let url = format!("http://{address}");
    let told = tell(&client, &platform, &args.question, &url, &key, dir);
    tokio::select! {
        told = told => told?,
        () = stop.cancelled() => {}
    }
    let mut out = std::io::stdout();
    writeln!(
        out,
        "\nFrom start to answer: {:.1} s.",
        started.elapsed().as_secs_f64()
    )?;
    if args.once {
        stop.cancel();
    } else {
        let token = token.expose();
        writeln!(
            out,
            "See it all, by a link that works once:\n  {url}/login?token={token}"
        )?;
        writeln!(out, "Serving on http://{address} until Ctrl-C.")?;
    }
    running.await.context("the demo's server panicked")?
}

/// Asks, waits, and shows each step.
async fn tell(
    client: &Client,
    platform: &Platform,
    question: &str,
    url: &str,
    key: &str,
    dir: &Path,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(
        out,
        "metachat-jobs demo: one SQLite file in {}, no server, no network.\n",
        dir.display()
    )?;
    let documents = learn(client, platform).await?;
    writeln!(
        out,
        "The tenant `{TENANT}` knows {documents} documents of this project."
    )?;

    let job = ask(client, question).await?;
    let job = finished(client, job).await?;
    let result = job
        .result
        .as_ref()
        .context("the message was processed without a result")?;
    let result: Value = result.decode()?;
    writeln!(out, "\nQ: {question}\n")?;
    writeln!(out, "{}\n", answer(platform, &result).await?)?;

    writeln!(out, "What happened:")?;
    show(&mut out, &job)?;
    if let Some(delivery) = result["deliveryJobId"].as_str() {
        show(&mut out, &finished(client, delivery.parse()?).await?)?;
    }
    let body = json!({
        "tenantId": TENANT,
        "channel": "webchat",
        "message": {
            "id": "question-2", "from": "you", "type": "text",
            "content": {"text": "Why are finished jobs kept in another table?"},
        },
    });
    writeln!(
        out,
        "\nAsk it yourself:\n  curl -s {url}/v1/messages -H 'x-admin-key: {key}' \\\n    -H 'content-type: application/json' -d '{body}'\n\
         See every job:\n  curl -s {url}/v1/jobs -H 'x-admin-key: {key}'"
    )?;
    Ok(())
}

/// Makes the tenant and its documents, unless they are there; waits until they can be found.
async fn learn(client: &Client, platform: &Platform) -> anyhow::Result<usize> {
    if platform.tenant(TENANT).await?.is_some() {
        return Ok(DOCUMENTS.len());
    }
    let mut tx = platform.begin(TENANT).await?;
    let settings = json!({
        "brandName": "metachat-jobs",
        "enableRag": true,
        // The offline embedder matches words: even its best hits lie lower than a model's.
        "ragConfig": {"topK": 4, "minSimilarity": 0.05},
    });
    platform
        .create_tenant(&mut tx, TENANT, "Demo", &settings)
        .await?;
    platform
        .create_channel(&mut tx, TENANT, ChannelType::Webchat, &json!({}))
        .await?;
    let mut jobs = Vec::new();
    for (name, text) in DOCUMENTS {
        let document = NewDocument {
            name: name.to_owned(),
            mime_type: "text/markdown".to_owned(),
            content: Private::from(text),
            metadata: Private::default(),
        };
        let document_id = platform.insert_document(&mut tx, TENANT, &document).await?;
        let ingest = IngestDocument {
            tenant_id: TENANT.to_owned(),
            document_id,
        };
        jobs.push(client.enqueue_in(&mut tx, &ingest).await?.id());
    }
    tx.commit().await?;
    for job in jobs {
        finished(client, job).await?;
    }
    Ok(DOCUMENTS.len())
}

async fn ask(client: &Client, question: &str) -> anyhow::Result<JobId> {
    let message = json!({
        "id": uuid::Uuid::new_v4(),
        "conversationId": "demo-visitor",
        "from": "demo-visitor",
        "type": "text",
        "content": {"text": question},
    });
    let job = ProcessMessage {
        tenant_id: TENANT.to_owned(),
        channel: ChannelType::Webchat.as_str().to_owned(),
        message: serde_json::from_value(message)?,
    };
    Ok(client.enqueue(&job).await?.id())
}

/// Waits for a job to complete.
async fn finished(client: &Client, id: JobId) -> anyhow::Result<JobRecord> {
    let wait = async {
        loop {
            let job = client.get(id, None).await?.context("the job is gone")?;
            if job.state.is_finished() {
                let why = job
                    .attempts
                    .last()
                    .and_then(|a| a.error.as_ref())
                    .map(|e| &e.message);
                ensure!(
                    job.state == State::Completed,
                    "{} is {}: {why:?}",
                    job.kind,
                    job.state
                );
                return Ok(job);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .context("a job of the demo did not end in a minute")?
}

async fn answer(platform: &Platform, result: &Value) -> anyhow::Result<String> {
    let text = |key: &str| {
        result[key]
            .as_str()
            .with_context(|| format!("the result has no {key}"))
    };
    let (conversation, outbound) = (text("conversationId")?, text("outboundId")?);
    let messages = platform.messages(TENANT, conversation, 20).await?;
    let answer = messages
        .iter()
        .find(|m| m.id == outbound)
        .context("the answer is not stored")?;
    Ok(answer
        .text()
        .context("the answer holds no text")?
        .to_owned())
}

fn show(out: &mut impl Write, job: &JobRecord) -> std::io::Result<()> {
    let since = |at: Timestamp| at.since(job.enqueued_at).as_secs_f64() * 1e3;
    writeln!(out, "  {} {}", job.kind, job.id)?;
    writeln!(out, "    enqueued   {}", job.enqueued_at)?;
    for attempt in job.all_attempts() {
        writeln!(
            out,
            "    attempt {}  +{:.1} ms claimed by worker {}, +{:.1} ms {}",
            attempt.attempt,
            since(attempt.started_at),
            attempt.worker,
            since(attempt.ended_at),
            attempt.outcome.as_str()
        )?;
    }
    Ok(())
}

/// The port the configuration says, or, if somebody holds it, any.
async fn listen_somewhere(config: &Config) -> anyhow::Result<TcpListener> {
    match compose::listen(&config.server).await {
        Ok(listener) => Ok(listener),
        Err(_) => Ok(TcpListener::bind((config.server.bind, 0)).await?),
    }
}

/// The demo's own settings: they come last, so that no environment turns it into something else.
fn configure(sources: &mut Sources, dir: &Path, key: &str) -> anyhow::Result<Config> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let database = format!("sqlite:{}", dir.join("metachat-jobs.db").display());
    for (setting, value) in [
        ("database.url", database.as_str()),
        ("security.admin_key", key),
        ("server.bind", "127.0.0.1"),
        // The demo speaks for itself; its log would talk over it.
        ("log.level", "warn"),
        ("models.embedder", "hash"),
        ("models.model", "extractive"),
    ] {
        sources.flags.push((setting.to_owned(), value.to_owned()));
    }
    Ok(Config::load(sources)?)
}
