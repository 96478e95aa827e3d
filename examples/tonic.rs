//! A webhook endpoint on a tonic server: a delivery arrives in a gRPC service method.
//!
//! ```text
//! cargo run --example tonic --features tonic
//! ```
//!
//! Reads `WORKOS_WEBHOOK_SECRET` and `PORT` as the `axum` example does.

mod support;

use std::process::ExitCode;

use support::{BoxError, PATH, Settings, bind, demonstrate, describe, say, shutdown};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};
use tower_workos::grpc::{
    DeliverRequest, DeliverResponse, GrpcWebhookLayer, directory_event,
    directory_events_server::{DirectoryEvents, DirectoryEventsServer},
};

fn main() -> ExitCode {
    support::main(run())
}

struct Directory;

#[tonic::async_trait]
impl DirectoryEvents for Directory {
    async fn deliver(
        &self,
        request: Request<DeliverRequest>,
    ) -> Result<Response<DeliverResponse>, Status> {
        let event = directory_event(&request)?;
        say(describe(&event));
        // For `Err(Status::unavailable(..))` the response would be 503, and WorkOS would deliver the event again.
        Ok(Response::new(DeliverResponse {}))
    }
}

fn app() -> DirectoryEventsServer<Directory> {
    DirectoryEventsServer::new(Directory)
}

async fn run() -> Result<(), BoxError> {
    let settings = Settings::from_env()?;
    let listener = bind().await?;
    let address = listener.local_addr()?;
    say(format!("listening on http://{address}{PATH}"));

    let server = Server::builder()
        .accept_http1(true)
        .layer(GrpcWebhookLayer::new(PATH, settings.layer))
        .add_service(app())
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), shutdown());
    let server = tokio::spawn(server);
    if let Some(signer) = settings.demo {
        demonstrate(signer, address).await?;
    }
    server.await??;
    say("bye");
    Ok(())
}
