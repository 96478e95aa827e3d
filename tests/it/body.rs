//! Every way in which a body can arrive or fail to arrive.

use std::{
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::Duration,
};

use bytes::{Buf, Bytes};
use http::Request;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use proptest::prelude::*;
use tokio::time::Instant;
use tower::Service;
use tower_workos::{RejectionKind, testing::sample};

use crate::support::{Handler, ScriptBody, Step, delivery, delivery_of, layer, send};

const BODY: &[u8] = sample::USER_CREATED.body().as_bytes();

fn data(bytes: &'static [u8]) -> Step {
    Step::Data(Bytes::from_static(bytes))
}

fn script(steps: impl IntoIterator<Item = Step>) -> Request<ScriptBody> {
    delivery_of(BODY, ScriptBody::new(steps))
}

/// tower-github-webhook 0.2 never responds to a chunked request.
#[tokio::test]
async fn frames_of_every_size() {
    for length in [1, 2, 3, 63, 64, 65, 512, BODY.len() - 1, BODY.len()] {
        let outcome = send(&layer(), delivery_of(BODY, ScriptBody::chunks(BODY, length))).await;
        assert_eq!(outcome.event().raw(), BODY, "{length}");
    }
}

#[tokio::test]
async fn empty_frames_pauses_and_trailers_change_nothing() {
    let (start, end) = BODY.split_at(BODY.len() / 3);
    let outcome = send(
        &layer(),
        script([
            Step::Wait,
            data(b""),
            Step::Data(Bytes::from_static(start)),
            data(b""),
            Step::Wait,
            Step::Wait,
            Step::Data(Bytes::from_static(end)),
            data(b""),
            Step::Trailers,
        ]),
    )
    .await;
    assert_eq!(outcome.event().raw(), BODY);
}

#[tokio::test]
async fn an_empty_body_is_verified_like_any_other() {
    let empty = delivery_of(b"", ScriptBody::new([]));
    assert_eq!(send(&layer(), empty).await.kind(), RejectionKind::InvalidPayload);
    let missing = script([]);
    assert_eq!(send(&layer(), missing).await.kind(), RejectionKind::SignatureMismatch);
}

/// tower-github-webhook 0.2 ignores frame errors.
#[tokio::test]
async fn a_body_that_breaks_off() {
    let (start, _) = BODY.split_at(10);
    for steps in [
        vec![Step::Error],
        vec![Step::Data(Bytes::from_static(start)), Step::Wait, Step::Error],
        // All bytes have arrived, but the sender did not end the body.
        vec![Step::Data(Bytes::from_static(BODY)), Step::Error],
    ] {
        let outcome = send(&layer(), script(steps)).await;
        assert_eq!(outcome.kind(), RejectionKind::BodyRead);
        assert_eq!(outcome.status, 400);
    }
}

#[tokio::test]
async fn an_outer_limit_means_that_the_body_is_too_large() {
    let limited = delivery_of(BODY, Limited::new(ScriptBody::chunks(BODY, 100), 500));
    assert_eq!(send(&layer(), limited).await.kind(), RejectionKind::BodyTooLarge);
}

/// A frame is a slice of the server's read buffer, which an event that is kept would keep alive.
#[tokio::test]
async fn one_frame_is_copied_unless_it_is_large() {
    for (length, copied) in [(BODY.len(), true), (64 * 1024, true), (64 * 1024 + 1, false)] {
        let mut bytes = BODY.to_vec();
        bytes.resize(length, b' ');
        let bytes = Bytes::from(bytes);
        let outcome = send(&layer(), delivery::<Full<Bytes>>(bytes.clone())).await;
        assert_eq!(outcome.event().raw().as_ptr() != bytes.as_ptr(), copied, "{length}");
        assert_eq!(outcome.event().raw().as_ptr(), outcome.body.as_ptr(), "{length}");
    }
}

