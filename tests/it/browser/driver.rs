//! A browser without a window: Chromium, driven by chromedriver, both of the system's packages.

use std::fmt::Debug;
use std::process::Stdio;
use std::time::Duration;

use axum::http::Method;
use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use url::Url;

/// The longest wait for what a page should come to show.
const PATIENCE: Duration = Duration::from_mins(1);
const AXE: &str = include_str!("axe.min.js");

/// A page in a browser of its own, with a folder of its own. Ended when it is dropped, however the test ends.
pub(super) struct Browser {
    client: Client,
    home: String,
    driver: Child,
}

/// The driver alone would leave its browser behind, which nobody would ever end.
impl Drop for Browser {
    fn drop(&mut self) {
        let driver = self.driver.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = driver.and_then(Pid::from_raw) {
            kill_process_group(group, Signal::KILL).expect("the driver leads a group");
        }
    }
}

/// What the browser wrote to its console since it was last asked.
#[derive(Debug)]
struct ReadLog;

impl WebDriverCompatibleCommand for ReadLog {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({"type": "browser"}).to_string()))
    }
}

/// A driver that listens, and its port. One that is told to take any port takes what is free for IPv4 and wants
/// the same for IPv6; who loses that to another driver ends.
async fn drive() -> (Child, String) {
    for _ in 0..5 {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver is there: `scripts/services up` installs it");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                return (driver, port.trim_end_matches('.').to_owned());
            }
        }
        driver.wait().await.unwrap();
    }
    panic!("chromedriver ends before it listens");
}

