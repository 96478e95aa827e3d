//! Everything that one run of the benchmark measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sample::{Sampled, Samples};

/// The results of one run.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Run {
    /// The samples, by the name of the body's size.
    pub sizes: Vec<(&'static str, Samples)>,
    /// The allocations, by the name of the body's size and the row's key. Empty if they could not be counted.
    pub allocations: BTreeMap<String, BTreeMap<String, Allocations>>,
    /// The official SDKs of other languages, if they could be installed.
    pub sdks: Vec<Sampled>,
}

/// What one operation allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "the binary that counts them names both fields")]
pub struct Allocations {
    /// The number of allocations.
    pub count: u32,
    /// Their size in bytes.
    pub bytes: u32,
}

impl Run {
    /// The samples for bodies of this size.
    #[must_use]
    pub fn samples(&self, size: &str) -> &Samples {
        &self.sizes.iter().find(|(name, _)| *name == size).expect("a size of the table").1
    }

    /// What this row allocates for a body of this size.
    #[must_use]
    pub fn allocations(&self, size: &str, key: &str) -> Option<Allocations> {
        self.allocations.get(size)?.get(key).copied()
    }
}
