//! What a model may ask for before it answers: to search the tenant's documents.

use serde_json::{Value, json};
use windlass::engine::is_permanent;

use super::Case;
use crate::jobs::retrieval::{Found, retrieve};
use crate::platform::RagSettings;
use crate::services::models::{Tool, ToolCall};

const SEARCH: &str = "search_knowledge_base";
/// The most hits a model may ask for.
const MOST_HITS: u64 = 20;

pub(super) fn offered() -> Vec<Tool> {
    vec![Tool {
        name: SEARCH,
        description: "Searches the documents of the company for what bears on a question. Use it \
                      when the answer may stand there."
            .to_owned(),
        parameters: json!({
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "What to look for, in plain words."},
                "topK": {"type": "integer", "minimum": 1, "maximum": MOST_HITS},
                "minSimilarity": {"type": "number", "minimum": 0, "maximum": 1},
            },
            "required": ["query"],
        }),
    }]
}

/// Does what a model asked for, and says what came of it. What is wrong with the call is told to the
/// model, who can ask again; what is wrong with us is an error.
pub(super) async fn run(case: &Case<'_>, call: &ToolCall) -> anyhow::Result<String> {
    if call.name != SEARCH {
        return Ok(problem(&format!(
            "there is no such tool; there is {SEARCH}"
        )));
    }
    let Some(query) = call.arguments["query"].as_str().map(str::trim) else {
        return Ok(problem("`query` must be a text: what to look for"));
    };
    if query.is_empty() {
        return Ok(problem("`query` is empty"));
    }
    let settings = &case.tenant.settings.rag;
    let settings = RagSettings {
        top_k: call.arguments["topK"]
            .as_u64()
            .map(|k| k.clamp(1, MOST_HITS))
            .and_then(|k| u32::try_from(k).ok())
            .unwrap_or(settings.top_k),
        min_similarity: call.arguments["minSimilarity"]
            .as_f64()
            .map_or(settings.min_similarity, |least| least.clamp(0.0, 1.0)),
        ..settings.clone()
    };
    let services = case.cx.services();
    let tenant = &case.job.tenant_id;
    match retrieve(
        &services.platform,
        &services.models,
        tenant,
        &settings,
        query,
    )
    .await
    {
        Ok(found) => Ok(found.iter().map(shown).collect::<Value>().to_string()),
        // The model may still know the answer without.
        Err(error) if is_permanent(&error) => {
            tracing::warn!(
                tenantId = tenant,
                "the documents cannot be searched: {error}"
            );
            Ok(problem("the documents cannot be searched now"))
        }
        Err(error) => Err(error),
    }
}

fn shown(found: &Found) -> Value {
    json!({
        "documentId": found.hit.document_id,
        "chunkId": found.hit.chunk_id,
        "content": *found.hit.content,
        "score": found.hit.score,
        "source": found.hit.document_name,
    })
}

fn problem(what: &str) -> String {
    json!({"error": what}).to_string()
}
