//! SQL for both databases.

pub(crate) mod conn;
pub(crate) mod names;
pub(crate) mod read;
pub(crate) mod rows;
pub(crate) mod schema;
pub(crate) mod table;
pub(crate) mod transaction;
pub(crate) mod value;
pub(crate) mod write;
