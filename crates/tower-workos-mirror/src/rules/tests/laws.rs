//! Laws of merging, and random histories without a database.

use proptest::prelude::*;

use super::{history::history, world::World};
use crate::{
    rules::{
        batch::{Batch, MemberKey},
        document::{Document, ObjectKind},
        member::{Member, Operation},
        object::{EventVersion, ListVersion, Object},
    },
    sql::{
        rows,
        value::{Kind, Value},
    },
};

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// A document that is derived from a version, so that a version never has two documents.
fn document(kind: ObjectKind, seed: i64) -> Document {
    let value = |(column, (name, of)): (usize, &(&str, Kind))| {
        let number = seed.wrapping_mul(31).wrapping_add(i64::try_from(column).unwrap_or(0)) % 5;
        match (of, *name) {
            (_, "state") => {
                let states = [None, Some("active"), Some("active"), Some("inactive")];
                let place = usize::try_from(seed.rem_euclid(4)).unwrap_or(0);
                Value::from(states.get(place).copied().flatten().map(str::to_owned))
            }
            (Kind::Int, _) => Value::Int((number > 0).then_some(number)),
            _ => Value::Text((number > 0).then(|| format!("\"{number}é\\"))),
        }
    };
    Document(kind.columns().iter().enumerate().map(value).collect())
}

/// The same without the columns that lists lack.
fn list_document(kind: ObjectKind, seed: i64) -> Document {
    let mut document = document(kind, seed);
    if kind == ObjectKind::Directory {
        document.copy_unlisted(&Document::empty(kind));
    }
    document
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![0..4_i64, Just(i64::MIN), Just(i64::MAX)]
}

/// Any object with this id, with few values, so that there are ties.
fn object(kind: ObjectKind, id: &'static str) -> BoxedStrategy<Object> {
    let event = (time(), time(), any::<bool>(), 0..2_u8);
    let times = [prop::option::of(time()), prop::option::of(time())];
    let deleted = prop::option::weighted(0.2, (time(), "[ab]"));
    let list = prop::option::of((time(), time()));
    let listed = (prop::option::of(time()), prop::option::of("[ab]"));
    (prop::option::of(event), list, times, deleted, prop::option::of("[ab]"), listed)
        .prop_map(move |(event, list, [evidence_at, absent_at], deleted, directory_id, listed)| {
            let mut object = Object::new(id);
            object.directory_id = directory_id.filter(|_| kind != ObjectKind::Directory);
            object.event = event.map(|(updated, at, inactive, event)| {
                let seed = updated ^ at ^ i64::from(inactive) ^ i64::from(event) << 2;
                let event = format!("event_{event}");
                (EventVersion { updated, at, inactive, event }, document(kind, seed))
            });
            object.list = list.map(|(at, updated)| {
                (ListVersion { at, updated }, list_document(kind, at ^ !updated))
            });
            object.listed_at = listed.0.filter(|_| kind != ObjectKind::User);
            object.environment = listed.1.filter(|_| kind == ObjectKind::Directory);
            object.evidence_at = evidence_at;
            // Evidence that is not older removes an absence.
            object.absent_at = absent_at.filter(|_| absent_at > evidence_at);
            object.deleted = deleted;
            if object.deleted.is_some() {
                object.erase();
            }
            object
        })
        .boxed()
}

fn member() -> impl Strategy<Value = Member> {
    let operation = (time(), any::<bool>(), "[ab]");
    let operation = operation.prop_map(|(at, removed, event)| Operation { at, removed, event });
    (prop::option::of(operation), prop::option::of(time()))
        .prop_map(|(operation, absent_at)| Member { operation, absent_at })
}

fn kind() -> impl Strategy<Value = ObjectKind> {
    prop::sample::select(vec![ObjectKind::Directory, ObjectKind::Group, ObjectKind::User])
}

fn merged(mut a: Object, b: &Object) -> Object {
    a.merge(b.clone());
    a
}

fn joined(mut a: Member, b: &Member) -> Member {
    a.merge(b.clone());
    a
}

