//! The page.

mod facts;
