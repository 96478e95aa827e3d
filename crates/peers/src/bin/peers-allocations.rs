//! Counts what each row allocates: one line of JSON, by the body's size and the row's key.
//!
//! A program of its own, because a counting allocator slows every allocation down and with it every row, the more the
//! more it allocates: what is timed runs on the plain one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench may panic")]

use std::collections::BTreeMap;

use allocation_counter::measure;
use peers::{body::SIZES, report::Allocations, rows};

fn main() -> serde_json::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let counted: BTreeMap<&str, _> = SIZES.map(|(size, length)| (size, count(size, length))).into();
    println!("{}", serde_json::to_string(&counted)?);
    Ok(())
}

fn count(size: &str, length: usize) -> BTreeMap<&'static str, Allocations> {
    let mut all: BTreeMap<_, _> = BTreeMap::new();
    let mut rows = rows::all(size, length);
    for row in &mut rows {
        // The first time, some of what is used for ever after is set up.
        row.run(1);
        let info = measure(|| {
            row.run(1);
        });
        let count = u32::try_from(info.count_total).unwrap();
        let bytes = u32::try_from(info.bytes_total).unwrap();
        all.insert(row.key, Allocations { count, bytes });
    }
    let own = all.clone();
    for row in rows {
        if let (Some(less), Some(count)) = (row.less, all.get_mut(row.key)) {
            let less = own.get(less).expect("a row");
            count.count -= less.count;
            count.bytes -= less.bytes;
        }
    }
    all
}
