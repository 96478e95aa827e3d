//! The rules by which events become tables. They use no database and no clock.
//!
//! Every cell is a maximum over a total order, or a flag that is set once. So merging is commutative, associative and
//! idempotent: any order, repetition and grouping of the same facts gives the same cells, and what the tables show is a
//! function of the cells.

pub(crate) mod batch;
pub(crate) mod change;
pub(crate) mod document;
pub(crate) mod facts;
#[cfg(feature = "reconcile")]
pub(crate) mod listed;
pub(crate) mod member;
pub(crate) mod object;
#[cfg(test)]
mod tests;
