//! What libFuzzer chooses: the layer's settings and what is sent to it.

use arbitrary::Arbitrary;
use bytes::Bytes;
use tower_workos::{
    Timestamp, WebhookSecret,
    testing::{Signer, sample},
};

use super::{NOW, SECRETS};

/// A layer and requests that it gets one after the other.
#[derive(Debug, Arbitrary)]
pub struct Input {
    pub(super) limit: Limit,
    /// The body's time-out.
    timeout: u8,
    pub(super) exchanges: Vec<Exchange>,
}

impl Input {
    /// Odd, while bodies wait even times: nothing is ever due at the moment of the deadline.
    pub(super) fn timeout_millis(&self) -> u64 {
        u64::from(self.timeout) * 2 + 1
    }

    pub(super) fn body_limit(&self) -> usize {
        match self.limit {
            Limit::Around(offset) => {
                let length = self.exchanges.first().map_or(0, |first| first.payload.bytes().len());
                length.saturating_add_signed(isize::from(offset))
            }
            Limit::Of(bytes) => usize::from(bytes),
        }
    }
}

#[derive(Debug, Arbitrary)]
pub(super) enum Limit {
    /// The length of the first payload and a little more or less.
    Around(i8),
    Of(u16),
}

/// One request and what the handler does with it.
#[derive(Debug, Arbitrary)]
pub(super) struct Exchange {
    pub(super) payload: Payload,
    pub(super) header: Header,
    pub(super) length: Length,
    pub(super) hint: Hint,
    pub(super) steps: Vec<Step>,
    pub(super) ending: Ending,
    pub(super) method: Verb,
    /// After this many polls the client is gone.
    pub(super) dropped_after: Option<u8>,
    pub(super) behaviour: Behaviour,
}

/// What is signed.
#[derive(Debug, Arbitrary)]
pub(super) enum Payload {
    Sample { index: u8, spaces: u16 },
    Raw(Vec<u8>),
    Text(String),
}

impl Payload {
    pub(super) fn bytes(&self) -> Bytes {
        match self {
            Self::Sample { index, spaces } => {
                let index = usize::from(*index) % sample::ALL.len();
                let sample = sample::ALL.get(index).copied().unwrap_or(sample::USER_DEACTIVATED);
                let spaces = " ".repeat(usize::from(*spaces));
                Bytes::from(format!("{}{spaces}", sample.body()))
            }
            Self::Raw(bytes) => Bytes::copy_from_slice(bytes),
            Self::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
        }
    }
}

/// The lines of the signature's header.
#[derive(Debug, Arbitrary)]
pub(super) enum Header {
    Genuine {
        second_secret: bool,
        seconds: bool,
    },
    BothSecrets,
    Foreign,
    /// A digit of the signature is another.
    Changed {
        at: u8,
    },
    /// Signed this many milliseconds from now.
    At {
        offset: i32,
    },
    /// About as old as may be.
    AtTheTolerance {
        future: bool,
        offset: i8,
    },
    Missing,
    Twice,
    Raw(Vec<u8>),
}

