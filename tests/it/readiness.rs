//! The layer calls the service that was polled ready, regardless of the middleware inside and outside.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_test::{assert_request_eq, mock};
use tower_workos::{DirectoryEvent, RejectionKind, testing::sample, verify::VerifiedBody};

use crate::support::{ScriptBody, Step, delivery, delivery_of, layer};

type Answer = Response<Full<Bytes>>;

/// webhook-verify 0.1 calls a clone that was never polled.
#[tokio::test]
async fn the_ready_service_is_called() {
    let (mock, mut handle) = mock::pair::<String, String>();
    // The inner service takes strings, so that the mock can compare requests.
    let inner = ServiceBuilder::new()
        .map_request(|request: Request<VerifiedBody>| {
            request.extensions().get::<DirectoryEvent>().unwrap().name().to_owned()
        })
        .map_response(|text: String| Response::new(Full::<Bytes>::from(text)))
        .service(mock);
    let mut service = layer().layer(inner);

    // Not ready as long as the inner service is not.
    handle.allow(0);
    let pending = std::future::poll_fn(|cx| {
        std::task::Poll::Ready(
            Service::<Request<Full<Bytes>>>::poll_ready(&mut service, cx).is_pending(),
        )
    });
    assert!(pending.await);

    // One permit: if a clone were called instead of the service that holds it, this would panic.
    handle.allow(1);
    let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut service).await.unwrap();
    let call = ready.call(delivery::<Full<Bytes>>(sample::USER_CREATED));
    let answer = tokio::spawn(call);
    assert_request_eq!(handle, "dsync.user.created".to_owned()).send_response("done".to_owned());
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn errors_of_the_inner_service_pass_through() {
    let (mock, mut handle) = mock::pair::<String, String>();
    let inner = ServiceBuilder::new()
        .map_request(|_: Request<VerifiedBody>| String::new())
        .map_response(|text: String| Response::new(Full::<Bytes>::from(text)))
        .service(mock);
    let service = layer().layer(inner);
    handle.allow(2);
    let call = tokio::spawn(service.clone().oneshot(delivery::<Full<Bytes>>(sample::USER_CREATED)));
    assert_request_eq!(handle, String::new()).send_error("broken");
    assert_eq!(call.await.unwrap().unwrap_err().to_string(), "broken");
    handle.send_error("gone");
    let error = service.oneshot(delivery::<Full<Bytes>>(sample::USER_CREATED)).await.unwrap_err();
    assert_eq!(error.to_string(), "gone", "an error of `poll_ready`");
}

fn handler() -> impl Service<
    Request<VerifiedBody>,
    Response = Answer,
    Error = BoxError,
    Future = impl Future<Output = Result<Answer, BoxError>> + Send,
> + Clone
+ Send
+ 'static {
    service_fn(|request: Request<VerifiedBody>| async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(request.extensions().get::<DirectoryEvent>().is_some());
        Ok(Response::new(Full::default()))
    })
}

#[tokio::test]
async fn over_concurrency_limit_and_buffer() {
    let service = ServiceBuilder::new()
        .layer(layer())
        .buffer::<Request<VerifiedBody>>(4)
        .concurrency_limit(2)
        .service(handler());
    many(service).await;
    let service = ServiceBuilder::new().layer(layer()).concurrency_limit(1).service(handler());
    many(service).await;
}

#[tokio::test]
async fn under_concurrency_limit_buffer_and_timeout() {
    let service = ServiceBuilder::new()
        .buffer::<Request<Full<Bytes>>>(4)
        .concurrency_limit(2)
        .timeout(Duration::from_secs(10))
        .layer(layer())
        .service(handler());
    many(service).await;
}

async fn many<S, B>(service: S)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError> + Send,
    S::Future: Send,
    B: Send + 'static,
{
    let calls: Vec<_> = (0..20)
        .map(|index| {
            let service = service.clone();
            // Every other delivery is forged: its permit must be released.
            let body = if index % 2 == 0 { sample::USER_CREATED } else { sample::USER_DELETED };
            let mut request = delivery::<Full<Bytes>>(body);
            if index % 2 == 1 {
                *request.body_mut() = Full::from("forged");
            }
            tokio::spawn(async move {
                let response = service.oneshot(request).await.map_err(Into::into).unwrap();
                assert_eq!(response.status(), if index % 2 == 0 { 200 } else { 401 });
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejected_request_releases_its_permit() {
    let service = ServiceBuilder::new().layer(layer()).concurrency_limit(1).service(handler());
    let hang = delivery_of(b"x", ScriptBody::new([Step::Hang]));
    let response = service.clone().oneshot(hang).await.unwrap();
    let rejection = response.extensions().get::<tower_workos::Rejection>().unwrap();
    assert_eq!(rejection.kind(), RejectionKind::BodyTimeout);
    let next = delivery::<Full<Bytes>>(sample::USER_CREATED);
    assert_eq!(service.oneshot(next).await.unwrap().status(), 200);
}
