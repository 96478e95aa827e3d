//! Measures what a delivery costs a real server over loopback. Needs Linux, two cores and `taskset`.
//!
//! ```text
//! cargo run --release -p peers --bin end-to-end -- --help
//! ```
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark may panic")]

use std::time::Duration;

use clap::{Parser, Subcommand, builder::PossibleValuesParser};
use peers::{
    end_to_end::{FLOOR, KINDS, Load, Server, in_threads, serve},
    statistics::median,
};

/// Servers are measured in turn, so that a slow phase of the machine affects all of them.
const ROUNDS: usize = 7;

/// Measure what a delivery costs a real server over loopback
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Options {
    /// How long each server is loaded in each round
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Afterwards, load one server for this many seconds and print its memory
    #[arg(long, value_name = "SECONDS")]
    soak: Option<u64>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run a server; the measurement starts its servers this way
    #[command(hide = true)]
    Serve {
        #[arg(value_parser = PossibleValuesParser::new(KINDS))]
        kind: String,
        threads: usize,
    },
}

fn main() {
    let options = Options::parse();
    match options.command {
        Some(Command::Serve { kind, threads }) => serve(&kind, threads),
        None => measure(&options),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn measure(options: &Options) {
    let time = Duration::from_secs(options.seconds);
    by_kind(time).await;
    by_cores(time).await;
    by_connections(time).await;
    if let Some(soak) = options.soak {
        memory(Duration::from_secs(soak)).await;
    }
}

async fn by_kind(time: Duration) {
    let mut costs = [const { [const { Vec::new() }; 2] }; KINDS.len()];
    for _ in 0..ROUNDS {
        for (kind, costs) in KINDS.iter().zip(&mut costs) {
            // Signed again for each server: the hand-written handler rejects old signatures.
            let load = Load::new();
            let server = Server::start(kind, 1).await;
            for (http2, costs) in [false, true].into_iter().zip(costs) {
                server.load(&load, http2, 32, time / 10).await;
                costs.push(cost(&server, &load, http2, 32, time).await);
            }
        }
    }
    println!(
        "32 connections, {ROUNDS} rounds: µs of one core per request, throughput / the floor's"
    );
    println!("{:<22}{:>10}{:>10}{:>14}{:>10}", "", "HTTP/1", "/ floor", "HTTP/2", "/ floor");
    let floor = KINDS.iter().position(|kind| *kind == FLOOR).unwrap();
    for (kind, of_kind) in KINDS.iter().zip(&costs) {
        print!("{kind:<22}");
        for (costs, floor) in of_kind.iter().zip(&costs[floor]) {
            // Taken within each round: a disturbance affects all servers of a round.
            let shares = costs.iter().zip(floor).map(|(cost, floor)| floor / cost * 100.0);
            print!("{:>10.1}{:>8.0} %    ", median(costs.iter().copied()), median(shares));
        }
        println!();
    }
}

async fn by_cores(time: Duration) {
    let load = Load::new();
    println!("\nby cores, HTTP/1, 32 connections; the sender runs on the second core");
    for kind in ["unverified", "layer"] {
        for cores in [1, 2] {
            let mut costs = Vec::new();
            for _ in 0..ROUNDS {
                let server = Server::start(kind, cores).await;
                server.load(&load, false, 32, time / 10).await;
                costs.push(cost(&server, &load, false, 32, time).await);
            }
            println!("{kind:<22}cores: {cores}, {:>6.1} µs per request", median(costs));
        }
    }
    for threads in [1, 2] {
        let costs = (0..ROUNDS).map(|_| in_threads(threads).as_secs_f64() * 1e6);
        println!(
            "the layer without a server, threads: {threads}, {:.2} µs per request",
            median(costs)
        );
    }
}

async fn by_connections(time: Duration) {
    let load = Load::new();
    println!("\nby connections, HTTP/1");
    let servers = [Server::start("unverified", 1).await, Server::start("layer", 1).await];
    for connections in [1, 10, 100, 1000, 8000] {
        let mut costs = [const { Vec::new() }; 2];
        for _ in 0..ROUNDS.div_ceil(2) {
            for (server, costs) in servers.iter().zip(&mut costs) {
                costs.push(cost(server, &load, false, connections, time).await);
            }
        }
        let [unverified, layer] = costs.map(median);
        println!(
            "{connections:>6} connections: {layer:.1} µs per request with the layer, {unverified:.1} without, \
             difference {:.1}",
            layer - unverified
        );
    }
}

async fn memory(time: Duration) {
    let load = Load::new();
    println!("\nmemory under load, layer + dedupe");
    let server = Server::start("layer + dedupe", 1).await;
    for part in 1..=11_u32 {
        let (sent, _) = server.load(&load, false, 32, time / 11).await;
        let seconds = (time * part / 11).as_secs();
        println!("{seconds:>6} s: {} KiB, {sent} requests", server.memory());
    }
}

/// The processor time per request, in microseconds.
async fn cost(
    server: &Server,
    load: &Load,
    http2: bool,
    connections: usize,
    time: Duration,
) -> f64 {
    server.load(load, http2, connections, time).await.1.as_secs_f64() * 1e6
}
