//! How an old key is retired: what is sealed with it gets the newest, while everything runs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::envelope::{Content, OpenError, Protection, key_of};
use crate::engine::Client;
use crate::model::{JobId, Json};
use crate::store::{AtRest, Error, Rewrite, Walk};

/// How many jobs are looked at in one step.
const STEP: u32 = 500;

/// Where a walk over the stored jobs is, and what it has found so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KeyWalk {
    /// Jobs that were looked at.
    pub looked: u64,
    /// Sealed values by the id of their key, as they are found, or left by [`Client::reseal`].
    pub keys: BTreeMap<String, u64>,
    /// Values that were given the newest key.
    pub resealed: u64,
    /// Values that changed meanwhile; another walk takes them.
    pub missed: u64,
    /// Values that do not open: tampered with, or unreadable.
    pub broken: u64,
    /// Whether every job has been looked at.
    pub done: bool,
    #[serde(skip)]
    at: Option<JobId>,
    #[serde(skip)]
    finished: bool,
}

impl KeyWalk {
    /// From the first job on; over finished ones too if `finished`.
    pub fn new(finished: bool) -> Self {
        Self {
            finished,
            ..Self::default()
        }
    }

    fn take(&mut self, rows: &[AtRest]) {
        self.looked += rows.len() as u64;
        self.done = rows.len() < STEP as usize;
        self.at = rows.last().map(|row| row.id).or(self.at);
    }

    fn count(&mut self, key: String) {
        *self.keys.entry(key).or_default() += 1;
    }
}

impl Client {
    /// Goes on counting what is sealed with which key, by a few hundred jobs.
    pub async fn count_keys(&self, walk: &mut KeyWalk) -> Result<(), Error> {
        let rows = self.walk(walk).await?;
        walk.take(&rows);
        for key in rows
            .iter()
            .flat_map(values)
            .filter_map(|(_, json)| key_of(json))
        {
            walk.count(key);
        }
        Ok(())
    }

    /// Goes on sealing with the newest key what is sealed with another, by a few hundred jobs. Harmless
    /// at any time and from any number of processes: a value is replaced only if it is still as it was.
    ///
    /// When a walk over finished jobs too has left nothing under a key, that key can go. Nothing happens
    /// if there is no key at all.
    pub async fn reseal(&self, walk: &mut KeyWalk) -> Result<(), Error> {
        let Some(newest) = self.keys().ids().next() else {
            walk.done = true;
            return Ok(());
        };
        let rows = self.walk(walk).await?;
        walk.take(&rows);
        let (mut rewrites, mut keys) = (Vec::new(), Vec::new());
        for row in &rows {
            let mut rewrite = Rewrite {
                id: row.id,
                args: None,
                result: None,
                checkpoint: None,
            };
            let mut replaced = Vec::new();
            for (content, json) in values(row) {
                let Some(key) = key_of(json) else { continue };
                if key == newest {
                    walk.count(key);
                    continue;
                }
                match self.renewed(row, content, json) {
                    Ok(renewed) => {
                        let change = Some((json.clone(), renewed));
                        match content {
                            Content::Args => rewrite.args = change,
                            Content::Result => rewrite.result = change,
                            Content::Checkpoint => rewrite.checkpoint = change,
                        }
                        replaced.push(key);
                    }
                    Err(OpenError::UnknownKey(key)) => walk.count(key),
                    Err(_) => {
                        walk.broken += 1;
                        walk.count(key);
                    }
                }
            }
            if !replaced.is_empty() {
                rewrites.push(rewrite);
                keys.push(replaced);
            }
        }
        let done = self.store().rewrite(&rewrites).await?;
        for (done, replaced) in done.into_iter().zip(keys) {
            for key in replaced {
                if done {
                    walk.resealed += 1;
                    walk.count(newest.to_owned());
                } else {
                    walk.missed += 1;
                    walk.count(key);
                }
            }
        }
        Ok(())
    }

    async fn walk(&self, walk: &KeyWalk) -> Result<Vec<AtRest>, Error> {
        let walk = Walk {
            after: walk.at,
            limit: STEP,
            finished: walk.finished,
        };
        self.store().walk(walk).await
    }

    fn renewed(&self, row: &AtRest, content: Content, json: &Json) -> Result<Json, OpenError> {
        let (kind, tenant) = (row.kind.as_str(), row.tenant_id.as_deref());
        let plain = self.open(content, kind, tenant, json)?;
        let how = Protection {
            seal: true,
            compress_above: self
                .catalogue()
                .get(kind)
                .and_then(|info| info.options.compress_above),
        };
        let plain = plain.as_ref().unwrap_or(json);
        let sealed = self.keys().protect(how, content, kind, tenant, plain);
        // There is a key, and so there is something to replace it with.
        Ok(sealed.ok().flatten().unwrap_or_else(|| json.clone()))
    }
}

fn values(row: &AtRest) -> impl Iterator<Item = (Content, &Json)> {
    let all = [
        (Content::Args, &row.args),
        (Content::Result, &row.result),
        (Content::Checkpoint, &row.checkpoint),
    ];
    all.into_iter()
        .filter_map(|(content, json)| Some((content, json.as_ref()?)))
}
