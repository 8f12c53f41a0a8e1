//! Archived write-ahead log in a place: `<target>/wal/<segment>` and beside it `<segment>.json`, which is
//! written last and says what it is.

use std::collections::BTreeSet;
use std::path::{Path as FilePath, PathBuf};

use object_store::ObjectStore as _;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use windlass::Timestamp;

use super::repository::Repository;
use super::stream::{self, Transfer};
use super::{Error, File, Kind, Manifest, Stored};

/// The detail of a manifest that tells how large a segment of its cluster is, in bytes.
pub(super) const SEGMENT_BYTES: &str = "wal_segment_bytes";
/// The same of a manifest that does not tell; what `initdb` makes unless it is told otherwise.
const USUAL: u64 = 16 * 1024 * 1024;
const FOLDER: &str = "wal";
/// How the last segment ends, which is still being written.
pub(super) const PARTIAL: &str = ".partial";

/// One archived file of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// PostgreSQL's name for it; with `.partial` while it is being written.
    pub name: String,
    /// When it was archived.
    pub archived: Timestamp,
    /// What it is, and what lies in the place.
    pub file: File,
}

/// Archived log that no backup needs.
#[derive(Debug, Clone, Default)]
pub struct OldLog {
    /// Which segments.
    pub segments: BTreeSet<String>,
    /// What they take of the place, in bytes.
    pub bytes: u64,
    paths: Vec<Path>,
}

impl Repository {
    /// Puts a file of the log there, over an earlier state of it.
    pub async fn put_segment(
        &self,
        target: &str,
        from: PathBuf,
        archived: Timestamp,
        transfer: &Transfer,
    ) -> Result<(), Error> {
        let name = name_of(&from);
        let opened = self.place.store()?;
        let folder = opened.prefix.clone().join(target).join(FOLDER);
        let ending = if self.keys.is_empty() { "" } else { ".age" };
        let stored = format!("{name}{ending}");
        let to = folder.clone().join(stored.as_str());
        let (size, sha256, parts, stored_size, stored_sha256) =
            stream::upload(&self.place, &to, from, &self.keys, transfer).await?;
        let stored = Stored {
            path: stored,
            size: stored_size,
            sha256: stored_sha256,
        };
        stream::check(&self.place, &to, &stored, transfer).await?;
        let segment = Segment {
            file: File {
                path: name.clone(),
                size,
                sha256,
                parts,
                stored,
            },
            name: name.clone(),
            archived,
        };
        let at = folder.join(format!("{name}.json"));
        let text = serde_json::to_vec_pretty(&segment)
            .map_err(|e| Error::damaged(at.to_string(), e.to_string()))?;
        self.put(&opened, &at, text).await
    }

    /// Gets one file of a backup, checked and decrypted.
    pub(super) async fn fetch_file(
        &self,
        manifest: &Manifest,
        path: &str,
        to: &FilePath,
        cancelled: &CancellationToken,
    ) -> Result<(), Error> {
        let file = manifest.files.iter().find(|file| file.path == path);
        let file =
            file.ok_or_else(|| Error::damaged("manifest.json", format!("it names no {path}")))?;
        let opened = self.place.store()?;
        let home = opened.prefix.clone().join(manifest.target.as_str());
        let home = home.join(manifest.id.as_str());
        let from = file.stored.path.split('/').fold(home, Path::join);
        let keys = manifest.encryption.is_some().then_some(&self.keys);
        let transfer = Transfer::new(cancelled.clone(), 0);
        stream::download(&self.place, &from, file, to.to_owned(), keys, &transfer).await
    }

    /// The names of what is archived, oldest first.
    pub async fn segments(&self, target: &str) -> Result<Vec<String>, Error> {
        let opened = self.place.store()?;
        let folder = opened.prefix.clone().join(target).join(FOLDER);
        let listed = opened.store.list_with_delimiter(Some(&folder)).await;
        let listed = listed.map_err(|e| self.place.failed(&format!("listing {folder}"), &e))?;
        let names = listed
            .objects
            .iter()
            .filter_map(|it| it.location.filename());
        let mut names: Vec<String> = names
            .filter_map(|name| name.strip_suffix(".json"))
            .map(str::to_owned)
            .collect();
        names.sort();
        Ok(names)
    }

    /// Until when the log is there without a gap. Only the file that is still being written says so: it is put
    /// there after all before it, whereas an older one may come late.
    pub async fn archived_until(&self, target: &str) -> Result<Option<Timestamp>, Error> {
        let names = self.segments(target).await?;
        match names.iter().rfind(|name| !name.ends_with(".history")) {
            Some(last) if last.ends_with(PARTIAL) => {
                Ok(Some(self.segment(target, last).await?.archived))
            }
            _ => Ok(None),
        }
    }

