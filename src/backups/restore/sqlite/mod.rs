//! A SQLite file, put where there was none.

use std::path::Path;

use secrecy::SecretString;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use super::{Error, Work, beside, put_in_place};

pub(super) async fn restore(work: &Work<'_>, folder: &Path) -> Result<SecretString, Error> {
    let to = Path::new(&work.restore.to);
    let [file] = &work.manifest.files[..] else {
        return Err(Error::damaged(
            "manifest.json",
            "it names more or less than one file",
        ));
    };
    let partial = beside(to);
    tokio::fs::copy(folder.join(&file.path), &partial)
        .await
        .map_err(Error::io(format!("copying to {}", partial.display())))?;
    put_in_place(&partial, to)?;
    // What a replaced file had still to say would be added to this one.
    for ending in ["-wal", "-shm"] {
        let mut name = to.as_os_str().to_owned();
        name.push(ending);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("deleting the old write-ahead log")(error));
            }
            _ => {}
        }
    }
    Ok(format!("sqlite:{}", to.display()).into())
}

/// See [`super::fence`].
pub(super) async fn fence(file: &Path) -> Result<Option<u64>, Error> {
    let away = |error: sqlx::Error| Error::Unavailable {
        what: file.display().to_string(),
        reason: error.to_string(),
    };
    let mut connection = SqliteConnectOptions::new()
        .filename(file)
        .connect()
        .await
        .map_err(away)?;
    let there: i64 = sqlx::query_scalar(include_str!("sql/has_queue.sql"))
        .fetch_one(&mut connection)
        .await
        .map_err(away)?;
    if there == 0 {
        return Ok(None);
    }
    let fenced = sqlx::query(include_str!("sql/fence.sql"))
        .execute(&mut connection)
        .await
        .map_err(away)?;
    Ok(Some(fenced.rows_affected()))
}
