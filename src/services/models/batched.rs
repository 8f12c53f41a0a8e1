//! Puts the texts of all jobs of a process together into few calls.
//!
//! A call to a model server costs the same whether it carries one text or many, so texts wait a moment
//! for others. Whoever waits gets an equal share of the next call: a question is not kept waiting by a
//! book.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, Semaphore, oneshot};

use super::Embedder;
use super::options::OllamaOptions;
use crate::services::Error;
use crate::telemetry::correlation::Cause;

type Reply = oneshot::Sender<Result<Vec<Vec<f32>>, Error>>;

/// An embedder whose calls are put together. Made once for a process.
#[derive(Debug)]
pub(super) struct Batched(Arc<Gatherer>);

struct Gatherer {
    embedder: Arc<dyn Embedder>,
    /// The most texts of one call.
    most: usize,
    /// How long a call that is not full waits for more.
    window: Duration,
    /// Calls at once.
    places: Arc<Semaphore>,
    queue: Mutex<Queue>,
    full: Notify,
}

#[derive(Default)]
struct Queue {
    /// Who waits, and which text of it is next.
    waiting: VecDeque<(Arc<Request>, usize)>,
    /// How many texts that is.
    texts: usize,
    /// Whether somebody makes calls of them.
    served: bool,
}

/// The texts of one caller.
struct Request {
    texts: Vec<String>,
    /// What they are embedded for.
    cause: Cause,
    answer: Mutex<Answer>,
}

struct Answer {
    vectors: Vec<Vec<f32>>,
    missing: usize,
    reply: Option<Reply>,
}

/// Some texts of one caller within one call.
struct Part {
    request: Arc<Request>,
    texts: Range<usize>,
}

impl Batched {
    pub(super) fn new(embedder: Arc<dyn Embedder>, options: &OllamaOptions) -> Self {
        Self(Arc::new(Gatherer {
            embedder,
            most: options.embed_batch.max(1),
            window: Duration::from_millis(options.embed_window_ms),
            places: Arc::new(Semaphore::new(options.embed_parallel.max(1))),
            queue: Mutex::default(),
            full: Notify::new(),
        }))
    }
}

#[async_trait]
impl Embedder for Batched {
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Error> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        self.0.enqueue(Request {
            texts: texts.to_vec(),
            cause: Cause::current(),
            answer: Mutex::new(Answer {
                vectors: vec![Vec::new(); texts.len()],
                missing: texts.len(),
                reply: Some(reply),
            }),
        });
        answer.await.unwrap_or_else(|_| {
            let reason = "the call that carried these texts was abandoned";
            Err(Error::unavailable(self.name(), reason))
        })
    }

    fn name(&self) -> &str {
        self.0.embedder.name()
    }

    fn dimensions(&self) -> usize {
        self.0.embedder.dimensions()
    }

    fn is_cheap(&self) -> bool {
        self.0.embedder.is_cheap()
    }
}

impl Gatherer {
    fn enqueue(self: &Arc<Self>, request: Request) {
        let mut queue = lock(&self.queue);
        queue.texts += request.texts.len();
        queue.waiting.push_back((Arc::new(request), 0));
        if queue.texts >= self.most {
            self.full.notify_one();
        }
        if !queue.served {
            queue.served = true;
            tokio::spawn(Arc::clone(self).serve());
        }
    }

