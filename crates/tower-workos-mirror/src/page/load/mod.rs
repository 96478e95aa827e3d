//! Reads what the pages show.

mod directory;
mod history;
mod labels;
mod lists;
mod overview;
mod user;
mod verdict;

pub(super) use self::{
    directory::directory,
    labels::labels_of,
    lists::{changes, group, groups, users},
    overview::overview,
    user::user,
};

/// The number of rows of a page.
const ROWS: usize = 50;
