//! A webhook endpoint in hyper, without a framework: HTTP/1 and HTTP/2 on one port.
//!
//! ```text
//! cargo run --example hyper
//! ```
//!
//! Reads `WORKOS_WEBHOOK_SECRET` and `PORT` as the `axum` example does.

mod support;

use std::{convert::Infallible, process::ExitCode, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use support::{BoxError, PATH, Settings, bind, demonstrate, describe, say, shutdown};
use tokio::net::TcpListener;
use tower::{Layer, Service, service_fn};
use tower_workos::{DirectoryEvent, ResponseBody, VerifyWebhookLayer, verify::VerifiedBody};

fn main() -> ExitCode {
    support::main(run())
}

type HttpResponse = Response<ResponseBody<Full<Bytes>>>;

fn app(
    layer: &VerifyWebhookLayer,
) -> impl Service<Request<Incoming>, Response = HttpResponse, Error = Infallible, Future: Send>
+ Clone
+ Send
+ use<> {
    layer.layer(service_fn(on_event))
}

async fn on_event(request: Request<VerifiedBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::default());
    match request.extensions().get::<DirectoryEvent>() {
        Some(event) if request.uri().path() == PATH => say(describe(event)),
        _ => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    Ok(response)
}

async fn run() -> Result<(), BoxError> {
    let settings = Settings::from_env()?;
    let listener = bind().await?;
    let address = listener.local_addr()?;
    say(format!("listening on http://{address}{PATH}"));

    let server = tokio::spawn(serve(listener, settings.layer));
    if let Some(signer) = settings.demo {
        demonstrate(signer, address).await?;
    }
    server.await?;
    say("bye");
    Ok(())
}

async fn serve(listener: TcpListener, layer: VerifyWebhookLayer) {
    let service = app(&layer);
    let connections = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown());
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // For example, too many open files: retry once other connections may have closed.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = &mut shutdown => break,
        };
        let connection = auto::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service.clone()))
            .into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // An error of one connection doesn't concern the server.
            let _ = connection.await;
        });
    }
    connections.shutdown().await;
}
