//! Prints results.

use std::time::Duration;

pub(crate) fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

pub(crate) fn ratio(what: &str, a: f64, b: f64) {
    println!("  {what:<58} {a:>12.4} / {b:>12.4} = {:>6.2}", a / b);
}

pub(crate) fn line(what: &str, value: f64, unit: &str) {
    println!("  {what:<58} {value:>12.4} {unit}");
}
