//! A physical backup of PostgreSQL: read by PostgreSQL's own checker, started, brought to a moment.

use std::path::Path;
use std::time::Instant;

use super::postgres::{database, look, refused};
use super::{Archived, Fault, Found, Trial, not_run};
use crate::backups::create::SUPERUSER;
use crate::backups::segments;
use crate::backups::throwaway::{Instance, ScratchError, ScratchFolder};
use crate::backups::unpack::{BackupManifest, Unpacker};
use crate::backups::{Error, Evidence, Level, layout};

pub(super) async fn structure(trial: &Trial<'_>, found: &mut Found) -> Result<(), Fault> {
    let links = links(trial);
    for link in &links {
        let verify = trial
            .postgres("pg_verifybackup")
            .args(["--no-parse-wal", "--quiet"]);
        trial.run(verify.arg(*link)).await?;
    }
    found.saw(format!(
        "pg_verifybackup found every file of {} backups as listed",
        links.len()
    ));
    let scratch = trial.scratch();
    let folder = ScratchFolder::create(&scratch.folder, scratch.run_as)?;
    let unpacker = unpacker(trial);
    unpacker
        .untar(&trial.folder.join(layout::WAL), folder.path())
        .await?;
    for range in BackupManifest::read(trial.folder)?.ranges {
        let dump = trial
            .postgres("pg_waldump")
            .args(["--quiet", "--path"])
            .arg(folder.path())
            .args([
                format!("--timeline={}", range.timeline),
                format!("--start={}", range.start),
                format!("--end={}", range.end),
            ]);
        trial.run(dump).await.map_err(|error| match error {
            Error::ToolFailed { message, .. } => {
                Fault::Broken(format!("{}: pg_waldump: {message}", layout::WAL))
            }
            other => other.into(),
        })?;
        found.saw(format!(
            "pg_waldump read the log from {} to {} of timeline {}",
            range.start, range.end, range.timeline
        ));
    }
    Ok(())
}

/// Starts it, looks at what is in it, and brings it to a moment.
pub(super) async fn try_out(
    trial: &Trial<'_>,
    to: Level,
    found: &mut Found,
) -> Result<(), (Level, Fault)> {
    let at = |level| move |fault| (level, fault);
    let name = database(trial).map_err(at(Level::Restored))?;
    let began = Instant::now();
    let instance = recovered(trial, &[]).await.map_err(at(Level::Restored))?;
    found.took(Evidence::RESTORE_SECONDS, began);
    found.count("bytes", trial.manifest.size());
    found.saw("PostgreSQL started on it and recovered to the end of the backup");
    found.held = Some(Level::Restored);
    // What was written while it was copied may be in it.
    let as_of = trial.manifest.finished;
    look(
        trial,
        &instance,
        name,
        as_of,
        to.min(Level::Contents),
        found,
    )
    .await?;
    if to < Level::PointInTime {
        return Ok(());
    }
    let Some(archived) = trial.wal else {
        let why = "no write-ahead log of two canaries since this backup is archived";
        found.saw(not_run("recovery to a point in time", why));
        return look(trial, &instance, name, as_of, to, found).await;
    };
    drop(instance);
    let instance = at_moment(trial, name, archived, found)
        .await
        .map_err(at(Level::PointInTime))?;
    found.held = Some(Level::PointInTime);
    look(trial, &instance, name, archived.moment.to, to, found).await
}

async fn at_moment(
    trial: &Trial<'_>,
    database: &str,
    archived: &Archived,
    found: &mut Found,
) -> Result<Instance, Fault> {
    let began = Instant::now();
    let to = archived.moment.to;
    let recovery = recovery(&archived.folder, Some(to));
    let instance = match recovered(trial, &recovery).await {
        Ok(instance) => instance,
        Err(Fault::Untried(Error::Scratch(ScratchError::Start(told)))) => {
            let gap = segments::gap(&archived.folder, trial.manifest)?;
            let why = gap.map_or(told, |missing| format!("the archive lacks {missing}"));
            let reason = format!("it cannot be brought to {to}: {why}");
            return Err(Fault::Broken(reason));
        }
        Err(other) => return Err(other),
    };
    found.took("point_in_time_seconds", began);
    found.saw(format!("recovered to {to}"));
    let Some(canaries) = archived.moment.canaries else {
        found.saw(not_run(
            "the canary",
            "this database has no table of canaries",
        ));
        return Ok(instance);
    };
    let mut connection = instance.connect(database).await.map_err(refused)?;
    let (there, late): (i64, i64) = sqlx::query_as(include_str!("sql/canaries.sql"))
        .bind(canaries.since.as_micros())
        .bind(to.as_micros())
        .fetch_one(&mut connection)
        .await
        .map_err(refused)?;
    let planted = canaries.count;
    if late > 0 || there.unsigned_abs() != planted {
        return Err(Fault::Broken(format!(
            "until {to} there were {planted} canaries; restored are {there}, and {late} of a later time"
        )));
    }
    found.count("canaries", planted);
    found.saw(format!(
        "all {planted} canaries planted until then are there, and no later one"
    ));
    Ok(instance)
}

/// How a server gets to a moment, or to the end of the log.
pub(in crate::backups) fn recovery(
    archive: &Path,
    to: Option<windlass::Timestamp>,
) -> Vec<(&'static str, String)> {
    let quoted = archive.display().to_string().replace('\'', "'\\''");
    let mut settings = vec![
        ("restore_command", format!("cp '{quoted}/%f' \"%p\"")),
        ("recovery_target_action", "promote".to_owned()),
    ];
    if let Some(to) = to {
        settings.push(("recovery_target_time", recovery_time(to)));
    }
    settings
}

/// A moment as PostgreSQL reads it from its settings, where it does not know `Z`.
pub(in crate::backups) fn recovery_time(moment: windlass::Timestamp) -> String {
    let moment = moment.to_datetime();
    moment.format("%Y-%m-%d %H:%M:%S%.6f+00").to_string()
}

/// A server on the backup's data, recovered by these settings, or by what it brings along.
async fn recovered(
    trial: &Trial<'_>,
    recovery: &[(&'static str, String)],
) -> Result<Instance, Fault> {
    let scratch = trial.scratch();
    let folder = ScratchFolder::create(&scratch.folder, scratch.run_as)?;
    let data = unpacker(trial).data(&links(trial), folder.path()).await?;
    if !recovery.is_empty() {
        folder.write(&data.join("recovery.signal"), "")?;
    }
    folder
        .own_all(&data)
        .map_err(Error::io("giving the data folder to its owner"))?;
    let superuser = trial.manifest.details.get(SUPERUSER);
    let superuser = superuser.map_or("postgres", String::as_str);
    let started = Instance::recovered(
        &scratch,
        folder,
        data,
        superuser,
        recovery,
        trial.patience(),
    );
    match started.await {
        Ok(instance) => Ok(instance),
        // By itself it has all it needs: whatever keeps it from starting is its fault.
        Err(ScratchError::Start(told)) if recovery.is_empty() => Err(Fault::Broken(format!(
            "PostgreSQL does not start on it: {told}"
        ))),
        Err(other) => Err(other.into()),
    }
}

fn links<'a>(trial: &'a Trial<'_>) -> Vec<&'a Path> {
    let parents = trial.chain.iter().map(|(_, folder)| folder.as_path());
    parents.chain(std::iter::once(trial.folder)).collect()
}

const fn unpacker<'a>(trial: &'a Trial<'_>) -> Unpacker<'a> {
    Unpacker {
        options: trial.options,
        cancelled: trial.cancelled,
    }
}
