//! A page for operators: whether the tables are in step with WorkOS, and why a person has or doesn't have access.
//!
//! [`Mirror::page`](crate::Mirror::page) is an axum [`Router`](axum::Router) that only reads. Nest it under any path of an application:
//!
//! ```
//! use axum::{Router, http::Request, middleware::{Next, from_fn}, response::{IntoResponse, Response}};
//! # async fn is_operator(_: axum::http::HeaderMap) -> bool { false }
//!
//! async fn only_operators(request: Request<axum::body::Body>, next: Next) -> Response {
//!     // The application's own session, a header of an identity-aware proxy, ...
//!     if is_operator(request.headers().clone()).await {
//!         next.run(request).await
//!     } else {
//!         axum::http::StatusCode::FORBIDDEN.into_response()
//!     }
//! }
//!
//! fn app(mirror: &tower_workos_mirror::Mirror) -> Router {
//!     Router::new().nest("/directory", mirror.page(from_fn(only_operators)))
//! }
//! ```
//!
//! # Who may see it
//!
//! **It shows personal data: the names, addresses, groups and attributes of all customers' employees.** So there is no page
//! without a guard. The guard is a tower layer around everything that the page serves: the pages, the live updates, the
//! style sheet, and the response to a path that does not exist. It decides about each request, and again about live updates
//! every 15 minutes, or every ten seconds without [`live_updates`](DirectoryPage::live_updates). [`unprotected`] lets everybody
//! in: use it only behind a proxy that authenticates each request.
//!
//! No page is cached; only the style sheet and the script are. Each response forbids framing, inline scripts and inline styles, and content of other origins. This
//! does not apply to the responses of the guard itself, such as a login page.
//!
//! # Live updates
//!
//! The page works without JavaScript. With it, the rows change as soon as the tables do: the browser receives the [change
//! feed](crate::Mirror::changes) as server-sent events, whose ids are the numbers of the changes. After an interruption it
//! continues where it was, so it misses nothing.
//!
//! A graceful shutdown of a server waits until each response is complete, and a stream of events does not end on its own. Take
//! [`DirectoryPage::live_updates`], and close it when the shutdown begins:
//!
//! ```no_run
//! # async fn example(mirror: tower_workos_mirror::Mirror, listener: tokio::net::TcpListener) -> std::io::Result<()> {
//! # let only_operators = tower_workos_mirror::page::unprotected();
//! use axum::Router;
//! use tower_workos_mirror::page::DirectoryPage;
//!
//! let page = DirectoryPage::new(mirror);
//! let live_updates = page.live_updates();
//! let app = Router::new().nest("/directory", page.router(only_operators));
//! axum::serve(listener, app)
//!     .with_graceful_shutdown(async move {
//!         tokio::signal::ctrl_c().await.ok();
//!         live_updates.close();
//!     })
//!     .await
//! # }
//! ```
//!
//! Without it, as with [`Mirror::page`](crate::Mirror::page), each stream ends after ten seconds, so that a shutdown takes at most as long, and the
//! browser opens another one.
//!
//! # What it costs
//!
//! A page is a few queries. They find their rows through indexes, whatever the size of the tables, except that a filter that
//! matches almost nobody, such as "no access", reads all users of the directory, or of the whole table: 1.4 s for 500 000 users. While
//! changes arrive, each browser that shows a page asks for it again, at most once a second. No more than two pages are read
//! at the same time, so that the other connections of the pool stay free for deliveries. Each stream reads the feed like any
//! other reader.
//!
//! A browser that stops reading keeps its connection, and one of the streams, until the server closes it: give connections a time-out
//! for writes, or put a proxy in front of them.
//!
//! # Logs
//!
//! The crate does not log what is searched for. It is in the request's query, with names and addresses: tower-http's `TraceLayer`
//! records the whole URI by default, so use `make_span_with` to record only the path.

mod assets;
mod builder;
mod facts;
mod guard;
mod handlers;
mod headers;
mod load;
mod queue;
mod stream;
mod view;

pub use self::{
    builder::{DirectoryPage, LiveUpdates},
    guard::{Unprotected, unprotected},
};
