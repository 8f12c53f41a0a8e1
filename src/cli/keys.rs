//! The API's own keys: who may use it besides `security.admin_key` and the platform's credentials.

use std::time::Duration;

use clap::{Subcommand, value_parser};
use serde::Serialize;
use uuid::Uuid;
use windlass::model::Audit;
use windlass::{Client, Timestamp};

use super::dry::Would;
use super::printer::table;
use super::{Exit, Failure, Printer, actor};
use crate::records::{self, AccessKey, NewAccessKey, Records, Role};

/// The longest name.
const LONGEST: usize = 100;

#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Make a key and show it, once
    Create {
        /// What to call it, such as who has it
        name: String,
        /// What its bearer may do: viewer, operator or admin
        #[arg(long, value_parser = role)]
        role: Role,
        /// Let its bearer see this tenant only
        #[arg(long)]
        tenant: Option<String>,
        /// How many days it is good; without end if left out
        #[arg(long, value_name = "DAYS", value_parser = value_parser!(u32).range(1..=3650))]
        days: Option<u32>,
    },
    /// List all keys, without the keys themselves
    List,
    /// End a key for good, by its name or id, and the sessions it has opened
    Revoke {
        /// Which
        key: String,
        /// Why, for the audit log
        #[arg(long)]
        reason: Option<String>,
    },
}

#[derive(Serialize)]
struct Made {
    id: Uuid,
    key: String,
}

#[derive(Serialize)]
struct Line {
    id: Uuid,
    name: String,
    role: Role,
    tenant_id: Option<String>,
    created_by: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct Revoked {
    id: Uuid,
}

pub(super) async fn run(
    records: &Records,
    client: &Client,
    command: Command,
    printer: &mut Printer,
) -> Result<(), Failure> {
    match command {
        Command::Create {
            name,
            role,
            tenant,
            days,
        } => {
            let by = actor::name();
            let new = NewAccessKey {
                name: &name,
                role,
                tenant: tenant.as_deref(),
                expires_in: days.map(|days| Duration::from_hours(u64::from(days) * 24)),
                by: &by,
            };
            create(records, client, &new, printer).await
        }
        Command::List => list(records, printer).await,
        Command::Revoke { key, reason } => revoke(records, client, &key, reason, printer).await,
    }
}

async fn create(
    records: &Records,
    client: &Client,
    new: &NewAccessKey<'_>,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if new.name.is_empty() || new.name.len() > LONGEST || !new.name.chars().all(plain) {
        let message = format!("a name is 1 to {LONGEST} letters, digits and - _ . @");
        return Err(Failure::usage(message));
    }
    if new.tenant.is_some_and(str::is_empty) {
        return Err(Failure::usage(
            "--tenant is empty; name one, or leave it out",
        ));
    }
    if new.tenant.is_some() && new.role == Role::Admin {
        let message = "an admin changes how the installation works, which is no one tenant's; give the \
                       key the role operator";
        return Err(Failure::usage(message));
    }
    let mut tx = records.begin().await?;
    let Some((id, secret)) = records.create_access_key(&mut tx, new).await? else {
        let message = format!("there is a key {} already; revoke it first", new.name);
        return Err(Failure::new(Exit::Failed, message));
    };
    let audit = Audit {
        tenant_id: new.tenant.map(str::to_owned),
        ..Audit::new(new.by, "key.create", format!("key/{}", new.name))
    };
    client.store().record_audit_in(&mut tx, &audit).await?;
    tx.commit().await.map_err(records::Error::from)?;
    let made = Made {
        id,
        key: secret.expose().to_owned(),
    };
    printer.data(&made, |made| format!("{}\n", made.key))?;
    printer.talk("this is the only time that it is shown: only its digest is stored");
    Ok(())
}

async fn list(records: &Records, printer: &mut Printer) -> Result<(), Failure> {
    let keys = records.access_keys().await?;
    let lines: Vec<Line> = keys.into_iter().map(Line::from).collect();
    printer.data(&lines, |lines| {
        let row = |line: &Line| {
            let time = |at: Option<Timestamp>| at.map_or("-".to_owned(), |at| at.to_string());
            [
                line.id.to_string(),
                line.name.clone(),
                line.role.to_string(),
                line.tenant_id.clone().unwrap_or_else(|| "all".to_owned()),
                time(line.expires_at),
                time(line.last_used_at),
                time(line.revoked_at),
            ]
        };
        let head = [
            "ID",
            "NAME",
            "ROLE",
            "TENANT",
            "EXPIRES",
            "LAST USED",
            "REVOKED",
        ];
        table(head, &lines.iter().map(row).collect::<Vec<_>>())
    })?;
    Ok(())
}

async fn revoke(
    records: &Records,
    client: &Client,
    key: &str,
    reason: Option<String>,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let mut tx = records.begin().await?;
    let Some(id) = records.revoke_access_key(&mut tx, key).await? else {
        let message = format!("no key {key}, or it was revoked before: `jobctl keys list`");
        return Err(Failure::new(Exit::NotFound, message));
    };
    let audit = Audit {
        reason,
        ..Audit::new(actor::name(), "key.revoke", format!("key/{key}"))
    };
    client.store().record_audit_in(&mut tx, &audit).await?;
    tx.commit().await.map_err(records::Error::from)?;
    printer.data(&Revoked { id }, |revoked| {
        format!("{} is revoked\n", revoked.id)
    })?;
    printer.talk("processes that have just seen it take it for good for some seconds more");
    Ok(())
}

fn role(text: &str) -> Result<Role, String> {
    text.parse()
        .map_err(|e: records::UnknownRole| e.to_string())
}

impl From<AccessKey> for Line {
    fn from(key: AccessKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            role: key.role,
            tenant_id: key.tenant,
            created_by: key.created_by,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
        }
    }
}

impl Command {
    pub(super) fn would(&self) -> Would {
        match self {
            Self::List => Would::Read,
            Self::Create { name, role, .. } => {
                Would::Change(format!("make a key {name} of the role {role}"))
            }
            Self::Revoke { key, .. } => Would::Change(format!("end key {key} for good")),
        }
    }
}
