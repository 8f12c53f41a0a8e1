//! The line between a browser and the API, on which the event stream alone can break.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::driver::Browser;
use super::{DESKTOP, House, KEY, in_a_browser};

in_a_browser! {
    what_finishes_is_shown_at_once_and_a_lost_stream_is_polled_for
}

/// Passes on what comes; lines that ask for events only while it is not cut.
struct Wire {
    url: String,
    cut: watch::Sender<bool>,
    streams: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Wire {
    async fn to(house: &House) -> Self {
        let target = house.url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (cut, is_cut) = watch::channel(false);
        let streams = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&streams);
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(&target).await.unwrap();
                tokio::spawn(pass(near, far, is_cut.clone(), Arc::clone(&counted)));
            }
        });
        Self {
            url,
            cut,
            streams,
            accepting,
        }
    }
}

/// A browser sends a request at a time on a line, and its first words are in one piece.
async fn pass(
    near: TcpStream,
    far: TcpStream,
    mut is_cut: watch::Receiver<bool>,
    streams: Arc<AtomicUsize>,
) {
    let (mut from_browser, mut to_browser) = near.into_split();
    let (mut from_api, mut to_api) = far.into_split();
    let answers = tokio::spawn(async move { copy(&mut from_api, &mut to_browser).await });
    let mut piece = vec![0; 1 << 16];
    let mut is_stream = false;
    loop {
        let read = tokio::select! {
            read = from_browser.read(&mut piece) => read.unwrap_or(0),
            _ = is_cut.wait_for(|cut| *cut), if is_stream => 0,
        };
        if read == 0 {
            break;
        }
        if piece.starts_with(b"GET /v1/events") {
            is_stream = true;
            if *is_cut.borrow() {
                break;
            }
            streams.fetch_add(1, Ordering::SeqCst);
        } else {
            is_stream = false;
        }
        if to_api.write_all(&piece[..read]).await.is_err() {
            break;
        }
    }
    answers.abort();
}

async fn what_finishes_is_shown_at_once_and_a_lost_stream_is_polled_for(house: &House) {
    let wire = Wire::to(house).await;
    let browser = Browser::open(&wire.url, DESKTOP).await;
    browser.sign_in(KEY, "ana").await;
    let hook = json!({"kind": "deliver_webhook", "queue": "webhooks", "tenant_id": "umbrella", "args": {}});
    let job = house.post("/v1/jobs", hook.clone()).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    browser.visit(&format!("/jobs/{job}")).await;
    browser.see("h1 [data-state=available]").await;
    browser.see(".live[data-is=live]").await;
    assert!(
        wire.streams.load(Ordering::SeqCst) > 0,
        "no stream was opened"
    );
    // Its clock stopped, the page asks for nothing by itself: what shows now was pushed.
    let stop = "for (let timer = setTimeout(() => {}); timer > 0; timer -= 1) clearInterval(timer)";
    browser.run(stop, vec![]).await;
    house
        .post(&format!("/v1/jobs/{job}/cancel"), json!({}))
        .await;
    let pushed = async {
        let shown = "return document.querySelector('h1 [data-state=cancelled]') !== null";
        while browser.run(shown, vec![]).await != json!(true) {
            let other = house.post("/v1/jobs", hook.clone()).await;
            let other = other["id"].as_str().unwrap();
            house
                .post(&format!("/v1/jobs/{other}/cancel"), json!({}))
                .await;
        }
    };
    let pushed = tokio::time::timeout(Duration::from_mins(1), pushed).await;
    assert!(pushed.is_ok(), "nothing was pushed");

    browser.visit(&format!("/jobs/{job}")).await;
    browser.see(".live[data-is=live]").await;
    wire.cut.send_replace(true);
    browser.see(".live[data-is=polling]").await;
    house
        .post(&format!("/v1/jobs/{job}/requeue"), json!({}))
        .await;
    browser.see("h1 [data-state=available]").await;
    house
        .post(&format!("/v1/jobs/{job}/cancel"), json!({}))
        .await;
    browser.see("h1 [data-state=cancelled]").await;
    browser.see(".live[data-is=polling]").await;

    let before = wire.streams.load(Ordering::SeqCst);
    wire.cut.send_replace(false);
    browser.see(".live[data-is=live]").await;
    assert!(wire.streams.load(Ordering::SeqCst) > before);
    // Held still, the page leaves its place on the stream to others, and shows that it is paused.
    browser.keys("p").await;
    browser.see(".live[data-is=paused]").await;
}
