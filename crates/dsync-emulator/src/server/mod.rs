//! The HTTP server.

mod answer;
mod body;
mod mischief;
mod odd;
mod page;
mod params;
mod problem;
mod route;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, DATE, RETRY_AFTER},
};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};

pub(crate) use self::mischief::Mischief;
use self::{
    answer::{Answer, Question},
    body::{BrokenOff, ReplyBody},
    mischief::{Broken, Fate},
    params::Params,
    problem::Problem,
    route::Route,
};
use crate::{
    clock::Clock,
    options::Options,
    requests::Counter,
    world::{Item, Store, World},
};

/// What the server and the handle of an emulator share.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) options: Options,
    pub(crate) world: Mutex<World>,
    pub(crate) counter: Mutex<Counter>,
    pub(crate) mischief: Mutex<Mischief>,
}

/// Locks, even after a panic of another thread: every change is complete before its lock is released.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // For example, there are too many open files. Waits for other connections to end.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // The responses are small, and clients wait for each.
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| respond(&shared, request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client that disconnects is not an error.
            let _ = connection.await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Returns an error to close the connection without a response.
async fn respond<B>(
    shared: &Shared,
    request: Request<B>,
) -> Result<Response<ReplyBody>, BrokenOff> {
    let (fate, result) = answer(shared, &request);
    if let Some(delay) = fate.delay {
        tokio::time::sleep(delay).await;
    }
    let (mut status, mut body) = match &result {
        Ok(answer) => (StatusCode::OK, answer.body()),
        Err(problem) => (problem.status(), problem.body().to_string().into_bytes()),
    };
    match fate.broken {
        Some(Broken::Closed) => {
            lock(&shared.counter).end(None);
            return Err(BrokenOff);
        }
        // As from a proxy that responds with a page of its own.
        Some(Broken::NotJson) => {
            (status, body) = (StatusCode::OK, b"<!doctype html><title>Try again</title>".to_vec());
        }
        Some(Broken::Truncated) | None => {}
    }
    lock(&shared.counter).end(Some(status.as_u16()));
    let mut response = Response::new(match fate.broken {
        Some(Broken::Truncated) => ReplyBody::broken(body),
        _ => ReplyBody::new(body),
    });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    if let Some(date) = date(&shared.clock) {
        headers.insert(DATE, date);
    }
    if let Some(seconds) = fate.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

fn answer<B>(shared: &Shared, request: &Request<B>) -> (Fate, Result<Answer, Problem>) {
    let nanos = shared.clock.nanos();
    let uri = request.uri();
    let route = Route::of(uri.path()).filter(|_| request.method() == Method::GET);
    let params = Params::of(uri.query().unwrap_or_default());
    let now = nanos.div_euclid(1_000_000);
    let mut world = lock(&shared.world);
    world.advance(now);
    let directory = route.and_then(|route| directory(world.store(), route, &params));
    lock(&shared.counter).begin(route.map_or("other", Route::name), directory.as_deref(), nanos);
    let key = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if key.and_then(|key| key.strip_prefix("Bearer ")) != Some(&shared.options.api_key) {
        return (Fate::default(), Err(Problem::Unauthorized));
    }
    let mut mischief = lock(&shared.mischief);
    let fate = mischief.fate(route, &params, directory.as_deref(), nanos);
    if let Some(status) = fate.error {
        return (fate, Err(Problem::Fault(status)));
    }
    let Some(route) = route else {
        let (method, path) = (request.method().to_string(), uri.path().to_owned());
        return (fate, Err(Problem::NoRoute { method, path }));
    };
    let question = Question {
        route,
        params: &params,
        now,
        options: &shared.options,
        is_shown: &mischief.is_shown(),
        page_share: fate.page_share,
    };
    let mut answer = question.answer(&mut world);
    match &mut answer {
        Ok(Answer::List(list)) => mischief.change(list, &fate, &params),
        Ok(Answer::One(item)) => mischief.change_one(item),
        Err(_) => {}
    }
    (fate, answer)
}

/// The directory that a request is about.
fn directory(store: &Store, route: Route<'_>, params: &Params<'_>) -> Option<String> {
    let of = |item: &Item| item.directory.to_string();
    let of_group = |id: &str| store.group(id).map(|group| of(&group.item));
    let of_user = |id: &str| store.user(id).map(|user| of(&user.item));
    match route {
        Route::Directory(id) => store.directory(id).map(|_| id.to_owned()),
        Route::Group(id) => of_group(id),
        Route::User(id) => of_user(id),
        Route::Groups | Route::Users => {
            let named = params.get("directory").filter(|id| store.directory(id).is_some());
            let group = || params.get("group").and_then(of_group);
            let user = || params.get("user").and_then(of_user);
            named.map(str::to_owned).or_else(group).or_else(user)
        }
        Route::Directories | Route::Events => None,
    }
}

/// The header `Date`.
fn date(clock: &Clock) -> Option<HeaderValue> {
    let seconds = clock.nanos().div_euclid(1_000_000_000);
    // The header can't express a time before 1970.
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since)).ok()
}
