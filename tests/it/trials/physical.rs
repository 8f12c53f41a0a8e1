//! A cluster whose log is archived: lost and brought back to its last second, and to any moment before.

use std::time::Duration;

use metachat_jobs::backups::create::{Work, create};
use metachat_jobs::backups::restore::Restore;
use metachat_jobs::backups::verify::{Canaries, Moment, Verification};
use metachat_jobs::backups::wal::{Archiver, Archiving, canaries, plant};
use metachat_jobs::backups::{
    Backups, Evidence, Kind, Level, Manifest, PostgresServer, Transfer, Verdict,
};
use metachat_jobs::cli::Exit;
use metachat_jobs::compose;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use windlass::Timestamp;

use super::cluster::Cluster;
use super::restoring::jobctl_with as jobctl;
use super::rig::{PLACE, TARGET, fill, flags, manifest, now, options, var};

const PATIENCE: Duration = Duration::from_mins(2);

/// A cluster with the platform's tables, and the settings that back it up and archive its log.
struct Rig {
    cluster: Cluster,
    backups: Backups,
    /// The settings, as `jobctl` is given them.
    flags: Vec<(String, String)>,
    folder: tempfile::TempDir,
}

impl Rig {
    async fn new() -> Self {
        let cluster = Cluster::start(&["wal_level=replica", "summarize_wal=on"]);
        fill(&cluster.url()).await;
        let folder = tempfile::tempdir().unwrap();
        let wal = folder.path().join("wal");
        let url = cluster.url();
        let further = [
            ("backups.targets.main.url", url.as_str()),
            ("backups.targets.main.incremental", "1"),
            ("backups.targets.main.wal.folder", wal.to_str().unwrap()),
            ("backups.targets.main.wal.partial_ms", "200"),
        ];
        let place = folder.path().join("backups");
        let options = options(&place, Kind::PostgresPhysical, &further);
        let more = [&further[..], &[("database.url", url.as_str())]].concat();
        let flags = flags(&place, Kind::PostgresPhysical, &more);
        let backups = Backups::new(&options, serde_json::json!({})).unwrap();
        Self {
            cluster,
            backups: backups.with_probe(compose::probe),
            flags,
            folder,
        }
    }

    async fn backup(&self) -> Manifest {
        let folder = tempfile::tempdir().unwrap();
        let never = CancellationToken::new();
        let mut made = manifest(Kind::PostgresPhysical);
        let work = Work {
            backups: &self.backups,
            target: self.backups.target(TARGET).unwrap(),
            folder: &folder.path().join("copy"),
            cancel: &never,
            deadline: Instant::now() + PATIENCE,
        };
        let copy = create(&work, &mut made).await.unwrap();
        made.finished = now();
        let transfer = Transfer::new(never.clone(), 0);
        let repository = self.backups.repository(PLACE).unwrap();
        repository
            .upload(&mut made, &copy, &transfer)
            .await
            .unwrap();
        repository.publish(&made, &transfer).await.unwrap()
    }

    async fn verify(&self, backup: &Manifest, level: Level, moment: Option<Moment>) -> Evidence {
        let verification = Verification {
            target: TARGET.to_owned(),
            backup: Some(backup.id.clone()),
            place: None,
            level,
            job: uuid::Uuid::now_v7(),
            moment,
        };
        let never = CancellationToken::new();
        verification.run(&self.backups, now, &never).await.unwrap()
    }

    /// Archives until it is told to stop.
    fn archive(
        &self,
    ) -> (
        CancellationToken,
        watch::Receiver<Archiving>,
        tokio::task::JoinHandle<()>,
    ) {
        let stop = CancellationToken::new();
        let (told, heard) = watch::channel(Archiving::default());
        let (backups, token) = (self.backups.clone(), stop.clone());
        let archiving = tokio::spawn(async move {
            let server = backups.server(TARGET).unwrap();
            let archiver = Archiver::new(&backups, TARGET, server, token).unwrap();
            let until = Instant::now() + PATIENCE;
            archiver.run(until, now, &told).await.unwrap();
        });
        (stop, heard, archiving)
    }
}