impl Browser {
    /// Of this size, looking at nothing yet; paths are of `home`.
    pub(super) async fn open(home: &str, (width, height): (u32, u32)) -> Self {
        let (driver, port) = drive().await;
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
        ];
        let wanted = json!({
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"script": PATIENCE.as_millis()},
        });
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        client.set_window_size(width, height).await.unwrap();
        Self {
            client,
            home: home.to_owned(),
            driver,
        }
    }

    /// Goes to a page as if its address were typed.
    pub(super) async fn visit(&self, path: &str) {
        self.client
            .goto(&format!("{}{path}", self.home))
            .await
            .unwrap();
    }

    /// Signs in by the form, with a name for the audit log.
    pub(super) async fn sign_in(&self, key: &str, name: &str) {
        self.visit("/").await;
        self.fill("input[name=key]", key).await;
        self.fill("input[name=name]", name).await;
        self.press("Sign in").await;
        self.see("main#page h1").await;
    }

    pub(super) async fn theme(&self, theme: &str) {
        let script = "localStorage.setItem('jobs.theme', arguments[0])";
        self.run(script, vec![json!(theme)]).await;
    }

    /// Waits for the element.
    pub(super) async fn see(&self, css: &str) -> Element {
        let found = self.client.wait().at_most(PATIENCE);
        match found.for_element(Locator::Css(css)).await {
            Ok(element) => element,
            Err(error) => panic!(
                "no {css} at {}: {error}\n{}",
                self.path().await,
                self.text("body").await
            ),
        }
    }

    /// Waits until the page shows these words.
    pub(super) async fn read(&self, words: &str) {
        let script = "return document.body.innerText.includes(arguments[0])";
        self.until(script, words).await;
    }

    /// Waits until the page shows these words no more.
    pub(super) async fn read_no(&self, words: &str) {
        let script = "return !document.body.innerText.includes(arguments[0])";
        self.until(script, words).await;
    }

    /// Waits until a script says so.
    pub(super) async fn until(&self, script: &str, words: &str) {
        let wait = async {
            while self.run(script, vec![json!(words)]).await != json!(true) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, wait).await;
        assert!(
            ended.is_ok(),
            "{script} ({words}):\n{}",
            self.text("body").await
        );
    }

    /// Presses the first enabled button or link that says so, in an open dialog if there is one.
    pub(super) async fn press(&self, words: &str) {
        let script = "const root = document.querySelector('dialog[open]') ?? document;
            const found = [...root.querySelectorAll('button, a, input[type=checkbox]')].find((each) => !each.disabled
                && each.offsetParent !== null && ((each.innerText ?? each.textContent).trim() === arguments[0] || each.ariaLabel === arguments[0]));
            found?.click();
            return Boolean(found)";
        self.until(script, words).await;
    }

    /// Presses this in a dialog, once that is open: what opened it may be called the same.
    pub(super) async fn confirm(&self, words: &str) {
        self.see("dialog[open]").await;
        self.press(words).await;
    }

    /// Writes into a field as a person does.
    pub(super) async fn fill(&self, css: &str, words: &str) {
        let field = self.see(css).await;
        field.clear().await.unwrap();
        field.send_keys(words).await.unwrap();
    }

    /// Chooses what has this value. The driver's own way tells the page of the change, and not of the input.
    pub(super) async fn choose(&self, css: &str, value: &str) {
        self.set(css, value).await;
    }

    /// Sets a field for times, which takes keys in an order that depends on the browser's language.
    pub(super) async fn choose_time(&self, css: &str, value: &str) {
        self.set(css, value).await;
    }

    async fn set(&self, css: &str, value: &str) {
        self.see(css).await;
        let script = "const field = document.querySelector(arguments[0]);
            field.value = arguments[1];
            for (const name of ['input', 'change']) field.dispatchEvent(new Event(name, { bubbles: true }));
            return field.value";
        let set = self.run(script, vec![json!(css), json!(value)]).await;
        assert_eq!(set, value, "{css} does not take it");
    }

    /// Presses keys, wherever the focus is.
    pub(super) async fn keys(&self, keys: &str) {
        let body = self.see("body").await;
        body.send_keys(keys).await.unwrap();
    }

    pub(super) async fn text(&self, css: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.innerText ?? ''";
        let text = self.run(script, vec![json!(css)]).await;
        text.as_str().unwrap().to_owned()
    }

    pub(super) async fn path(&self) -> String {
        let url = self.client.current_url().await.unwrap();
        url.path().to_owned()
    }

    pub(super) async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(script, arguments).await.unwrap()
    }

    /// What a cookie holds, those that no script can read too.
    pub(super) async fn cookie(&self, name: &str) -> Option<String> {
        let all = self.client.get_all_cookies().await.unwrap();
        let found = all.into_iter().find(|cookie| cookie.name() == name);
        found.map(|cookie| cookie.value().to_owned())
    }

    /// A script that answers by its last argument.
    pub(super) async fn run_async(&self, script: &str, arguments: Vec<Value>) -> Value {
        let answer = self.client.execute_async(script, arguments).await;
        answer.unwrap()
    }

    pub(super) async fn picture(&self) -> Vec<u8> {
        self.client.screenshot().await.unwrap()
    }

    pub(super) async fn resize(&self, width: u32, height: u32) {
        self.client.set_window_size(width, height).await.unwrap();
    }

    /// What the console holds since it was last looked at: errors, and what the content policy refused.
    pub(super) async fn complaints(&self) -> Vec<String> {
        let log = self.client.issue_cmd(ReadLog).await.unwrap();
        let lines = log.as_array().unwrap().iter();
        let bad = lines.filter(|line| line["level"] == "SEVERE" || line["level"] == "WARNING");
        bad.map(|line| line["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// What axe-core finds wrong with the page.
    pub(super) async fn barriers(&self) -> Vec<String> {
        self.run(AXE, vec![]).await;
        let script = "const done = arguments[arguments.length - 1];
            axe.run(document, { resultTypes: ['violations'] }).then(
                (found) => done(found.violations.map((each) => `${each.id}: ${each.help}: ${each.nodes.slice(0, 3).map((node) => node.html + ' ' + (node.any[0]?.message ?? '')).join(' | ')}`)),
                (error) => done([String(error)]))";
        let found = self.client.execute_async(script, vec![]).await.unwrap();
        let found = found.as_array().unwrap().iter();
        found
            .map(|each| each.as_str().unwrap().to_owned())
            .collect()
    }
}
