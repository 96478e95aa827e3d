//! The input: the layer's settings and the requests.

use arbitrary::Arbitrary;
use bytes::Bytes;
use tower_workos::{
    Timestamp, WebhookSecret,
    testing::{Signer, sample},
};

use super::{NOW, SECRETS};

/// The settings of a layer and the requests that it receives one after the other.
#[derive(Debug, Arbitrary)]
pub struct Input {
    pub(super) limit: Limit,
    /// The body's time-out.
    timeout: u8,
    pub(super) exchanges: Vec<Exchange>,
}

impl Input {
    /// Odd, while bodies wait for even times: no wait ends exactly at the deadline.
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
    /// The length of the first payload plus an offset.
    Around(i8),
    Of(u16),
}

/// A request and the behaviour of the handler.
#[derive(Debug, Arbitrary)]
pub(super) struct Exchange {
    pub(super) payload: Payload,
    pub(super) header: Header,
    pub(super) length: Length,
    pub(super) hint: Hint,
    pub(super) steps: Vec<Step>,
    pub(super) ending: Ending,
    pub(super) method: Verb,
    /// Drops the future after this many polls, as for a client that disconnects.
    pub(super) dropped_after: Option<u8>,
    pub(super) behaviour: Behaviour,
}

/// The signed bytes.
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

/// The values of the signature header.
#[derive(Debug, Arbitrary)]
pub(super) enum Header {
    Genuine {
        second_secret: bool,
        seconds: bool,
    },
    BothSecrets,
    Foreign,
    /// One digit of the signature is changed.
    Changed {
        at: u8,
    },
    /// Signed with a time this many milliseconds from now.
    At {
        offset: i32,
    },
    /// Signed with a time near the limit of the tolerance.
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
            let secret = WebhookSecret::new(secret).expect("a valid secret");
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
                let second = WebhookSecret::new(second).expect("a valid secret");
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
    /// The payload's length plus an offset.
    Declared(i16),
    Of(u64),
    /// Larger than `u64::MAX`.
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

/// The body's size hint.
#[derive(Debug, Arbitrary)]
pub(super) enum Hint {
    Nothing,
    Exact,
    AtLeast(u32),
}

/// A step of the body's script.
#[derive(Debug, Arbitrary)]
pub(super) enum Step {
    /// Sends the next bytes of the payload, in a buffer of one or two pieces.
    Data {
        length: u8,
        split: u8,
    },
    /// Sends the next one to eight bytes of the payload.
    Few(u8),
    /// Sends half of the rest of the payload.
    Half,
    /// Sends the next bytes with one bit of the first byte changed.
    Changed {
        length: u8,
        bit: u8,
    },
    /// Skips the next bytes of the payload.
    Skip(u8),
    /// Sends bytes that aren't in the payload.
    Extra(Vec<u8>),
    Empty,
    /// Sends this many empty frames.
    Empties(u8),
    Trailers,
    /// Returns `Pending` and wakes the task immediately.
    Yield,
    /// Returns `Pending` for a time: see [`Step::wait_millis`].
    Wait(u8),
    Error(Broken),
}

impl Step {
    /// Even and not zero: see [`Input::timeout_millis`].
    pub(super) fn wait_millis(wait: u8) -> u64 {
        u64::from(wait) * 2 + 2
    }
}

/// How a body fails.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub(super) enum Broken {
    Off,
    /// With the error of an outer limit.
    TooLong,
    /// With that error as the source of another.
    TooLongInside,
}

/// How the body ends after its steps.
#[derive(Debug, Arbitrary)]
pub(super) enum Ending {
    /// With the rest of the payload.
    Rest,
    /// Without the rest.
    Short,
    Error(Broken),
    /// Pending forever.
    Never,
    /// With empty frames forever.
    Endless,
}

#[derive(Debug, Arbitrary)]
pub(super) enum Verb {
    Post,
    Get,
    Options,
    Other(u8),
}

/// The handler's behaviour.
#[derive(Clone, Copy, Debug, Default, Arbitrary)]
pub(super) struct Behaviour {
    /// The number of polls before it is ready.
    pub(super) unready: u8,
    /// The number of polls before its future completes.
    pub(super) slow: u8,
    pub(super) fails: bool,
    pub(super) status: u16,
}
