//! A bad network: a TCP proxy in front of PostgreSQL that can cut, delay, swallow, half-open, and lose the
//! answer to what the server has committed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};

/// How bytes fare, in both directions, until it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    Fair,
    /// Each piece comes so much later.
    Slow(Duration),
    /// Nothing comes through, and nobody is told. Whoever lost something by it is cut off when it ends.
    BlackHole,
}

/// What happens to every connection there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Cut,
    /// The server's side is closed; the client's stays open, and nobody answers.
    HalfOpen,
}

#[derive(Debug)]
struct Shared {
    server: u16,
    weather: watch::Sender<Weather>,
    events: broadcast::Sender<Event>,
    /// So many answers to commits are to be lost.
    to_lose: AtomicU32,
    /// Those that were, by what the server said it had done.
    lost: Mutex<BTreeMap<String, u32>>,
}

#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Stands before the server at a local port.
    pub(crate) async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            server,
            weather: watch::Sender::new(Weather::Fair),
            events: broadcast::Sender::new(16),
            to_lose: AtomicU32::new(0),
            lost: Mutex::default(),
        });
        let accepting = shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().connect(client));
            }
        });
        Self { port, shared }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn becomes(&self, weather: Weather) {
        self.shared.weather.send_replace(weather);
    }

    pub(crate) fn cut(&self) {
        // Nobody may be connected.
        drop(self.shared.events.send(Event::Cut));
    }

    pub(crate) fn half_open(&self) {
        drop(self.shared.events.send(Event::HalfOpen));
    }

    /// The answers to the next so many commits are lost, and their connections with them.
    pub(crate) fn lose_answers(&self, commits: u32) {
        self.shared.to_lose.store(commits, Ordering::SeqCst);
    }

    pub(crate) fn lost(&self) -> BTreeMap<String, u32> {
        self.shared.lost.lock().unwrap().clone()
    }
}

/// Why a connection ends.
enum End {
    Cut,
    HalfOpen,
}

impl Shared {
    async fn connect(self: Arc<Self>, client: TcpStream) {
        let mut events = self.events.subscribe();
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.server)).await else {
            return;
        };
        // Neither waits for more to send.
        drop((client.set_nodelay(true), server.set_nodelay(true)));
        let (mut from_client, mut to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let end = {
            let up = self.up(&mut from_client, to_server);
            let down = self.down(from_server, &mut to_client);
            tokio::select! {
                () = up => End::Cut,
                () = down => End::Cut,
                event = events.recv() => match event {
                    Ok(Event::HalfOpen) => End::HalfOpen,
                    _ => End::Cut,
                },
            }
        };
        if matches!(end, End::HalfOpen) {
            // The server's side is gone with the two above. The client may say what it likes until it
            // gives up, or is cut off.
            let mut unheard = [0; 4096];
            let deaf = async { while matches!(from_client.read(&mut unheard).await, Ok(1..)) {} };
            let cut = async { while let Ok(Event::HalfOpen) = events.recv().await {} };
            tokio::select! {
                () = deaf => {}
                () = cut => {}
            }
        }
    }

    async fn up(&self, from: &mut OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut piece = vec![0; 64 * 1024];
        loop {
            let Ok(length @ 1..) = from.read(&mut piece).await else {
                return;
            };
            if !self.passes().await || to.write_all(&piece[..length]).await.is_err() {
                return;
            }
        }
    }

    async fn down(&self, mut from: OwnedReadHalf, to: &mut OwnedWriteHalf) {
        let mut piece = vec![0; 64 * 1024];
        let mut answers = Answers::default();
        loop {
            let Ok(length @ 1..) = from.read(&mut piece).await else {
                return;
            };
            let losing = self.to_lose.load(Ordering::SeqCst) > 0;
            let (pass, done) = answers.take(&piece[..length], losing);
            if let Some(done) = done
                && self.loses_one()
            {
                *self.lost.lock().unwrap().entry(done).or_default() += 1;
                return;
            }
            if !self.passes().await || to.write_all(&pass).await.is_err() {
                return;
            }
        }
    }

    fn loses_one(&self) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
        self.to_lose.fetch_update(set, fetch, one_less).is_ok()
    }

    /// Whether a piece arrives, once it has.
    async fn passes(&self) -> bool {
        let mut weather = self.weather.subscribe();
        let now = *weather.borrow_and_update();
        match now {
            Weather::Fair => true,
            Weather::Slow(by) => {
                tokio::time::sleep(by).await;
                true
            }
            Weather::BlackHole => {
                // It is gone, and with it the connection once that can be noticed.
                drop(weather.changed().await);
                false
            }
        }
    }
}

/// What the server says, message by message: a byte, the length of the rest, the rest.
#[derive(Debug, Default)]
struct Answers {
    unread: VecDeque<u8>,
    /// Of the answer that has begun.
    held: Vec<u8>,
    done: Option<String>,
    greeted: bool,
}

const HEADER: usize = 5;

impl Answers {
    /// Takes in a piece. What may be passed on; and, if an answer to a commit is complete and may be lost,
    /// what was committed.
    fn take(&mut self, piece: &[u8], losing: bool) -> (Vec<u8>, Option<String>) {
        self.unread.extend(piece);
        let mut pass = Vec::new();
        let mut committed = None;
        while let Some(message) = self.message() {
            let body = &message[HEADER..];
            match message[0] {
                b'C' => self.done = tag(body),
                b'Z' => {
                    let done = self.done.take();
                    // Outside a transaction all that was done is committed.
                    if body == b"I" && self.greeted {
                        committed = committed.or(done.filter(|_| losing));
                    }
                    self.greeted = true;
                }
                _ => {}
            }
            self.held.extend(message);
            // What is not an answer, and what the client must hear before the answer can be complete.
            let waits = losing && self.greeted && self.done.is_some();
            if !waits {
                pass.append(&mut self.held);
            }
        }
        (pass, committed)
    }

    fn message(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        for (to, from) in length.iter_mut().zip(self.unread.iter().skip(1)) {
            *to = *from;
        }
        let whole = 1 + usize::try_from(u32::from_be_bytes(length)).ok()?;
        (whole >= HEADER && self.unread.len() >= whole)
            .then(|| self.unread.drain(..whole).collect())
    }
}

/// What the server says it has done, if it changed anything: `UPDATE 3` is `UPDATE`.
fn tag(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let word = text.split([' ', '\0']).next()?;
    matches!(word, "COMMIT" | "INSERT" | "UPDATE" | "DELETE" | "COPY").then(|| word.to_owned())
}
