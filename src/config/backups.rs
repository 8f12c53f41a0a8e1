//! What the settings of backups leave out, from the rest of the settings.

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{Config, DatabaseKind, Error};
use crate::backups::{BackupOptions, Error as BackupError, Kind, TargetOptions};

impl Config {
    /// What is backed up, where what is not said is this program's own.
    pub fn backups(&self) -> Result<BackupOptions, Error> {
        let mut options = self.backups.clone();
        for (name, target) in &mut options.targets {
            let problem = self.fill(target);
            problem
                .map_err(|problem| Error::invalid(&format!("backups.targets.{name}"), problem))?;
        }
        match options.check() {
            Ok(()) => Ok(options),
            Err(BackupError::Setting { setting, problem }) => {
                Err(Error::invalid(&setting, problem))
            }
            Err(other) => Err(Error::invalid("backups", other.to_string())),
        }
    }

    fn fill(&self, target: &mut TargetOptions) -> Result<(), String> {
        let unset = target.url.expose_secret().is_empty();
        match target.kind {
            Kind::PostgresLogical | Kind::PostgresPhysical if unset => {
                if self.database.kind() != Ok(DatabaseKind::Postgres) {
                    return Err(
                        "url is empty, and database.url is not PostgreSQL's; name the server"
                            .into(),
                    );
                }
                target.url = self.database.url.clone();
            }
            Kind::Redis if unset => {
                if self.redis.url.expose_secret().is_empty() {
                    return Err("url is empty, and so is redis.url; name the server".into());
                }
                target.url = self.redis.url.clone();
            }
            Kind::Sqlite if target.path.as_os_str().is_empty() => match self.database.kind() {
                Ok(DatabaseKind::Sqlite(file)) => target.path = file,
                _ => {
                    return Err(
                        "path is empty, and database.url is no SQLite file; name the file".into(),
                    );
                }
            },
            Kind::Folder if target.path.as_os_str().is_empty() => {
                let storage = &self.documents.storage;
                target.path =
                    std::path::absolute(storage).map_err(|e| format!("documents.storage: {e}"))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// What a backup of the configuration holds: the settings as an operator may see them, and which keys
    /// must be at hand besides. No secret.
    pub fn about(&self) -> Value {
        let id = |key: &secrecy::SecretString| {
            let key = key.expose_secret();
            key.split_once(':')
                .map_or_else(String::new, |(id, _)| id.to_owned())
        };
        json!({
            "program": env!("CARGO_PKG_VERSION"),
            "settings": self.settings,
            "keys": {
                "sealing": self.sealing.keys.iter().map(id).collect::<Vec<_>>(),
                "channels": self.channels.secret_key_id,
                "channels_older": self.channels.older_secret_keys.iter().map(id).collect::<Vec<_>>(),
                "backups": self.backups.recipients,
            },
        })
    }
}
