//! A body that follows a script.

use std::{
    cell::Cell,
    collections::VecDeque,
    error::Error,
    fmt,
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, buf::Chain};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Full, Limited};
use tokio::time::{Sleep, sleep};

use super::input::{Broken, Ending, Hint, Step};

/// The largest number of polls before the layer must yield to other tasks, as with tokio's own budget.
const FRAMES_AT_ONCE: usize = 128;

/// How the body was polled.
#[derive(Debug, Default)]
pub(super) struct Polled {
    pub(super) polls: Cell<usize>,
    pub(super) polls_at_once: Cell<usize>,
    /// Whether the endless part has begun.
    pub(super) endless: Cell<bool>,
    /// The bytes of all data frames before the last one.
    pub(super) bytes_before_last: Cell<usize>,
    bytes: Cell<usize>,
}

/// A frame's data, in one piece or two.
type Data = Chain<Bytes, Bytes>;

pub(super) struct ScriptedBody {
    actions: VecDeque<Action>,
    hint: SizeHint,
    waiting: Option<Pin<Box<Sleep>>>,
    ended: bool,
    polled: Rc<Polled>,
}

/// A step with its bytes.
pub(super) enum Action {
    Data(Data),
    Empties(u8),
    Trailers,
    Yield,
    Wait(Duration),
    Error(Broken),
    Never,
    Endless,
}

/// The actions of a script, with their bytes.
pub(super) fn actions(payload: &Bytes, steps: &[Step], ending: &Ending) -> Vec<Action> {
    let mut left = payload.clone();
    let mut actions = Vec::new();
    for step in steps {
        let half = left.len() / 2;
        let mut take = |length: usize| left.split_to(length.min(left.len()));
        let whole = |bytes: Bytes| Action::Data(bytes.chain(Bytes::new()));
        actions.push(match step {
            Step::Data { length, split } => {
                let mut first = take(usize::from(*length));
                let second = first.split_off(usize::from(*split).min(first.len()));
                Action::Data(first.chain(second))
            }
            Step::Few(length) => whole(take(usize::from(length % 8 + 1))),
            Step::Half => whole(take(half)),
            Step::Changed { length, bit } => {
                let mut bytes = take(usize::from(*length)).to_vec();
                if let Some(byte) = bytes.first_mut() {
                    *byte ^= 1 << (bit % 8);
                }
                whole(Bytes::from(bytes))
            }
            Step::Skip(length) => {
                take(usize::from(*length));
                continue;
            }
            Step::Extra(bytes) => Action::Data(Bytes::new().chain(Bytes::copy_from_slice(bytes))),
            Step::Empty => whole(Bytes::new()),
            Step::Empties(count) => Action::Empties(*count),
            Step::Trailers => Action::Trailers,
            Step::Yield => Action::Yield,
            Step::Wait(wait) => Action::Wait(Duration::from_millis(Step::wait_millis(*wait))),
            Step::Error(broken) => Action::Error(*broken),
        });
    }
    match ending {
        Ending::Rest => actions.push(Action::Data(left.chain(Bytes::new()))),
        Ending::Short => {}
        Ending::Error(broken) => actions.push(Action::Error(*broken)),
        Ending::Never => actions.push(Action::Never),
        Ending::Endless => actions.push(Action::Endless),
    }
    actions
}

impl ScriptedBody {
    pub(super) fn new(actions: Vec<Action>, hint: &Hint, polled: Rc<Polled>) -> Self {
        let sent = actions.iter().map(|action| match action {
            Action::Data(data) => u64::try_from(data.remaining()).unwrap_or(u64::MAX),
            _ => 0,
        });
        let hint = match hint {
            Hint::Nothing => SizeHint::new(),
            Hint::Exact => SizeHint::with_exact(sent.sum()),
            Hint::AtLeast(least) => {
                let mut hint = SizeHint::new();
                hint.set_lower(u64::from(*least));
                hint
            }
        };
        Self { actions: actions.into(), hint, waiting: None, ended: false, polled }
    }
}

impl Body for ScriptedBody {
    type Data = Data;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Data>, Self::Error>>> {
        let this = self.get_mut();
        assert!(!this.ended, "polled after the end");
        this.polled.polls.set(this.polled.polls.get() + 1);
        this.polled.polls_at_once.set(this.polled.polls_at_once.get() + 1);
        assert!(
            this.polled.polls_at_once.get() <= FRAMES_AT_ONCE,
            "too many polls without yielding"
        );
        if let Some(waiting) = &mut this.waiting {
            ready!(waiting.as_mut().poll(cx));
            this.waiting = None;
        }
        let empty = || Bytes::new().chain(Bytes::new());
        let frame = match this.actions.pop_front() {
            None => {
                this.ended = true;
                return Poll::Ready(None);
            }
            Some(Action::Data(data)) => {
                this.polled.bytes_before_last.set(this.polled.bytes.get());
                this.polled.bytes.set(this.polled.bytes.get() + data.remaining());
                Frame::data(data)
            }
            Some(Action::Empties(count)) => {
                if let Some(left) = count.checked_sub(1) {
                    this.actions.push_front(Action::Empties(left));
                }
                Frame::data(empty())
            }
            Some(Action::Trailers) => Frame::trailers(HeaderMap::new()),
            Some(Action::Yield) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Action::Wait(duration)) => {
                let waiting = this.waiting.insert(Box::pin(sleep(duration)));
                assert!(waiting.as_mut().poll(cx).is_pending());
                return Poll::Pending;
            }
            Some(Action::Error(broken)) => {
                this.ended = true;
                return Poll::Ready(Some(Err(broken.error())));
            }
            Some(Action::Never) => {
                this.actions.push_front(Action::Never);
                return Poll::Pending;
            }
            Some(Action::Endless) => {
                this.polled.endless.set(true);
                this.actions.push_front(Action::Endless);
                Frame::data(empty())
            }
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

impl Broken {
    fn error(self) -> Box<dyn Error + Send + Sync> {
        match self {
            Self::Off => Box::new(io::Error::from(io::ErrorKind::ConnectionReset)),
            Self::TooLong => length_limit_error(),
            Self::TooLongInside => Box::new(io::Error::other(Outer(length_limit_error()))),
        }
    }
}

/// The error of a body that exceeds a limit. Only http-body-util can create it.
fn length_limit_error() -> Box<dyn Error + Send + Sync> {
    let mut body = Limited::new(Full::new(Bytes::from_static(b"x")), 0);
    match Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Err(error))) => error,
        _ => unreachable!("one byte exceeds a limit of zero"),
    }
}

#[derive(Debug)]
struct Outer(Box<dyn Error + Send + Sync>);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body failed")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
