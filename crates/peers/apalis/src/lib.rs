//! apalis-sqlite as the engine of an inbox.
