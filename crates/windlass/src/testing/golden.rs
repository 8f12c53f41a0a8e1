use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::engine::{Catalogue, Job};
use crate::model::Json;

/// Checks that args which programs have ever stored still decode: every kind has a folder of its name
/// under `dir` with at least one `.json` file, and each file's args are accepted by their kind.
///
/// Call it in a test of your own. When a job's args change, leave the old files and add one
/// ([`add_golden`]); a file is never edited, because the rows it stands for cannot be.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use windlass::{Context, Job, Outcome, Registry, testing};
/// #[derive(Serialize, Deserialize)]
/// struct Greet { name: String }
/// # impl Job for Greet {
/// #     const KIND: &'static str = "greet";
/// #     type Services = ();
/// #     async fn run(self, _: Context<()>) -> anyhow::Result<Outcome> { Ok(Outcome::complete()) }
/// # }
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path();
/// testing::add_golden(dir, &Greet { name: "Ada".into() })?; // once, by hand
/// let registry = Registry::new(()).register::<Greet>();
/// testing::assert_golden(&registry.catalogue(), dir); // always
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
/// If a kind has no golden args, if some no longer decode, or if a folder is of no kind: rows of a
/// kind outlive its code, so give the kind that took its place an alias
/// ([`Job::ALIASES`](crate::Job::ALIASES)) or leave it registered.
#[track_caller]
pub fn assert_golden(catalogue: &Catalogue, dir: impl AsRef<Path>) {
    let dir = dir.as_ref();
    let mut faults = Vec::new();
    let mut known = Vec::new();
    for info in catalogue.kinds().filter_map(|kind| catalogue.get(kind)) {
        let names = [info.kind].into_iter().chain(info.aliases.iter().copied());
        let folders: Vec<String> = names.map(folder).collect();
        let mut count = 0;
        for name in &folders {
            for file in files(&dir.join(name)) {
                count += 1;
                if let Err(fault) = decodes(catalogue, info.kind, &file) {
                    faults.push(format!("{}: {fault}", file.display()));
                }
            }
        }
        if count == 0 {
            let place = dir.join(folder(info.kind)).join("1.json");
            faults.push(format!(
                "kind {} has no golden args: add {}, with args as they are stored today",
                info.kind,
                place.display()
            ));
        }
        known.extend(folders);
    }
    for stray in folders_of(dir).filter(|name| !known.contains(name)) {
        faults.push(format!(
            "{}: there is no such kind; its rows may still be there: leave it registered, or make it \
             an alias of another",
            dir.join(stray).display()
        ));
    }
    assert!(faults.is_empty(), "golden args:\n  {}", faults.join("\n  "));
}

/// Writes a job's args as the next golden file of its kind, unless one holds just these; says which.
pub fn add_golden<J: Job>(dir: impl AsRef<Path>, job: &J) -> io::Result<PathBuf> {
    let dir = dir.as_ref().join(folder(J::KIND));
    fs::create_dir_all(&dir)?;
    let text = serde_json::to_string_pretty(job)? + "\n";
    let files = files(&dir);
    for file in &files {
        if fs::read_to_string(file)? == text {
            return Ok(file.clone());
        }
    }
    let taken = |number: usize| files.contains(&dir.join(format!("{number}.json")));
    let mut number = 1;
    while taken(number) {
        number += 1;
    }
    let file = dir.join(format!("{number}.json"));
    fs::write(&file, text)?;
    Ok(file)
}

fn decodes(catalogue: &Catalogue, kind: &str, file: &Path) -> Result<(), String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let args = Json::parse(text.trim()).map_err(|error| error.to_string())?;
    let info = catalogue.get(kind).ok_or("there is no such kind")?;
    info.prepare(args).map_err(|error| error.to_string())?;
    Ok(())
}

/// A kind as the name of a folder.
fn folder(kind: &str) -> String {
    kind.replace(['/', ':'], "-")
}

/// The golden files of a folder, sorted; none if there is no folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    files
}

fn folders_of(dir: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
}
