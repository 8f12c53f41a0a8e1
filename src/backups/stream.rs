//! Files on their way to and from a place: hashed, encrypted and decrypted as they pass, so that memory does
//! not grow with them.
//!
//! Reading, hashing and encrypting are work for a processor and run on a thread of their own; a short
//! channel joins them to the network.

use std::io::{self, Read, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload, WriteMultipart};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::manifest::{PART, Part};
use super::place::Place;
use super::{Error, File, Stored};

/// What passes the channel at once, in bytes, and how many of it.
const CHUNK: usize = 1024 * 1024;
const CHUNKS: usize = 2;
/// One request of an upload or a download, in bytes: the least that S3 takes is 5 MiB.
const REQUEST: u64 = 5 * 1024 * 1024;
/// How much is asked for at once, in bytes, and how many of it wait to be worked on: reading is ahead of it by so
/// much, and memory grows by as much.
const RANGE: u64 = 4 * 1024 * 1024;
const RANGES: usize = 1;
/// S3 takes 10 000 parts of an object.
const REQUESTS: u64 = 9_000;
/// How many parts are under way at once.
const UNDER_WAY: usize = 2;

/// What encrypts and what decrypts.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    pub(super) recipients: Arc<[age::x25519::Recipient]>,
    pub(super) identity_file: Option<Arc<FilePath>>,
}

impl std::ops::Deref for Keys {
    type Target = [age::x25519::Recipient];

    fn deref(&self) -> &Self::Target {
        &self.recipients
    }
}

impl Keys {
    /// What opens an encrypted file.
    pub(super) fn identities(&self) -> Result<Vec<Box<dyn age::Identity + Send + Sync>>, Error> {
        let setting = "backups.identity_file";
        let Some(file) = &self.identity_file else {
            return Err(Error::setting(
                setting,
                "is empty: the backup is encrypted, and this is the secret key",
            ));
        };
        let shown = file.display();
        let opened = std::fs::File::open(file)
            .map_err(|e| Error::setting(setting, format!("cannot read {shown}: {e}")))?;
        age::IdentityFile::from_buffer(io::BufReader::new(opened))
            .map_err(|_| Error::setting(setting, format!("{shown} is no file of age keys")))?
            .into_identities()
            .map_err(|e| Error::setting(setting, format!("{shown}: {e}")))
    }
}

/// How fast bytes may pass, how many did, and whether to stop. Clones share all of it.
#[derive(Debug, Clone)]
pub struct Transfer {
    cancel: CancellationToken,
    passed: Arc<AtomicU64>,
    limit: u64,
    next: Arc<Mutex<Option<Instant>>>,
}

impl Transfer {
    /// At most so many bytes a second; 0 is no limit.
    pub fn new(cancel: CancellationToken, limit: u64) -> Self {
        Self {
            cancel,
            passed: Arc::default(),
            limit,
            next: Arc::default(),
        }
    }

    /// The bytes that passed so far.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// What stops it.
    pub const fn cancelled(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Waits for the turn of so many bytes.
    async fn take(&self, bytes: usize) -> Result<(), Error> {
        self.passed.fetch_add(bytes as u64, Ordering::Relaxed);
        let cancelled = || Error::Cancelled {
            what: "the transfer".to_owned(),
        };
        if self.cancel.is_cancelled() {
            return Err(cancelled());
        }
        if self.limit == 0 {
            return Ok(());
        }
        let turn = {
            let mut next = self.next.lock().await;
            let now = Instant::now();
            let turn = next.map_or(now, |next| next.max(now));
            #[expect(clippy::cast_precision_loss, reason = "a duration")]
            let cost = Duration::from_secs_f64(bytes as f64 / self.limit as f64);
            *next = Some(turn + cost);
            turn
        };
        let waited = self
            .cancel
            .run_until_cancelled(tokio::time::sleep_until(turn));
        waited.await.ok_or_else(cancelled)
    }
}

/// What a file is, as its bytes said when they passed.
#[derive(Debug, Default)]
struct Tally {
    size: u64,
    whole: Sha256,
    parts: Vec<Part>,
    part: Sha256,
    part_size: u64,
}

impl Tally {
    fn add(&mut self, mut bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.whole.update(bytes);
        while !bytes.is_empty() {
            let room = usize::try_from(PART - self.part_size).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.part.update(now);
            self.part_size += now.len() as u64;
            if self.part_size == PART {
                self.end_part();
            }
            bytes = later;
        }
    }

