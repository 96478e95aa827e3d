//! Requests to a page, and what the responses contain.

use axum::{Router, body::Body};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tower_workos_mirror::{Mirror, page::unprotected};

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// The page under `/`, without a guard.
pub(crate) fn open(mirror: &Mirror) -> Router {
    mirror.page(unprotected())
}

pub(crate) fn request(method: Method, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

/// A complete response. Not for a stream, which does not end.
pub(crate) async fn send(router: &Router, method: Method, path: &str) -> Reply {
    let _ = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .try_init();
    let response = router.clone().oneshot(request(method, path)).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    Reply { status: parts.status, headers: parts.headers, body }
}

pub(crate) async fn get(router: &Router, path: &str) -> Reply {
    send(router, Method::GET, path).await
}

/// The HTML of a page.
pub(crate) async fn page(router: &Router, path: &str) -> String {
    let reply = get(router, path).await;
    assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.body);
    reply.body
}

/// The values of an attribute, as they are in the HTML.
pub(crate) fn attributes(html: &str, name: &str) -> Vec<String> {
    let start = format!(" {name}=\"");
    html.split(&start)
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"))
        .collect()
}

/// The link to the next part of a list.
pub(crate) fn next(html: &str) -> Option<String> {
    let (_, rest) = html.split_once("rel=\"next\"")?;
    attributes(rest, "href").into_iter().next()
}

/// The texts of the rows of all tables of this class, with one space between the texts of the elements.
pub(crate) fn rows(html: &str, class: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for table in html.split(&format!("<table class=\"{class}\"")).skip(1) {
        let table = table.split("</table>").next().unwrap();
        let body = table.split("<tbody").nth(1).unwrap_or_default();
        rows.extend(body.split("<tr").skip(1).map(|row| text(&format!("<tr{row}"))));
    }
    rows
}

/// The text without the elements.
pub(crate) fn text(html: &str) -> String {
    let mut texts = Vec::new();
    for part in html.split('<').skip(1) {
        let (_, after) = part.split_once('>').unwrap_or_default();
        texts.extend(after.split_whitespace());
    }
    let text = texts.join(" ");
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&amp;", "&")
}

/// Encodes each byte, for a query.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
