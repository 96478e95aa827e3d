//! Ends sessions of users who lose access: `cargo run -p tower-workos-mirror --features outbox --example sessions`
//!
//! Each change of the mirror is also a job of the outbox. A job says that something happened, perhaps long ago, perhaps for the
//! second time. So the handler asks what is true now, as `Mirror::has_access_by` does: somebody who has access as another
//! user, such as one in the customer's new directory, keeps the session. Begin sessions with `INSERT INTO sessions SELECT
//! user_id, organization_id, email_key FROM workos_access WHERE user_id = ?`: with two statements, access could end in between.
//!
//! Reads `WORKOS_WEBHOOK_SECRET`, `DATABASE_URL` (default: `sqlite:app.db`) and `PORT` (default: 3000). Ctrl-C stops it.

use std::{env::var, error::Error, process::ExitCode};

use sqlx::SqlitePool;
use tower_workos_inbox::{Completion, Job};
use tower_workos_mirror::{Change, ChangeKind, Mirror, MirrorPool};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS sessions (user_id, organization_id, email_key)";
const MOVE: &str = "UPDATE sessions SET user_id = (SELECT a.user_id FROM workos_access a WHERE a.user_id = sessions.user_id \
    OR a.organization_id = sessions.organization_id AND a.email_key = sessions.email_key) \
    WHERE user_id = ?1 OR ?1 IS NULL AND user_id IN (SELECT id FROM workos_known_users WHERE directory_id = ?2)";
type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = run().await else { return ExitCode::SUCCESS };
    eprintln!("error: {error}{}", error.source().map_or(String::new(), |it| format!(": {it}")));
    ExitCode::FAILURE
}

async fn run() -> Result<(), Failure> {
    let secret = tower_workos::WebhookSecret::from_env("WORKOS_WEBHOOK_SECRET")?;
    let mirror = Mirror::connect(&var("DATABASE_URL").unwrap_or("sqlite:app.db".into())).await?;
    let MirrorPool::Sqlite(db) = mirror.pool().clone() else { return Err("not SQLite".into()) };
    mirror.migrate().await?;
    sqlx::query(TABLE).execute(&db).await?;
    let outbox = mirror.outbox("sessions").await?;
    let address = format!("127.0.0.1:{}", var("PORT").unwrap_or("3000".into()));
    let listener = tokio::net::TcpListener::bind(&address).await;
    let listener = listener.map_err(|error| format!("can't listen on {address}: {error}"))?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = axum::Router::new().route_service("/webhooks/workos", mirror.webhook(secret));
    let stop = async || tokio::signal::ctrl_c().await.unwrap_or_default();
    let server = axum::serve(listener, app).with_graceful_shutdown(stop());
    let handler = tower::service_fn(move |job| end_sessions(db.clone(), job));
    let worker = outbox.job_worker(handler).run_until(stop());
    tokio::try_join!(async { Ok(worker.await?) }, async { Ok(server.await?) }).map(drop)
}

async fn end_sessions(db: SqlitePool, job: Job<Change>) -> Result<(), Failure> {
    let Change { kind, user_id, directory_id, .. } = job.item();
    if matches!(kind, ChangeKind::UserRevoked | ChangeKind::DirectoryRevoked) {
        let mut tx = db.begin_with("BEGIN IMMEDIATE").await?;
        let moved = sqlx::query(MOVE).bind(user_id.as_ref().map(|it| it.as_str()));
        let moved = moved.bind(directory_id.as_ref().map(|it| it.as_str()));
        moved.execute(&mut *tx).await?;
        sqlx::query("DELETE FROM sessions WHERE user_id IS NULL").execute(&mut *tx).await?;
        let Completion::Completed = job.complete_in(&mut tx).await? else { return Ok(()) };
        tx.commit().await?;
    }
    Ok(())
}
