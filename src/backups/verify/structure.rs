//! Whether the tool that reads it reads it to the end.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use super::{Fault, Found, Trial, physical, redis, sqlite};
use crate::backups::{Error, Kind, layout};

/// The last words of a dump in SQL.
const DUMPED: &str = "PostgreSQL database dump complete";
/// And of one of roles.
const CLUSTER_DUMPED: &str = "PostgreSQL database cluster dump complete";

pub(super) async fn structure(trial: &Trial<'_>, found: &mut Found) -> Result<(), Fault> {
    match trial.manifest.kind {
        Kind::PostgresLogical => logical(trial, found).await,
        Kind::PostgresPhysical => physical::structure(trial, found).await,
        Kind::Sqlite => sqlite::structure(trial, found).await,
        Kind::Redis => redis::structure(trial, found).await,
        Kind::Rabbitmq => definitions(trial, found).await,
        Kind::Folder => {
            found.saw(format!(
                "{} files, as they were",
                trial.manifest.files.len()
            ));
            Ok(())
        }
        Kind::Configuration => json(trial, found).await,
    }
}

/// Reads the dump to its end, which `pg_restore --list` does not: it would pass one that is cut off.
async fn logical(trial: &Trial<'_>, found: &mut Found) -> Result<(), Fault> {
    let dump = trial.folder.join(layout::DUMP);
    let list = trial.postgres("pg_restore").arg("--list").arg(&dump);
    let contents = trial.run(list).await?;
    whose(trial, &contents)?;
    complete(trial, &contents)?;
    let read = trial.postgres("pg_restore").args(["--file", "/dev/null"]);
    trial.run(read.arg(&dump)).await?;
    found.saw("pg_restore read every file of the dump to its end");
    for file in &trial.manifest.files {
        let path = trial.folder.join(&file.path);
        if file.path == layout::GLOBALS {
            ends_with(&file.path, &path, CLUSTER_DUMPED).await?;
        } else if file.path.ends_with(".sql.gz") {
            ends_with(&file.path, &path, DUMPED).await?;
            found.saw(format!("{} unpacks to its end", file.path));
        }
    }
    Ok(())
}

/// Of which database it is, by its own words.
fn whose(trial: &Trial<'_>, contents: &str) -> Result<(), Fault> {
    let named = contents
        .lines()
        .find_map(|line| line.trim_start_matches([';', ' ']).strip_prefix("dbname: "));
    let Some(expected) = &trial.manifest.database else {
        return Err(Fault::Broken("manifest.json names no database".to_owned()));
    };
    if named != Some(expected) {
        return Err(Fault::Broken(format!(
            "{}/toc.dat: it is a dump of the database {}, not of {expected}",
            layout::DUMP,
            named.unwrap_or("(none)")
        )));
    }
    Ok(())
}

/// Whether it holds the rows of each table that had some.
fn complete(trial: &Trial<'_>, contents: &str) -> Result<(), Fault> {
    // `3517; 0 16391 TABLE DATA public messages owner`: a name may hold blanks, so it is looked for whole.
    let with_rows: BTreeSet<&str> = contents
        .lines()
        .filter_map(|line| {
            line.split_once(" TABLE DATA ")
                .or_else(|| line.split_once(" MATERIALIZED VIEW DATA "))
        })
        .map(|(_, rest)| rest)
        .collect();
    for (table, rows) in trial.manifest.rows.iter().filter(|(_, rows)| **rows > 0) {
        let entry = format!("{} ", table.replacen('.', " ", 1));
        if !with_rows.iter().any(|line| line.starts_with(&entry)) {
            return Err(Fault::Broken(format!(
                "{}/toc.dat: the {rows} rows of table {table} are not in the dump",
                layout::DUMP
            )));
        }
    }
    Ok(())
}

/// Whether a text, which may be packed, ends as it should.
async fn ends_with(name: &str, path: &Path, last: &'static str) -> Result<(), Fault> {
    let path = path.to_owned();
    let packed = name.strip_suffix(".gz").is_some();
    let read = tokio::task::spawn_blocking(move || {
        let file = std::fs::File::open(path)?;
        if packed {
            found_at_end(flate2::read::MultiGzDecoder::new(file), last)
        } else {
            found_at_end(file, last)
        }
    });
    let ended = read
        .await
        .map_err(|error| Fault::Broken(format!("{name}: {error}")))?
        .map_err(|error| Fault::Broken(format!("{name}: {error}")))?;
    if ended {
        return Ok(());
    }
    Err(Fault::Broken(format!(
        "{name}: it is cut off: its last words are missing"
    )))
}

/// Whether these words stand in the last lines.
fn found_at_end(text: impl std::io::Read, words: &str) -> std::io::Result<bool> {
    let mut reader = BufReader::new(text);
    let mut seen = false;
    let mut line = Vec::new();
    loop {
        line.clear();
        // A line is a row: never more of it than this in memory.
        if reader.by_ref().take(1 << 20).read_until(b'\n', &mut line)? == 0 {
            return Ok(seen);
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if text.starts_with("-- ") && text.contains(words) {
            seen = true;
        } else if !text.is_empty() && !text.starts_with("--") && !text.starts_with('\\') {
            // Something comes after the end.
            seen = false;
        }
    }
}

/// RabbitMQ's definitions are JSON with at least a vhost in it.
async fn definitions(trial: &Trial<'_>, found: &mut Found) -> Result<(), Fault> {
    for file in &trial.manifest.files {
        let value = parse(trial, &file.path).await?;
        let count = |what: &str| value.get(what).and_then(|it| it.as_array()).map(Vec::len);
        let (Some(vhosts), Some(queues)) = (count("vhosts"), count("queues")) else {
            let reason = format!("{}: it lists no vhosts or no queues", file.path);
            return Err(Fault::Broken(reason));
        };
        if vhosts == 0 {
            return Err(Fault::Broken(format!("{}: it holds no vhost", file.path)));
        }
        found.saw(format!("{}: {vhosts} vhosts, {queues} queues", file.path));
    }
    Ok(())
}

async fn json(trial: &Trial<'_>, found: &mut Found) -> Result<(), Fault> {
    for file in &trial.manifest.files {
        if file.path.strip_suffix(".json").is_some() {
            parse(trial, &file.path).await?;
            found.saw(format!("{} is JSON", file.path));
        }
    }
    Ok(())
}

async fn parse(trial: &Trial<'_>, path: &str) -> Result<serde_json::Value, Fault> {
    let text = tokio::fs::read(trial.folder.join(path))
        .await
        .map_err(Error::io(format!("reading {path}")))?;
    // Only where it breaks is told: what stands there may be a secret.
    serde_json::from_slice(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Fault::Broken(format!(
            "{path}: it is no JSON at line {line}, column {column}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::found_at_end;

    #[test]
    fn a_dump_that_is_cut_off_does_not_end() {
        let words = "PostgreSQL database dump complete";
        let whole =
            "COPY x;\n\\.\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n";
        assert!(found_at_end(whole.as_bytes(), words).unwrap());
        let cut = &whole[..whole.find("-- Postgre").unwrap()];
        assert!(!found_at_end(cut.as_bytes(), words).unwrap());
        let more = format!("{whole}select 1;\n");
        assert!(!found_at_end(more.as_bytes(), words).unwrap());
    }
}
