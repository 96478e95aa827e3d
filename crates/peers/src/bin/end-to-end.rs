//! What a delivery costs a real server, over loopback. Linux, two cores, `taskset`.
//!
//! ```text
//! cargo run --release -p peers --bin end-to-end
//! ```
//!
//! `-- --seconds 10` loads each server for so long a round (3); `-- --soak 300` then loads one for so long and looks for
//! memory that grows.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench may panic")]

use std::{env, time::Duration};

use peers::{
    end_to_end::{KINDS, Load, Server, serve},
    sample::quantile,
};

/// Taken in turn, so that a slow spell of the machine hits all servers.
const ROUNDS: usize = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let [_, command, kind] = arguments.as_slice()
        && command == "serve"
    {
        return serve(kind).await;
    }
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        Some(Duration::from_secs(arguments.get(at + 1)?.parse().unwrap()))
    };
    let time = option("--seconds").unwrap_or(Duration::from_secs(3));
    let load = Load::new();

    println!(
        "{:<20}{:>22}{:>22}",
        "µs of a core a request", "HTTP/1, 32 conn.", "HTTP/2, 32 conn."
    );
    let mut costs = [const { [const { Vec::new() }; 2] }; KINDS.len()];
    for _ in 0..ROUNDS {
        for (kind, costs) in KINDS.iter().zip(&mut costs) {
            let server = Server::start(kind).await;
            for (http2, costs) in [false, true].into_iter().zip(costs) {
                server.load(&load, http2, 32, time / 10).await;
                let (_, cost) = server.load(&load, http2, 32, time).await;
                costs.push(cost.as_secs_f64() * 1e6);
            }
        }
    }
    for (kind, [http1, http2]) in KINDS.iter().zip(costs) {
        println!("{kind:<22}{:>20.1}{:>22.1}", quantile(http1, 0.5), quantile(http2, 0.5));
    }

    println!("\nthe layer, HTTP/1, by connections");
    let server = Server::start("layer").await;
    for connections in [1, 10, 100, 1000, 8000] {
        let (sent, cost) = server.load(&load, false, connections, time).await;
        println!(
            "{connections:>6} connections: {:.1} µs a request ({sent} requests)",
            cost.as_secs_f64() * 1e6
        );
    }

    if let Some(soak) = option("--soak") {
        println!("\nmemory under load, layer + dedupe");
        let server = Server::start("layer + dedupe").await;
        for part in 0..=10_u32 {
            let (sent, _) = server.load(&load, false, 32, soak / 11).await;
            println!(
                "{:>6} s: {} KiB, {sent} requests",
                (soak * (part + 1) / 11).as_secs(),
                server.memory()
            );
        }
    }
}
