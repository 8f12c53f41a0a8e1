//! A SQLite file, put where there was none.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::{Error, Work, beside, put_in_place};

/// A file that is whole, and does not have its name yet.
#[derive(Debug)]
pub(super) struct Fresh {
    partial: PathBuf,
    to: PathBuf,
}

impl Fresh {
    pub(super) fn url(&self) -> SecretString {
        format!("sqlite:{}", self.partial.display()).into()
    }

    /// Puts it where it is to be, with all that was written to it since.
    pub(super) async fn finish(self) -> Result<(), Error> {
        let away = |e: sqlx::Error| unavailable(&self.partial, &e);
        let mut connection = connect(&self.partial).await.map_err(away)?;
        sqlx::query(include_str!("sql/checkpoint.sql"))
            .execute(&mut connection)
            .await
            .map_err(away)?;
        connection.close().await.map_err(away)?;
        put_in_place(&self.partial, &self.to)?;
        // What a replaced file had still to say would be added to this one.
        remove_log(&self.partial)?;
        remove_log(&self.to)
    }
}

pub(super) async fn restore(work: &Work<'_>, folder: &Path) -> Result<Fresh, Error> {
    let to = Path::new(&work.restore.to);
    let [file] = &work.manifest.files[..] else {
        return Err(Error::damaged(
            "manifest.json",
            "it names more or less than one file",
        ));
    };
    let partial = beside(to);
    remove_log(&partial)?;
    tokio::fs::copy(folder.join(&file.path), &partial)
        .await
        .map_err(Error::io(format!("copying to {}", partial.display())))?;
    Ok(Fresh {
        partial,
        to: to.to_owned(),
    })
}

fn remove_log(file: &Path) -> Result<(), Error> {
    for ending in ["-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(ending);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("deleting the old write-ahead log")(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn unavailable(file: &Path, error: &sqlx::Error) -> Error {
    Error::Unavailable {
        what: file.display().to_string(),
        reason: error.to_string(),
    }
}

async fn connect(file: &Path) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new().filename(file).connect().await
}

/// See [`super::fence`].
pub(super) async fn fence(file: &Path) -> Result<Option<u64>, Error> {
    let away = |error: sqlx::Error| unavailable(file, &error);
    let mut connection = connect(file).await.map_err(away)?;
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
