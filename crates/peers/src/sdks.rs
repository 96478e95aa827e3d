//! The official SDKs of other languages, timed by a script of each language over the same body.

use serde::Serialize;

/// What a script measured.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Sdk {
    /// The language's program and the package, with versions.
    pub name: String,
    /// The median, in microseconds.
    pub median: f64,
    /// What a tenth of the batches stayed below.
    pub low: f64,
    /// What nine tenths of the batches stayed below.
    pub high: f64,
}

impl Sdk {
    /// Its name in the table.
    #[must_use]
    pub fn label(&self) -> String {
        self.name.clone()
    }
}
