use std::future::Future;

use sqlx::Transaction;
use tower_workos::dedupe::{Claim, Claimed, Completion, StoreError};

use crate::{database::SqlDatabase, store::SqlStore};

mod sealed {
    #[expect(unnameable_types, reason = "it seals `CompleteIn`")]
    pub trait Sealed {}
}

/// Completes a claim in the handler's own transaction. An extension of [`Claimed`].
///
/// The handler's changes and the record that the event is done are then committed together, or not at all.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # {
/// use axum::{Extension, Router, body::Body, http::StatusCode, routing::post};
/// use sqlx::sqlite::SqlitePoolOptions;
/// use tower::{ServiceBuilder, ServiceExt};
/// use tower_workos::{
///     DedupeLayer, DirectoryEvent, VerifyWebhookLayer, WebhookSecret,
///     dedupe::{Claimed, Completion},
///     testing::{Signer, sample},
/// };
/// use tower_workos_sqlx::{CompleteIn, SqliteStore};
///
/// fn failed(error: impl std::fmt::Display) -> StatusCode {
///     eprintln!("not handled: {error}");
///     StatusCode::SERVICE_UNAVAILABLE
/// }
///
/// async fn on_event(
///     Extension(claimed): Extension<Claimed<SqliteStore>>,
///     event: DirectoryEvent,
/// ) -> Result<StatusCode, StatusCode> {
///     let mut tx = claimed.store().begin().await.map_err(failed)?;
///     sqlx::query("INSERT INTO seen (event_id) VALUES (?1)")
///         .bind(event.id().as_str())
///         .execute(&mut *tx)
///         .await
///         .map_err(failed)?;
///     match claimed.complete_in(&mut tx).await.map_err(failed)? {
///         Completion::Completed => tx.commit().await.map_err(failed)?,
///         // The lease expired, so another call may be handling the event: roll back.
///         Completion::Stale => return Err(StatusCode::SERVICE_UNAVAILABLE),
///     }
///     Ok(StatusCode::OK)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
/// sqlx::query("CREATE TABLE seen (event_id TEXT)").execute(&pool).await?;
/// let store = SqliteStore::new(pool.clone());
/// store.migrate().await?;
///
/// let secret = WebhookSecret::new("whsec_from_the_dashboard")?;
/// let signer = Signer::new(secret.clone());
/// let app = Router::new().route("/", post(on_event)).route_layer(
///     ServiceBuilder::new()
///         .layer(VerifyWebhookLayer::new(secret))
///         .layer(DedupeLayer::new("workos", store)),
/// );
/// for _ in 0..3 {
///     let delivery = signer.sign(sample::USER_DEACTIVATED);
///     let request = delivery.into_request::<Body, _>("/")?;
///     let response = app.clone().oneshot(request).await?;
///     assert_eq!(response.status(), 200);
/// }
/// let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM seen").fetch_one(&pool).await?;
/// assert_eq!(rows, 1);
/// # Ok(())
/// # }
/// # }
/// ```
///
/// If the store is a [`BoxStore`](tower_workos::BoxStore), [`Claimed::downcast`] returns the claim in the inner store.
///
/// This trait can't be implemented outside this crate.
pub trait CompleteIn: sealed::Sealed {
    /// The database of the claim's store.
    type Database: SqlDatabase;

    /// Completes the claim in the handler's transaction. Begin the transaction with [`SqlStore::begin`].
    ///
    /// Commit only if the result is [`Completion::Completed`]. If it is [`Completion::Stale`], the lease has expired
    /// and another call may be handling the event: roll back and respond with 503.
    ///
    /// After this has been called, the layer no longer completes the claim itself. After a 2xx response, it checks that
    /// the completion is committed, and responds with 503 if it isn't.
    ///
    /// If the store failed to claim the event, and the layer is configured to
    /// [pass](tower_workos::dedupe::OnStoreError::Pass), this also claims the event.
    ///
    /// # Errors
    ///
    /// If the database fails. Roll back and respond with 503.
    ///
    /// # After the commit
    ///
    /// The event is done once the transaction is committed. If the handler fails afterwards, WorkOS delivers the event again
    /// and gets 200, but the handler does not run again: do nothing after the commit that must not be lost.
    fn complete_in(
        &self,
        transaction: &mut Transaction<'_, Self::Database>,
    ) -> impl Future<Output = Result<Completion, StoreError>> + Send;
}

impl<DB: SqlDatabase> sealed::Sealed for Claimed<SqlStore<DB>> {}

impl<DB: SqlDatabase> CompleteIn for Claimed<SqlStore<DB>> {
    type Database = DB;

    async fn complete_in(
        &self,
        transaction: &mut Transaction<'_, DB>,
    ) -> Result<Completion, StoreError> {
        // First, so that a transaction that is rolled back or dropped can't be mistaken for a success.
        self.complete_by_handler();
        if self.token().is_none() {
            match SqlStore::<DB>::claim_in(transaction, self.key(), self.lease()).await? {
                Claim::Acquired(token) => self.adopt(token),
                Claim::Done | Claim::InFlight { .. } => return Ok(Completion::Stale),
            }
        }
        let Some(token) = self.token() else { return Ok(Completion::Stale) };
        SqlStore::<DB>::complete_in(transaction, self.key(), token, self.retention()).await
    }
}
