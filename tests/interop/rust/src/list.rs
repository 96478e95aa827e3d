//! Lists everything from a server with the `workos` crate, page by page.

use std::{
    collections::HashSet,
    io::{Read as _, Write as _},
    net::TcpStream,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use async_trait::async_trait;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workos::{
    Client, Error, PaginationOrder,
    directory_sync::{ListDirectoriesParams, ListGroupsParams, ListUsersParams},
    events::ListEventsParams,
    transport::{HttpRequest, HttpResponse, HttpTransport, TransportError},
};

use crate::BoxError;

/// Where to read.
#[derive(Deserialize)]
pub(crate) struct Server {
    host: String,
    port: u16,
    key: String,
    events: Vec<String>,
}

pub(crate) fn list(server: Server) -> Result<Value, BoxError> {
    let client = Client::builder()
        .api_key(&server.key)
        .base_url(format!("http://{}:{}", server.host, server.port))
        .transport(Arc::new(Transport))
        .max_retries(0)
        .build();
    ready(read(&client, server.events))
}

async fn read(client: &Client, names: Vec<String>) -> Result<Value, BoxError> {
    let sync = client.directory_sync();
    let directories = pages(async |after| {
        let page = sync.list_directories(ListDirectoriesParams {
            after,
            limit: Some(1),
            ..ListDirectoriesParams::default()
        });
        page.await.map(|page| (page.data, page.list_metadata.after))
    })
    .await?;
    let (mut users, mut groups, mut memberships) = (Vec::new(), Vec::new(), Vec::new());
    for directory in &directories {
        let directory = Some(text(directory, "id"));
        users.extend(
            pages(async |after| {
                let (directory, limit) = (directory.clone(), Some(30));
                let params =
                    ListUsersParams { after, directory, limit, ..ListUsersParams::default() };
                let page = sync.list_users(params).await?;
                Ok((page.data, page.list_metadata.after))
            })
            .await?,
        );
        groups.extend(
            pages(async |after| {
                let (directory, limit) = (directory.clone(), Some(5));
                let params =
                    ListGroupsParams { after, directory, limit, ..ListGroupsParams::default() };
                let page = sync.list_groups(params).await?;
                Ok((page.data, page.list_metadata.after))
            })
            .await?,
        );
    }
    for group in &groups {
        let id = text(group, "id");
        let members = pages(async |after| {
            let params =
                ListUsersParams { after, group: Some(id.clone()), ..ListUsersParams::default() };
            let page = sync.list_users(params).await?;
            Ok((page.data, page.list_metadata.after))
        });
        for user in members.await? {
            memberships.push(json!({ "user_id": text(&user, "id"), "group_id": id }));
        }
    }
    let events = pages(async |after| {
        let params = ListEventsParams {
            after,
            limit: Some(100),
            order: Some(PaginationOrder::Asc),
            ..ListEventsParams::new(names.clone())
        };
        let page = client.events().list_events(params).await?;
        Ok((page.data, page.list_metadata.after))
    });
    let events: Vec<_> = events.await?.iter().map(|event| text(event, "id")).collect();

    let first = |list: &[Value]| list.first().cloned().unwrap_or_default();
    let (directory, user, group) = (first(&directories), first(&users), first(&groups));
    let singles = [
        serde_json::to_value(sync.get_directory(&text(&directory, "id")).await?)? == directory,
        serde_json::to_value(sync.get_user(&text(&user, "id")).await?)? == user,
        serde_json::to_value(sync.get_group(&text(&group, "id")).await?)? == group,
    ];
    let group_fields = ["id", "directory_id", "idp_id", "name", "updated_at"];
    Ok(json!({
        "directories": directories.iter().map(directory_record).collect::<Vec<_>>(),
        "users": users.iter().map(user_record).collect::<Vec<_>>(),
        "groups": groups.iter().map(|group| pick(group, &group_fields, [])).collect::<Vec<_>>(),
        "memberships": memberships,
        "events": events,
        "singles": singles.iter().all(|&same| same),
    }))
}

/// Reads all pages, and returns the items as JSON.
async fn pages<T: Serialize>(
    page: impl AsyncFn(Option<String>) -> Result<(Vec<T>, Option<String>), Error>,
) -> Result<Vec<Value>, BoxError> {
    let mut items = Vec::new();
    let mut seen = HashSet::new();
    let mut after = None;
    loop {
        let (data, next) = page(after).await?;
        for item in data {
            items.push(serde_json::to_value(item)?);
        }
        match next {
            Some(next) if !seen.insert(next.clone()) => return Err("a cursor repeats".into()),
            Some(next) => after = Some(next),
            None => return Ok(items),
        }
    }
}

fn directory_record(directory: &Value) -> Value {
    let state = match text(directory, "state").as_str() {
        "linked" => "active".to_owned(),
        "unlinked" => "inactive".to_owned(),
        other => other.to_owned(),
    };
    let fields = ["id", "organization_id", "name", "type", "updated_at"];
    pick(directory, &fields, [("state", json!(state))])
}

fn user_record(user: &Value) -> Value {
    let fields = [
        "id",
        "directory_id",
        "idp_id",
        "email",
        "first_name",
        "last_name",
        "name",
        "state",
        "updated_at",
    ];
    let inner = |path| user.pointer(path).cloned().unwrap_or_default();
    let others = [
        ("job_title", inner("/custom_attributes/job_title")),
        ("department_name", inner("/custom_attributes/department_name")),
        ("role", inner("/role/slug")),
    ];
    pick(user, &fields, others)
}

/// An object with these members of the item, and others.
fn pick<const N: usize>(
    item: &Value,
    fields: &[&'static str],
    others: [(&str, Value); N],
) -> Value {
    let member = |&name| (name, item.get(name).cloned().unwrap_or_default());
    let members = fields.iter().map(member).chain(others);
    members.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn text(item: &Value, field: &str) -> String {
    item.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// One connection a request. It blocks.
struct Transport;

#[async_trait]
impl HttpTransport for Transport {
    async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        exchange(&request).map_err(TransportError::other)
    }
}

fn exchange(request: &HttpRequest) -> Result<HttpResponse, BoxErrorSend> {
    let uri: http::Uri = request.url.parse()?;
    let authority = uri.authority().ok_or("the URL has no host")?;
    let path = uri.path_and_query().ok_or("the URL has no path")?;
    let mut head = format!("{} {path} HTTP/1.1\r\nHost: {authority}\r\n", request.method);
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {}\r\n", value.to_str()?));
    }
    head.push_str("Connection: close\r\n\r\n");
    let mut stream = TcpStream::connect(authority.as_str())?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(head.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let (head, body) = response.split_once("\r\n\r\n").ok_or("no response")?;
    let status = head.split(' ').nth(1).ok_or("no status")?;
    Ok(HttpResponse {
        status: StatusCode::from_bytes(status.as_bytes())?,
        headers: HeaderMap::new(),
        body: body.to_owned().into(),
    })
}

type BoxErrorSend = Box<dyn std::error::Error + Send + Sync>;

/// Runs a future that never waits, because its transport blocks.
fn ready<T>(future: impl Future<Output = Result<T, BoxError>>) -> Result<T, BoxError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err("the crate waits for something else than its transport".into()),
    }
}
