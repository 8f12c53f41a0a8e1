use std::num::NonZeroU32;

use super::Fields;

/// `retention`: for how long a tenant wants its rows kept. Without it they are kept for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetentionSettings {
    /// `messages.retentionDays`: how many days messages are kept.
    pub message_days: Option<NonZeroU32>,
    /// `messages.archive`: whether they are to be kept elsewhere first.
    pub archive_messages: bool,
    /// `apiLogs.retentionDays`: how many days records of API calls are kept.
    pub api_log_days: Option<NonZeroU32>,
}

impl RetentionSettings {
    pub(super) fn read(mut fields: Fields<'_>) -> Self {
        let mut messages = fields.object("messages");
        let message_days = days(&mut messages);
        let archive_messages = match messages.flag("archive") {
            Some(archive) => archive,
            // What cannot be read may be a wish to keep them: nothing is deleted on a guess.
            None => messages.has("archive"),
        };
        Self {
            message_days,
            archive_messages,
            api_log_days: days(&mut fields.object("apiLogs")),
        }
    }
}

fn days(fields: &mut Fields<'_>) -> Option<NonZeroU32> {
    let days = fields.whole("retentionDays", 1..=36_500)?;
    NonZeroU32::new(days)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::TenantSettings;
    use super::*;

    #[test]
    fn nothing_is_deleted_unless_days_are_asked_for() {
        for value in [
            json!({}),
            json!({"retention": {}}),
            json!({"retention": {"messages": {}, "apiLogs": null}}),
        ] {
            let (settings, problems) = TenantSettings::parse(&value);
            assert_eq!(settings.retention, RetentionSettings::default());
            assert_eq!(problems, Vec::<String>::new());
        }
    }

    #[test]
    fn each_table_has_days_of_its_own() {
        let (settings, problems) = TenantSettings::parse(&json!({"retention": {
            "messages": {"retentionDays": 30, "archive": true, "archiveTable": "old"},
            "apiLogs": {"retentionDays": 7},
        }}));
        let expected = RetentionSettings {
            message_days: NonZeroU32::new(30),
            archive_messages: true,
            api_log_days: NonZeroU32::new(7),
        };
        assert_eq!(settings.retention, expected);
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn days_that_make_no_sense_delete_nothing_and_are_named() {
        let (settings, problems) = TenantSettings::parse(&json!({"retention": {
            "messages": {"retentionDays": 0, "archive": "yes"},
            "apiLogs": {"retentionDays": "7"},
        }}));
        let expected = RetentionSettings {
            archive_messages: true,
            ..RetentionSettings::default()
        };
        assert_eq!(settings.retention, expected);
        assert_eq!(
            problems,
            [
                "retention.messages.retentionDays: expected a whole number from 1 to 36500, found another number",
                "retention.messages.archive: expected true or false, found text",
                "retention.apiLogs.retentionDays: expected a whole number from 1 to 36500, found text",
            ]
        );
    }
}
