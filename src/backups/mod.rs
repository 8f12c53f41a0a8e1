//! Backups: what is copied, where it is put, and how it is known that it is whole.
//!
//! A backup is a folder `<target>/<id>/` in a place: its files, `SHA256SUMS` of them, and, written last,
//! its [`Manifest`]. Without a manifest there is no backup. Whoever reads one gets it by
//! [`Repository::fetch`]: a local folder of decrypted plain files beside the manifest they were checked
//! against.

pub mod command;
mod connection;
pub mod create;
mod error;
mod evidence;
mod layout;
mod manifest;
mod options;
mod place;
mod repository;
pub mod restore;
pub mod retention;
mod scratch;
mod segments;
mod standing;
mod stream;
#[cfg(test)]
mod tests;
pub mod throwaway;
mod unpack;
pub mod verify;
pub mod wal;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use connection::{InvalidServer, PostgresServer};
pub use error::Error;
pub use evidence::{Evidence, Level, Verdict};
pub use manifest::{
    BackupId, Encryption, File, InvalidId, Kind, Manifest, ManifestError, PART, Part, Stored,
    VERSION,
};
pub use options::{
    BackupOptions, KeepOptions, NotifyOptions, PlaceOptions, TargetOptions, ToolOptions, WalOptions,
};
pub use place::Place;
pub use repository::{Backup, Holdings, Leftover, Pin, Repository};
pub use scratch::{Scratch, size_of};
pub use segments::Segment;
pub use standing::{Standing, watch};
pub use stream::Transfer;

/// All there is to know of backups: the settings, and each place opened. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Backups {
    inner: Arc<Inner>,
    probe: Option<verify::Probe>,
    keeper: Option<restore::Keeper>,
}

#[derive(Debug, Default)]
struct Inner {
    options: BackupOptions,
    repositories: BTreeMap<String, Repository>,
    about: serde_json::Value,
}

impl Backups {
    /// Opens each place; connects when one is first used. `about` is what a backup of the configuration
    /// holds: settings without secrets, and the ids of keys.
    pub fn new(options: &BackupOptions, about: serde_json::Value) -> Result<Self, Error> {
        let keys = options.keys()?;
        let open = |(name, place): (&String, &PlaceOptions)| {
            let place = Place::open(name, place)?;
            Ok((name.clone(), Repository::new(place, keys.clone())))
        };
        let repositories = options
            .places
            .iter()
            .map(open)
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            inner: Arc::new(Inner {
                options: options.clone(),
                repositories,
                about,
            }),
            probe: None,
            keeper: None,
        })
    }

    /// What a backup of the configuration holds.
    pub fn about(&self) -> &serde_json::Value {
        &self.inner.about
    }

    /// With what starts the engine on a restored database.
    #[must_use]
    pub fn with_probe(mut self, probe: verify::Probe) -> Self {
        self.probe = Some(probe);
        self
    }

    /// What starts the engine on a restored database.
    pub const fn probe(&self) -> Option<verify::Probe> {
        self.probe
    }

    /// With what holds the queues of a restored database.
    #[must_use]
    pub fn with_keeper(mut self, keeper: restore::Keeper) -> Self {
        self.keeper = Some(keeper);
        self
    }

    /// What holds the queues of a restored database.
    pub const fn keeper(&self) -> Option<&restore::Keeper> {
        self.keeper.as_ref()
    }

    /// The settings.
    pub fn options(&self) -> &BackupOptions {
        &self.inner.options
    }

    /// The server of a target of PostgreSQL.
    pub fn server(&self, name: &str) -> Result<PostgresServer, Error> {
        let key = format!("backups.targets.{name}.url");
        PostgresServer::new(&self.target(name)?.url).map_err(|e| Error::setting(key, e.to_string()))
    }

    /// The settings of one target.
    pub fn target(&self, name: &str) -> Result<&TargetOptions, Error> {
        self.inner
            .options
            .targets
            .get(name)
            .ok_or_else(|| Error::UnknownTarget {
                target: name.to_owned(),
                known: self.inner.options.targets.keys().cloned().collect(),
            })
    }

    /// Where a target's backups are, the first place first, then its copies.
    pub fn repositories(&self, target: &TargetOptions) -> Result<Vec<&Repository>, Error> {
        std::iter::once(&target.place)
            .chain(&target.copies)
            .map(|name| self.repository(name))
            .collect()
    }

    /// The place of this name.
    pub fn repository(&self, name: &str) -> Result<&Repository, Error> {
        self.inner
            .repositories
            .get(name)
            .ok_or_else(|| Error::UnknownPlace {
                place: name.to_owned(),
            })
    }
}
