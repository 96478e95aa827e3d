//! What the API returns.

use std::collections::BTreeMap;

use super::{
    page::{Listing, Order, Page},
    params::Params,
    problem::Problem,
    route::Route,
};
use crate::{
    clock::millis,
    options::Options,
    world::{Contents, Group, Id, Item, Place, Store, User, World, json, listed_state},
};

const DAY: i64 = 86_400_000;
/// The longest range of a query of events.
const MAX_RANGE: i64 = 30 * DAY;

/// A successful response.
#[derive(Debug)]
pub(super) enum Answer {
    One(Vec<u8>),
    List(List),
}

#[derive(Debug)]
pub(super) struct List {
    pub(super) items: Vec<Vec<u8>>,
    /// `None` if the list has no such cursor at all.
    pub(super) before: Option<Option<Id>>,
    pub(super) after: Option<Id>,
}

impl Answer {
    pub(super) fn body(&self) -> Vec<u8> {
        let list = match self {
            Self::One(item) => return item.clone(),
            Self::List(list) => list,
        };
        let mut body = br#"{"object":"list","data":["#.to_vec();
        body.extend_from_slice(&list.items.join(&b','));
        body.extend_from_slice(br#"],"list_metadata":{"#);
        if let Some(before) = &list.before {
            body.extend_from_slice(format!(r#""before":{},"#, json(&before.as_deref())).as_bytes());
        }
        body.extend_from_slice(
            format!(r#""after":{}}}}}"#, json(&list.after.as_deref())).as_bytes(),
        );
        body
    }
}

/// A request to the world.
pub(super) struct Question<'a> {
    pub(super) route: Route<'a>,
    pub(super) params: &'a Params<'a>,
    /// In Unix milliseconds.
    pub(super) now: i64,
    pub(super) options: &'a Options,
    /// Whether the provider shows this user.
    pub(super) is_shown: &'a dyn Fn(&str) -> bool,
    /// How many items a page has, in millionths of the limit; at least one.
    pub(super) page_share: Option<u64>,
}

impl Question<'_> {
    /// Answers from a world that was advanced to `now`.
    pub(super) fn answer(&self, world: &mut World) -> Result<Answer, Problem> {
        if self.route == Route::Events {
            return self.events(world);
        }
        let listing = Listing::read(self.params, |id| world.place(id));
        let store = world.any_store();
        let missing = |what, id: &str| Problem::NotFound { what, id: id.to_owned() };
        let one = match self.route {
            Route::Directory(id) => {
                store.directory(id).and_then(directory).ok_or_else(|| missing("Directory", id))?
            }
            Route::Group(id) => {
                let group = store.group(id).ok_or_else(|| missing("Directory Group", id))?;
                group.item.complete()
            }
            Route::User(id) => {
                let user = store.user(id).filter(|_| (self.is_shown)(id));
                self.user(store, user.ok_or_else(|| missing("Directory User", id))?)
            }
            Route::Directories => return Ok(self.directories(store, &self.limited(listing?))),
            Route::Groups => return self.groups(store, &self.limited(listing?)),
            Route::Users => return self.users(store, &self.limited(listing?)),
            Route::Events => return self.events(world),
        };
        Ok(Answer::One(one))
    }

    fn limited(&self, listing: Listing) -> Listing {
        let limit = self.page_share.map(|share| {
            let limit = u64::try_from(listing.limit).unwrap_or(0);
            usize::try_from(limit * share / 1_000_000).unwrap_or(0).max(1)
        });
        Listing { limit: limit.unwrap_or(listing.limit), ..listing }
    }

    fn directories(&self, store: &Store, listing: &Listing) -> Answer {
        let is_same = |item: &Item, name: &str, wanted: Option<&str>| {
            wanted.is_none_or(|wanted| item.text(name).as_deref() == Some(wanted))
        };
        let search = self.params.get("search").map(str::to_lowercase);
        let page = listing.page(store.directories(), ALWAYS, |(_, id), ()| {
            let Some(item) = store.directory(id).and_then(|it| it.item.as_deref()) else {
                return false;
            };
            let is_found = search.as_deref().is_none_or(|search| {
                item.text("name").is_some_and(|name| name.to_lowercase().contains(search))
            });
            is_found
                && is_same(item, "organization_id", self.params.get("organization_id"))
                && is_same(item, "domain", self.params.get("domain"))
        });
        list(page, |id| directory(store.directory(id)?))
    }

    fn groups(&self, store: &Store, listing: &Listing) -> Result<Answer, Problem> {
        let of_directory = self.directory(store)?;
        let of_user = self.params.get("user").map(|id| {
            let user = store.user(id).filter(|_| (self.is_shown)(id));
            user.ok_or_else(|| Problem::NotFound { what: "Directory User", id: id.to_owned() })
        });
        let of_user: Option<BTreeMap<Place, ()>> = of_user
            .transpose()?
            .map(|user| user.groups.iter().map(|place| (place.clone(), ())).collect());
        let page = match (&of_user, of_directory) {
            (Some(groups), directory) => listing.page(groups, ALWAYS, |place, ()| {
                directory.is_none_or(|directory| directory.groups.contains_key(place))
            }),
            (None, Some(directory)) => listing.page(&directory.groups, ALWAYS, |_, ()| true),
            (None, None) => {
                return Err(Problem::invalid("directory", "directory or user must be provided"));
            }
        };
        Ok(list(page, |id| store.group(id).map(|group| group.item.complete())))
    }

    fn users(&self, store: &Store, listing: &Listing) -> Result<Answer, Problem> {
        let of_directory = self.directory(store)?;
        let of_group = self.params.get("group").map(|id| {
            let missing = || Problem::NotFound { what: "Directory Group", id: id.to_owned() };
            store.group(id).ok_or_else(missing)
        });
        let filters = ["email", "idp_id"].map(|name| (name, self.params.get(name)));
        if of_directory.is_none()
            && let Some((name, _)) = filters.iter().find(|(_, wanted)| wanted.is_some())
        {
            return Err(Problem::invalid(name, format!("{name} requires directory")));
        }
        let keep = |(_, id): &Place| {
            let is_found = |item: &Item| {
                filters.iter().all(|(name, wanted)| {
                    wanted.is_none_or(|wanted| item.text(name).as_deref() == Some(wanted))
                })
            };
            (self.is_shown)(id) && store.user(id).is_some_and(|user| is_found(&user.item))
        };
        let page = match (of_group.transpose()?, of_directory) {
            (Some(Group { members, .. }), directory) => {
                listing.page(members, ALWAYS, |place, ()| {
                    directory.is_none_or(|directory| directory.users.contains_key(place))
                        && keep(place)
                })
            }
            (None, Some(directory)) => {
                listing.page(&directory.users, ALWAYS, |place, ()| keep(place))
            }
            (None, None) => {
                return Err(Problem::invalid("directory", "directory or group must be provided"));
            }
        };
        Ok(list(page, |id| store.user(id).map(|user| self.user(store, user))))
    }

    /// The directory that the request names.
    fn directory<'s>(&self, store: &'s Store) -> Result<Option<&'s Contents>, Problem> {
        let find = |id: &str| {
            let missing = || Problem::NotFound { what: "Directory", id: id.to_owned() };
            store.directory(id).ok_or_else(missing)
        };
        self.params.get("directory").map(find).transpose()
    }