    fn end_part(&mut self) {
        if self.part_size > 0 {
            self.parts.push(Part {
                size: std::mem::take(&mut self.part_size),
                sha256: hex::encode(std::mem::take(&mut self.part).finalize()),
            });
        }
    }

    fn end(mut self) -> (u64, String, Vec<Part>) {
        self.end_part();
        (self.size, hex::encode(self.whole.finalize()), self.parts)
    }
}

/// Writes into the channel, and counts what it writes.
struct Outlet {
    to: mpsc::Sender<Bytes>,
    buffer: BytesMut,
    size: u64,
    hash: Sha256,
}

impl Outlet {
    fn send(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let bytes = self.buffer.split().freeze();
        self.size += bytes.len() as u64;
        self.hash.update(&bytes);
        self.to
            .blocking_send(bytes)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK.saturating_sub(self.buffer.len());
        let now = bytes.len().min(room);
        self.buffer.extend_from_slice(&bytes[..now]);
        if self.buffer.len() >= CHUNK {
            self.send()?;
        }
        Ok(now)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// Sends a file: what it is, and what lies there now.
pub(super) async fn upload(
    place: &Place,
    to: &Path,
    from: PathBuf,
    keys: &Keys,
    transfer: &Transfer,
) -> Result<(u64, String, Vec<Part>, u64, String), Error> {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let shown = from.display().to_string();
    let size = tokio::fs::metadata(&from)
        .await
        .map_err(Error::io(format!("looking at {shown}")))?
        .len();
    let keys = keys.clone();
    let reading = tokio::task::spawn_blocking(move || read_out(&from, &keys, sender));
    // A little more than the file, for what encryption adds.
    let sent = send(
        place,
        to,
        receiver,
        size + size / 1024 + CHUNK as u64,
        transfer,
    )
    .await;
    let read = reading
        .await
        .map_err(|e| Error::io(format!("reading {shown}"))(io::Error::other(e)))?;
    match (sent, read) {
        // Whoever failed first is the reason; the other one only heard of it.
        (_, Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::io(format!("reading {shown}"))(error))
        }
        (Err(error), _) => Err(error),
        (Ok(()), Err(error)) => Err(Error::io(format!("reading {shown}"))(error)),
        (Ok(()), Ok(what)) => Ok(what),
    }
}

fn read_out(
    from: &FilePath,
    keys: &Keys,
    sender: mpsc::Sender<Bytes>,
) -> io::Result<(u64, String, Vec<Part>, u64, String)> {
    let mut file = std::fs::File::open(from)?;
    let mut tally = Tally::default();
    let outlet = Outlet {
        to: sender,
        buffer: BytesMut::with_capacity(CHUNK),
        size: 0,
        hash: Sha256::new(),
    };
    let mut outlet = if keys.is_empty() {
        let mut outlet = outlet;
        pour(&mut file, &mut tally, &mut outlet)?;
        outlet
    } else {
        let recipients = keys.iter().map(|key| key as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
        let mut sealed = encryptor.wrap_output(outlet)?;
        pour(&mut file, &mut tally, &mut sealed)?;
        sealed.finish()?
    };
    outlet.send()?;
    let (size, sha256, parts) = tally.end();
    let stored = hex::encode(outlet.hash.finalize());
    // An empty last message: all of it was read. Without it the upload is given up.
    outlet
        .to
        .blocking_send(Bytes::new())
        .map_err(|_| io::ErrorKind::BrokenPipe)?;
    Ok((size, sha256, parts, outlet.size, stored))
}

fn pour(from: &mut impl Read, tally: &mut Tally, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            read => {
                tally.add(&buffer[..read]);
                to.write_all(&buffer[..read])?;
            }
        }
    }
}

/// Sends what comes; the last message is an empty one, and without it nothing is there afterwards.
async fn send(
    place: &Place,
    to: &Path,
    mut receiver: mpsc::Receiver<Bytes>,
    at_most: u64,
    transfer: &Transfer,
) -> Result<(), Error> {
    let opened = place.store()?;
    let store = &opened.store;
    let failed = |e: &object_store::Error| place.failed(&format!("writing {to}"), e);
    let broken = || Error::Unavailable {
        what: format!("sending {to}"),
        reason: "what was to be sent could not be read to its end".to_owned(),
    };
    let part = REQUEST.max(at_most.div_ceil(REQUESTS));
    if at_most <= part {
        let mut whole = Vec::new();
        loop {
            match receiver.recv().await {
                None => return Err(broken()),
                Some(last) if last.is_empty() => break,
                Some(bytes) => {
                    transfer.take(bytes.len()).await?;
                    whole.push(bytes);
                }
            }
        }
        let put = store.put(to, PutPayload::from_iter(whole)).await;
        return put.map(drop).map_err(|e| failed(&e));
    }
    let upload = store.put_multipart(to).await.map_err(|e| failed(&e))?;
    let part = usize::try_from(part).unwrap_or(usize::MAX);
    let mut writer = WriteMultipart::new_with_chunk_size(upload, part);
    let passed = async {
        loop {
            match receiver.recv().await {
                None => return Err(broken()),
                Some(last) if last.is_empty() => return Ok(()),
                Some(bytes) => {
                    transfer.take(bytes.len()).await?;
                    writer
                        .wait_for_capacity(UNDER_WAY)
                        .await
                        .map_err(|e| failed(&e))?;
                    writer.put(bytes);
                }
            }
        }
    }
    .await;
    match passed {
        Ok(()) => writer.finish().await.map(drop).map_err(|e| failed(&e)),
        Err(error) => {
            // What it leaves there if even this fails, the place's own rule for unfinished uploads removes.
            if let Err(left) = writer.abort().await {
                tracing::warn!(place = place.name(), path = %to, reason = %left, "an unfinished upload was left");
            }
            Err(error)
        }
    }
}

/// Reads what lies there from beginning to end, and sends it on; whether the other side took all of it.
async fn receive(
    place: &Place,
    from: &Path,
    expected: u64,
    transfer: &Transfer,
    to: &mpsc::Sender<Bytes>,
    mut hash: Option<&mut Sha256>,
) -> Result<bool, Error> {
    let opened = place.store()?;
    let failed = |e: object_store::Error| match e {
        object_store::Error::NotFound { .. } => Error::damaged(from.to_string(), "it is not there"),
        other => place.failed(&format!("reading {from}"), &other),
    };
    let there = opened.store.head(from).await.map_err(failed)?.size;
    if there != expected {
        let reason = format!("it has {there} bytes, and had {expected} when it was written");
        return Err(Error::damaged(from.to_string(), reason));
    }
    let mut at = 0;
    while at < there {
        let end = there.min(at + RANGE);
        let range = opened.store.get_range(from, at..end).await;
        let bytes = range.map_err(failed)?;
        transfer.take(bytes.len()).await?;
        if let Some(hash) = &mut hash {
            hash.update(&bytes);
        }
        if to.send(bytes).await.is_err() {
            return Ok(false);
        }
        at = end;
    }
    Ok(true)
}

/// Reads what lies there, and compares it with what was written. Needs no key.
pub(super) async fn check(
    place: &Place,
    at: &Path,
    stored: &Stored,
    transfer: &Transfer,
) -> Result<(), Error> {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(RANGES);
    let hashing = tokio::task::spawn_blocking(move || {
        let mut hash = Sha256::new();
        while let Some(bytes) = receiver.blocking_recv() {
            hash.update(&bytes);
        }
        hex::encode(hash.finalize())
    });
    receive(place, at, stored.size, transfer, &sender, None).await?;
    drop(sender);
    let found = hashing.await.map_err(|e| ended(at.as_ref(), e))?;
    compare(at.as_ref(), &stored.sha256, &found)
}

/// A thread that did not come to its end.
fn ended(what: &str, error: tokio::task::JoinError) -> Error {
    Error::io(what)(io::Error::other(error))
}

fn compare(part: &str, expected: &str, found: &str) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    let reason = format!("its SHA-256 is {found}, and was {expected} when it was written");
    Err(Error::damaged(part, reason))
}

