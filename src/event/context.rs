//! What WorkOS sends about an event in addition to its data.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::{
    attributes::{AttributeError, Attributes},
    duplicates,
    object::json_object,
};

/// What WorkOS sends about an event in addition to its data: a JSON object that is read on demand.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct EventContext(Attributes);

impl EventContext {
    /// Who caused the event. `None` if this is absent, or not an object with an `id`.
    #[must_use]
    pub fn actor(&self) -> Option<Actor> {
        duplicates::read(self.get("actor")?.get())
    }

    /// The JSON value of a key; `None` if it is absent or `null`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&RawValue> {
        self.0.get(key)
    }

    /// The value of a key, as a type that the caller chooses; `None` if it is absent or `null`.
    ///
    /// # Errors
    ///
    /// [`AttributeError`] if it is not of that type.
    pub fn get_as<'a, T: Deserialize<'a>>(
        &'a self,
        key: &str,
    ) -> Result<Option<T>, AttributeError> {
        self.0.get_as(key)
    }

    /// The JSON text as it was sent; `{}` if nothing was sent.
    #[must_use]
    pub fn raw(&self) -> &str {
        self.0.raw()
    }
}

/// Who caused an event.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(remote = "Self")]
#[non_exhaustive]
pub struct Actor {
    /// The actor's id.
    pub id: String,
    /// Where the actor made the change: `api`, `dashboard`, `admin_portal` or `system`.
    pub source: Option<String>,
    /// The actor's name.
    pub name: Option<String>,
}

json_object!(Actor);

impl Actor {
    /// Creates an actor of whom only the id is known.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), source: None, name: None }
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Actor")
            .field("id", &self.id)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
