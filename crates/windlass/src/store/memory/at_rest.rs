//! Values as they are stored.

use async_trait::async_trait;

use super::{Data, MemoryStore};
use crate::model::{Json, Timestamp};
use crate::store::{AtRest, Error, Rewrite, Values, Walk};

impl Data {
    fn walk(&self, walk: Walk) -> Vec<AtRest> {
        let later = self
            .jobs
            .iter()
            .filter(|job| walk.after.is_none_or(|after| job.id > after));
        let asked = later.filter(|job| walk.finished || !job.state.is_finished());
        let rows = asked.take(walk.limit as usize).map(|job| AtRest {
            id: job.id,
            kind: job.kind.clone(),
            tenant_id: job.tenant_id.clone(),
            args: enveloped(Some(&job.args)),
            result: enveloped(job.result.as_ref()),
            checkpoint: enveloped(self.checkpoints.get(&job.id)),
        });
        rows.collect()
    }

    fn rewrite(&mut self, rewrite: &Rewrite, now: Timestamp) -> bool {
        let Some(job) = self.jobs.get(rewrite.id) else {
            return false;
        };
        let same = |found: Option<&Json>, change: &Option<(Json, Json)>| {
            change.as_ref().is_none_or(|(from, _)| found == Some(from))
        };
        if !same(Some(&job.args), &rewrite.args)
            || !same(job.result.as_ref(), &rewrite.result)
            || !same(self.checkpoints.get(&rewrite.id), &rewrite.checkpoint)
        {
            return false;
        }
        if let Some((_, to)) = &rewrite.checkpoint {
            self.checkpoints.insert(rewrite.id, to.clone());
        }
        self.jobs.change(rewrite.id, now, |job| {
            if let Some((_, to)) = &rewrite.args {
                job.args = to.clone();
            }
            if let Some((_, to)) = &rewrite.result {
                job.result = Some(to.clone());
            }
        });
        true
    }
}

fn enveloped(json: Option<&Json>) -> Option<Json> {
    json.filter(|json| json.as_str().starts_with(r#"{"$"#))
        .cloned()
}

#[async_trait]
impl Values for MemoryStore {
    async fn walk(&self, walk: Walk) -> Result<Vec<AtRest>, Error> {
        Ok(self.at(None, |data, _| data.walk(walk)))
    }

    async fn rewrite(&self, rewrites: &[Rewrite]) -> Result<Vec<bool>, Error> {
        Ok(self.at(None, |data, now| {
            rewrites
                .iter()
                .map(|rewrite| data.rewrite(rewrite, now))
                .collect()
        }))
    }
}
