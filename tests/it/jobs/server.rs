//! An HTTP server on a real port, standing for somebody outside: it answers as it is told, and tells
//! what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

const PATIENCE: Duration = Duration::from_secs(30);

/// What it does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers with a status, further headers and a body.
    Says(u16, Vec<(&'static str, String)>, Value),
    /// Reads it and shuts the connection.
    Lost,
    /// Answers with a success once it is told to.
    Held(Arc<Notify>),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = |(known, _): &&(String, String)| known == name;
        self.headers
            .iter()
            .find(named)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) port: u16,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    seen: watch::Sender<Vec<Seen>>,
}

pub(crate) fn says(status: u16, body: Value) -> Reply {
    Reply::Says(status, Vec::new(), body)
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            replies: Arc::default(),
            seen: watch::Sender::new(Vec::new()),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let server = serving.clone();
                tokio::spawn(async move { server.answer(connection).await });
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it does with the next requests; after them it says yes to everything.
    pub(crate) fn will(&self, replies: impl IntoIterator<Item = Reply>) {
        self.replies.lock().unwrap().extend(replies);
    }

    /// What it was asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// Waits for so many requests in all.
    pub(crate) async fn asked(&self, times: usize) -> Vec<Seen> {
        let mut seen = self.seen.subscribe();
        let there = seen.wait_for(|seen| seen.len() >= times);
        let there = tokio::time::timeout(PATIENCE, there).await;
        there.expect("the request did not come").unwrap().clone()
    }

    async fn answer(&self, connection: TcpStream) {
        let mut connection = BufReader::new(connection);
        // A client that goes away while it asks has asked nothing.
        let Some(request) = read(&mut connection).await else {
            return;
        };
        let mut number = 0;
        self.seen.send_modify(|seen| {
            seen.push(request);
            number = seen.len();
        });
        let reply = self.replies.lock().unwrap().pop_front();
        let yes = json!({"messages": [{"id": format!("wamid.{number}")}], "message_id": format!("mid.{number}")});
        let (status, headers, body) = match reply {
            Some(Reply::Lost) => return,
            Some(Reply::Says(status, headers, body)) => (status, headers, body),
            Some(Reply::Held(release)) => {
                release.notified().await;
                (200, Vec::new(), yes)
            }
            None => (200, Vec::new(), yes),
        };
        let body = body.to_string();
        let headers = headers
            .into_iter()
            .fold(String::new(), |all, (name, value)| {
                all + name + ": " + &value + "\r\n"
            });
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        // A client that has given up hears nothing.
        drop(connection.get_mut().write_all(head.as_bytes()).await);
        drop(connection.get_mut().shutdown().await);
    }
}

async fn read(connection: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    connection.read_line(&mut line).await.ok()?;
    let target = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        connection.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    // A GET has no body.
    let length = length.map_or(Some(0), |(_, length)| length.parse().ok())?;
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.ok()?;
    Some(Seen {
        target,
        headers,
        body: String::from_utf8(body).ok()?,
    })
}
