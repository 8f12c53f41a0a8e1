//! The whole timetable: what is done by the clock. Settings may change when, and whether; see
//! [`ScheduleOptions`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use windlass::model::{CatchUp, InvalidJson, Overlap, Schedule};
use windlass::{Job, Json};

use super::{
    AdoptDocuments, AggregateAnalytics, ArchiveWal, CheckBackups, CheckDocuments, CheckTables,
    CreateBackup, FindFailures, MaintainPartitions, PruneBackups, PruneDeliveries, PruneEmbeddings,
    PruneMessageMetrics, PruneMessages, PruneQuarantine, VerifyBackup,
};
use crate::backups::Level;

/// Every schedule there is. All are in UTC, which knows no summer time, and run once after an outage
/// however long it was: each of these jobs does what its earlier runs left over.
fn all() -> Result<Vec<Schedule>, InvalidJson> {
    Ok(vec![
        // After midnight in UTC, when the day before is complete.
        every::<AggregateAnalytics>("daily_analytics", "5 0 * * *")?,
        every::<MaintainPartitions>("partitions_ahead", "15 1 * * *")?,
        every::<AdoptDocuments>("documents_left_alone", "* * * * *")?,
        every::<FindFailures>("unanswered_messages", "* * * * *")?,
        every::<CheckDocuments>("document_check", "10 2 * * *")?,
        every::<CheckTables>("table_check", "0 2 * * 0")?,
        every::<PruneDeliveries>("delivery_retention", "50 3 * * *")?,
        every::<PruneQuarantine>("quarantine_retention", "45 3 * * *")?,
        every::<PruneEmbeddings>("embedding_retention", "40 3 * * *")?,
        every::<PruneMessageMetrics>("message_metrics_retention", "30 3 * * *")?,
        // Of tenants whose own settings ask for it.
        every::<PruneMessages>("message_retention", "20 3 * * *")?,
    ])
}

/// What is done for each target of backups.
fn of_target(target: &str, archives: bool) -> Result<Vec<Schedule>, InvalidJson> {
    let backup = CreateBackup {
        target: target.to_owned(),
    };
    let verify = |level| VerifyBackup::newest(target, level);
    let mut schedules = vec![
        of("backup", target, "0 2 * * *", &backup)?,
        of("verify", target, "0 9 * * 1", &verify(Level::Contents))?,
        of("recover", target, "0 10 1 * *", &verify(Level::Started))?,
    ];
    if archives {
        // It goes on until somebody ends it; this makes sure that it is there.
        let archive = ArchiveWal {
            target: target.to_owned(),
        };
        schedules.push(of("archive", target, "* * * * *", &archive)?);
    }
    Ok(schedules)
}

/// A job of a target.
fn of<J: Job>(verb: &str, target: &str, cron: &str, job: &J) -> Result<Schedule, InvalidJson> {
    let name = format!("{verb}_{target}");
    Ok(Schedule::new(&name, cron, J::KIND, Json::encode(job)?))
}

/// A job with its default args.
fn every<J: Job + Default>(name: &str, cron: &str) -> Result<Schedule, InvalidJson> {
    let args = Json::encode(&J::default())?;
    Ok(Schedule::new(name, cron, J::KIND, args))
}

/// What the settings may say of a schedule; what they leave out stays as it is here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleOptions {
    /// When.
    pub cron: Option<String>,
    /// On whose clocks.
    pub zone: Option<String>,
    /// Whether at all.
    pub enabled: Option<bool>,
    /// In which queue.
    pub queue: Option<String>,
    /// With which priority.
    pub priority: Option<u8>,
    /// What becomes of ticks that were missed.
    pub catch_up: Option<CatchUpOption>,
    /// How old a missed tick may be that `all` makes up for.
    pub catch_up_within_ms: Option<u64>,
    /// What becomes of a tick while an earlier one's job is unfinished.
    pub overlap: Option<Overlap>,
    /// How much later its job may start.
    pub jitter_ms: Option<u64>,
}

/// A catch-up policy, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUpOption {
    /// Missed ticks are left out.
    None,
    /// The latest is made up for.
    Latest,
    /// All within `catch_up_within_ms` are made up for.
    All,
}

/// Why the settings make no timetable.
#[derive(Debug, thiserror::Error)]
pub enum TimetableError {
    /// They name a schedule that is not there.
    #[error("schedules.{name}: there is no such schedule; known are {known}")]
    Unknown {
        /// As they name it.
        name: String,
        /// All there are.
        known: String,
    },
    /// A window for a policy that has none, or none for the one that needs it.
    #[error(
        "schedules.{0}.catch_up_within_ms: belongs to catch_up = \"all\", and only to that; set both \
         or neither"
    )]
    Window(String),
    /// A default cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] InvalidJson),
}