    /// Makes calls until nobody waits; the next who comes starts it again.
    async fn serve(self: Arc<Self>) {
        loop {
            self.gather().await;
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                unreachable!("the semaphore is never closed")
            };
            let Some(parts) = self.take() else { return };
            let this = Arc::clone(&self);
            tokio::spawn(async move {
                this.call(parts).await;
                drop(place);
            });
        }
    }

    /// Until a call is full, or the window over.
    async fn gather(&self) {
        if lock(&self.queue).texts < self.most {
            // A note left from an earlier call ends the wait early once, and costs a small call.
            let _ = tokio::time::timeout(self.window, self.full.notified()).await;
        }
    }

    /// What the next call carries: of everybody the same, until it is full. `None` if nobody waits.
    fn take(&self) -> Option<Vec<Part>> {
        let mut queue = lock(&self.queue);
        let share = (self.most / queue.waiting.len().max(1)).max(1);
        let mut room = self.most;
        let mut parts = Vec::new();
        while room > 0 {
            let Some((request, next)) = queue.waiting.pop_front() else {
                break;
            };
            let left = request.texts.len() - next;
            if request.is_abandoned() {
                queue.texts -= left;
                continue;
            }
            let taken = left.min(share).min(room);
            room -= taken;
            queue.texts -= taken;
            let texts = next..next + taken;
            if taken < left {
                queue.waiting.push_back((Arc::clone(&request), texts.end));
            }
            parts.push(Part { request, texts });
        }
        if parts.is_empty() {
            queue.served = false;
            return None;
        }
        Some(parts)
    }

    /// A refusal may be for the texts of one caller alone, so each then gets a call of its own.
    async fn call(&self, parts: Vec<Part>) {
        match self.embed(&parts).await {
            Ok(vectors) => deliver(&parts, vectors),
            Err(Error::Rejected { .. }) if callers(&parts) > 1 => {
                for part in parts {
                    let part = [part];
                    match self.embed(&part).await {
                        Ok(vectors) => deliver(&part, vectors),
                        Err(error) => part[0].request.fail(error),
                    }
                }
            }
            Err(error) => {
                for part in parts {
                    part.request.fail(error.clone());
                }
            }
        }
    }

    async fn embed(&self, parts: &[Part]) -> Result<Vec<Vec<f32>>, Error> {
        let texts: Vec<String> = parts
            .iter()
            .flat_map(|part| part.request.texts[part.texts.clone()].iter().cloned())
            .collect();
        let vectors = cause(parts).scope(self.embedder.embed(&texts)).await?;
        if vectors.len() != texts.len() {
            let reason = format!("{} texts got {} vectors", texts.len(), vectors.len());
            return Err(Error::rejected(
                self.embedder.name(),
                reason,
                "use another model",
            ));
        }
        Ok(vectors)
    }
}

fn callers(parts: &[Part]) -> usize {
    let callers: HashSet<_> = parts
        .iter()
        .map(|part| Arc::as_ptr(&part.request))
        .collect();
    callers.len()
}

/// What a call is made for, if all its texts are for one thing.
fn cause(parts: &[Part]) -> Cause {
    let mut causes = parts.iter().map(|part| &part.request.cause);
    let first = causes.next().cloned().unwrap_or_default();
    if causes.all(|cause| cause.correlation_id == first.correlation_id) {
        first
    } else {
        Cause::default()
    }
}

/// Gives everybody its own vectors.
fn deliver(parts: &[Part], vectors: Vec<Vec<f32>>) {
    let mut vectors = vectors.into_iter();
    for part in parts {
        let own = vectors.by_ref().take(part.texts.len());
        part.request.fill(part.texts.clone(), own);
    }
}

