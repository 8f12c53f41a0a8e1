//! Errors to Sentry, if there is somewhere to send them to: panics, dead letters and schedules that fail,
//! grouped by kind and fingerprint, and a check-in for each run of a schedule. Never a failed attempt that
//! is tried again.
//!
//! Nothing of args, results, error texts or messages goes there; only what the log says of the event.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use secrecy::ExposeSecret;
use sentry::protocol::{
    Envelope, Event, Level, MonitorCheckIn, MonitorCheckInStatus, MonitorConfig, MonitorSchedule,
};
use sentry::transports::DefaultTransportFactory;
use sentry::{Client, ClientOptions};
use tracing::field::{Field, Visit};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::Registry;
use uuid::Uuid;
use windlass::telemetry::{Cause, events};

use super::options::{Monitor, Monitors, TelemetryOptions};

/// What is told to Sentry.
const REPORTED: [&str; 4] = [
    events::ATTEMPT_ENDED,
    events::JOB_DEAD,
    events::TICK_FIRED,
    events::SCHEDULE_FAILED,
];
/// Fields that become tags, by which events are searched; others are left out.
const TAGS: [&str; 10] = [
    "job.kind",
    "job.id",
    "job.attempt",
    "queue.name",
    "outcome",
    "schedule",
    "correlationId",
    "tenantId",
    "fingerprint",
    "crashes",
];
/// How long after its time a schedule may start, and how long it may run, in minutes.
const MARGIN: u64 = 5;
const LONGEST_RUN: u64 = 360;

/// What sends reports. Clones share it.
#[derive(Clone)]
pub(super) struct Reports {
    client: Arc<Client>,
    environment: String,
    monitors: Arc<Monitors>,
}

impl std::fmt::Debug for Reports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reports")
    }
}

impl Reports {
    /// None if there is nowhere to send errors to.
    pub(super) fn new(
        options: &TelemetryOptions,
        monitors: Monitors,
    ) -> anyhow::Result<Option<Self>> {
        let dsn = options.sentry_dsn.expose_secret();
        if dsn.is_empty() {
            return Ok(None);
        }
        // Sentry's client asks for the process-wide TLS provider; an earlier choice stands.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A DSN holds a key: what is wrong with it is not repeated.
        let dsn = dsn
            .parse()
            .ok()
            .context("setting telemetry.sentry_dsn: is not of the form https://key@host/project")?;
        let mut client = ClientOptions::new()
            .maybe_release(sentry::release_name!())
            .environment(options.sentry_environment.clone())
            .server_name(gethostname::gethostname().to_string_lossy().into_owned())
            .default_integrations(false)
            .transport(DefaultTransportFactory);
        client.dsn = Some(dsn);
        Ok(Some(Self {
            client: Arc::new(Client::with_options(client)),
            environment: options.sentry_environment.clone(),
            monitors: Arc::new(monitors),
        }))
    }

    /// Reports what is told of, and any panic.
    pub(super) fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        let layer = self.clone();
        layer.with_filter(filter_fn(is_reported)).boxed()
    }

    /// Also reports panics outside of jobs and requests, whatever else is done about them.
    pub(super) fn report_panics(&self) {
        let (reports, previous) = (self.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            reports.panicked(panic);
            previous(panic);
        }));
    }

    /// Sends what waits, for at most so long.
    pub(super) fn end(&self, patience: Duration) {
        self.client.close(Some(patience));
    }

    /// Where, and not in which words: those may hold anything. What it worked for is known while the task
    /// is still there.
    fn panicked(&self, panic: &PanicHookInfo<'_>) {
        let place = panic.location().map(ToString::to_string);
        let place = place.unwrap_or_default();
        let mut tags = BTreeMap::from([("place".to_owned(), place.clone())]);
        if let Some(id) = Cause::current().correlation_id {
            tags.insert("correlationId".to_owned(), id);
        }
        let group = ["panic".to_owned(), place];
        self.capture("the program panicked".to_owned(), group, tags);
    }

    fn capture(
        &self,
        message: String,
        group: impl IntoIterator<Item = String>,
        tags: BTreeMap<String, String>,
    ) {
        let event = Event {
            message: Some(message),
            level: Level::Error,
            logger: Some("metachat-jobs".to_owned()),
            fingerprint: Cow::Owned(group.into_iter().map(Cow::Owned).collect()),
            tags: tags.into_iter().collect(),
            ..Event::default()
        };
        self.client.capture_event(event, None);
    }

    fn job(&self, what: &str, fields: Fields) {
        let kind = fields.text("job.kind");
        let group = [what.to_owned(), kind.clone(), fields.text("fingerprint")];
        self.capture(format!("{what}: {kind}"), group, fields.tags());
    }

    /// How a run of a schedule stands, if that is what this is told of.
    fn check_in(&self, fields: &Fields, status: MonitorCheckInStatus) {
        let correlation = fields.text("correlationId");
        let of_schedule = correlation.strip_prefix("schedule:");
        let name = of_schedule
            .and_then(|rest| rest.split_once('@'))
            .map(|(name, _)| name);
        // What a schedule's job enqueues carries its correlation id on, and is no run of it.
        let monitor = name.and_then(|name| self.monitors.get(name));
        let (Some(name), Some(monitor)) = (name, monitor) else {
            return;
        };
        if monitor.kind != fields.text("job.kind") {
            return;
        }
        let mut envelope = Envelope::new();
        envelope.add_item(MonitorCheckIn {
            // The same in whichever process the job ends.
            check_in_id: Uuid::new_v5(&Uuid::NAMESPACE_OID, correlation.as_bytes()),
            monitor_slug: slug(name),
            status,
            environment: Some(self.environment.clone()),
            duration: fields
                .text("duration_ms")
                .parse()
                .ok()
                .map(|ms: f64| ms / 1e3),
            monitor_config: config(monitor),
        });
        self.client.send_envelope(envelope);
    }
}

