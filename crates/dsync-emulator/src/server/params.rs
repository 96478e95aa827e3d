//! The parameters of a request.

use std::borrow::Cow;

use super::problem::Problem;
use crate::world::millis;

/// The parameters of a query. An empty value counts as absent.
#[derive(Debug)]
pub(super) struct Params<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Params<'a> {
    pub(super) fn of(query: &'a str) -> Self {
        Self(
            form_urlencoded::parse(query.as_bytes())
                .filter(|(_, value)| !value.is_empty())
                .collect(),
        )
    }

    /// The last parameter with this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// A list: separated by commas, or the parameter several times.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        let is_named = |key: &str| key == name || key.strip_suffix("[]") == Some(name);
        let values = self.0.iter().filter(|(key, _)| is_named(key));
        values.flat_map(|(_, value)| value.split(',')).map(str::trim).collect()
    }

    /// A time as Unix milliseconds. Like WorkOS, it accepts UTC with a `Z` only.
    pub(super) fn time(&self, name: &'static str) -> Result<Option<i64>, Problem> {
        let time = |text: &str| {
            let message = || format!("{name} must be an ISO 8601 date string in UTC with a Z");
            let utc = Some(text).filter(|text| text.ends_with('Z'));
            utc.and_then(millis).ok_or_else(|| Problem::invalid(name, message()))
        };
        self.get(name).map(time).transpose()
    }
}
