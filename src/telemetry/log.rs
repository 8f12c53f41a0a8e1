//! Log lines: the platform's JSON, one object per line, or text for a person at a terminal.

use std::fmt;
use std::io::{self, IsTerminal};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_serde::fields::AsMap;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::{LookupSpan, Registry, Scope};
use tracing_subscriber::{EnvFilter, Layer};

/// A layer of the program's own subscriber.
pub(super) type AnyLayer = Box<dyn Layer<Registry> + Send + Sync>;

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

/// The log, written to where you say.
pub fn subscriber<W>(
    options: &LogOptions,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, InvalidLevel>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // The filter is one for all: what it does not want costs next to nothing.
    let filter = level_filter(&options.level)?;
    Ok(Box::new(
        Registry::default()
            .with(lines(options.format, writer))
            .with(filter),
    ))
}

/// The log beside others who want to know of more or of less than it.
pub(super) fn subscriber_beside<W>(
    options: &LogOptions,
    writer: W,
    others: Vec<AnyLayer>,
) -> Result<Box<dyn Subscriber + Send + Sync>, InvalidLevel>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = level_filter(&options.level)?;
    let log = lines(options.format, writer).with_filter(filter).boxed();
    let layers: Vec<AnyLayer> = std::iter::once(log).chain(others).collect();
    Ok(Box::new(Registry::default().with(layers)))
}

fn lines<W>(format: LogFormat, writer: W) -> AnyLayer
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let terminal = io::stdout().is_terminal();
    let log = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Text => log.compact().with_ansi(terminal).boxed(),
        LogFormat::Auto if terminal => log.compact().boxed(),
        LogFormat::Json | LogFormat::Auto => log
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines::new())
            .boxed(),
    }
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
        let shown = |name: &str| !Self::OWN.contains(&name) && !name.starts_with("otel.");
        fields.retain(|name, _| shown(name));

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