/// The timetable as the settings want it, with the backups of these targets, and whether their log is
/// archived.
pub fn timetable<'a>(
    settings: &BTreeMap<String, ScheduleOptions>,
    targets: impl IntoIterator<Item = (&'a String, bool)>,
) -> Result<Vec<Schedule>, TimetableError> {
    let mut schedules = all()?;
    for (number, (target, archives)) in targets.into_iter().enumerate() {
        if number == 0 {
            schedules.push(every::<PruneBackups>("backup_retention", "30 4 * * *")?);
            schedules.push(every::<CheckBackups>("backup_check", "25 * * * *")?);
        }
        schedules.extend(of_target(target, archives)?);
    }
    for (name, options) in settings {
        let Some(schedule) = schedules.iter_mut().find(|it| it.name == *name) else {
            let known: Vec<&str> = schedules.iter().map(|it| it.name.as_str()).collect();
            return Err(TimetableError::Unknown {
                name: name.clone(),
                known: known.join(", "),
            });
        };
        options.apply(schedule)?;
    }
    Ok(schedules)
}

impl ScheduleOptions {
    fn apply(&self, schedule: &mut Schedule) -> Result<(), TimetableError> {
        let text = |given: &Option<String>, own: &mut String| {
            if let Some(given) = given {
                own.clone_from(given);
            }
        };
        text(&self.cron, &mut schedule.cron);
        text(&self.zone, &mut schedule.zone);
        schedule.enabled = self.enabled.unwrap_or(schedule.enabled);
        schedule.queue = self.queue.clone().or(schedule.queue.take());
        schedule.priority = self.priority.or(schedule.priority);
        schedule.overlap = self.overlap.unwrap_or(schedule.overlap);
        if let Some(jitter) = self.jitter_ms {
            schedule.jitter = Duration::from_millis(jitter);
        }
        schedule.catch_up = match (self.catch_up, self.catch_up_within_ms) {
            (None, None) => schedule.catch_up,
            (Some(CatchUpOption::None), None) => CatchUp::None,
            (Some(CatchUpOption::Latest), None) => CatchUp::Latest,
            (Some(CatchUpOption::All), Some(within)) => CatchUp::All {
                within: Duration::from_millis(within),
            },
            _ => return Err(TimetableError::Window(schedule.name.clone())),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, options: ScheduleOptions) -> Result<Vec<Schedule>, TimetableError> {
        timetable(&BTreeMap::from([(name.to_owned(), options)]), [])
    }

    #[test]
    fn every_schedule_can_be() {
        for schedule in timetable(&BTreeMap::new(), [(&"main".to_owned(), true)]).unwrap() {
            assert_eq!(schedule.validate(), Ok(()), "{}", schedule.name);
        }
    }

    #[test]
    fn settings_change_what_they_name_and_nothing_else() {
        let options = ScheduleOptions {
            cron: Some("0 4 * * *".into()),
            zone: Some("Europe/Berlin".into()),
            enabled: Some(false),
            catch_up: Some(CatchUpOption::All),
            catch_up_within_ms: Some(86_400_000),
            overlap: Some(Overlap::Queue),
            jitter_ms: Some(1500),
            ..ScheduleOptions::default()
        };
        let own = timetable(&BTreeMap::new(), []).unwrap();
        let changed = with("daily_analytics", options).unwrap();
        assert_eq!(changed[1..], own[1..]);
        let expected = Schedule {
            cron: "0 4 * * *".into(),
            zone: "Europe/Berlin".into(),
            enabled: false,
            catch_up: CatchUp::All {
                within: Duration::from_hours(24),
            },
            overlap: Overlap::Queue,
            jitter: Duration::from_millis(1500),
            ..own[0].clone()
        };
        assert_eq!(changed[0], expected);
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let refused = with("daily_analytic", ScheduleOptions::default()).unwrap_err();
        let told = refused.to_string();
        assert!(told.starts_with("schedules.daily_analytic: "), "{told}");
        assert!(told.contains("daily_analytics, partitions_ahead"), "{told}");
    }

    #[test]
    fn a_window_belongs_to_all() {
        let lone = ScheduleOptions {
            catch_up_within_ms: Some(1),
            ..ScheduleOptions::default()
        };
        let none = ScheduleOptions {
            catch_up: Some(CatchUpOption::All),
            ..ScheduleOptions::default()
        };
        for options in [lone, none] {
            let refused = with("daily_analytics", options).unwrap_err();
            assert!(matches!(refused, TimetableError::Window(_)));
        }
    }
}
