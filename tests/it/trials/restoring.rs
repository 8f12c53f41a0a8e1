//! A backup is brought back beside what is live.

use metachat_jobs::backups::{Kind, Level, Manifest};
use metachat_jobs::cli::{self, Cli, Exit, Printer};
use metachat_jobs::compose;
use metachat_jobs::config::Sources;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use windlass::Store as _;
use windlass::store::Claim;
use windlass::store::postgres::{PgStore, PgStoreOptions};

use super::rig::{Rig, TARGET, counts, flags};
use crate::lines::Lines;
use crate::support;

/// Runs `jobctl backup` on the rig's settings; its exit, and what it printed as JSON.
async fn jobctl(rig: &Rig, args: &[&str]) -> (Exit, Value, String) {
    let url = rig.url.as_str();
    let own = [("backups.targets.main.url", url), ("database.url", url)];
    let flags = flags(&rig.place, Kind::PostgresLogical, &own);
    jobctl_with(&flags, &[&["backup"], args].concat()).await
}

/// Runs `jobctl` with these settings.
pub(super) async fn jobctl_with(
    flags: &[(String, String)],
    args: &[&str],
) -> (Exit, Value, String) {
    let sources = Sources {
        flags: flags.to_vec(),
        ..Sources::default()
    };
    let (out, err) = (Lines::default(), Lines::default());
    let mut printer = Printer::new(true, out.clone(), err.clone());
    let words = [&["jobctl", "--json"], args].concat();
    let cli = <Cli as clap::Parser>::parse_from(words);
    let exit = cli::run(cli, sources, compose::catalogue, &mut printer).await;
    let answer = serde_json::from_str(&out.text()).unwrap_or_default();
    (exit, answer, err.text())
}

#[tokio::test]
async fn a_restore_is_beside_what_is_live_and_its_queue_is_held() {
    support::with_postgres(async |url| {
        let rig = Rig::new(url, &[]).await;
        // One job runs when the backup is made.
        let live = PgStore::connect(&rig.url, &PgStoreOptions::default()).unwrap();
        let claim = Claim {
            queue: "default",
            worker: "somebody",
            limit: 1,
            lease: std::time::Duration::from_mins(1),
            now: None,
        };
        let running = live.claim(claim).await.unwrap().remove(0);
        let backup: Manifest = rig.backup(&[], |_| {}).await;
        let evidence = rig.verify(&backup.id, Level::Restored).await;
        assert_eq!(evidence.reason, None);
        let name = format!("restored_{}", uuid::Uuid::new_v4().simple());
        let (_, own) = rig.url.rsplit_once('/').unwrap();
        let own = own.trim_end_matches('?').to_owned();

        let (exit, plan, said) = jobctl(&rig, &["restore", TARGET, "--to", &name, "--plan"]).await;
        assert_eq!(exit, Exit::Done, "{said}");
        assert_eq!(plan["backup"], backup.id.as_str());
        assert_eq!(
            (plan["verified"].as_u64(), plan["bytes"].as_u64()),
            (Some(2), Some(backup.size()))
        );
        assert!(plan["estimate_seconds"].as_u64().is_some(), "{plan}");
        assert!(
            plan["commands"].to_string().contains("pg_restore"),
            "{plan}"
        );

        // The live one is in nobody's way, and is not written over.
        let (exit, _, said) = jobctl(&rig, &["restore", TARGET, "--to", &own]).await;
        assert_eq!(exit, Exit::Failed);
        assert!(
            said.contains("is not empty") && said.contains("--overwrite"),
            "{said}"
        );

        let (exit, told, said) = jobctl(&rig, &["restore", TARGET, "--to", &name]).await;
        assert_eq!(exit, Exit::Done, "{said}");
        let again = told["may_run_twice"].as_array().unwrap();
        assert_eq!(again.len(), 1, "{told}");
        assert_eq!(again[0]["id"], running.id.to_string());
        assert!(
            told["held"]
                .as_array()
                .unwrap()
                .iter()
                .any(|queue| queue == "default")
        );
        assert_eq!(told["fenced"].as_u64(), Some(20));

        let server = rig.url.rsplit_once('/').unwrap().0;
        let restored = format!("{server}/{name}");
        let mut connection = PgConnection::connect(&restored).await.unwrap();
        let mut rows = counts(&mut connection).await;
        // What holding the queues wrote is all that differs.
        for table in ["jobs.settings", "jobs.audit"] {
            assert!(rows.remove(table) > backup.rows.get(table).copied());
        }
        let mut expected = backup.rows.clone();
        expected.retain(|table, _| rows.contains_key(table));
        assert_eq!(rows, expected);
        connection.close().await.unwrap();
        // Whoever still holds the job of before can record nothing.
        let store = PgStore::connect(&restored, &PgStoreOptions::default()).unwrap();
        let finish = windlass::model::Finish::complete(running.lease(), None);
        let recorded = store.finish(&[finish], None).await.unwrap();
        assert_eq!(recorded, [windlass::model::Recorded::LeaseLost]);
        drop(store);

        // It is replaced only by whoever types its name.
        let args = ["restore", TARGET, "--to", &name];
        let (exit, _, _) = jobctl(&rig, &args).await;
        assert_eq!(exit, Exit::Failed);
        let one = ["--table", "public.messages", "--overwrite", &name];
        let (exit, _, said) = jobctl(&rig, &[&args[..], &one].concat()).await;
        assert_eq!(exit, Exit::Done, "{said}");
        let mut connection = PgConnection::connect(&restored).await.unwrap();
        let rows = counts(&mut connection).await;
        assert_eq!((rows["public.messages"], rows["public.tenants"]), (2000, 0));
        connection.close().await.unwrap();
        let (exit, _, said) = jobctl(
            &rig,
            &[
                "restore",
                TARGET,
                "--to",
                "other",
                "--table",
                "public.nothing",
            ],
        )
        .await;
        assert_eq!(exit, Exit::Usage);
        assert!(said.contains("is not in the backup"), "{said}");

        let mut connection = PgConnection::connect(&rig.url).await.unwrap();
        let drop = format!("drop database {name} with (force)");
        sqlx::raw_sql(AssertSqlSafe(drop))
            .execute(&mut connection)
            .await
            .unwrap();
    })
    .await;
}
