//! The rows of the table. Each row is checked to do the work that it is timed for before it is returned.

use crate::{
    body::{Order, TYPICAL, user_updated},
    row::Row,
};

mod floor;
mod frames;
pub(crate) mod handwritten;
mod others;
pub(crate) mod ours;
mod service;
mod workos;

/// The rows for a body of this size. Their signatures expire after three minutes, the shortest tolerance among the peers.
#[must_use]
pub fn all(size: &str, length: usize) -> Vec<Row> {
    let body = user_updated(length, Order::DataFirst);
    let mut rows = vec![floor::hmac(&body), floor::hmac_and_parse(&body), floor::request(&body)];
    rows.extend([ours::verify(&body), ours::layer(&body)]);
    if size == TYPICAL {
        rows.extend([floor::clock(), floor::response()]);
        rows.extend(ours::with_the_system_clock(&body));
        let event_first = user_updated(length, Order::EventFirst);
        rows.push(ours::equal_work(&body));
        rows.extend(ours::parsing(&body, &event_first));
        rows.extend(floor::parsing(&body));
        rows.extend(ours::rejecting(&body));
        rows.extend(ours::reading(&body));
        rows.extend(workos::all(&body));
        rows.extend(handwritten::all(&body));
        rows.extend(others::all(&body));
    }
    if length > frames::FRAME * 2 {
        rows.extend(frames::all(&body));
    }
    rows
}
