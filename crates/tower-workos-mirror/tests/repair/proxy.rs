//! A server between the mirror and the emulator, which changes responses.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, body::Incoming, header::DATE, server::conn::http1, service::service_fn,
};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};

/// A request.
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    /// How many requests for this path with these parameters, other than the position, there were before.
    pub(crate) page: usize,
}

impl Call {
    /// Whether this is a list that is restricted by this parameter, or a list of directories if it is empty.
    pub(crate) fn lists(&self, path: &str, filter: &str) -> bool {
        self.path == path && (filter.is_empty() || self.query.contains_key(filter))
    }
}

/// A response, which can be changed before it is sent.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) date: Option<String>,
    pub(crate) body: Value,
}

impl Reply {
    /// The items of a list.
    pub(crate) fn items(&mut self) -> &mut Vec<Value> {
        self.body["data"].as_array_mut().unwrap()
    }

    pub(crate) fn fail(&mut self, status: u16) {
        self.status = status;
        self.body = serde_json::json!({"message": "a fault"});
    }

    /// The API does not know these objects: lists lack them, and their own paths are 404.
    pub(crate) fn hide(&mut self, call: &Call, is_hidden: impl Fn(&str) -> bool) {
        if call.path.split('/').nth(2).is_some_and(&is_hidden) {
            self.fail(404);
        } else if self.status == 200 && self.body["data"].is_array() {
            self.items().retain(|item| !item["id"].as_str().is_some_and(&is_hidden));
        }
    }
}

type Stop = Box<dyn Fn(&Call) -> Option<Arc<Semaphore>> + Send>;
type Rule = Box<dyn FnMut(&Call, &mut Reply) + Send>;

struct Shared {
    target: String,
    rule: Mutex<Option<Rule>>,
    stop: Mutex<Option<Stop>>,
    calls: Mutex<BTreeMap<String, usize>>,
    pages: Mutex<HashMap<String, usize>>,
    /// How many items a page has at most.
    limit: AtomicUsize,
}

pub(crate) struct Proxy {
    shared: Arc<Shared>,
    address: std::net::SocketAddr,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target,
            rule: Mutex::default(),
            stop: Mutex::default(),
            calls: Mutex::default(),
            pages: Mutex::default(),
            limit: AtomicUsize::new(100),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { shared, address, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Calls this function with each response from now on, and forgets the requests so far.
    pub(crate) fn rule(&self, rule: impl FnMut(&Call, &mut Reply) + Send + 'static) {
        self.clear();
        *self.shared.rule.lock().unwrap() = Some(Box::new(rule));
    }

    /// Delays the responses to some requests until their semaphore has a permit.
    pub(crate) fn stop(&self, stop: impl Fn(&Call) -> Option<Arc<Semaphore>> + Send + 'static) {
        *self.shared.stop.lock().unwrap() = Some(Box::new(stop));
    }

    /// Changes nothing from now on, and forgets the requests so far.
    pub(crate) fn clear(&self) {
        *self.shared.rule.lock().unwrap() = None;
        *self.shared.stop.lock().unwrap() = None;
        self.shared.calls.lock().unwrap().clear();
        self.shared.pages.lock().unwrap().clear();
    }

    /// Serves pages of at most this many items.
    pub(crate) fn limit(&self, items: usize) {
        self.shared.limit.store(items, Ordering::Relaxed);
    }

    /// The number of requests by path.
    pub(crate) fn calls(&self) -> BTreeMap<String, usize> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// The number of requests whose path begins like this.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.calls().iter().filter(|(it, _)| it.starts_with(path)).map(|(_, count)| count).sum()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (shared, client) = (Arc::clone(&shared), client.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (shared, client) = (Arc::clone(&shared), client.clone());
            async move {
                let target = request.uri().path_and_query().unwrap().as_str().to_owned();
                let limit = format!("limit={}", shared.limit.load(Ordering::Relaxed));
                let target = target.replace("limit=100", &limit);
                let mut forward = Request::get(format!("{}{target}", shared.target));
                forward.headers_mut().unwrap().extend(request.headers().clone());
                forward.headers_mut().unwrap().remove("host");
                let response =
                    client.request(forward.body(Full::default()).unwrap()).await.unwrap();
                let (head, body) = response.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let date = head.headers.get(DATE).map(|it| it.to_str().unwrap().to_owned());
                let mut reply = Reply {
                    status: head.status.as_u16(),
                    date,
                    body: serde_json::from_slice(&body).unwrap(),
                };
                let (path, query) = target.split_once('?').unwrap_or((&target, ""));
                let query: HashMap<_, _> = query
                    .split('&')
                    .filter_map(|it| it.split_once('='))
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect();
                let mut list: Vec<_> = query.iter().filter(|(name, _)| *name != "after").collect();
                list.sort_unstable();
                let list = format!("{path}{list:?}");
                let page = {
                    let mut pages = shared.pages.lock().unwrap();
                    let page = pages.entry(list).or_default();
                    *page += 1;
                    *page - 1
                };
                *shared.calls.lock().unwrap().entry(path.to_owned()).or_default() += 1;
                let call = Call { path: path.to_owned(), query, page };
                let stop = shared.stop.lock().unwrap().as_ref().and_then(|stop| stop(&call));
                if let Some(stop) = stop {
                    stop.acquire().await.unwrap().forget();
                }
                if let Some(rule) = &mut *shared.rule.lock().unwrap() {
                    rule(&call, &mut reply);
                }
                let mut response = Response::builder().status(reply.status);
                if let Some(date) = reply.date {
                    response = response.header(DATE, date);
                }
                let response = response.header("content-type", "application/json");
                Ok::<_, Infallible>(
                    response.body(Full::<Bytes>::from(reply.body.to_string())).unwrap(),
                )
            }
        });
        tokio::spawn(async move {
            let mut server = http1::Builder::new();
            let _ = server
                .auto_date_header(false)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