/// Copies what lies in one place to another, as it is, and checks it on the way.
pub(super) async fn copy(
    (from, at): (&Place, &Path),
    (to, there): (&Place, &Path),
    stored: &Stored,
    transfer: &Transfer,
) -> Result<(), Error> {
    let (sender, receiver) = mpsc::channel(RANGES);
    let reading = async move {
        let mut hash = Sha256::new();
        let taken = receive(from, at, stored.size, transfer, &sender, Some(&mut hash)).await?;
        // If the other side has ended, its own error is the reason.
        if taken {
            compare(at.as_ref(), &stored.sha256, &hex::encode(hash.finalize()))?;
            let _ = sender.send(Bytes::new()).await;
        }
        Ok::<(), Error>(())
    };
    // Bytes count once, and the limit is the sender's.
    let unlimited = Transfer::new(transfer.cancel.clone(), 0);
    let (read, sent) = tokio::join!(
        reading,
        send(to, there, receiver, stored.size.max(1), &unlimited)
    );
    read.and(sent)
}

/// Reads out of the channel, and counts what it reads.
struct Inlet {
    from: mpsc::Receiver<Bytes>,
    rest: Bytes,
    hash: Sha256,
}

impl Read for Inlet {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            match self.from.blocking_recv() {
                Some(bytes) => self.rest = bytes,
                None => return Ok(0),
            }
            self.hash.update(&self.rest);
        }
        let now = buffer.len().min(self.rest.len());
        buffer[..now].copy_from_slice(&self.rest.split_to(now));
        Ok(now)
    }
}

