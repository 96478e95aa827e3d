//! The routes.
//!
//! All pages are at the same depth, so that their links are relative and work under any path. Ids are in the query, because a
//! browser would change a path that contains `..`.

use std::sync::Arc;

use axum::{
    Router,
    extract::{OriginalUri, Query, Request, State},
    http::{
        StatusCode,
        header::{CONTENT_TYPE, LOCATION},
    },
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use maud::Markup;
use serde::Deserialize;
use tower_workos::{DirectoryGroupId, DirectoryId, DirectoryUserId, Timestamp};

use crate::{
    error::MirrorError,
    page::{
        builder::PageState,
        facts::UserQuery,
        load,
        stream::events,
        view::{self, Shell},
    },
};

type Shared = State<Arc<PageState>>;
type Result<T = Markup> = std::result::Result<T, Failure>;

pub(super) fn routes(page: &Arc<PageState>) -> Router<Arc<PageState>> {
    let pages = Router::new()
        .route("/changes", get(changes))
        .route("/directory", get(directory))
        .route("/group", get(group))
        .route("/groups", get(groups))
        .route("/overview", get(overview))
        .route("/user", get(user))
        .route("/users", get(users))
        .route_layer(from_fn_with_state(Arc::clone(page), in_turn));
    pages.route("/", get(home)).route("/events", get(events)).fallback(fallback)
}

/// Waits until few other pages are being read.
async fn in_turn(State(page): Shared, request: Request, next: Next) -> Response {
    // The semaphore is never closed.
    let _permit = page.reads.acquire().await;
    next.run(request).await
}

/// The parameters of all pages but the list of users.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameters {
    id: String,
    directory: String,
    after: String,
    before: String,
}

impl PageState {
    /// What is around a page. Its number of the latest change is read before the page: so the live updates, which begin after
    /// it, may repeat a change that the page shows, but miss none.
    async fn shell(&self) -> Result<Shell> {
        let seq = self.mirror.feed_range().await?.end;
        let (style, script, title) = (self.style.clone(), self.script.clone(), self.title.clone());
        Ok(Shell { style, script, title, seq, now: Timestamp::now() })
    }
}

/// Redirects to the overview. With or without a slash at the end of the path, the new path is relative.
async fn home(OriginalUri(uri): OriginalUri) -> Response {
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    // Without the dot, a prefix with a colon would be read as a scheme.
    let location =
        if last.is_empty() { "overview".to_owned() } else { format!("./{last}/overview") };
    (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, location)]).into_response()
}

async fn overview(State(page): Shared, Query(parameters): Query<Parameters>) -> Result<Response> {
    let shell = page.shell().await?;
    let facts = load::overview(&page.mirror, &page.queues, &parameters.after).await?;
    Ok(html(StatusCode::OK, &view::overview(&shell, &facts)))
}

async fn changes(State(page): Shared, Query(parameters): Query<Parameters>) -> Result<Response> {
    let shell = page.shell().await?;
    let facts = load::changes(&page.mirror, parameters.before.parse().ok()).await?;
    Ok(html(StatusCode::OK, &view::changes(&shell, &facts)))
}

async fn directory(State(page): Shared, Query(parameters): Query<Parameters>) -> Result<Response> {
    let shell = page.shell().await?;
    let id = DirectoryId::from(parameters.id);
    Ok(match load::directory(&page.mirror, &id).await? {
        Some(facts) => html(StatusCode::OK, &view::directory(&shell, &facts)),
        None => not_found(&shell, "No such directory", "No event or list contained this id."),
    })
}

async fn group(State(page): Shared, Query(parameters): Query<Parameters>) -> Result<Response> {
    let shell = page.shell().await?;
    let id = DirectoryGroupId::from(parameters.id);
    Ok(match load::group(&page.mirror, &id, &parameters.after).await? {
        Some(facts) => html(StatusCode::OK, &view::group(&shell, &facts)),
        None => not_found(
            &shell,
            "No such group",
            "It was deleted, or no event or list contained this id.",
        ),
    })
}

async fn groups(State(page): Shared, Query(parameters): Query<Parameters>) -> Result<Response> {
    let shell = page.shell().await?;
    let facts = load::groups(&page.mirror, parameters.directory, &parameters.after).await?;
    Ok(html(StatusCode::OK, &view::groups(&shell, &facts)))
}

async fn user(State(page): Shared, Query(parameters): Query<Parameters>) -> Result<Response> {
    let shell = page.shell().await?;
    let id = DirectoryUserId::from(parameters.id);
    Ok(match load::user(&page.mirror, id, &parameters.before).await? {
        Some(facts) => html(StatusCode::OK, &view::user(&shell, &facts)),
        None => not_found(&shell, "No such user", "No event or list contained this id."),
    })
}

async fn users(State(page): Shared, Query(query): Query<UserQuery>) -> Result<Response> {
    let shell = page.shell().await?;
    let facts = load::users(&page.mirror, query).await?;
    Ok(html(StatusCode::OK, &view::users(&shell, &facts)))
}

async fn fallback() -> Response {
    (StatusCode::NOT_FOUND, "There is no such page.\n").into_response()
}

fn not_found(shell: &Shell, title: &str, text: &str) -> Response {
    html(StatusCode::NOT_FOUND, &view::message(shell, title, text))
}

fn html(status: StatusCode, page: &Markup) -> Response {
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], page.0.clone()).into_response()
}

/// The database failed.
pub(super) struct Failure(MirrorError);

impl From<MirrorError> for Failure {
    fn from(error: MirrorError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        tracing::warn!(
            target: "tower_workos_mirror::page",
            error = self.0.without_payload(),
            "the page could not be read from the database"
        );
        let text = "The database could not be read. The application's log has the reason. Reload this page to try again.\n";
        (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
    }
}
