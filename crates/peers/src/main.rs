//! Prints the table: see the package's README.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench may panic")]

use std::{io, time::Duration};

use peers::{
    body::SIZES,
    report::Run,
    rows,
    sample::{Effort, Samples},
};

fn main() -> io::Result<()> {
    // The layer's timer wants a runtime around it, even though here it never fires.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let _inside = runtime.enter();
    let quick = std::env::args().any(|a| a == "--quick");
    let mut run = Run::default();
    for (size, length) in SIZES {
        let mut rows = rows::all(size, length);
        let effort = if quick { Effort { rounds: 20, batch: Duration::from_micros(50) } } else { Effort { rounds: if length > 4096 {300} else {2000}, batch: Duration::from_micros(150) } };
        run.sizes.push((size, Samples::take(&mut rows, effort)));
    }
    run.print(&mut io::stdout().lock())
}