impl Request {
    /// Whether nobody waits for it any more: its job was cancelled, or another call of it failed.
    fn is_abandoned(&self) -> bool {
        let answer = lock(&self.answer);
        answer.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn fill(&self, texts: Range<usize>, vectors: impl Iterator<Item = Vec<f32>>) {
        let mut answer = lock(&self.answer);
        answer.missing -= texts.len();
        for (place, vector) in answer.vectors[texts].iter_mut().zip(vectors) {
            *place = vector;
        }
        if answer.missing == 0 {
            let vectors = std::mem::take(&mut answer.vectors);
            answer.send(Ok(vectors));
        }
    }

    fn fail(&self, error: Error) {
        lock(&self.answer).send(Err(error));
    }
}

impl Answer {
    /// The first word counts, and whoever asked may be gone.
    fn send(&mut self, answer: Result<Vec<Vec<f32>>, Error>) {
        if let Some(reply) = self.reply.take() {
            drop(reply.send(answer));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks, so nothing was left half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Gatherer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gatherer")
            .field("embedder", &self.embedder)
            .field("most", &self.most)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes how many texts each call carried, and refuses calls with `bad` in them.
    #[derive(Debug, Default)]
    struct Noting {
        calls: Mutex<Vec<usize>>,
        gate: Option<Semaphore>,
    }

    #[async_trait]
    impl Embedder for Noting {
        async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Error> {
            lock(&self.calls).push(texts.len());
            if let Some(gate) = &self.gate {
                gate.acquire().await.unwrap().forget();
            }
            if texts.iter().any(|text| text == "bad") {
                return Err(Error::rejected("noting", "bad", "none"));
            }
            if texts.iter().any(|text| text == "down") {
                return Err(Error::unavailable("noting", "down"));
            }
            let number = |text: &String| vec![text.parse::<f32>().unwrap()];
            Ok(texts.iter().map(number).collect())
        }

        fn name(&self) -> &'static str {
            "noting"
        }
    }

    fn batched(noting: &Arc<Noting>, most: usize, parallel: usize) -> Arc<Batched> {
        let options = OllamaOptions {
            embed_batch: most,
            embed_parallel: parallel,
            embed_window_ms: 10,
            ..OllamaOptions::default()
        };
        let embedder: Arc<dyn Embedder> = Arc::clone(noting) as _;
        Arc::new(Batched::new(embedder, &options))
    }

    fn numbers(range: Range<u16>) -> Vec<String> {
        range.map(|n| n.to_string()).collect()
    }

    fn vectors(range: Range<u16>) -> Vec<Vec<f32>> {
        range.map(|n| vec![f32::from(n)]).collect()
    }

    #[tokio::test]
    async fn callers_at_the_same_time_share_calls_and_each_gets_its_own() {
        let noting = Arc::<Noting>::default();
        let batched = batched(&noting, 64, 4);
        let one_each = (0..100).map(|n| {
            let batched = Arc::clone(&batched);
            async move { batched.embed(&numbers(n..n + 1)).await.unwrap() }
        });
        let all = futures_util::future::join_all(one_each).await;
        assert_eq!(all.concat(), vectors(0..100));
        assert_eq!(*lock(&noting.calls), [64, 36]);
        while lock(&batched.0.queue).served {
            tokio::task::yield_now().await; // nothing waits, so nothing goes on running
        }
        assert_eq!(batched.embed(&[]).await.unwrap(), Vec::<Vec<f32>>::new());
    }

    #[tokio::test]
    async fn a_question_does_not_wait_for_a_book() {
        let noting = Arc::new(Noting {
            gate: Some(Semaphore::new(0)),
            ..Noting::default()
        });
        let gate = noting.gate.as_ref().unwrap();
        let batched = batched(&noting, 10, 1);
        let book = tokio::spawn({
            let batched = Arc::clone(&batched);
            async move { batched.embed(&numbers(0..1000)).await }
        });
        while lock(&noting.calls).is_empty() {
            tokio::task::yield_now().await;
        }
        let question = tokio::spawn({
            let batched = Arc::clone(&batched);
            async move { batched.embed(&numbers(5000..5001)).await }
        });
        while lock(&batched.0.queue).waiting.len() < 2 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(2);
        assert_eq!(question.await.unwrap().unwrap(), vectors(5000..5001));
        assert!(lock(&noting.calls).len() <= 3, "it was in the next call");
        book.abort();
        assert!(book.await.unwrap_err().is_cancelled());
        gate.add_permits(1000);
        while lock(&batched.0.queue).served {
            tokio::task::yield_now().await;
        }
        assert!(
            lock(&noting.calls).len() < 10,
            "a book nobody waits for is put away"
        );
    }

    #[tokio::test]
    async fn a_refusal_costs_only_whose_texts_are_refused() {
        let noting = Arc::<Noting>::default();
        let batched = batched(&noting, 64, 1);
        let bad = ["7".to_owned(), "bad".to_owned()];
        let (first, second) = (numbers(0..3), numbers(3..5));
        let (good, refused, also_good) = tokio::join!(
            batched.embed(&first),
            batched.embed(&bad),
            batched.embed(&second),
        );
        assert_eq!(good.unwrap(), vectors(0..3));
        assert!(!refused.unwrap_err().is_transient());
        assert_eq!(also_good.unwrap(), vectors(3..5));
        assert_eq!(lock(&noting.calls)[0], 7, "first together, then each alone");
    }

    #[tokio::test]
    async fn an_outage_is_told_to_everybody_and_ends_nothing() {
        let noting = Arc::<Noting>::default();
        let batched = batched(&noting, 64, 1);
        let (first, down) = (numbers(0..3), ["down".to_owned()]);
        let (one, two) = tokio::join!(batched.embed(&first), batched.embed(&down));
        assert!(one.unwrap_err().is_transient());
        assert!(two.unwrap_err().is_transient());
        assert_eq!(batched.embed(&first).await.unwrap(), vectors(0..3));
    }
}
