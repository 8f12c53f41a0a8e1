//! `jobctl import apalis`: nothing lost, nothing doubled, however often it breaks off.

mod postgres;
pub(crate) mod redis;
mod resume;
mod sqlite;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use clap::Parser as _;
use metachat_jobs::cli::{self, Cli, Exit, Printer};
use metachat_jobs::config::Sources;
use metachat_jobs::import::{self, Kinds, Report, Source};
use serde::{Deserialize, Serialize};
use windlass::db::{Sqlite, SqliteOptions};
use windlass::model::{Filter, Page};
use windlass::store::sqlite::SqliteStore;
use windlass::{Client, Context, Job, JobRecord, Outcome, Registry, Store};

use crate::lines::Lines;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mail {
    to: String,
    number: u32,
}

impl Job for Mail {
    const KIND: &'static str = "mail";
    type Services = ();

    async fn run(self, _: Context<()>) -> anyhow::Result<Outcome> {
        Ok(Outcome::complete())
    }
}

fn catalogue() -> windlass::engine::Catalogue {
    Registry::new(()).register::<Mail>().catalogue()
}

fn mail(number: u32) -> Mail {
    let to = "ada".to_owned();
    Mail { to, number }
}

/// Where imported jobs go, as `jobctl` would find it.
struct Here {
    folder: tempfile::TempDir,
    store: Arc<SqliteStore>,
    client: Client,
}

impl Here {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jobs.db");
        let store = SqliteStore::new(Sqlite::new(file, &SqliteOptions::default()));
        store.migrate().await.unwrap();
        let store = Arc::new(store);
        let client = Client::new(Arc::clone(&store) as Arc<dyn Store>).with_catalogue(catalogue());
        Self {
            folder,
            store,
            client,
        }
    }

    async fn import(&self, source: &mut dyn Source) -> Report {
        let mut told = |_: &Report| {};
        import::run(source, &self.client, &kinds(), false, &mut told)
            .await
            .unwrap()
    }

    /// All jobs by the number in their args, which is theirs alone.
    async fn mails(&self) -> BTreeMap<u32, JobRecord> {
        let page = Page {
            after: None,
            limit: 1000,
        };
        let jobs = self
            .store
            .list(&Filter::default(), page, None)
            .await
            .unwrap()
            .jobs;
        let count = jobs.len();
        let mails: BTreeMap<u32, JobRecord> = jobs
            .into_iter()
            .map(|job| (job.args.decode::<Mail>().unwrap().number, job))
            .collect();
        assert_eq!(mails.len(), count, "none is there twice");
        mails
    }

    async fn jobctl(&self, args: &[&str]) -> (Exit, String, String) {
        let url = format!("sqlite:{}", self.folder.path().join("jobs.db").display());
        let words = ["jobctl", "--database", &url, "import", "apalis"];
        let cli = Cli::try_parse_from(words.iter().chain(args)).unwrap();
        let (out, err) = (Lines::default(), Lines::default());
        let mut printer = Printer::new(cli.json, out.clone(), err.clone());
        let kinds = |_: &_, _: &_| Ok(catalogue());
        let exit = cli::run(cli, Sources::default(), kinds, &mut printer).await;
        (exit, out.text(), err.text())
    }
}

fn kinds() -> Kinds {
    Kinds(BTreeMap::from([("mails".to_owned(), "mail".to_owned())]))
}

fn url(file: &Path) -> String {
    format!("sqlite:{}", file.display())
}
