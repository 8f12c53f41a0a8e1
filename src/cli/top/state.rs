//! What `jobctl top` knows. Nothing in here reads a clock, a key or a socket.

use std::time::Duration;

use super::data::{Group, Job, Overview, Part, Pause, Queue, Schedule};

/// After so long without an answer what is shown is called old.
pub(super) const OLD: Duration = Duration::from_secs(5);

/// A page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// How it goes.
    Overview,
    /// Queue by queue.
    Queues,
    /// The newest jobs.
    Jobs,
    /// What fails, grouped.
    Errors,
    /// What is done by the clock.
    Schedules,
}

impl Tab {
    /// All, in their order.
    pub const ALL: [Self; 5] = [
        Self::Overview,
        Self::Queues,
        Self::Jobs,
        Self::Errors,
        Self::Schedules,
    ];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Overview => "1 Overview",
            Self::Queues => "2 Queues",
            Self::Jobs => "3 Jobs",
            Self::Errors => "4 Errors",
            Self::Schedules => "5 Schedules",
        }
    }

    pub(super) fn place(self) -> usize {
        Self::ALL.iter().position(|it| *it == self).unwrap_or(0)
    }

    pub(super) fn step(self, by: usize) -> Self {
        Self::ALL[(self.place() + by) % Self::ALL.len()]
    }
}

/// What a key would mean now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    /// Looking.
    Look,
    /// Writing what to look for.
    Filter,
    /// Asked whether to do it.
    Confirm(Act),
}

/// What is done from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Make a job available now.
    Retry(String),
    /// Pause a queue.
    Pause(String),
    /// End its pause.
    Resume(String),
}

impl Act {
    pub(super) fn words(&self) -> String {
        match self {
            Self::Retry(id) => format!("run job {id} again now"),
            Self::Pause(queue) => format!("pause queue {queue}"),
            Self::Resume(queue) => format!("end the pause of queue {queue}"),
        }
    }
}

/// All that is known.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) server: String,
    pub(super) colour: bool,
    pub(super) tab: Tab,
    pub(super) mode: Mode,
    pub(super) filter: String,
    /// The place of the chosen row, of those that are shown.
    pub(super) row: usize,
    pub(super) overview: Option<Overview>,
    pub(super) queues: Option<Vec<Queue>>,
    pub(super) pauses: Vec<Pause>,
    pub(super) jobs: Option<Vec<Job>>,
    pub(super) errors: Option<Vec<Group>>,
    pub(super) schedules: Option<Vec<Schedule>>,
    /// Since the last answer.
    pub(super) age: Duration,
    /// Why the last question was not answered.
    pub(super) trouble: Option<String>,
    /// What came of the last act.
    pub(super) notice: Option<String>,
}

impl State {
    /// Nothing is known yet.
    pub fn new(server: &str, colour: bool) -> Self {
        Self {
            server: server.to_owned(),
            colour,
            tab: Tab::Overview,
            mode: Mode::Look,
            filter: String::new(),
            row: 0,
            overview: None,
            queues: None,
            pauses: Vec::new(),
            jobs: None,
            errors: None,
            schedules: None,
            age: Duration::ZERO,
            trouble: None,
            notice: None,
        }
    }

    /// Which page is shown.
    pub const fn tab(&self) -> Tab {
        self.tab
    }

    pub(super) fn is_old(&self) -> bool {
        self.trouble.is_some() || self.age > OLD
    }

    pub(super) fn take(&mut self, part: Part) {
        match part {
            Part::Overview(overview) => self.overview = Some(overview),
            Part::Queues(queues, pauses) => {
                self.queues = Some(queues);
                self.pauses = pauses;
            }
            Part::Jobs(jobs) => self.jobs = Some(jobs),
            Part::Errors(groups) => self.errors = Some(groups),
            Part::Schedules(schedules) => self.schedules = Some(schedules),
        }
        self.row = self.row.min(self.rows().saturating_sub(1));
    }

    /// How many rows the page has.
    pub(super) fn rows(&self) -> usize {
        match self.tab {
            Tab::Overview => 0,
            Tab::Queues => self.shown_queues().count(),
            Tab::Jobs => self.shown_jobs().count(),
            Tab::Errors => self.shown_errors().count(),
            Tab::Schedules => self.shown_schedules().count(),
        }
    }

    pub(super) fn shown_queues(&self) -> impl Iterator<Item = &Queue> {
        let queues = self.queues.iter().flatten();
        queues.filter(|queue| self.fits(&[&queue.queue]))
    }

    pub(super) fn shown_jobs(&self) -> impl Iterator<Item = &Job> {
        let jobs = self.jobs.iter().flatten();
        jobs.filter(|job| {
            let tenant = job.tenant_id.as_deref().unwrap_or_default();
            self.fits(&[&job.id, &job.kind, &job.queue, &job.state, tenant])
        })
    }

    pub(super) fn shown_errors(&self) -> impl Iterator<Item = &Group> {
        let groups = self.errors.iter().flatten();
        groups.filter(|group| {
            let (kinds, tenants) = (group.kinds.join(" "), group.tenants.join(" "));
            self.fits(&[&group.message, &kinds, &tenants])
        })
    }

    pub(super) fn shown_schedules(&self) -> impl Iterator<Item = &Schedule> {
        let schedules = self.schedules.iter().flatten();
        schedules.filter(|schedule| self.fits(&[&schedule.name, &schedule.status, &schedule.cron]))
    }

    /// The pause of exactly this queue.
    pub(super) fn pause_of(&self, queue: &str) -> Option<&Pause> {
        self.pauses.iter().find(|pause| {
            pause.queue.as_deref() == Some(queue)
                && pause.kind.is_none()
                && pause.tenant_id.is_none()
        })
    }

    /// Whether every word that is looked for is in one of the texts.
    fn fits(&self, texts: &[&str]) -> bool {
        let wanted = self.filter.to_lowercase();
        let mut words = wanted.split_whitespace();
        words.all(|word| texts.iter().any(|text| text.to_lowercase().contains(word)))
    }
}
