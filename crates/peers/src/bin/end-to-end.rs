//! What a delivery costs a real server, over loopback. Linux, two cores, `taskset`.
//!
//! ```text
//! cargo run --release -p peers --bin end-to-end
//! ```
//!
//! `-- --seconds 10` loads each server for so long a round (2); `-- --soak 300` then loads one for so long and looks for
//! memory that grows.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench may panic")]

use std::{env, time::Duration};

use peers::{
    end_to_end::{FLOOR, KINDS, Load, Server, in_threads, serve},
    sample::quantile,
};

/// Taken in turn, so that a slow spell of the machine hits all servers.
const ROUNDS: usize = 7;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    match arguments.as_slice() {
        [_, command, kind, threads] if command == "serve" => {
            serve(kind, threads.parse().unwrap());
        }
        _ => measure(&arguments),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn measure(arguments: &[String]) {
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        Some(Duration::from_secs(arguments.get(at + 1)?.parse().unwrap()))
    };
    let time = option("--seconds").unwrap_or(Duration::from_secs(2));

    let mut costs = [const { [const { Vec::new() }; 2] }; KINDS.len()];
    for _ in 0..ROUNDS {
        for (kind, costs) in KINDS.iter().zip(&mut costs) {
            // Signed anew: the hand-written handler looks at the age.
            let load = Load::new();
            let server = Server::start(kind, 1).await;
            for (http2, costs) in [false, true].into_iter().zip(costs) {
                server.load(&load, http2, 32, time / 10).await;
                let (_, cost) = server.load(&load, http2, 32, time).await;
                costs.push(cost.as_secs_f64() * 1e6);
            }
        }
    }
    println!(
        "32 connections, {ROUNDS} rounds: µs of a core a request, and the throughput as a share of the floor's"
    );
    println!("{:<22}{:>10}{:>10}{:>14}{:>10}", "", "HTTP/1", "of floor", "HTTP/2", "of floor");
    let floor = KINDS.iter().position(|kind| *kind == FLOOR).unwrap();
    for (kind, of_kind) in KINDS.iter().zip(&costs) {
        print!("{kind:<22}");
        for (cost, floor) in of_kind.iter().zip(&costs[floor]) {
            // Within each round, as what disturbs the machine disturbs all of a round.
            let shares = cost.iter().zip(floor).map(|(cost, floor)| floor / cost * 100.0).collect();
            print!("{:>10.1}{:>8.0} %    ", quantile(cost.clone(), 0.5), quantile(shares, 0.5));
        }
        println!();
    }

    let load = Load::new();
    println!("\nby cores, HTTP/1, 32 connections; the sender shares the second");
    for kind in ["unverified", "layer"] {
        for cores in [1, 2] {
            let mut costs = Vec::new();
            for _ in 0..ROUNDS {
                let server = Server::start(kind, cores).await;
                server.load(&load, false, 32, time / 10).await;
                costs.push(server.load(&load, false, 32, time).await.1.as_secs_f64() * 1e6);
            }
            println!("{kind:<22}{cores} cores: {:>6.1} µs a request", quantile(costs, 0.5));
        }
    }
    for threads in [1, 2] {
        let taken = (0..ROUNDS).map(|_| in_threads(threads).as_secs_f64() * 1e6).collect();
        println!(
            "the layer alone, in {threads} threads at once: {:.2} µs a request in each",
            quantile(taken, 0.5)
        );
    }

    println!("\nby connections, HTTP/1");
    let servers = [Server::start("unverified", 1).await, Server::start("layer", 1).await];
    for connections in [1, 10, 100, 1000, 8000] {
        let [mut unverified, mut layer] = [const { Vec::new() }; 2];
        for _ in 0..ROUNDS.div_ceil(2) {
            for (server, costs) in servers.iter().zip([&mut unverified, &mut layer]) {
                let (_, cost) = server.load(&load, false, connections, time).await;
                costs.push(cost.as_secs_f64() * 1e6);
            }
        }
        let [unverified, layer] = [unverified, layer].map(|costs| quantile(costs, 0.5));
        println!(
            "{connections:>6} connections: {layer:.1} µs a request with the layer, {unverified:.1} without, {:.1} between them",
            layer - unverified
        );
    }

    if let Some(soak) = option("--soak") {
        println!("\nmemory under load, layer + dedupe");
        let server = Server::start("layer + dedupe", 1).await;
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
