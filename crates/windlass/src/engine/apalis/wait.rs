use std::time::Duration;

use apalis_core::backend::{TaskResult, WaitForCompletion};
use apalis_core::task::status::Status;
use apalis_core::task::task_id::TaskId;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use serde::de::DeserializeOwned;

use super::{Error, WindlassBackend, ids, tasks};
use crate::model::{JobRecord, Json, State};
use crate::store::Store;

/// The shortest and the longest time between two looks at a task that is waited for.
const SOON: Duration = Duration::from_millis(20);
const LATE: Duration = Duration::from_millis(500);

/// Every task that is waited for is answered once, when it has ended for good: a failed attempt that will
/// be repeated is no end, an outage of the store neither. An id that is not known is waited for.
impl<Args, Output> WaitForCompletion<Output> for WindlassBackend<Args>
where
    Output: DeserializeOwned + Send + 'static,
{
    type ResultStream = BoxStream<'static, Result<TaskResult<Output>, Error>>;

    fn wait_for(&mut self, task_ids: impl IntoIterator<Item = TaskId>) -> Self::ResultStream {
        let waiting: Vec<TaskId> = task_ids.into_iter().collect();
        let store = self.store().clone();
        stream::unfold(
            (waiting, 0, SOON),
            move |(mut waiting, mut at, mut pause)| {
                let store = store.clone();
                async move {
                    while !waiting.is_empty() {
                        while at < waiting.len() {
                            match ended(&*store, &waiting[at]).await {
                                Ok(Some(result)) => {
                                    waiting.swap_remove(at);
                                    return Some((Ok(result), (waiting, at, SOON)));
                                }
                                Err(error) if !is_transient(&error) => {
                                    waiting.swap_remove(at);
                                    return Some((Err(error), (waiting, at, pause)));
                                }
                                _ => at += 1,
                            }
                        }
                        at = 0;
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(LATE);
                    }
                    None
                }
            },
        )
        .boxed()
    }

    /// Those of the tasks that have ended for good.
    async fn check_status(
        &mut self,
        task_ids: impl IntoIterator<Item = TaskId> + Send,
    ) -> Result<Vec<TaskResult<Output>>, Error> {
        let task_ids: Vec<TaskId> = task_ids.into_iter().collect();
        let mut results = Vec::new();
        for id in task_ids {
            results.extend(ended(&**self.store(), &id).await?);
        }
        Ok(results)
    }
}

fn is_transient(error: &Error) -> bool {
    matches!(error, Error::Store(error) if error.is_transient())
}

async fn ended<Output: DeserializeOwned>(
    store: &dyn Store,
    id: &TaskId,
) -> Result<Option<TaskResult<Output>>, Error> {
    let job = store.get(ids::job_id(id), None, None).await?;
    let Some(job) = job.filter(|job| job.state.is_finished()) else {
        return Ok(None);
    };
    let result = result(&job);
    let status = match (&result, job.state) {
        // What the handler returned is not what is asked for.
        (Err(_), State::Completed) => Status::Failed,
        (_, state) => tasks::status(state),
    };
    Ok(Some(TaskResult {
        task_id: id.clone(),
        attempt: usize::from(job.attempt),
        status,
        result,
    }))
}

fn result<Output: DeserializeOwned>(job: &JobRecord) -> Result<Output, String> {
    if job.state != State::Completed {
        let told = job.attempts.last().and_then(|last| last.error.as_ref());
        return Err(told.map_or_else(|| job.state.to_string(), |error| error.message.clone()));
    }
    let json = job.result.clone().unwrap_or_else(|| Json::trusted("null"));
    json.decode().map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("the result does not decode: line {line}, column {column} has another type or form")
    })
}