    fn user(&self, store: &Store, user: &User) -> Vec<u8> {
        let mut out = user.item.json.to_vec();
        out.extend_from_slice(br#","groups":["#);
        if self.options.legacy_groups {
            let groups = user.groups.iter().filter_map(|(_, id)| store.group(id));
            let groups: Vec<_> = groups.map(|group| group.item.complete()).collect();
            out.extend_from_slice(&groups.join(&b','));
        }
        out.extend_from_slice(b"]}");
        out
    }

    fn events(&self, world: &World) -> Result<Answer, Problem> {
        let names = self.params.list("events");
        if names.is_empty() {
            return Err(Problem::invalid("events", "events should not be empty"));
        }
        let log = world.events();
        let listing = self.limited(Listing::read(self.params, |id| log.place(id))?);
        let (start, end) = (self.params.time("range_start")?, self.params.time("range_end")?);
        if start.is_some() && listing.cursor.is_some() {
            let message = "range_start can't be combined with after or before";
            return Err(Problem::invalid("range_start", message));
        }
        // New events are withheld from readers that go forward, because an event with an earlier time may still come.
        let withheld =
            if listing.order == Order::Ascending { millis(self.options.withhold) } else { 0 };
        let visible_end = self.now.saturating_sub(withheld).saturating_add(1);
        let range_end = end.unwrap_or(visible_end);
        if let Some(start) = start
            && range_end.saturating_sub(start) > MAX_RANGE
        {
            return Err(Problem::invalid("range_start", "the range is longer than 30 days"));
        }
        let start = start.unwrap_or_else(|| match listing.cursor {
            Some(_) => i64::MIN,
            None => range_end.saturating_sub(MAX_RANGE),
        });
        let organization = self.params.get("organization_id");
        let page = listing.page(log.events(), start..range_end.min(visible_end), |_, event| {
            names.contains(&&*event.name)
                && organization.is_none_or(|wanted| event.organization.as_deref() == Some(wanted))
        });
        let items = page.places.iter().filter_map(|place| {
            let mut out = Vec::new();
            log.events().get(place)?.write(&mut out);
            Some(out)
        });
        Ok(Answer::List(List { items: items.collect(), before: None, after: page.after }))
    }
}

/// Every time of creation.
const ALWAYS: std::ops::Range<i64> = i64::MIN..i64::MAX;

fn list(page: Page, item: impl Fn(&Id) -> Option<Vec<u8>>) -> Answer {
    let items = page.places.iter().filter_map(|(_, id)| item(id)).collect();
    Answer::List(List { items, before: Some(page.before), after: page.after })
}

fn directory(contents: &Contents) -> Option<Vec<u8>> {
    let item = contents.item.as_ref()?;
    let mut out = item.json.to_vec();
    if let Some(state) = &item.state {
        out.extend_from_slice(format!(r#","state":{}"#, json(listed_state(state))).as_bytes());
    }
    let inactive = contents.users.len().saturating_sub(contents.active);
    let metadata = format!(
        r#","metadata":{{"users":{{"active":{},"inactive":{inactive}}},"groups":{}}}}}"#,
        contents.active,
        contents.groups.len(),
    );
    out.extend_from_slice(metadata.as_bytes());
    Some(out)
}