#[tokio::test]
async fn data_of_other_types_than_bytes() {
    let body =
        Full::new(&BODY[..20]).map_frame(|frame| frame.map_data(|start| start.chain(&BODY[20..])));
    assert_eq!(send(&layer(), delivery_of(BODY, body)).await.event().raw(), BODY);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_for_the_whole_body() {
    let start = Instant::now();
    // A frame every second, so that a time-out for each read would never expire.
    let drip = (0..100).flat_map(|_| [Step::Sleep(Duration::from_secs(1)), data(b"x")]);
    let outcome = send(&layer(), script(drip)).await;
    assert_eq!(outcome.kind(), RejectionKind::BodyTimeout);
    assert_eq!(outcome.status, 408);
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    assert!(outcome.rejection.unwrap().to_string().contains("10s"));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_at_its_boundaries() {
    for (after, ok) in [(2999, true), (3000, true), (3001, false)] {
        let start = Instant::now();
        let late =
            [Step::Sleep(Duration::from_millis(after)), Step::Data(Bytes::from_static(BODY))];
        let outcome = send(&layer().body_timeout(Duration::from_secs(3)), script(late)).await;
        if ok {
            // Exactly at the deadline, what has arrived counts.
            outcome.event();
        } else {
            assert_eq!(outcome.kind(), RejectionKind::BodyTimeout, "{after}");
            assert_eq!(start.elapsed(), Duration::from_secs(3));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_arrives_times_out() {
    assert_eq!(send(&layer(), script([Step::Hang])).await.kind(), RejectionKind::BodyTimeout);
    let half = script([Step::Data(Bytes::from_static(&BODY[..9])), Step::Hang]);
    assert_eq!(send(&layer(), half).await.kind(), RejectionKind::BodyTimeout);
}

#[tokio::test]
async fn endless_empty_frames_end_at_the_deadline() {
    let layer = layer().body_timeout(Duration::from_millis(50));
    let outcome = send(&layer, script([Step::EmptyForever])).await;
    assert_eq!(outcome.kind(), RejectionKind::BodyTimeout);
}

/// A body over a tokio channel uses the task's budget, after which a timer is never ready.
#[tokio::test]
async fn a_body_that_uses_up_the_tasks_budget_ends_at_the_deadline() {
    let layer = layer().body_timeout(Duration::from_millis(50));
    let body = StreamBody::new(futures_util::stream::poll_fn(|cx| {
        loop {
            let budget = std::pin::pin!(tokio::task::consume_budget());
            if budget.poll(cx).is_pending() {
                return Poll::<Option<Result<http_body::Frame<Bytes>, std::io::Error>>>::Pending;
            }
        }
    }));
    let outcome = send(&layer, delivery_of(BODY, body));
    let outcome = tokio::time::timeout(Duration::from_secs(5), outcome).await.unwrap();
    assert_eq!(outcome.kind(), RejectionKind::BodyTimeout);
}

#[tokio::test]
async fn a_poll_reads_a_bounded_number_of_frames() {
    let body = ScriptBody::new([Step::EmptyForever]);
    let polls = Arc::clone(&body.polls);
    let handler = Handler::default();
    let mut service = handler.wrap(&layer());
    let mut future = std::pin::pin!(service.call(delivery_of(BODY, body)));
    for turn in 1..4 {
        std::future::poll_fn(|cx| {
            assert!(future.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        assert_eq!(polls.load(Ordering::SeqCst), turn * 64);
    }
    // A body of many frames that are ready at once still arrives.
    let many = delivery_of(BODY, ScriptBody::chunks(BODY, 1));
    assert!(BODY.len() > 64);
    send(&layer(), many).await.event();
}

#[tokio::test]
async fn a_client_that_leaves_is_forgotten() {
    let handler = Handler::default();
    let mut service = handler.wrap(&layer());
    {
        let half = script([Step::Data(Bytes::from_static(&BODY[..9])), Step::Hang]);
        let mut future = std::pin::pin!(service.call(half));
        std::future::poll_fn(|cx| {
            assert!(future.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    assert_eq!(handler.calls(), 0);
    // The next request is not affected.
    let whole = script([Step::Data(Bytes::from_static(BODY))]);
    assert_eq!(service.call(whole).await.unwrap().status(), 200);
    assert_eq!(handler.calls(), 1);
}

#[tokio::test]
async fn an_unsigned_request_is_rejected_before_its_body_arrives() {
    let mut request = script([Step::Untouchable]);
    request.headers_mut().clear();
    assert_eq!(send(&layer(), request).await.kind(), RejectionKind::MissingSignature);
}

/// The outcome does not depend on frames and pauses.
fn steps(body: &'static [u8]) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any::<bool>()), 0..10)
        .prop_map(move |cuts| {
            let mut cuts: Vec<_> = cuts
                .iter()
                .map(|(cut, wait, empty)| (cut.index(body.len() + 1), *wait, *empty))
                .collect();
            cuts.sort_unstable();
            cuts.push((body.len(), false, false));
            let mut steps = Vec::new();
            let mut start = 0;
            for (cut, wait, empty) in cuts {
                steps.extend(wait.then_some(Step::Wait));
                steps.extend(empty.then(|| Step::Data(Bytes::new())));
                steps.push(Step::Data(Bytes::from_static(&body[start..cut])));
                start = cut;
            }
            steps
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_frames_equal_one(steps in steps(BODY), tampered in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut request = script(steps);
        if tampered {
            let (parts, _) = delivery::<Bytes>("other").into_parts();
            *request.headers_mut() = parts.headers;
        }
        let outcome = runtime.block_on(send(&layer(), request));
        if tampered {
            prop_assert_eq!(outcome.kind(), RejectionKind::SignatureMismatch);
        } else {
            prop_assert_eq!(outcome.event().raw(), BODY);
        }
    }
}

#[tokio::test]
async fn bodies_of_streams() {
    let frames = BODY.chunks(100).map(|chunk| {
        Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::copy_from_slice(chunk)))
    });
    let body = StreamBody::new(futures_util::stream::iter(frames));
    assert_eq!(send(&layer(), delivery_of(BODY, body)).await.event().raw(), BODY);
    let boxed = Full::new(Bytes::from_static(BODY)).boxed();
    assert_eq!(send(&layer(), delivery_of(BODY, boxed)).await.event().raw(), BODY);
}
