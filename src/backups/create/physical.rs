//! A whole PostgreSQL cluster by `pg_basebackup`: its files, the log they need, and what it says of them. From
//! PostgreSQL 17 on, if the server notes which blocks change, some hold only what changed since the one before.

use std::path::{Path, PathBuf};

use sqlx::{ConnectOptions as _, Row as _};

use super::{Error, Work};
use crate::backups::command::Tool;
use crate::backups::segments::SEGMENT_BYTES;
use crate::backups::unpack::BackupManifest;
use crate::backups::{Manifest, PostgresServer, Repository, layout};

const PG_BIN: &str = "backups.tools.pg_bin";
/// The detail of a manifest that names the role all may be asked as.
pub(in crate::backups) const SUPERUSER: &str = "superuser";
/// From which version on a backup may build on another.
const INCREMENTAL: i32 = 170_000;

/// What the server says of itself.
struct Cluster {
    version: String,
    number: i32,
    system_identifier: String,
    superuser: String,
    summarizes: bool,
    segment_bytes: String,
}

pub(super) async fn copy(work: &Work<'_>, manifest: &mut Manifest) -> Result<(), Error> {
    let server = PostgresServer::new(&work.target.url)
        .map_err(|e| Error::setting("backups.targets", format!("url: {e}")))?;
    let cluster = work
        .bounded("connecting to PostgreSQL", ask(&server))
        .await?;
    manifest.database = server.database();
    let parent = parent(work, manifest, &cluster).await?;
    let mut copy = tool(work, "pg_basebackup", &server)
        .args(["--format=tar", "--wal-method=stream", "--checkpoint=fast"])
        .args([
            "--manifest-checksums=SHA256",
            "--label=metachat-jobs",
            "--no-sync",
        ])
        .arg("--pgdata")
        .arg(work.folder);
    if let Some((_, file)) = &parent {
        copy = copy.arg("--incremental").arg(file);
    }
    let copied = work.run(copy).await;
    if let Some((id, file)) = parent {
        manifest.parent = Some(id);
        // It is of the parent, which has it.
        tokio::fs::remove_file(&file)
            .await
            .map_err(Error::io("deleting the parent's backup_manifest"))?;
    }
    copied?;
    describe(&cluster, work.folder, manifest)
}

async fn ask(server: &PostgresServer) -> Result<Cluster, Error> {
    let asked = async {
        let mut connection = server
            .options()
            .disable_statement_logging()
            .connect()
            .await?;
        let row = sqlx::raw_sql(include_str!("sql/cluster.sql"))
            .fetch_one(&mut connection)
            .await?;
        Ok::<_, sqlx::Error>(Cluster {
            version: row.try_get("version")?,
            number: row.try_get("version_number")?,
            system_identifier: row.try_get("system_identifier")?,
            superuser: row.try_get("superuser")?,
            summarizes: row.try_get("summarizes")?,
            segment_bytes: row.try_get("segment_bytes")?,
        })
    };
    asked.await.map_err(|e| Error::Unavailable {
        what: server.address(),
        reason: e.to_string(),
    })
}

/// The backup to build on, and its `backup_manifest`, beside the folder of the copy.
async fn parent(
    work: &Work<'_>,
    manifest: &Manifest,
    cluster: &Cluster,
) -> Result<Option<(crate::backups::BackupId, PathBuf)>, Error> {
    if work.target.incremental == 0 || cluster.number < INCREMENTAL || !cluster.summarizes {
        return Ok(None);
    }
    let repository: &Repository = work.backups.repository(&work.target.place)?;
    let backups = repository.list(&manifest.target).await?;
    let built = backups
        .iter()
        .rev()
        .take_while(|backup| backup.manifest.parent.is_some());
    let Some(last) = backups.last() else {
        return Ok(None);
    };
    let same = last.manifest.system_identifier.as_deref() == Some(&cluster.system_identifier);
    if !same || built.count() >= work.target.incremental as usize {
        return Ok(None);
    }
    let file = work.folder.with_extension("parent");
    repository
        .fetch_file(&last.manifest, layout::BACKUP_MANIFEST, &file, work.cancel)
        .await?;
    Ok(Some((last.manifest.id.clone(), file)))
}

/// What was copied.
fn describe(cluster: &Cluster, folder: &Path, manifest: &mut Manifest) -> Result<(), Error> {
    let said = BackupManifest::read(folder)?;
    let (Some(first), Some(last)) = (said.ranges.first(), said.ranges.last()) else {
        let reason = "it names no stretch of the write-ahead log";
        return Err(Error::damaged(layout::BACKUP_MANIFEST, reason));
    };
    let own = &cluster.system_identifier;
    if said
        .system_identifier
        .is_some_and(|it| it.to_string() != *own)
    {
        let reason = format!("it is of another cluster than {own}");
        return Err(Error::damaged(layout::BACKUP_MANIFEST, reason));
    }
    manifest.start_lsn = Some(first.start.clone());
    manifest.end_lsn = Some(last.end.clone());
    manifest.timeline = Some(last.timeline);
    manifest.server_version = Some(cluster.version.clone());
    manifest.system_identifier = Some(own.clone());
    let superuser = cluster.superuser.clone();
    manifest.details.insert(SUPERUSER.to_owned(), superuser);
    let segment_bytes = cluster.segment_bytes.clone();
    manifest
        .details
        .insert(SEGMENT_BYTES.to_owned(), segment_bytes);
    Ok(())
}

fn tool(work: &Work<'_>, name: &str, server: &PostgresServer) -> Tool {
    let tool = Tool::new(work.backups.options().tools.postgres(name), PG_BIN)
        .arg("--no-password")
        .arg(format!("--dbname={}", server.for_tools()));
    let rate = work.backups.options().bandwidth_bytes;
    let tool = if rate > 0 {
        // In kilobytes, between the bounds that it takes.
        tool.arg(format!(
            "--max-rate={}",
            (rate / 1024).clamp(32, 1024 * 1024)
        ))
    } else {
        tool
    };
    match server.password() {
        Some(password) => tool.secret("PGPASSWORD", password.clone()),
        None => tool,
    }
}