/// What Sentry expects of a schedule; it knows no seconds.
fn config(monitor: &Monitor) -> Option<MonitorConfig> {
    Some(MonitorConfig {
        schedule: MonitorSchedule::from_crontab(&monitor.cron).ok()?,
        checkin_margin: Some(MARGIN),
        max_runtime: Some(LONGEST_RUN),
        timezone: Some(monitor.zone.clone()),
        failure_issue_threshold: None,
        recovery_threshold: None,
    })
}

/// Names of monitors are lower case, with dashes.
fn slug(name: &str) -> String {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    let lower = name.to_ascii_lowercase();
    lower
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect()
}

fn is_reported(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && REPORTED.contains(&metadata.name())
}

impl<S: Subscriber> Layer<S> for Reports {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        match event.metadata().name() {
            events::JOB_DEAD => {
                self.check_in(&fields, MonitorCheckInStatus::Error);
                self.job("job is dead", fields);
            }
            events::ATTEMPT_ENDED => match &*fields.text("outcome") {
                "completed" => self.check_in(&fields, MonitorCheckInStatus::Ok),
                "panicked" => self.job("job panicked", fields),
                _ => {}
            },
            events::TICK_FIRED if fields.text("outcome") == "fired" => {
                self.check_in(&fields, MonitorCheckInStatus::InProgress);
            }
            events::SCHEDULE_FAILED => {
                let name = fields.text("schedule");
                let group = ["schedule failed".to_owned(), name.clone()];
                let message = format!("schedule failed: {name}");
                self.capture(message, group, fields.tags());
            }
            _ => {}
        }
    }
}

/// What an event says, field by field.
#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Fields {
    fn text(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_default()
    }

    fn tags(self) -> BTreeMap<String, String> {
        let known = self.0.into_iter().filter(|(name, _)| TAGS.contains(name));
        known
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use sentry::Transport;
    use sentry::protocol::EnvelopeItem;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Keeps what would be sent.
    #[derive(Default)]
    struct Kept(Mutex<Vec<Envelope>>);

    impl Transport for Kept {
        fn send_envelope(&self, envelope: Envelope) {
            self.0.lock().unwrap().push(envelope);
        }
    }

    impl Kept {
        /// The only event, and all that was sent as text.
        fn event(&self) -> (Event<'static>, String) {
            let sent = self.0.lock().unwrap();
            let [envelope] = &sent[..] else {
                panic!("{} envelopes", sent.len());
            };
            let mut text = Vec::new();
            envelope.to_writer(&mut text).unwrap();
            let event = envelope.items().find_map(|item| match item {
                EnvelopeItem::Event(event) => Some(event.clone()),
                _ => None,
            });
            (*event.unwrap(), String::from_utf8(text).unwrap())
        }
    }

    fn reports() -> (Reports, Arc<Kept>) {
        let kept = Arc::new(Kept::default());
        let mut options = ClientOptions::new()
            .default_integrations(false)
            .transport(Arc::clone(&kept));
        options.dsn = Some("http://key@localhost/1".parse().unwrap());
        let reports = Reports {
            client: Arc::new(Client::with_options(options)),
            environment: "test".to_owned(),
            monitors: Arc::default(),
        };
        (reports, kept)
    }

    #[test]
    fn a_panic_outside_of_jobs_is_reported_by_its_place_only() {
        let (reports, kept) = reports();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        reports.report_panics();
        let panicked = std::thread::spawn(|| panic!("words of a message")).join();
        std::panic::set_hook(before);
        assert!(panicked.is_err());
        let (event, text) = kept.event();
        assert_eq!(event.message.as_deref(), Some("the program panicked"));
        let place = &event.tags["place"];
        assert!(place.starts_with(file!()), "{place}");
        assert_eq!(&*event.fingerprint, ["panic", place.as_str()]);
        assert!(!text.contains("words of a message"), "{text}");
    }

    #[test]
    fn a_schedule_that_cannot_fire_is_reported_by_its_name() {
        let (reports, kept) = reports();
        let subscriber = tracing_subscriber::registry().with(reports.layer());
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(
                name: events::SCHEDULE_FAILED,
                schedule = "daily-figures",
                error = "words of a message",
                "this program cannot fire the schedule"
            );
            tracing::error!("something else");
        });
        let (event, text) = kept.event();
        let told = event.message.as_deref();
        assert_eq!(told, Some("schedule failed: daily-figures"));
        assert_eq!(&*event.fingerprint, ["schedule failed", "daily-figures"]);
        assert_eq!(event.tags["schedule"], "daily-figures");
        assert!(!text.contains("words of a message"), "{text}");
    }
}
