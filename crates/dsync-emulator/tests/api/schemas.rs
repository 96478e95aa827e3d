//! Responses have the format of WorkOS's OpenAPI description.

use std::{collections::BTreeMap, path::Path, time::Duration};

use dsync_emulator::{Emulator, directory::Plan};
use serde_json::Value;

use crate::support::{Api, EVENTS, id};

/// `None` if the description is not on this machine.
fn description() -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/openapi-dsync.json");
    if !path.is_file() {
        assert!(std::env::var_os("REQUIRE_SHARED").is_none(), "{} is missing", path.display());
        eprintln!("skipped, because {} is missing", path.display());
        return None;
    }
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

/// The parts of JSON Schema that the description uses.
struct Schemas(Value);

impl Schemas {
    fn named(&self, name: &str) -> &Value {
        let schema = &self.0["schemas"][name];
        assert!(schema.is_object(), "no schema {name}");
        schema
    }

    /// Lists what is wrong with a value.
    fn errors(&self, schema: &Value, value: &Value, path: &str, errors: &mut Vec<String>) {
        for (keyword, rule) in schema.as_object().unwrap() {
            let fits = match keyword.as_str() {
                "$ref" => {
                    let name = rule.as_str().unwrap().rsplit('/').next().unwrap();
                    self.errors(self.named(name), value, path, errors);
                    true
                }
                "type" => match rule {
                    Value::Array(types) => types.iter().any(|it| is_type(it, value)),
                    one => is_type(one, value),
                },
                "enum" => rule.as_array().unwrap().contains(value),
                "const" => rule == value,
                "format" => {
                    assert_eq!(rule, "date-time");
                    let text = value.as_str().unwrap_or_default();
                    text.len() == 24 && text.parse::<tower_workos::Timestamp>().is_ok()
                }
                "required" => {
                    let names = rule.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                    names.filter(|name| value.get(name).is_none()).for_each(|name| {
                        errors.push(format!("{path}: {name} is missing"));
                    });
                    true
                }
                "properties" => {
                    for (name, schema) in rule.as_object().unwrap() {
                        if let Some(member) = value.get(name) {
                            self.errors(schema, member, &format!("{path}.{name}"), errors);
                        }
                    }
                    // The description has every member.
                    for (name, _) in value.as_object().into_iter().flatten() {
                        if rule.get(name).is_none() {
                            errors.push(format!("{path}: {name} is not described"));
                        }
                    }
                    true
                }
                "items" => {
                    for item in value.as_array().into_iter().flatten() {
                        self.errors(rule, item, &format!("{path}[]"), errors);
                    }
                    true
                }
                "additionalProperties" => *rule == serde_json::json!({}),
                "description" | "example" | "deprecated" | "default" => true,
                other => panic!("the keyword {other} of {path} is not supported"),
            };
            if !fits {
                errors.push(format!("{path}: {keyword} {rule} does not fit"));
            }
        }
    }

    fn check(&self, schema: &Value, value: &Value, name: &str) {
        let mut errors = Vec::new();
        self.errors(schema, value, name, &mut errors);
        assert_eq!(errors, [""; 0], "{value}");
    }
}

fn is_type(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64(),
        "null" => value.is_null(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        other => panic!("the type {other} is not supported"),
    }
}

#[tokio::test]
async fn responses_have_the_described_format() {
    let Some(description) = description() else { return };
    let schemas = Schemas(description);
    for legacy in [false, true] {
        let builder = Emulator::builder().legacy_groups(legacy);
        // Without `gusto`, which the description has in events only.
        let plan = Plan::new(12).directories(3).users(50).groups(6).events(600);
        let (api, life) = Api::with_life(builder, plan).await;
        api.clock.advance(Duration::from_secs(3));
        let state = life.snapshot();
        assert_eq!(state.directories.len(), 3);
        let mut checked = BTreeMap::<&str, usize>::new();
        for directory in &state.directories {
            let one = api.get(&format!("/directories/{}", directory.id)).await.body;
            schemas.check(schemas.named("Directory"), &one, "directory");
            for (path, schema, list) in [
                ("/directory_users", "DirectoryUserWithGroups", "users"),
                ("/directory_groups", "DirectoryGroup", "groups"),
            ] {
                for item in api.all(&format!("{path}?directory={}", directory.id)).await {
                    schemas.check(schemas.named(schema), &item, list);
                    let one = api.get(&format!("{path}/{}", id(&item))).await.body;
                    assert_eq!(one, item);
                    *checked.entry(schema).or_default() += 1;
                }
            }
        }
        assert!(checked["DirectoryUserWithGroups"] > 30 && checked["DirectoryGroup"] > 3);
        for item in api.all("/directories?").await {
            schemas.check(schemas.named("Directory"), &item, "directories");
        }
        for event in api.all(EVENTS).await {
            let name = event["event"].as_str().unwrap();
            let schema = &schemas.0["events"][name];
            let mut event = event.clone();
            if name == "dsync.user.updated" || name == "dsync.group.updated" {
                assert!(event["data"]["previous_attributes"].is_object());
            }
            if name == "dsync.activated" {
                assert_eq!(event["data"]["domains"][0]["object"], "organization_domain");
            }
            schemas.check(schema, &event.take(), name);
        }
        for path in ["/directories", EVENTS] {
            let reply = api.get(path).await.body;
            assert_eq!(reply["object"], "list");
            assert!(reply["list_metadata"].as_object().unwrap().contains_key("after"));
        }
    }
}