async fn soon(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let mut pulse = tokio::time::interval(Duration::from_millis(20));
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is().await {
            pulse.tick().await;
        }
    });
    waited
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_cluster_comes_back_to_its_last_second_and_to_any_before() {
    let rig = Rig::new().await;
    let (stop, mut heard, archiving) = rig.archive();
    // The server has been asked about the slot: it is there, and keeps the log from here on.
    tokio::time::timeout(PATIENCE, heard.changed())
        .await
        .unwrap()
        .unwrap();
    let full = rig.backup().await;
    assert_eq!(full.parent, None);
    let evidence = rig.verify(&full, Level::Started, None).await;
    assert_eq!(evidence.reason, None);
    assert_eq!(evidence.level, Level::Started);
    let told = evidence.checks.join("\n");
    for check in [
        "pg_verifybackup found",
        "pg_waldump read the log",
        "not run: recovery to a point",
    ] {
        assert!(told.contains(check), "{check} is not in {told}");
    }

    // Writes go on: canaries with a file of the log between each two, then a row every few milliseconds.
    let mut connection = PgConnection::connect(&rig.cluster.url()).await.unwrap();
    for _ in 0..4 {
        assert!(plant(&mut connection).await.unwrap());
        tokio::time::sleep(Duration::from_millis(50)).await;
        sqlx::query("select pg_switch_wal()")
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let second = rig.backup().await;
    assert_eq!(
        second.parent.as_ref(),
        Some(&full.id),
        "the next one holds what changed"
    );
    let evidence = rig.verify(&second, Level::Contents, None).await;
    assert_eq!(
        (evidence.reason.clone(), evidence.level),
        (None, Level::Contents)
    );
    sqlx::query("create table ticks (n int, at timestamptz)")
        .execute(&mut connection)
        .await
        .unwrap();
    let mut last = 0;
    let writing = Instant::now();
    while writing.elapsed() < Duration::from_secs(2) {
        last += 1;
        sqlx::query("insert into ticks values ($1, clock_timestamp())")
            .bind(last)
            .execute(&mut connection)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let lost_at = now();
    rig.cluster.kill();
    // The loss ends nothing, and who is told to stop puts away all that has come.
    stop.cancel();
    archiving.await.unwrap();

    // Everything is back but, at most, the last second.
    let to = rig.folder.path().join("restored");
    let restore = Restore {
        target: TARGET.to_owned(),
        backup: None,
        place: None,
        to: to.to_str().unwrap().to_owned(),
        table: None,
        to_time: None,
        overwrite: None,
    };
    let transfer = Transfer::new(CancellationToken::new(), 0);
    let newest = restore.manifest(&rig.backups).await.unwrap();
    assert_eq!(newest.id, second.id);
    let restored = restore.run(&rig.backups, newest, &transfer).await.unwrap();
    let url = secrecy::ExposeSecret::expose_secret(restored.database.as_ref().unwrap()).to_owned();
    let mut copy = PgConnection::connect(&url).await.unwrap();
    let (ticks, newest): (i64, i64) = sqlx::query_as(
        "select count(*), (extract(epoch from max(at)) * 1000000)::bigint from ticks",
    )
    .fetch_one(&mut copy)
    .await
    .unwrap();
    let newest = Timestamp::from_micros(newest);
    assert!(
        lost_at.since(newest) <= Duration::from_secs(1),
        "{ticks} of {last}, until {newest}"
    );
    assert!(ticks > 10 && ticks <= i64::from(last), "{ticks} of {last}");
    copy.close().await.unwrap();
    restored.finish().await.unwrap();
    assert!(to.join("PG_VERSION").exists());
    let refused = restore
        .run(&rig.backups, second.clone(), &transfer)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("is not empty"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_brought_to_a_moment_and_a_missing_piece_of_log_is_named() {
    let rig = Rig::new().await;
    let (stop, mut heard, archiving) = rig.archive();
    tokio::time::timeout(PATIENCE, heard.changed())
        .await
        .unwrap()
        .unwrap();
    let full = rig.backup().await;
    let mut connection = PgConnection::connect(&rig.cluster.url()).await.unwrap();
    let mut last = String::new();
    for _ in 0..4 {
        assert!(plant(&mut connection).await.unwrap());
        tokio::time::sleep(Duration::from_millis(50)).await;
        let file = sqlx::query_scalar("select pg_walfile_name(pg_current_wal_lsn())");
        last = file.fetch_one(&mut connection).await.unwrap();
        sqlx::query("select pg_switch_wal()")
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let server = rig.backups.server(TARGET).unwrap();
    let planted = canaries(&server, full.finished).await.unwrap().unwrap();
    assert!(planted.len() >= 4, "{planted:?}");
    let repository = rig.backups.repository(PLACE).unwrap();
    soon("the canaries are archived", async || {
        let archived = repository.segments(TARGET).await.unwrap();
        archived.contains(&last)
    })
    .await;
    stop.cancel();
    archiving.await.unwrap();

    let third = planted[planted.len() - 2];
    let to = third + planted[planted.len() - 1].since(third) / 2;
    let count = planted.len() as u64 - 1;
    let moment = |count| Moment {
        to,
        canaries: Some(Canaries {
            since: planted[0],
            count,
        }),
    };
    let evidence = rig.verify(&full, Level::Started, Some(moment(count))).await;
    assert_eq!(
        (evidence.reason.clone(), evidence.level),
        (None, Level::Started)
    );
    let told = evidence.checks.join("\n");
    assert!(
        told.contains(&format!(
            "all {count} canaries planted until then are there"
        )),
        "{told}"
    );
    assert!(evidence.figures["point_in_time_seconds"] > 0.0);

    // The same by hand: the data folder holds what there was at that moment, and a server starts on it.
    let goal = std::path::Path::new(&var("TEST_PG_SCRATCH"))
        .join(format!("to-time-{}", uuid::Uuid::new_v4().simple()));
    let at = to
        .to_datetime()
        .to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let words = ["backup", "restore", TARGET, "--to", goal.to_str().unwrap()];
    let (exit, told, said) = jobctl(
        &rig.flags,
        &[&words[..], &["--to-time", at.as_str()]].concat(),
    )
    .await;
    assert_eq!(exit, Exit::Done, "{said}");
    assert_eq!(told["backup"], full.id.as_str());
    let copy = Cluster::on(goal);
    let server = PostgresServer::new(&copy.url().into()).unwrap();
    let there = canaries(&server, planted[0]).await.unwrap().unwrap();
    assert_eq!(there, planted[..planted.len() - 1]);
    drop(copy);

    let evidence = rig
        .verify(&full, Level::PointInTime, Some(moment(count + 1)))
        .await;
    let reason = evidence.reason.unwrap();
    assert!(reason.contains("canaries; restored are"), "{reason}");

    // A piece of the log between the backup and the moment goes missing.
    let names = repository.segments(TARGET).await.unwrap();
    let missing = names
        .iter()
        .filter(|name| name.len() == 24)
        .rev()
        .nth(1)
        .unwrap();
    let place = rig.folder.path().join("backups").join(TARGET).join("wal");
    for name in [missing.clone(), format!("{missing}.json")] {
        std::fs::remove_file(place.join(name)).unwrap();
    }
    let evidence = rig
        .verify(&full, Level::PointInTime, Some(moment(count)))
        .await;
    let reason = evidence.reason.unwrap();
    assert_eq!(
        (evidence.outcome, evidence.level),
        (Verdict::Failed, Level::PointInTime)
    );
    assert!(
        reason.contains(&format!("the archive lacks {missing}")),
        "{reason}"
    );
}
