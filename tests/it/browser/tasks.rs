//! What somebody who sees the dashboard for the first time has to get done, in at most three actions from the
//! overview. An action is a press; what is typed before it belongs to it.

use serde_json::json;

use super::driver::Browser;
use super::{House, in_a_browser, on_postgres_with, on_sqlite_with};
use crate::backups::rig::Rig;

const MOST: usize = 3;

in_a_browser! {
    why_messages_of_one_tenant_fail_is_found
    all_failed_deliveries_of_one_error_are_retried
    a_queue_is_paused_for_an_hour
    the_analytics_of_a_missed_day_are_run
}

/// Somebody at the overview.
struct Newcomer {
    browser: Browser,
    actions: usize,
}

impl Newcomer {
    async fn arrive(house: &House) -> Self {
        let browser = house.operator("nora").await;
        browser.read("Needs attention").await;
        Self {
            browser,
            actions: 0,
        }
    }

    async fn press(&mut self, words: &str) {
        self.acts(words);
        self.browser.press(words).await;
    }

    async fn confirm(&mut self, words: &str) {
        self.acts(words);
        self.browser.confirm(words).await;
    }

    fn acts(&mut self, words: &str) {
        self.actions += 1;
        assert!(self.actions <= MOST, "{words} is one action too many");
    }
}

async fn why_messages_of_one_tenant_fail_is_found(house: &House) {
    let mut nora = Newcomer::arrive(house).await;
    nora.press("5 dead jobs").await;
    nora.press("acme").await;
    nora.browser.read("token expired").await;
    let at = nora.browser.run("return location.search", vec![]).await;
    assert_eq!(at, "?tenant=acme");
}

async fn all_failed_deliveries_of_one_error_are_retried(house: &House) {
    let mut nora = Newcomer::arrive(house).await;
    nora.press("5 dead jobs").await;
    nora.press("Requeue 4").await;
    nora.confirm("Requeue 4").await;
    nora.browser.read("4 jobs requeued").await;
    let waiting = house
        .get("/v1/jobs?kind=deliver_message&state=available")
        .await;
    assert_eq!(waiting["jobs"].as_array().unwrap().len(), 4);
}

async fn a_queue_is_paused_for_an_hour(house: &House) {
    let mut nora = Newcomer::arrive(house).await;
    nora.press("delivery").await;
    nora.press("Pause").await;
    let reason = "dialog input[name=reason]";
    nora.browser.fill(reason, "the provider is down").await;
    nora.press("Pause").await;
    nora.browser.read("It is paused").await;
    let pause = &house.get("/v1/pauses").await["pauses"][0];
    assert_eq!(pause["queue"], "delivery");
    let time = |name: &str| -> chrono::DateTime<chrono::Utc> {
        serde_json::from_value(pause[name].clone()).unwrap()
    };
    let minutes = (time("until") - time("at")).num_minutes();
    assert!((58..=61).contains(&minutes), "{pause}");
}

async fn the_analytics_of_a_missed_day_are_run(house: &House) {
    let mut nora = Newcomer::arrive(house).await;
    nora.press("Schedules").await;
    nora.press("Make up…").await;
    nora.browser.read("1 tick to fire").await;
    nora.press("Fire").await;
    nora.browser.read("1 tick fired").await;
    let ticks = house.get("/v1/schedules/daily_analytics/ticks").await;
    assert_eq!(ticks["ticks"][0]["origin"], json!("backfill"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_backup_was_last_proven_is_seen_on_sqlite() {
    let rig = proven().await;
    on_sqlite_with(rig.backups().clone(), async |house| {
        when_a_backup_was_last_proven_is_seen(&house).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_backup_was_last_proven_is_seen_on_postgres() {
    let rig = proven().await;
    on_postgres_with(rig.backups().clone(), async |house| {
        when_a_backup_was_last_proven_is_seen(&house).await;
    })
    .await;
}

async fn when_a_backup_was_last_proven_is_seen(house: &House) {
    let mut nora = Newcomer::arrive(house).await;
    // The overview tells at once; where it comes from is one press away.
    nora.browser.read("restore proven").await;
    nora.browser.read("1 backup target").await;
    nora.press("Backups").await;
    nora.browser.read("last proven").await;
    nora.browser.read_no("not proven").await;
    nora.browser.read("1 kept").await;
    assert_eq!(nora.browser.barriers().await, [""; 0]);
    let listed = house.get("/v1/backups").await;
    assert!(
        listed["targets"][0]["last_verified_at"].is_string(),
        "{listed}"
    );
}

/// A backup that was tried out.
async fn proven() -> Rig {
    let rig =
        Rig::new("[backups.targets.settings]\nkind = \"configuration\"\nplace = \"local\"\n").await;
    rig.created("settings").await;
    rig
}