    /// What is known of one.
    pub async fn segment(&self, target: &str, name: &str) -> Result<Segment, Error> {
        let opened = self.place.store()?;
        let folder = opened.prefix.clone().join(target).join(FOLDER);
        let at = folder.join(format!("{name}.json"));
        let text = self.read(&opened, &at).await?;
        let text = text.ok_or_else(|| Error::damaged(at.to_string(), "it is not there"))?;
        serde_json::from_slice(&text).map_err(|e| Error::damaged(at.to_string(), e.to_string()))
    }

    /// Gets the log from a backup's beginning on into a folder, checked and decrypted; the one still being
    /// written under the name it will have. How many files that were, and of when the newest is.
    pub async fn fetch_segments(
        &self,
        manifest: &Manifest,
        folder: &FilePath,
        transfer: &Transfer,
    ) -> Result<(u64, Option<Timestamp>), Error> {
        let target = manifest.target.as_str();
        let opened = self.place.store()?;
        let home = opened.prefix.clone().join(target).join(FOLDER);
        let first = first_segment(manifest)?;
        let (mut files, mut newest) = (0, None);
        let names = self.segments(target).await?;
        for name in &names {
            let whole = name.strip_suffix(PARTIAL).unwrap_or(name);
            // Also what says where timelines part.
            let needed = !is_segment(whole) || position(whole) >= position(&first);
            let superseded = whole != name && names.iter().any(|other| other == whole);
            if !needed || superseded {
                continue;
            }
            let segment = self.segment(target, name).await?;
            let keys = segment
                .file
                .stored
                .path
                .strip_suffix(".age")
                .is_some()
                .then_some(&self.keys);
            let from: Path = home.clone().join(segment.file.stored.path.as_str());
            let to = folder.join(whole);
            stream::download(&self.place, &from, &segment.file, to, keys, transfer).await?;
            files += 1;
            newest = newest.max(Some(segment.archived));
        }
        Ok((files, newest))
    }

    /// What is archived of before a segment, oldest first, whatever its timeline: also data whose description is
    /// gone already. What says where timelines part stays.
    pub async fn log_before(&self, target: &str, first: &str) -> Result<OldLog, Error> {
        let opened = self.place.store()?;
        let folder = opened.prefix.clone().join(target).join(FOLDER);
        let listed = opened.store.list_with_delimiter(Some(&folder)).await;
        let listed = listed.map_err(|e| self.place.failed(&format!("listing {folder}"), &e))?;
        let mut old = OldLog::default();
        for object in listed.objects {
            let segment = object.location.filename().and_then(segment_of);
            let Some(segment) = segment.filter(|name| position(name) < position(first)) else {
                continue;
            };
            old.segments.insert(segment.to_owned());
            old.bytes += object.size;
            old.paths.push(object.location);
        }
        // The oldest first, so that what stays has no gap; of each its description first, so that none is
        // listed whose data is gone.
        old.paths.sort_by_key(|path| {
            let name = path.filename().unwrap_or_default().to_owned();
            let segment = segment_of(&name).map(position).unwrap_or_default();
            (
                segment.to_owned(),
                name.strip_suffix(".json").is_none(),
                name,
            )
        });
        Ok(old)
    }

    /// Deletes it; how many segments that were.
    pub async fn delete_log(&self, old: &OldLog) -> Result<usize, Error> {
        let opened = self.place.store()?;
        for path in &old.paths {
            self.remove(&opened, path).await?;
        }
        Ok(old.segments.len())
    }

    /// Forgets the unfinished state of a segment that is archived whole now.
    pub async fn forget_partial(&self, target: &str, whole: &str) -> Result<(), Error> {
        let opened = self.place.store()?;
        let home = opened.prefix.clone().join(target).join(FOLDER);
        for ending in [".json", "", ".age"] {
            let at = home.clone().join(format!("{whole}{PARTIAL}{ending}"));
            self.remove(&opened, &at).await?;
        }
        Ok(())
    }
}

/// How large a segment is.
fn segment_bytes(manifest: &Manifest) -> Result<u64, Error> {
    let Some(told) = manifest.details.get(SEGMENT_BYTES) else {
        return Ok(USUAL);
    };
    let bytes = told.parse().ok();
    let bytes = bytes.filter(|bytes: &u64| bytes.is_power_of_two() && *bytes <= 1 << 30);
    bytes.ok_or_else(|| {
        let reason = format!("{told:?} bytes are no segment of the log");
        Error::damaged("manifest.json", reason)
    })
}

/// The first segment that a backup needs.
pub(super) fn first_segment(manifest: &Manifest) -> Result<String, Error> {
    let lsn = manifest.start_lsn.as_deref().and_then(lsn);
    let (Some(lsn), Some(timeline)) = (lsn, manifest.timeline) else {
        let reason = "it says not where in the log the backup begins";
        return Err(Error::damaged("manifest.json", reason));
    };
    let of_file = lsn & 0xffff_ffff;
    Ok(format!(
        "{timeline:08X}{:08X}{:08X}",
        lsn >> 32,
        of_file / segment_bytes(manifest)?
    ))
}

