//! Counts what each row allocates and prints one line of JSON, by the body's size and the row's key.
//!
//! This is a separate program because a counting allocator slows down every allocation: the rows are timed with the
//! default one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark may panic")]

use std::collections::BTreeMap;

use allocation_counter::measure;
use peers::{body::SIZES, rows, run::Allocations};

fn main() -> serde_json::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _guard = runtime.enter();
    let counted: BTreeMap<&str, _> = SIZES.map(|(size, length)| (size, count(size, length))).into();
    println!("{}", serde_json::to_string(&counted)?);
    Ok(())
}

fn count(size: &str, length: usize) -> BTreeMap<&'static str, Allocations> {
    let mut rows = rows::all(size, length);
    let mut counted = BTreeMap::new();
    for row in &mut rows {
        // The first run initializes what later ones reuse.
        row.run(1);
        let info = measure(|| {
            row.run(1);
        });
        let count = u32::try_from(info.count_total).unwrap();
        let bytes = u32::try_from(info.bytes_total).unwrap();
        counted.insert(row.key, Allocations { count, bytes });
    }
    let total = counted.clone();
    for row in rows {
        if let (Some(key), Some(own)) = (row.subtracted, counted.get_mut(row.key)) {
            own.count -= total[key].count;
            own.bytes -= total[key].bytes;
        }
    }
    counted
}
