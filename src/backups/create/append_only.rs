//! Redis' append-only set, from the server's own disk, while it is written to.
//!
//! Writes are held for the moment in which the set's files are opened and their lengths noted. So each ends at
//! the end of a command; what is added later is not read; and a file that the server then replaces stays whole
//! for whoever has it open.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::redis::{Server, refused};
use super::{Error, Work};
use crate::backups::{Manifest, layout};

/// How long writes are held at most, in milliseconds: the server ends it itself, should nobody else do so.
const HOLD: &str = "5000";
/// How often a set is opened anew that changed while it was opened.
const TRIES: usize = 5;

/// A file of the set, as long as it was.
struct Piece {
    name: String,
    file: File,
    length: u64,
}

pub(super) async fn copy(
    work: &Work<'_>,
    server: &Server,
    manifest: &mut Manifest,
) -> Result<(), Error> {
    let held = work
        .run(server.cli(work).args(["CLIENT", "PAUSE", HOLD, "WRITE"]))
        .await?;
    let told = String::from_utf8_lossy(&held.output).into_owned();
    if told.trim() != "OK" {
        return Err(refused("CLIENT PAUSE", &told));
    }
    let opened = open(&work.target.path);
    work.run(server.cli(work).args(["CLIENT", "UNPAUSE"]))
        .await?;
    let (list, text, pieces) = opened?;
    let folder = work.folder.join(layout::APPEND_ONLY);
    tokio::fs::create_dir(&folder)
        .await
        .map_err(Error::io(format!("making {}", folder.display())))?;
    let pieces_there = pieces.len();
    let writing = tokio::task::spawn_blocking(move || {
        for piece in pieces {
            write(piece, &folder)?;
        }
        let at = folder.join(list);
        std::fs::write(&at, text).map_err(Error::io(format!("writing {}", at.display())))
    });
    writing.await.unwrap_or_else(|e| {
        Err(Error::io("copying the append-only set")(
            std::io::Error::other(e),
        ))
    })?;
    manifest
        .details
        .insert("append_only_files".to_owned(), pieces_there.to_string());
    Ok(())
}

/// Opens the set: the name of its list, the list without what is only waiting to be deleted, and its files.
fn open(folder: &Path) -> Result<(String, String, Vec<Piece>), Error> {
    for _ in 1..TRIES {
        match open_once(folder) {
            // A rewrite has just replaced what the list named.
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            done => return done,
        }
    }
    open_once(folder)
}

fn open_once(folder: &Path) -> Result<(String, String, Vec<Piece>), Error> {
    let shown = folder.display();
    let entries = std::fs::read_dir(folder).map_err(Error::io(format!("reading {shown}")))?;
    let mut names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    // Redis writes a new list beside the old one, under a name that begins so, before it replaces it.
    let list = names.find(|name| name.ends_with(".aof.manifest") && !name.starts_with("temp-"));
    let list = list.ok_or_else(|| {
        let problem = format!(
            "{shown} holds no append-only set (no *.aof.manifest): set `appendonly yes` in Redis 7 or later, or \
             leave the path out"
        );
        Error::setting("backups.targets.<redis>.path", problem)
    })?;
    let at = folder.join(&list);
    let text =
        std::fs::read_to_string(&at).map_err(Error::io(format!("reading {}", at.display())))?;
    let (mut kept, mut pieces) = (String::new(), Vec::new());
    for line in text.lines() {
        // `file appendonly.aof.1.base.rdb seq 1 type b`
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["file", name, .., "type", kind] = words[..] else {
            let reason = format!("this line of it is not understood: {line:?}");
            return Err(Error::damaged(list, reason));
        };
        if kind == "h" {
            continue;
        }
        if name.contains('/') {
            return Err(Error::damaged(list, format!("it names {name:?}")));
        }
        let at = folder.join(name);
        let opened = File::open(&at).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (length, file) = opened.map_err(Error::io(format!("reading {}", at.display())))?;
        pieces.push(Piece {
            name: name.to_owned(),
            file,
            length,
        });
        kept.push_str(line);
        kept.push('\n');
    }
    if pieces.is_empty() {
        return Err(Error::damaged(list, "it names no file".to_owned()));
    }
    Ok((list, kept, pieces))
}

fn write(piece: Piece, folder: &Path) -> Result<(), Error> {
    let to = folder.join(&piece.name);
    let copy = || {
        let mut out = File::create_new(&to)?;
        std::io::copy(&mut piece.file.take(piece.length), &mut out)
    };
    let copied = copy().map_err(Error::io(format!("copying to {}", to.display())))?;
    if copied == piece.length {
        return Ok(());
    }
    let reason = format!("it had {} bytes and has {copied}", piece.length);
    Err(Error::damaged(piece.name, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_the_server_is_still_writing_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        put("temp-appendonly.aof.manifest", "");
        let Err(error) = open(folder.path()) else {
            panic!("nothing but a half-written list, and taken for one");
        };
        assert!(error.to_string().contains("no append-only set"), "{error}");

        put("appendonly.aof.1.incr.aof", "*1");
        put(
            "appendonly.aof.manifest",
            "file appendonly.aof.1.incr.aof seq 1 type i\n",
        );
        let (list, _, pieces) = open(folder.path()).unwrap();
        assert_eq!(list, "appendonly.aof.manifest");
        assert_eq!((pieces.len(), pieces[0].length), (1, 2));
    }

    #[test]
    fn a_list_of_nothing_is_no_backup() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("appendonly.aof.manifest"), "").unwrap();
        let Err(error) = open(folder.path()) else {
            panic!("an empty list, and taken for a set");
        };
        assert!(error.to_string().contains("it names no file"), "{error}");
    }
}
