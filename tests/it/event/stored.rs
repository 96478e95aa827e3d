//! Events as values: serialization, equality, `Debug` and constructors.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tower_workos::{
    Actor, Directory, DirectoryEvent, DirectoryGroup, DirectoryToken, DirectoryUser,
    DirectoryUserState, EventContext, EventData, GroupMembership, GroupUpdated, OrganizationDomain,
    PreviousAttributes, Role, UserUpdated, testing::sample,
};

use super::{USER, parse};

#[test]
fn bytes_round_trip_exactly() {
    let spaced = "{ \"id\" : \"event_\\u0031\",\n\t\"data\":{\"id\":\"u\",\"name\":\"Zoë \\ud83d\\ude00\"},\"event\":\"dsync.user.created\" }\r\n";
    let event = parse(spaced).unwrap();
    assert_eq!(event.raw(), spaced);
    let stored = serde_json::to_string(&event).unwrap();
    let again: DirectoryEvent = serde_json::from_str(&stored).unwrap();
    assert_eq!((again.raw(), &again), (event.raw(), &event));
    assert_eq!(again.signature(), None);
    // The format of an older version, and text that is not an event.
    assert!(
        serde_json::from_str::<DirectoryEvent>(r#"{"body":"{\"id\":\"e\",\"event\":\"x\"}"}"#)
            .is_ok()
    );
    for stored in [r#"{"body":"payload_canary"}"#, r#""payload_canary""#, r#"{"payload_canary":1}"#]
    {
        let error = serde_json::from_str::<DirectoryEvent>(stored).unwrap_err();
        assert!(!error.to_string().contains("payload_canary"), "{error}");
    }
}

#[test]
fn the_signature_is_stored_too() {
    let delivery = crate::support::signer().sign(sample::USER_CREATED);
    let event = crate::support::verifier()
        .construct_event(&delivery.signature().parse().unwrap(), delivery.body().clone())
        .unwrap();
    let again: DirectoryEvent =
        serde_json::from_slice(&serde_json::to_vec(&event).unwrap()).unwrap();
    assert_eq!(again.signature(), event.signature());
    assert_eq!(again.issued_at(), event.issued_at());
}

#[test]
fn events_are_equal_if_their_bytes_are() {
    let event = |name: &str, data: &str| {
        parse(format!(r#"{{"id":"e","event":"{name}","data":{data}}}"#)).unwrap()
    };
    let first = event("x.y", "1");
    assert_eq!(first, event("x.y", "1"));
    assert_eq!(first.data(), event("x.y", "1").data());
    for other in [event("x.y", "2"), event("x.z", "1")] {
        assert_ne!(first, other);
        assert_ne!(first.data(), other.data());
    }
}

#[test]
fn debug_shows_ids_and_states_only() {
    let unknown = parse(r#"{"id":"e","event":"x.y","data":"payload_canary"}"#).unwrap();
    assert_eq!(format!("{:?}", unknown.data()), r#"Unknown(UnknownEvent { name: "x.y", .. })"#);
    assert!(!format!("{unknown:?}").contains("payload_canary"));
    for sample in sample::ALL.iter().copied().chain([sample::USER_DEACTIVATED]) {
        let event = parse(sample).unwrap();
        let delivery = crate::support::signer().sign(sample);
        let debug =
            format!("{event:#?} {:?} {:?} {delivery:?}", event.access_change(), event.context());
        for canary in [
            "northwind",
            "Northwind",
            "Rosalind",
            "Okafor",
            "Engineer",
            "q7Xc2",
            "h4Qz",
            "Platform",
            "00u7",
        ] {
            assert!(!debug.contains(canary), "{canary} in {debug}");
        }
        assert!(debug.contains(event.id().as_str()));
    }
}

#[test]
fn clones_share_their_bytes_and_times_convert() {
    let event = parse(sample::USER_CREATED).unwrap();
    let clone = event.clone();
    assert_eq!(clone.raw().as_ptr(), event.raw().as_ptr());
    let created: SystemTime = event.created_at().unwrap().into();
    assert_eq!(
        created.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis(),
        1_770_801_292_377
    );
}

/// Every sample, and a context.
#[test]
fn objects_round_trip() {
    fn again<T>(value: &T)
    where
        T: std::fmt::Debug + PartialEq + Serialize + for<'de> Deserialize<'de>,
    {
        let json = serde_json::to_string(value).unwrap();
        assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), value, "{json}");
    }
    for sample in sample::ALL.iter().copied().chain([sample::USER_DEACTIVATED]) {
        match parse(sample).unwrap().data() {
            EventData::DirectoryActivated(it) | EventData::DirectoryDeleted(it) => again(it),
            EventData::GroupCreated(it) | EventData::GroupDeleted(it) => again(it),
            EventData::GroupUpdated(it) => again(it),
            EventData::GroupUserAdded(it) | EventData::GroupUserRemoved(it) => again(it),
            EventData::TokenCreated(it) | EventData::TokenRevoked(it) => again(it),
            EventData::UserCreated(it) | EventData::UserDeleted(it) => again(it),
            EventData::UserUpdated(it) => again(it),
            other => panic!("{other:?}"),
        }
    }
    let context = r#"{"actor":{"id":"a","source":null,"name":null},"x":[1]}"#;
    let context: EventContext = serde_json::from_str(context).unwrap();
    again(&context);
    again(&context.actor().unwrap());
}

#[test]
fn objects_can_be_constructed() {
    let mut user = DirectoryUser::new(USER);
    user.state = Some(DirectoryUserState::Active);
    user.custom_attributes = serde_json::from_value(json!({"job_title": "Engineer"})).unwrap();
    let parsed: DirectoryUser = serde_json::from_value(
        json!({"id": USER, "state": "active", "custom_attributes": {"job_title": "Engineer"}}),
    )
    .unwrap();
    assert_eq!(user, parsed);

    let inactive = serde_json::from_value(json!({"state": "inactive"})).unwrap();
    let mut change = UserUpdated::new(user.clone(), inactive);
    assert!(change.is_reactivation());
    change.user.state = None;
    assert!(!change.is_reactivation(), "the result depends on the current fields");
    assert!(!UserUpdated::new(user.clone(), PreviousAttributes::default()).is_reactivation());

    for (built, json) in [
        (serde_json::to_value(Directory::new("d")), json!({"id": "d"})),
        (serde_json::to_value(DirectoryToken::new("t")), json!({"id": "t"})),
    ] {
        assert_eq!(built.unwrap()["id"], json["id"]);
    }
    let membership = GroupMembership::new(DirectoryUser::new("u"), DirectoryGroup::new("g"));
    let parsed = serde_json::from_value(json!({"user": {"id": "u"}, "group": {"id": "g"}}));
    assert_eq!(membership, parsed.unwrap());
    let change = GroupUpdated::new(DirectoryGroup::new("g"), PreviousAttributes::default());
    assert_eq!(change, serde_json::from_value(json!({"id": "g"})).unwrap());
    let activated = Directory::new("d");
    assert_eq!(activated, serde_json::from_value(json!({"id": "d"})).unwrap());
    assert_eq!(OrganizationDomain::new("x"), serde_json::from_value(json!({"id": "x"})).unwrap());
    assert_eq!(Role::new("admin"), serde_json::from_value(json!({"slug": "admin"})).unwrap());
    assert_eq!(Actor::new("a"), serde_json::from_value(json!({"id": "a"})).unwrap());
}