impl Header {
    pub(super) fn lines(&self, payload: &Bytes) -> Vec<Vec<u8>> {
        let signer = |secret: &str, millis: i64| {
            let at = Timestamp::from_unix_millis_saturating(NOW + millis);
            let secret = WebhookSecret::new(secret).expect("a secret of our own");
            Signer::new(secret).at(at)
        };
        let [first, second] = SECRETS;
        let sign = |signer: Signer| signer.sign(payload.clone()).signature().as_bytes().to_vec();
        let genuine = || sign(signer(first, 0));
        match self {
            Self::Genuine { second_secret, seconds } => {
                let signer = signer(if *second_secret { second } else { first }, 0);
                vec![sign(if *seconds { signer.seconds() } else { signer })]
            }
            Self::BothSecrets => {
                let second = WebhookSecret::new(second).expect("a secret of our own");
                vec![sign(signer(first, 0).add_secret(second))]
            }
            Self::Foreign => vec![sign(signer("whsec_of_another_endpoint", 0))],
            Self::Changed { at } => {
                let mut line = genuine();
                let at = line.len().saturating_sub(1 + usize::from(*at % 64));
                if let Some(digit) = line.get_mut(at) {
                    *digit = if *digit == b'0' { b'1' } else { b'0' };
                }
                vec![line]
            }
            Self::At { offset } => vec![sign(signer(first, i64::from(*offset)))],
            Self::AtTheTolerance { future, offset } => {
                let sign_of = if *future { 1 } else { -1 };
                vec![sign(signer(first, sign_of * (180_000 + i64::from(*offset))))]
            }
            Self::Missing => Vec::new(),
            Self::Twice => vec![genuine(), genuine()],
            Self::Raw(line) => vec![line.clone()],
        }
    }
}

/// The `content-length` header.
#[derive(Debug, Arbitrary)]
pub(super) enum Length {
    Absent,
    /// The payload's, or so much beside it.
    Declared(i16),
    Of(u64),
    /// More than any number holds.
    Overflow,
    Junk(Vec<u8>),
}

impl Length {
    pub(super) fn text(&self, payload: usize) -> Option<Vec<u8>> {
        match self {
            Self::Absent => None,
            Self::Declared(offset) => {
                let length = payload.saturating_add_signed(isize::from(*offset));
                Some(length.to_string().into_bytes())
            }
            Self::Of(length) => Some(length.to_string().into_bytes()),
            Self::Overflow => Some(b"99999999999999999999999".to_vec()),
            Self::Junk(text) => Some(text.clone()),
        }
    }
}

/// What the body says of its own length.
#[derive(Debug, Arbitrary)]
pub(super) enum Hint {
    Nothing,
    Exact,
    AtLeast(u32),
}

/// What the body does next.
#[derive(Debug, Arbitrary)]
pub(super) enum Step {
    /// The payload's next bytes, in a buffer of one or two pieces.
    Data {
        length: u8,
        split: u8,
    },
    /// The payload's next one to eight bytes.
    Few(u8),
    /// Half of what is left of the payload.
    Half,
    /// The same, but a bit of the first byte is another.
    Changed {
        length: u8,
        bit: u8,
    },
    /// The payload's next bytes are left out.
    Skip(u8),
    /// Bytes that are not in the payload.
    Extra(Vec<u8>),
    Empty,
    /// Many empty frames.
    Empties(u8),
    Trailers,
    /// Pending, and awake again at once.
    Yield,
    /// Pending for this long.
    Wait(u8),
    Error(Broken),
}

impl Step {
    /// Even, and more than nothing: see [`Input::timeout_millis`].
    pub(super) fn wait_millis(wait: u8) -> u64 {
        u64::from(wait) * 2 + 2
    }
}

/// How a body breaks.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub(super) enum Broken {
    Off,
    /// At a limit further out.
    TooLong,
    /// The same, inside of another error.
    TooLongInside,
}

/// How the body ends after its steps.
#[derive(Debug, Arbitrary)]
pub(super) enum Ending {
    /// With what is left of the payload.
    Rest,
    /// Without it.
    Short,
    Error(Broken),
    /// Nothing comes any more, nor an end.
    Never,
    /// Empty frames, for ever.
    Endless,
}

#[derive(Debug, Arbitrary)]
pub(super) enum Verb {
    Post,
    Get,
    Options,
    Other(u8),
}

/// What the handler does.
#[derive(Clone, Copy, Debug, Default, Arbitrary)]
pub(super) struct Behaviour {
    /// How often it is asked before it is ready.
    pub(super) unready: u8,
    /// How often it is polled before it answers.
    pub(super) slow: u8,
    pub(super) fails: bool,
    pub(super) status: u16,
}
