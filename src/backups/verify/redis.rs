//! Redis' files, read by Redis' own checkers, and loaded by a server of our own. Never `--fix`: that would
//! change what is to be checked.

use std::time::{Duration, Instant};

use super::{Fault, Found, Trial};
use crate::backups::throwaway::ScratchFolder;
use crate::backups::{Error, Evidence, Level};

pub(super) async fn structure(trial: &Trial<'_>, found: &mut Found) -> Result<(), Fault> {
    let mut any = false;
    for file in &trial.manifest.files {
        let path = trial.folder.join(&file.path);
        let tool = if file.path.strip_suffix(".rdb").is_some() {
            "redis-check-rdb"
        } else if file.path.ends_with(".aof.manifest") {
            "redis-check-aof"
        } else {
            continue;
        };
        trial
            .run(trial.redis(tool).arg(path))
            .await
            .map_err(|error| match error {
                Error::ToolFailed { message, .. } => {
                    Fault::Broken(format!("{}: {tool} refuses it: {message}", file.path))
                }
                other => other.into(),
            })?;
        any = true;
        found.saw(format!("{tool} read {} to its end", file.path));
    }
    if any {
        return Ok(());
    }
    Err(Fault::Broken(
        "it holds neither an RDB file nor an append-only set".to_owned(),
    ))
}

/// Has a Redis of our own load it: without a network, gone afterwards.
pub(super) async fn try_out(trial: &Trial<'_>, found: &mut Found) -> Result<(), (Level, Fault)> {
    loaded(trial, found)
        .await
        .map_err(|fault| (Level::Restored, fault))?;
    found.held = Some(Level::Restored);
    Ok(())
}

async fn loaded(trial: &Trial<'_>, found: &mut Found) -> Result<(), Fault> {
    let Some(file) = trial
        .manifest
        .files
        .iter()
        .find(|file| file.path.strip_suffix(".rdb").is_some())
    else {
        found.saw("there is no RDB file to load");
        return Ok(());
    };
    let began = Instant::now();
    let options = trial.scratch();
    let folder = ScratchFolder::create(&options.folder, options.run_as)?;
    tokio::fs::copy(
        trial.folder.join(&file.path),
        folder.path().join("dump.rdb"),
    )
    .await
    .map_err(Error::io(format!("copying {}", file.path)))?;
    let socket = folder.path().join("redis.sock");
    let server = trial
        .redis("redis-server")
        .args([
            "--port",
            "0",
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
        ])
        .args(["--dbfilename", "dump.rdb", "--dir"])
        .arg(folder.path())
        .arg("--unixsocket")
        .arg(&socket);
    let mut server = server.start()?;
    let url = format!("unix://{}", socket.display());
    let keys = loop {
        if let Ok(keys) = keys(&url).await {
            break keys;
        }
        let pulse = Duration::from_millis(50);
        if let Ok(ended) = tokio::time::timeout(pulse, server.wait()).await {
            let status = ended?;
            let reason = format!("{}: redis-server does not load it ({status})", file.path);
            return Err(Fault::Broken(reason));
        }
        if began.elapsed() > trial.patience() {
            return Err(Fault::Untried(Error::TimedOut {
                what: "redis-server".to_owned(),
                after: trial.patience(),
            }));
        }
    };
    server.kill().await;
    found.took(Evidence::RESTORE_SECONDS, began);
    found.count("keys", keys);
    found.saw(format!(
        "redis-server loaded {} with {keys} keys",
        file.path
    ));
    Ok(())
}

/// How many keys it has in all, once it has loaded them.
async fn keys(url: &str) -> redis::RedisResult<u64> {
    let client = redis::Client::open(url)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let keyspace: String = redis::cmd("INFO")
        .arg("keyspace")
        .query_async(&mut connection)
        .await?;
    let loading: String = redis::cmd("INFO")
        .arg("persistence")
        .query_async(&mut connection)
        .await?;
    if !loading.contains("loading:0") {
        return Err((redis::ErrorKind::Client, "it is loading").into());
    }
    let counts = keyspace.lines().filter_map(|line| {
        let (_, rest) = line.split_once("keys=")?;
        rest.split(',').next()?.trim().parse::<u64>().ok()
    });
    Ok(counts.sum())
}
