//! Log lines: the platform's JSON, one object per line, or text for a person at a terminal.

use std::fmt;
use std::io::{self, IsTerminal};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_serde::fields::AsMap;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// What is logged, and how it looks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogOptions {
    /// The lowest level that is written, or directives such as `info,sqlx=debug`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON anywhere else.
    Auto,
    /// One object per line, with the platform's names.
    Json,
    /// For people.
    Text,
}

/// A level that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "use fatal, error, warn, info, debug, trace or silent, or directives such as info,sqlx=debug"
)]
pub struct InvalidLevel;

/// Installs the program's log. Call once, first.
pub fn init(options: &LogOptions) -> anyhow::Result<()> {
    let subscriber = subscriber(options, io::stdout)?;
    tracing::subscriber::set_global_default(subscriber)?;
    Ok(())
}

/// The log, written to where you say.
pub fn subscriber<W>(
    options: &LogOptions,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, InvalidLevel>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let terminal = io::stdout().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(level_filter(&options.level)?)
        .with_writer(writer);
    Ok(match options.format {
        LogFormat::Text => Box::new(log.compact().with_ansi(terminal).finish()),
        LogFormat::Auto if terminal => Box::new(log.compact().finish()),
        LogFormat::Json | LogFormat::Auto => Box::new(
            log.fmt_fields(JsonFields::new())
                .event_format(JsonLines::new())
                .finish(),
        ),
    })
}

/// The filter of a level. Knows the two of the platform's words that tracing does not.
pub fn level_filter(level: &str) -> Result<EnvFilter, InvalidLevel> {
    let directives = match level.trim() {
        "fatal" => "error",
        "silent" => "off",
        known => known,
    };
    // A word alone would pass for the name of a module, and a misspelt level for a silent log.
    let level = |part: &str| !part.is_empty() && part.parse::<LevelFilter>().is_ok();
    let known = |part: &str| part.contains('=') || level(part.trim());
    if !directives.split(',').all(known) {
        return Err(InvalidLevel);
    }
    // Libraries that repeat what the engine tells once. Directives that name them come after and win;
    // but lapin, which shows the bodies of messages that come back to it, is silent whatever they say.
    EnvFilter::builder()
        .parse(format!(
            "sqlx=error,apalis_core=warn,{directives},lapin=off,lapin::returned_messages=off"
        ))
        .map_err(|_| InvalidLevel)
}

/// `{"level":"INFO","time":..,"pid":..,"hostname":..,"scope":..,"message":..}` and, beside these,
/// the fields of the event and of the spans around it.
#[derive(Debug)]
struct JsonLines {
    pid: u32,
    hostname: String,
}

#[derive(Serialize)]
struct Line<'a> {
    level: &'a str,
    time: String,
    pid: u32,
    hostname: &'a str,
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Value>,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl JsonLines {
    /// The names that fields cannot have.
    const OWN: [&str; 5] = ["level", "time", "pid", "hostname", "scope"];

    fn new() -> Self {
        Self {
            pid: std::process::id(),
            hostname: gethostname::gethostname().to_string_lossy().into_owned(),
        }
    }
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Map::new();
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(written) = span.extensions().get::<FormattedFields<N>>() {
                fields.extend(object(serde_json::from_str(&written.fields))?);
            }
        }
        fields.extend(object(serde_json::to_value(event.field_map()))?);
        fields.retain(|name, _| !Self::OWN.contains(&name.as_str()));

        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let line = Line {
            level: event.metadata().level().as_str(),
            time,
            pid: self.pid,
            hostname: &self.hostname,
            scope: event.metadata().target(),
            message: fields.remove("message"),
            fields,
        };
        let line = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

fn object(value: serde_json::Result<Value>) -> Result<Map<String, Value>, fmt::Error> {
    match value {
        Ok(Value::Object(fields)) => Ok(fields),
        // A span without fields is written as nothing at all.
        Err(error) if error.is_eof() => Ok(Map::new()),
        _ => Err(fmt::Error),
    }
}
