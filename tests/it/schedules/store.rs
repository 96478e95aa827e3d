//! The store and the handler of a schedule, which do nothing until the schedule says so.

use std::{
    collections::HashSet,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower_workos::{
    DedupeStore,
    dedupe::{Claim, Claimed, Completion, DedupeKey, StoreError},
};

/// Longer than any schedule takes: a lease expires when the schedule says so.
pub const LEASE: Duration = Duration::from_secs(1_000_000);
pub const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// Who completes the claim.
#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    Layer,
    Handler,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Key {
    Free,
    Held { token: u64, expired: bool },
    Done { token: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Claim,
    Complete(u64),
    Confirm(u64),
    Release(u64),
}

#[derive(Clone, Copy, Debug)]
pub enum Effect {
    Claim(Claim<u64>),
    Completion(Completion),
    Released,
}

/// A call that the store has received.
#[derive(Debug)]
pub struct Op {
    pub kind: Kind,
    pub effect: Option<Effect>,
    pub reply: Option<Result<Effect, ()>>,
    pub waker: Option<Waker>,
    pub dropped: bool,
}

/// What a handler does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    Fail,
    Succeed,
    /// Commits its transaction, then fails.
    CommitAndFail,
    /// Returns 2xx without a commit.
    ForgetAndSucceed,
}

#[derive(Default)]
pub struct Handler {
    /// The token of the claim under which it runs.
    pub running: Option<u64>,
    pub outcome: Option<Outcome>,
}

pub struct World {
    pub mode: Mode,
    pub key: Key,
    pub ops: Vec<Op>,
    pub tokens: u64,
    pub handlers: Vec<Handler>,
    /// Tokens whose handler has had its effect: it returned 2xx or committed its transaction.
    pub succeeded: HashSet<u64>,
    pub expired: HashSet<u64>,
    /// Whether a claim may remain until its lease expires.
    pub may_be_left: bool,
    pub trace: Vec<String>,
}

impl World {
    pub fn apply(&mut self, op: usize) {
        let kind = self.ops[op].kind;
        let effect = match kind {
            Kind::Claim => Effect::Claim(match self.key {
                Key::Done { .. } => Claim::Done,
                Key::Held { expired: false, .. } => Claim::InFlight { retry_after: LEASE },
                Key::Free | Key::Held { .. } => {
                    self.tokens += 1;
                    self.key = Key::Held { token: self.tokens, expired: false };
                    Claim::Acquired(self.tokens)
                }
            }),
            Kind::Complete(token) => Effect::Completion(self.complete(token)),
            Kind::Confirm(token) => Effect::Completion(match self.key {
                Key::Done { token: done } if done == token => Completion::Completed,
                _ => Completion::Stale,
            }),
            Kind::Release(token) => {
                if matches!(self.key, Key::Held { token: held, .. } if held == token) {
                    self.key = Key::Free;
                }
                Effect::Released
            }
        };
        self.ops[op].effect = Some(effect);
        self.check();
    }

    fn complete(&mut self, token: u64) -> Completion {
        match self.key {
            Key::Held { token: held, expired: false } | Key::Done { token: held }
                if held == token =>
            {
                self.key = Key::Done { token };
                Completion::Completed
            }
            _ => Completion::Stale,
        }
    }

    pub fn reply(&mut self, op: usize, reply: Result<Effect, ()>) {
        self.ops[op].reply = Some(reply);
        if let Some(waker) = self.ops[op].waker.take() {
            waker.wake();
        }
    }

    /// Checks the invariants.
    pub fn check(&self) {
        if let Key::Done { token } = self.key {
            assert!(self.succeeded.contains(&token), "done without a success: {:#?}", self.trace);
        }
        for token in self.handlers.iter().filter_map(|handler| handler.running) {
            let is_held = matches!(self.key, Key::Held { token: held, .. } | Key::Done { token: held } if held == token);
            assert!(
                is_held || self.expired.contains(&token),
                "a handler runs without its claim: {:#?}",
                self.trace
            );
        }
    }
}

#[derive(Clone)]
pub struct Stepped(Arc<Mutex<World>>);

impl Stepped {
    pub fn new(mode: Mode) -> Self {
        Self(Arc::new(Mutex::new(World {
            mode,
            key: Key::Free,
            ops: Vec::new(),
            tokens: 0,
            handlers: (0..3).map(|_| Handler::default()).collect(),
            succeeded: HashSet::new(),
            expired: HashSet::new(),
            may_be_left: false,
            trace: Vec::new(),
        })))
    }

    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    fn call<T>(&self, kind: Kind, read: fn(Effect) -> T) -> Call<T> {
        let mut world = self.lock();
        world.ops.push(Op { kind, effect: None, reply: None, waker: None, dropped: false });
        Call { store: self.clone(), op: world.ops.len() - 1, read }
    }
}

pub struct Call<T> {
    pub store: Stepped,
    pub op: usize,
    pub read: fn(Effect) -> T,
}

impl<T> Future for Call<T> {
    type Output = Result<T, StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut world = self.store.lock();
        let op = &mut world.ops[self.op];
        match op.reply {
            Some(Ok(effect)) => Poll::Ready(Ok((self.read)(effect))),
            Some(Err(())) => Poll::Ready(Err(StoreError::unavailable("as the schedule says"))),
            None => {
                op.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Call<T> {
    fn drop(&mut self) {
        self.store.lock().ops[self.op].dropped = true;
    }
}

impl DedupeStore for Stepped {
    type Token = u64;
    type ClaimFuture = Call<Claim<u64>>;
    type CompleteFuture = Call<Completion>;
    type ReleaseFuture = Call<()>;

    fn claim(&self, _: &DedupeKey, _: Duration) -> Self::ClaimFuture {
        self.call(Kind::Claim, |effect| match effect {
            Effect::Claim(claim) => claim,
            other => panic!("{other:?}"),
        })
    }

    fn complete(&self, _: &DedupeKey, token: &u64, _: Duration) -> Self::CompleteFuture {
        self.call(Kind::Complete(*token), completion)
    }

    fn confirm(&self, _: &DedupeKey, token: &u64) -> Self::CompleteFuture {
        self.call(Kind::Confirm(*token), completion)
    }

    fn release(&self, _: &DedupeKey, token: &u64) -> Self::ReleaseFuture {
        self.call(Kind::Release(*token), |_| ())
    }
}

pub fn completion(effect: Effect) -> Completion {
    match effect {
        Effect::Completion(completion) => completion,
        other => panic!("{other:?}"),
    }
}

/// Marks a handler as ended when dropped.
pub struct Running(Stepped, usize);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.lock().handlers[self.1].running = None;
    }
}

pub async fn handle(
    store: Stepped,
    delivery: usize,
    request: Request<()>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let claimed = request.extensions().get::<Claimed<Stepped>>().unwrap().clone();
    let token = *claimed.token().unwrap();
    store.lock().handlers[delivery].running = Some(token);
    let running = Running(store.clone(), delivery);
    let mode = store.lock().mode;
    if mode == Mode::Handler {
        claimed.complete_by_handler();
    }
    let outcome = std::future::poll_fn(|_| match store.lock().handlers[delivery].outcome {
        Some(outcome) => Poll::Ready(outcome),
        None => Poll::Pending,
    })
    .await;
    let mut world = store.lock();
    let succeeds = match (mode, outcome) {
        (Mode::Layer, Outcome::Succeed) => world.succeeded.insert(token),
        // The effect and the completion are one transaction.
        (Mode::Handler, Outcome::Succeed | Outcome::CommitAndFail) => {
            world.succeeded.insert(token);
            let committed = world.complete(token) == Completion::Completed;
            if !committed {
                world.succeeded.remove(&token);
            }
            committed && outcome == Outcome::Succeed
        }
        (_, Outcome::ForgetAndSucceed) => true,
        _ => false,
    };
    drop(world);
    drop(running);
    let mut response = Response::new(Full::default());
    if !succeeds {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}
