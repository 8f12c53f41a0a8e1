//! Searches go on where a store has stopped.

use std::time::{Duration, Instant};

use super::{Error, Store};
use crate::model::{Filter, Found, JobRecord, Page};

/// Goes on until the page is full, or nothing older matches, or `within` is over.
pub(crate) async fn search(
    store: &dyn Store,
    filter: &Filter,
    page: Page,
    within: Duration,
) -> Result<Found<JobRecord>, Error> {
    let began = Instant::now();
    let mut found = store.list(filter, page, None).await?;
    while let Some(after) = found.next {
        let left = page
            .limit
            .saturating_sub(u32::try_from(found.jobs.len()).unwrap_or(u32::MAX));
        if left == 0 || began.elapsed() >= within {
            break;
        }
        let rest = Page {
            after: Some(after),
            limit: left,
        };
        let rest = store.list(filter, rest, None).await?;
        found.jobs.extend(rest.jobs);
        found.next = rest.next;
    }
    Ok(found)
}
