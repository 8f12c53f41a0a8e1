//! What a restore would do: what, from where, how much, how long, and by which commands it could be done by
//! hand.

use serde::Serialize;
use windlass::Timestamp;

use super::{Error, Restore};
use crate::backups::verify::{estimate, recovery_time};
use crate::backups::{BackupId, Backups, Encryption, Kind, Level, Manifest, layout};

/// What would be done.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// Of which target.
    pub target: String,
    /// From which backup.
    pub backup: BackupId,
    /// Of what kind.
    pub kind: Kind,
    /// In which place it is.
    pub place: String,
    /// Where in it.
    pub path: String,
    /// Where to.
    pub to: String,
    /// The moment whose data there will be; of a recovery, the latest that can be reached.
    pub recovery_point: Timestamp,
    /// The backups it builds on.
    pub builds_on: Option<BackupId>,
    /// How many bytes are fetched, and how many they are then.
    pub stored_bytes: u64,
    /// Decrypted.
    pub bytes: u64,
    /// How long it may take, in seconds, from what the last trial took.
    pub estimate_seconds: Option<u64>,
    /// Whether it was shown to restore, and at which level.
    pub verified: Option<Level>,
    /// How to do it without this program.
    pub commands: Vec<String>,
}

impl Restore {
    /// Says what it would do, and does nothing.
    pub async fn plan(&self, backups: &Backups) -> Result<Plan, Error> {
        let manifest = self.manifest(backups).await?;
        let repository = self.repository(backups)?;
        let known = repository.get(&self.target, &manifest.id).await?;
        let all = repository.list(&self.target).await?;
        let earlier: Vec<_> = all.into_iter().flat_map(|backup| backup.evidence).collect();
        let place = repository.place();
        let path = format!("{}/{}", self.target, manifest.id);
        let path = match place.folder() {
            Some(folder) => folder.join(path).display().to_string(),
            None => path,
        };
        let mut recovery_point = manifest.recovery_point;
        if manifest.kind == Kind::PostgresPhysical {
            let archived = repository.archived_until(&self.target).await?;
            let latest = archived.map_or(recovery_point, |at| at.max(recovery_point));
            recovery_point = self.to_time.unwrap_or(latest);
        }
        Ok(Plan {
            target: self.target.clone(),
            backup: manifest.id.clone(),
            kind: manifest.kind,
            place: place.name().to_owned(),
            commands: self.commands(&manifest, &path),
            path,
            to: self.to.clone(),
            recovery_point,
            builds_on: manifest.parent.clone(),
            stored_bytes: manifest.stored_size(),
            bytes: manifest.size(),
            estimate_seconds: estimate(manifest.size(), &earlier).map(|time| time.as_secs()),
            verified: known.level(),
        })
    }

    fn commands(&self, manifest: &Manifest, path: &str) -> Vec<String> {
        let mut commands = vec![
            format!("cd {}", quoted(path)),
            "sha256sum --check SHA256SUMS".into(),
        ];
        if let Some(Encryption { .. }) = manifest.encryption {
            commands.push(
                "find files -name '*.age' -exec sh -c 'age --decrypt --identity \"$KEY\" --output \
                 \"${1%.age}\" \"$1\"' age {} \\;"
                    .into(),
            );
        }
        let to = quoted(&self.to);
        match manifest.kind {
            Kind::PostgresLogical => {
                commands.push(format!(
                    "psql --dbname=postgres --file=files/{}",
                    layout::GLOBALS
                ));
                commands.push(format!("createdb --template=template0 {to}"));
                let table = self.table.as_ref().map_or_else(String::new, |table| {
                    let (schema, name) = table.split_once('.').unwrap_or(("public", table));
                    let schema = quoted(schema);
                    format!(" --schema={schema} --table={}", quoted(name))
                });
                commands.push(format!(
                    "pg_restore --exit-on-error --no-tablespaces --jobs=2 --dbname={to}{table} files/{}",
                    layout::DUMP
                ));
            }
            Kind::PostgresPhysical => {
                commands.push(format!("install --directory --mode=700 {to}"));
                commands.push(format!(
                    "tar --extract --file=files/{} --directory={to}",
                    layout::BASE
                ));
                commands.push(format!(
                    "tar --extract --file=files/{} --directory={to}/pg_wal",
                    layout::WAL
                ));
                if let Some(moment) = self.to_time.map(recovery_time) {
                    commands.push(format!(
                        "printf \"restore_command = 'cp %s/%%f \\\"%%p\\\"'\\nrecovery_target_time = '%s'\\n\
                         recovery_target_action = 'promote'\\n\" \"$WAL\" '{moment}' >> \
                         {to}/postgresql.auto.conf"
                    ));
                    commands.push(format!("touch {to}/recovery.signal"));
                }
                commands.push(format!("pg_ctl --pgdata={to} start"));
            }
            Kind::Sqlite => commands.push(format!("cp files/*.sqlite {to}")),
            Kind::Redis | Kind::Rabbitmq | Kind::Folder | Kind::Configuration => {
                commands.push(format!("cp --recursive files {to}"));
            }
        }
        commands
    }
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