/// The first segment that is missing in a folder, between a backup's beginning and the newest.
pub(super) fn gap(folder: &FilePath, manifest: &Manifest) -> Result<Option<String>, Error> {
    let listed = std::fs::read_dir(folder).map_err(Error::io("reading the archived log"))?;
    let mut there: Vec<String> = listed
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_segment(name))
        .collect();
    there.sort_by(|a, b| position(a).cmp(position(b)));
    let mut expected = first_segment(manifest)?;
    for name in there {
        if position(&name) < position(&expected) {
            continue;
        }
        if position(&name) > position(&expected) {
            return Ok(Some(expected));
        }
        expected = after(&name, segment_bytes(manifest)?);
    }
    Ok(None)
}

/// `1/A2000028`, as a number.
pub(super) fn lsn(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    let high = u64::from_str_radix(high, 16).ok()?;
    Some((high << 32) | u64::from_str_radix(low, 16).ok()?)
}

/// Whether it is the name of a segment: timeline and position.
pub(super) fn is_segment(name: &str) -> bool {
    name.len() == 24 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The segment that a file of the archive belongs to.
fn segment_of(file: &str) -> Option<&str> {
    file.get(..24).filter(|name| is_segment(name))
}

/// The first segment that any of these backups needs; none if none needs any.
pub(super) fn first_needed<'a>(
    kept: impl IntoIterator<Item = &'a Manifest>,
) -> Result<Option<String>, Error> {
    let mut first: Option<String> = None;
    for manifest in kept {
        if manifest.kind != Kind::PostgresPhysical {
            continue;
        }
        let segment = first_segment(manifest)?;
        let earlier = first
            .as_deref()
            .is_none_or(|first| position(&segment) < position(first));
        if earlier {
            first = Some(segment);
        }
    }
    Ok(first)
}

/// Where in the log a segment is, whatever its timeline.
fn position(name: &str) -> &str {
    &name[8..]
}

fn after(name: &str, bytes: u64) -> String {
    let number = |range| u64::from_str_radix(&name[range], 16).unwrap_or(0);
    let (file, segment) = (number(8..16), number(16..24) + 1);
    let per_file = (1 << 32) / bytes;
    let (file, segment) = (file + segment / per_file, segment % per_file);
    format!("{}{file:08X}{segment:08X}", &name[..8])
}

fn name_of(path: &FilePath) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let mut manifest = super::super::manifest::tests::manifest(Vec::new());
        manifest.start_lsn = Some("1/FE000028".into());
        manifest.timeline = Some(2);
        manifest
    }

    #[test]
    fn a_backup_begins_in_a_segment() {
        assert_eq!(
            first_segment(&manifest()).unwrap(),
            "0000000200000001000000FE"
        );
        assert_eq!(
            after("0000000200000001000000FF", USUAL),
            "000000020000000200000000"
        );
    }

    #[test]
    fn segments_of_another_size_are_counted_as_they_are() {
        let mut large = manifest();
        large
            .details
            .insert(SEGMENT_BYTES.into(), (1 << 26).to_string());
        assert_eq!(first_segment(&large).unwrap(), "00000002000000010000003F");
        let next = after("00000002000000010000003F", 1 << 26);
        assert_eq!(next, "000000020000000200000000");
        large.details.insert(SEGMENT_BYTES.into(), "0".into());
        assert!(first_segment(&large).is_err());
    }

    #[test]
    fn the_oldest_backup_says_what_log_is_needed() {
        let physical = |lsn: &str, timeline| {
            let mut one = manifest();
            one.kind = Kind::PostgresPhysical;
            one.start_lsn = Some(lsn.into());
            one.timeline = Some(timeline);
            one
        };
        let logical = manifest();
        assert_eq!(first_needed([&logical]).unwrap(), None);
        // After a fail-over the timeline is a later one; the position says which is older.
        let (older, newer) = (physical("1/FE000028", 1), physical("2/00000028", 2));
        for both in [[&older, &newer], [&newer, &older]] {
            let first = first_needed(both).unwrap();
            assert_eq!(first.as_deref(), Some("0000000100000001000000FE"));
        }
        let mut unknown = physical("1/FE000028", 1);
        unknown.start_lsn = None;
        let refused = first_needed([&newer, &unknown]).unwrap_err();
        assert!(matches!(refused, Error::Damaged { .. }), "{refused}");
    }

    #[test]
    fn a_missing_segment_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str| std::fs::write(folder.path().join(name), "").unwrap();
        assert_eq!(gap(folder.path(), &manifest()).unwrap(), None);
        put("0000000200000001000000FE");
        put("000000020000000200000000");
        put("00000002.history");
        let missing = gap(folder.path(), &manifest()).unwrap();
        assert_eq!(missing.as_deref(), Some("0000000200000001000000FF"));
        put("0000000200000001000000FF");
        assert_eq!(gap(folder.path(), &manifest()).unwrap(), None);
    }
}
