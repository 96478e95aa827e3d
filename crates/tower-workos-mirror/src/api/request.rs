//! The requests.

use tower_workos::Timestamp;
use workos::{
    Client, Error,
    directory_sync::{ListDirectoriesParams, ListGroupsParams, ListUsersParams},
    enums::PaginationOrder,
    events::ListEventsParams,
};

/// The largest that the API allows.
const LIMIT: Option<i64> = Some(100);
const ORDER: Option<PaginationOrder> = Some(PaginationOrder::Asc);

/// The names of all events about directories.
const EVENTS: [&str; 12] = [
    "dsync.activated",
    "dsync.deleted",
    "dsync.group.created",
    "dsync.group.deleted",
    "dsync.group.updated",
    "dsync.group.user_added",
    "dsync.group.user_removed",
    "dsync.token.created",
    "dsync.token.revoked",
    "dsync.user.created",
    "dsync.user.deleted",
    "dsync.user.updated",
];

/// Where to read events from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EventsFrom<'a> {
    /// After the event with this id.
    After(&'a str),
    /// From this time on.
    Since(Timestamp),
}

/// A request. The texts are ids and positions.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request<'a> {
    Directories { after: Option<&'a str> },
    Directory { id: &'a str },
    Events { from: EventsFrom<'a>, until: Option<Timestamp> },
    Group { id: &'a str },
    Groups { directory: &'a str, after: Option<&'a str> },
    Members { group: &'a str, after: Option<&'a str> },
    User { id: &'a str },
    Users { directory: &'a str, after: Option<&'a str> },
}

impl Request<'_> {
    /// Sends it. The result only says why it could not be sent: the client's transport keeps the response.
    pub(super) async fn send(self, client: &Client) -> Result<(), Error> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let lists = client.directory_sync();
        match self {
            Self::Directories { after } => {
                let after = owned(after);
                let params = ListDirectoriesParams {
                    after,
                    limit: LIMIT,
                    order: ORDER,
                    ..Default::default()
                };
                lists.list_directories(params).await.map(drop)
            }
            Self::Directory { id } => lists.get_directory(id).await.map(drop),
            Self::Events { from, until } => {
                let names = EVENTS.map(str::to_owned).to_vec();
                let mut params = ListEventsParams::new(names);
                (params.limit, params.order) = (LIMIT, ORDER);
                match from {
                    EventsFrom::After(id) => params.after = Some(id.to_owned()),
                    EventsFrom::Since(time) => params.range_start = Some(in_millis(time)),
                }
                params.range_end = until.map(in_millis);
                client.events().list_events(params).await.map(drop)
            }
            Self::Group { id } => lists.get_group(id).await.map(drop),
            Self::Groups { directory, after } => {
                let (directory, after) = (Some(directory.to_owned()), owned(after));
                let params = ListGroupsParams {
                    directory,
                    after,
                    limit: LIMIT,
                    order: ORDER,
                    ..Default::default()
                };
                lists.list_groups(params).await.map(drop)
            }
            Self::Members { group, after } => {
                let (group, after) = (Some(group.to_owned()), owned(after));
                let params = ListUsersParams {
                    group,
                    after,
                    limit: LIMIT,
                    order: ORDER,
                    ..Default::default()
                };
                lists.list_users(params).await.map(drop)
            }
            Self::User { id } => lists.get_user(id).await.map(drop),
            Self::Users { directory, after } => {
                let (directory, after) = (Some(directory.to_owned()), owned(after));
                let params = ListUsersParams {
                    directory,
                    after,
                    limit: LIMIT,
                    order: ORDER,
                    ..Default::default()
                };
                lists.list_users(params).await.map(drop)
            }
        }
    }

    /// For messages.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Directories { .. } => "/directories",
            Self::Directory { .. } => "/directories/{id}",
            Self::Events { .. } => "/events",
            Self::Group { .. } => "/directory_groups/{id}",
            Self::Groups { .. } => "/directory_groups",
            Self::Members { .. } | Self::Users { .. } => "/directory_users",
            Self::User { .. } => "/directory_users/{id}",
        }
    }

    /// Whether a response with this status is about the position.
    pub(super) fn rejects_cursor(self, status: u16) -> bool {
        match self {
            Self::Events { from, .. } => {
                matches!(from, EventsFrom::After(_)) && matches!(status, 400 | 404 | 422)
            }
            Self::Directories { after }
            | Self::Groups { after, .. }
            | Self::Members { after, .. }
            | Self::Users { after, .. } => after.is_some() && matches!(status, 400 | 422),
            Self::Directory { .. } | Self::Group { .. } | Self::User { .. } => false,
        }
    }
}

/// RFC 3339 with at most milliseconds, as WorkOS writes times.
fn in_millis(time: Timestamp) -> String {
    Timestamp::from_unix_millis_saturating(time.as_unix_millis()).to_string()
}
