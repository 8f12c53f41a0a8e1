//! Pictures of every page, for people to look at: `scripts/screenshots` asks for them. What a test can see is
//! seen here at any rate: on a phone nothing sticks out.

use std::path::Path;

use super::pages::pages;
use super::{House, on_sqlite};

const PHONE: (u32, u32) = (500, 900);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_phone_nothing_sticks_out_of_any_page() {
    on_sqlite(async |house| {
        #[expect(clippy::disallowed_methods, reason = "tests have no config to read it from")]
        let wanted = std::env::var_os("METACHAT_JOBS_PICTURES");
        if let Some(folder) = &wanted {
            take_all(&house, Path::new(folder)).await;
        }
        let browser = house.operator("ana").await;
        browser.resize(PHONE.0, PHONE.1).await;
        for (name, path, words) in pages(&house) {
            browser.visit(&path).await;
            browser.read(words).await;
            let over = "return Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth)";
            assert_eq!(browser.run(over, vec![]).await, 0, "{name}");
            if let Some(folder) = &wanted {
                take(&browser, Path::new(folder), &format!("{name}-phone")).await;
            }
        }
        browser.visit("/").await;
        browser.press("More").await;
        browser.press("Workers").await;
        browser.read("web-1").await;
    })
    .await;
}

async fn take_all(house: &House, folder: &Path) {
    let browser = house.operator("ana").await;
    for theme in ["light", "dark"] {
        browser.theme(theme).await;
        for (name, path, words) in pages(house) {
            browser.visit(&path).await;
            browser.read(words).await;
            browser.until("return document.querySelector('[aria-busy=true]') === null && document.fonts.status === 'loaded'", "").await;
            take(&browser, folder, &format!("{name}-{theme}")).await;
        }
    }
}

async fn take(browser: &super::driver::Browser, folder: &Path, name: &str) {
    std::fs::write(folder.join(format!("{name}.png")), browser.picture().await).unwrap();
}
