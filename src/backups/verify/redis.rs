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
    let files = &trial.manifest.files;
    let snapshot = files
        .iter()
        .find(|file| file.path.strip_suffix(".rdb").is_some() && !file.path.contains('/'));
    if let Some(file) = snapshot {
        let args = ["--appendonly", "no", "--dbfilename", "dump.rdb"];
        let own = [(file.path.as_str(), "dump.rdb".to_owned())];
        let keys = load(trial, &file.path, &own, &args, found).await?;
        found.count("keys", keys);
    }
    let set = files
        .iter()
        .find_map(|file| file.path.strip_suffix(".manifest"));
    if let Some((folder, name)) = set.and_then(|path| path.split_once('/')) {
        let args = [
            ["--appendonly", "yes"],
            ["--appenddirname", folder],
            ["--appendfilename", name],
            ["--aof-load-truncated", "no"],
        ];
        let of_set = files.iter().filter(|file| {
            file.path
                .split_once('/')
                .is_some_and(|(it, _)| it == folder)
        });
        let own: Vec<_> = of_set
            .map(|file| (file.path.as_str(), file.path.clone()))
            .collect();
        let shown = format!("{folder}/{name}");
        let keys = load(trial, &shown, &own, &args.concat(), found).await?;
        found.count("append_only_keys", keys);
    }
    if snapshot.is_none() && set.is_none() {
        found.saw("there is nothing to load");
    }
    Ok(())
}

/// Has a server load these files, each under its name there; how many keys it then has.
async fn load(
    trial: &Trial<'_>,
    shown: &str,
    files: &[(&str, String)],
    args: &[&str],
    found: &mut Found,
) -> Result<u64, Fault> {
    let began = Instant::now();
    let options = trial.scratch();
    let folder = ScratchFolder::create(&options.folder, options.run_as)?;
    for (from, to) in files {
        let to = folder.path().join(to);
        if let Some(parent) = to.parent() {
            let made = tokio::fs::create_dir_all(parent).await;
            made.map_err(Error::io("making a folder for Redis"))?;
        }
        tokio::fs::copy(trial.folder.join(from), to)
            .await
            .map_err(Error::io(format!("copying {from}")))?;
    }
    let socket = folder.path().join("redis.sock");
    let server = trial
        .redis("redis-server")
        .args(["--port", "0", "--save", "", "--daemonize", "no"])
        .args(args.iter().copied())
        .arg("--dir")
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
            let reason = format!("{shown}: redis-server does not load it ({status})");
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
    found.saw(format!("redis-server loaded {shown} with {keys} keys"));
    Ok(keys)
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
