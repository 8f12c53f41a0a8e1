//! Months of partitioned tables, made ahead of the calendar.

use chrono::NaiveDate;
use metachat_jobs::platform::Platform;

use super::fixture::make_existing;
use super::on_both;
use super::records::{CONVERSATIONS, MESSAGES, insert};
use crate::support::with_postgres;

on_both! { plain_tables_have_no_months }

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

async fn plain_tables_have_no_months(platform: Platform) {
    let made = platform.add_months(day("2026-02-15"), 3).await.unwrap();
    assert_eq!(made, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_months_are_made_once_and_take_rows() {
    with_postgres(async move |url| {
        let platform = Platform::new(make_existing(&url).await);
        let made = platform.add_months(day("2026-02-15"), 3).await.unwrap();
        assert_eq!(
            made,
            ["messages 2026-03", "messages 2026-04", "messages 2026-05"]
        );
        let again = platform.add_months(day("2026-02-28"), 3).await.unwrap();
        assert_eq!(again, Vec::<String>::new());
        // The last millisecond of the last month.
        super::fixture::tenant(&platform, "acme").await;
        let end = day("2026-06-01").and_hms_opt(0, 0, 0).unwrap();
        let end = end.and_utc().timestamp_millis() - 1;
        let row = serde_json::json!(["c", "acme", "u", "active", end, end, end]);
        insert(&platform, "acme", &CONVERSATIONS, &[row]).await;
        let row = serde_json::json!(["m", "acme", "c", "inbound", end]);
        insert(&platform, "acme", &MESSAGES, &[row]).await;
    })
    .await;
}