/// Gets a file, decrypted, and checks every byte of it against the manifest.
pub(super) async fn download(
    place: &Place,
    from: &Path,
    file: &File,
    to: PathBuf,
    keys: Option<&Keys>,
    transfer: &Transfer,
) -> Result<(), Error> {
    let identities = keys.map(Keys::identities).transpose()?;
    let (sender, receiver) = mpsc::channel(RANGES);
    let expected = file.clone();
    let writing =
        tokio::task::spawn_blocking(move || write_down(&to, receiver, identities, &expected));
    let read = receive(place, from, file.stored.size, transfer, &sender, None).await;
    drop(sender);
    let written = writing
        .await
        .map_err(|e| Error::io(format!("writing {}", file.path))(io::Error::other(e)))?;
    // If the writer ended first, its own error is the reason.
    read.and(written)
}

fn write_down(
    to: &FilePath,
    receiver: mpsc::Receiver<Bytes>,
    identities: Option<Vec<Box<dyn age::Identity + Send + Sync>>>,
    file: &File,
) -> Result<(), Error> {
    let mut inlet = Inlet {
        from: receiver,
        rest: Bytes::new(),
        hash: Sha256::new(),
    };
    let writing = |e| Error::io(format!("writing {}", to.display()))(e);
    let mut out = std::fs::File::create_new(to).map_err(writing)?;
    let mut tally = Tally::default();
    let opened = match identities {
        None => pour(&mut inlet, &mut tally, &mut out).map_err(writing),
        Some(identities) => open_sealed(&mut inlet, &identities, &mut tally, &mut out),
    };
    // Whatever stopped it: the rest says whether the file is what was stored.
    io::copy(&mut inlet, &mut io::sink()).map_err(writing)?;
    compare(
        &file.stored.path,
        &file.stored.sha256,
        &hex::encode(inlet.hash.finalize()),
    )?;
    opened.map_err(|error| match error {
        Error::Sealed { reason, .. } => Error::Sealed {
            part: file.stored.path.clone(),
            reason,
        },
        other => other,
    })?;
    let (size, sha256, parts) = tally.end();
    if size != file.size {
        let reason = format!(
            "it has {size} bytes, and had {} when it was written",
            file.size
        );
        return Err(Error::damaged(&file.path, reason));
    }
    let differs = parts
        .iter()
        .zip(&file.parts)
        .position(|(found, expected)| found != expected);
    if let Some(part) = differs {
        let name = format!("{}, part {} of {}", file.path, part + 1, file.parts.len());
        return compare(&name, &file.parts[part].sha256, &parts[part].sha256);
    }
    compare(&file.path, &file.sha256, &sha256)
}

fn open_sealed(
    inlet: &mut Inlet,
    identities: &[Box<dyn age::Identity + Send + Sync>],
    tally: &mut Tally,
    out: &mut std::fs::File,
) -> Result<(), Error> {
    let sealed = |reason: String| Error::Sealed {
        part: String::new(),
        reason,
    };
    let decryptor = age::Decryptor::new(&mut *inlet).map_err(|e| sealed(e.to_string()))?;
    let keys = identities.iter().map(|key| &**key as &dyn age::Identity);
    let mut plain = decryptor.decrypt(keys).map_err(|e| sealed(e.to_string()))?;
    pour(&mut plain, tally, out).map_err(|e| sealed(e.to_string()))
}
