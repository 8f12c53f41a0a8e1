//! Looks at everything that must be right before jobs can run, and says what to do about the rest.

use std::path::Path;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use serde::Serialize;
use windlass::{Store, Timestamp};

use super::{Exit, Failure, Printer};
use crate::compose::{self, Database};
use crate::config::{Config, DatabaseKind, Setting, Sources};
use crate::platform::{Platform, Prepared};

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Clocks further apart than this confuse whoever compares logs with job times.
const SKEW: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    detail: String,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    findings: Vec<Finding>,
    settings: Vec<Setting>,
}

pub(super) async fn run(sources: &Sources, printer: &mut Printer) -> Result<(), Failure> {
    let mut report = Report::default();
    match Config::load(sources) {
        Ok(config) => examine(config, &mut report).await,
        Err(error) => report.add("settings", Verdict::Fail, error.to_string()),
    }
    printer.data(&report, Report::text)?;
    if report.findings.iter().any(|f| f.verdict == Verdict::Fail) {
        return Err(Failure::told(Exit::Failed));
    }
    Ok(())
}

async fn examine(config: Config, report: &mut Report) {
    report.add("settings", Verdict::Ok, "every setting is known and valid");
    admin_key(&config, report);
    if let Ok(DatabaseKind::Sqlite(file)) = config.database.kind() {
        folder(&file, report);
    }
    let opened =
        compose::file_exists(&config.database).and_then(|()| compose::open(&config.database));
    match opened {
        Ok(opened) => database(&opened, report).await,
        Err(error) => report.add("database", Verdict::Fail, format!("{error:#}")),
    }
    report.settings = config.settings;
}

fn admin_key(config: &Config, report: &mut Report) {
    if config.security.admin_key.expose_secret().is_empty() {
        let detail = "security.admin_key is not set, so the API starts only if somebody has another key \
                      (`jobctl keys create`); make one with `openssl rand -hex 32` and set \
                      METACHAT_JOBS__SECURITY__ADMIN_KEY";
        report.add("admin key", Verdict::Warn, detail);
    } else {
        report.add("admin key", Verdict::Ok, "is set");
    }
}

/// SQLite writes beside its file too, so the folder must be writable.
fn folder(file: &Path, report: &mut Report) {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let probe = folder.join(format!(".jobctl-doctor-{}", std::process::id()));
    match std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)) {
        Ok(()) => report.add(
            "disk",
            Verdict::Ok,
            format!("{} is writable", folder.display()),
        ),
        Err(error) => report.add(
            "disk",
            Verdict::Fail,
            format!(
                "failed to write to {}: {error}; make the folder, or let this user write to it",
                folder.display()
            ),
        ),
    }
}

async fn database(database: &Database, report: &mut Report) {
    let store = &*database.store;
    let asked = Instant::now();
    let answer = tokio::time::timeout(PATIENCE, store.now()).await;
    let now = match answer {
        Ok(Ok(now)) => now,
        Ok(Err(error)) => return report.add("database", Verdict::Fail, unreachable(&error)),
        Err(_) => {
            let error = windlass::store::Error::timeout(PATIENCE);
            return report.add("database", Verdict::Fail, unreachable(&error));
        }
    };
    let took = asked.elapsed();
    let answered = format!("{} answers within {took:.1?}", store.name());
    report.add("database", Verdict::Ok, answered);
    clock(now, took, report);
    schema(store, report).await;
    platform(&database.platform, report).await;
    wake_ups(store, report);
}

fn unreachable(error: &windlass::store::Error) -> String {
    format!("{error}; check that it runs and that DATABASE_URL (database.url) names it")
}

/// Leases and schedules go by the database's clock alone; people compare it with their own.
fn clock(database: Timestamp, took: Duration, report: &mut Report) {
    let here = wall_clock();
    let apart = here.since(database).max(database.since(here));
    if apart > SKEW + took {
        let detail = format!(
            "the database's clock and this machine's are {apart:.1?} apart; jobs go by the \
             database's, let both follow NTP"
        );
        report.add("clock", Verdict::Warn, detail);
    } else {
        report.add(
            "clock",
            Verdict::Ok,
            format!("{apart:.1?} apart from the database's"),
        );
    }
}

async fn schema(store: &dyn Store, report: &mut Report) {
    match store.schema().await {
        Ok(schema) if schema.found == 0 => report.add(
            "schema",
            Verdict::Fail,
            "the engine's tables are not there; run `jobctl migrate`",
        ),
        Ok(schema) if schema.contracted.is_some() => {
            let told = schema
                .check()
                .err()
                .map_or_else(String::new, |error| error.to_string());
            report.add("schema", Verdict::Fail, told);
        }
        Ok(schema) if !schema.missing.is_empty() => {
            let missing = schema.missing.join(", ");
            let detail = format!("{missing} was not applied; run `jobctl migrate`");
            report.add("schema", Verdict::Fail, detail);
        }
        Ok(schema) if schema.found > schema.needed => {
            let (found, needed) = (schema.found, schema.needed);
            let detail =
                format!("version {found}, newer than this program's {needed}, which works on it");
            report.add("schema", Verdict::Ok, detail);
        }
        Ok(schema) => report.add("schema", Verdict::Ok, format!("version {}", schema.found)),
        Err(error) => report.add(
            "schema",
            Verdict::Fail,
            format!("{error}; run `jobctl migrate`"),
        ),
    }
}

/// The platform's tables, and what they need of the server: pgvector.
async fn platform(platform: &Platform, report: &mut Report) {
    let looked = tokio::time::timeout(PATIENCE, platform.rehearse()).await;
    match looked {
        Ok(Ok(Prepared::Ours)) => {
            report.add("platform", Verdict::Ok, "its tables are ours to keep");
        }
        Ok(Ok(Prepared::Existing { warnings })) => {
            report.add(
                "platform",
                Verdict::Ok,
                "its tables are there, and are not touched",
            );
            for warning in warnings {
                report.add("platform", Verdict::Warn, warning);
            }
        }
        Ok(Err(error)) => report.add("platform", Verdict::Fail, error.to_string()),
        Err(_) => {
            let detail = format!(
                "did not answer within {PATIENCE:?}; another process may be making its tables"
            );
            report.add("platform", Verdict::Warn, detail);
        }
    }
}

fn wake_ups(store: &dyn Store, report: &mut Report) {
    let detail = if store.capabilities().remote_wakes {
        "reach every process; polling makes them certain"
    } else {
        "reach this process only; other processes see new jobs at their next poll"
    };
    report.add("wake-ups", Verdict::Ok, detail);
}

impl Report {
    fn add(&mut self, check: &'static str, verdict: Verdict, detail: impl Into<String>) {
        self.findings.push(Finding {
            check,
            verdict,
            detail: detail.into(),
        });
    }

    fn text(&self) -> String {
        let findings = self.findings.iter().map(|finding| {
            let verdict = match finding.verdict {
                Verdict::Ok => "ok",
                Verdict::Warn => "warn",
                Verdict::Fail => "FAIL",
            };
            format!("{verdict:5} {:10} {}\n", finding.check, finding.detail)
        });
        let settings = self.settings.iter().map(|setting| {
            let from = setting.from.as_deref().unwrap_or("default");
            format!("{} = {}   ({from})\n", setting.key, setting.value)
        });
        let gap = (!self.settings.is_empty()).then(|| "\n".to_owned());
        findings.chain(gap).chain(settings).collect()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this compares the machine's clock with the database's"
)]
fn wall_clock() -> Timestamp {
    Timestamp::from_datetime(chrono::Utc::now())
}
