//! Counts what each row allocates.
fn main() {}