/// Facts that a list could state.
#[derive(Clone, Debug)]
enum Fact {
    Object(ObjectKind, Object),
    Member(MemberKey, Member),
    /// A list of everything in a directory, or of all members of a group, was complete.
    Complete(ObjectKind, &'static str, i64),
}

fn fact() -> impl Strategy<Value = Fact> {
    let id = |kind| match kind {
        ObjectKind::Directory => prop::sample::select(vec!["d0", "d1"]),
        ObjectKind::Group => prop::sample::select(vec!["g0", "g1", "g2"]),
        ObjectKind::User => prop::sample::select(vec!["u0", "u1", "u2", "u3"]),
    };
    let shown =
        kind().prop_flat_map(move |kind| (Just(kind), id(kind), any::<bool>(), 0..4_i64, 0..4_i64));
    let object = shown.prop_map(|(kind, id, is_shown, second, updated)| {
        let mut object = Object::new(id);
        let at = super::micros(0) + second * 1_000_000 + 500_000;
        if is_shown {
            let version = ListVersion { at, updated: super::micros(0) + updated * 1_000_000 };
            object.list = Some((version, list_document(kind, second ^ updated << 1)));
            object.evidence_at = Some(at);
            let number = id.bytes().last().map_or(0, |digit| digit % 2);
            object.directory_id = (kind != ObjectKind::Directory).then(|| format!("d{number}"));
        } else {
            object.absent_at = Some(at);
        }
        Fact::Object(kind, object)
    });
    let absent = (0..4_u8, 0..2_u8, 0..4_i64).prop_map(|(user, group, second)| {
        let group = user % 2 + 2 * group;
        let key = (format!("g{group}"), format!("u{user}"));
        let absent_at = Some(super::micros(0) + second * 1_000_000 + 500_000);
        Fact::Member(key, Member { operation: None, absent_at })
    });
    let complete =
        (any::<bool>(), 0..3_u8, 0..4_i64).prop_map(move |(is_group, number, second)| {
            let kind = if is_group { ObjectKind::Group } else { ObjectKind::Directory };
            let ids = match kind {
                ObjectKind::Group => ["g0", "g1", "g2"],
                _ => ["d0", "d1", "d1"],
            };
            let id = ids.get(usize::from(number)).copied().unwrap_or_default();
            Fact::Complete(kind, id, super::micros(0) + second * 1_000_000 + 500_000)
        });
    prop_oneof![3 => object, 1 => absent, 1 => complete]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn merging_objects_is_a_semilattice(
        (kind, [a, b, c]) in kind().prop_flat_map(|kind| (Just(kind), [object(kind, "x"), object(kind, "x"), object(kind, "x")])),
    ) {
        prop_assert!(merged(a.clone(), &b) == merged(b.clone(), &a));
        prop_assert!(merged(merged(a.clone(), &b), &c) == merged(a.clone(), &merged(b.clone(), &c)));
        prop_assert!(merged(a.clone(), &a) == a);
        let both = merged(a.clone(), &b);
        prop_assert!(merged(both.clone(), &a) == both);
        let _ = kind;
    }

    #[test]
    fn merging_members_is_a_semilattice([a, b, c] in [member(), member(), member()]) {
        prop_assert_eq!(joined(a.clone(), &b), joined(b.clone(), &a));
        prop_assert_eq!(joined(joined(a.clone(), &b), &c), joined(a.clone(), &joined(b, &c)));
        prop_assert_eq!(joined(a.clone(), &a), a);
    }

    #[test]
    fn rows_are_read_as_they_were_written(
        (kind, object) in kind().prop_flat_map(|kind| (Just(kind), object(kind, "x"))),
        member in member(),
    ) {
        let row = rows::object_row(kind, object.clone());
        prop_assert_eq!(row.len(), crate::sql::table::Table::Object(kind).columns().len());
        prop_assert!(rows::object(kind, row) == Some(object));
        let key = ("g".to_owned(), "u".to_owned());
        let row = rows::member_row(key.clone(), member.clone());
        prop_assert!(rows::member(row) == Some((key, member)));
    }

    #[test]
    fn random_histories_do_not_depend_on_order_or_batches(
        events in history(false, 0..24),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..48),
        size in 1..9_usize,
    ) {
        let first = World::after(&events);
        prop_assert_eq!(first.fold.views(), first.views());
        let mut world = World::default();
        let mixed: Vec<_> = order.iter().filter(|_| !events.is_empty()).map(|it| it.get(&events).clone()).collect();
        for events in mixed.chunks(size).chain(events.chunks(size).rev()) {
            world.apply(events);
            prop_assert_eq!(world.fold.views(), world.views());
        }
        prop_assert_eq!(world.views(), first.views());
        prop_assert!(world.documents() == first.documents());
    }

    /// If events disagree about the directory, the fields can be those of an older event, because they are erased when a
    /// directory is deleted.
    #[test]
    fn contradictions_do_not_change_who_is_there(
        events in history(true, 0..24),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..48),
        size in 1..9_usize,
    ) {
        let first = World::after(&events);
        let mut world = World::default();
        let mixed: Vec<_> = order.iter().filter(|_| !events.is_empty()).map(|it| it.get(&events).clone()).collect();
        for events in mixed.chunks(size).chain(events.chunks(size).rev()) {
            world.apply(events);
            let (mut fold, mut views) = (world.fold.views(), world.views());
            // A membership that changed while the directory of its user or group was deleted is not reported.
            fold.memberships.clear();
            views.memberships.clear();
            prop_assert_eq!(fold, views);
        }
        prop_assert_eq!(world.views(), first.views());
    }

    #[test]
    fn lists_and_events_do_not_depend_on_order_or_batches(
        events in history(false, 0..12),
        facts in prop::collection::vec(fact(), 0..12),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..48),
    ) {
        let apply = |world: &mut World, place: usize| {
            match events.get(place) {
                Some(event) => world.apply(std::slice::from_ref(event)),
                None => {
                    let mut batch = Batch::default();
                    match facts.get(place - events.len()).expect("a fact").clone() {
                        Fact::Object(kind, object) => batch.object(kind, object),
                        Fact::Member((group, user), member) => batch.member(group, user, member),
                        Fact::Complete(kind, id, at) => batch = world.complete(kind, id, at),
                    }
                    world.settle(batch)
                }
            };
        };
        let places: Vec<_> = (0..events.len() + facts.len()).collect();
        let (mut first, mut world) = (World::default(), World::default());
        for place in places.iter().rev() {
            apply(&mut first, *place);
            prop_assert_eq!(first.fold.views(), first.views());
            first.assert_absences();
        }
        for place in order.iter().filter(|_| !places.is_empty()).map(|it| it.get(&places)).chain(&places) {
            apply(&mut world, *place);
        }
        prop_assert_eq!(world.views(), first.views());
        prop_assert!(world.documents() == first.documents());
    }
}
