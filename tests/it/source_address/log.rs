//! What is logged about rejected addresses.

use tracing_subscriber::filter::LevelFilter;

use super::{connection, networks, request, send, status};
use crate::log::{Log, suppressed};
use std::time::Instant;
use tower_workos::{SourceAddressLayer, source_address::ClientAddress};

#[test]
fn one_line_with_the_address_and_a_hint() {
    let log = Log::default();
    log.of(LevelFilter::WARN, async {
        let layer = SourceAddressLayer::new(networks(&["192.0.2.1"]), connection());
        assert_eq!(status(&layer, request("192.0.2.1", &[])).await, 200);
        assert_eq!(status(&layer, request("::ffff:192.0.2.2", &["evil"])).await, 403);
        assert_eq!(status(&layer, request("", &["evil"])).await, 500);
        let behind = ClientAddress::x_forwarded_for(2).unwrap();
        let layer = SourceAddressLayer::new(networks(&["192.0.2.1"]), behind);
        assert_eq!(status(&layer, request("192.0.2.1", &["evil"])).await, 500);
    });
    let lines = log.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, level, status, text) in [
        (&lines[0], "WARN", 403, "kind=\"NotListed\""),
        (
            &lines[0],
            "WARN",
            403,
            "address=192.0.2.2 source=extension core::net::socket_addr::SocketAddr hint=",
        ),
        (&lines[0], "WARN", 403, "the address of the client is not listed: request rejected"),
        (&lines[1], "ERROR", 500, "kind=\"AddressUnknown\""),
        (&lines[1], "ERROR", 500, "`into_make_service_with_connect_info::<SocketAddr>()`"),
        (&lines[2], "ERROR", 500, "source=header x-forwarded-for, trusted proxies: 2 hint="),
    ] {
        assert!(line.contains(&format!("{level} tower_workos::source_address: ")), "{line}");
        assert!(line.contains(&format!(" status={status} ")), "{line}");
        assert!(line.contains(text), "{line}");
        // Nothing that the client wrote.
        assert!(!line.contains("evil"), "{line}");
    }
}

#[test]
fn report_only_logs_and_passes() {
    let log = Log::default();
    log.of(LevelFilter::WARN, async {
        let layer = SourceAddressLayer::new(networks(&["192.0.2.1"]), connection());
        let layer = layer.insecure_report_only();
        for peer in ["192.0.2.1", "192.0.2.2", ""] {
            let (response, handled) = send(&layer, request(peer, &[])).await;
            assert_eq!((response.status().as_u16(), handled), (200, true));
        }
    });
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, kind) in lines.iter().zip(["NotListed", "AddressUnknown"]) {
        assert!(line.contains(kind) && !line.contains("status="), "{line}");
        assert!(line.contains("passed on, because of insecure_report_only"), "{line}");
    }
}

#[test]
fn a_flood_is_bounded_and_hides_no_other_kind() {
    let (log, begin) = (Log::default(), Instant::now());
    log.of(LevelFilter::WARN, async {
        let layer = SourceAddressLayer::new(networks(&["192.0.2.1"]), connection());
        for _ in 0..500 {
            // Clones and services of a layer share the limit.
            status(&layer.clone(), request("192.0.2.2", &[])).await;
        }
        status(&layer, request("", &[])).await;
    });
    let lines = log.lines();
    let seconds = usize::try_from(begin.elapsed().as_secs()).unwrap() + 1;
    assert!(lines.len() <= 10 * seconds + 2, "{} in {seconds} s", lines.len());
    let unknown: Vec<_> = lines.iter().filter(|line| line.contains("AddressUnknown")).collect();
    assert_eq!(unknown.len(), 1, "{lines:?}");
    assert!(suppressed(unknown[0]) > 0, "{unknown:?}");
    let written = lines.iter().filter(|line| line.contains("request rejected")).count();
    assert_eq!(written + lines.iter().map(|line| suppressed(line)).sum::<usize>(), 501);
}

#[test]
fn a_dropped_layer_logs_the_rest_of_the_count() {
    let log = Log::default();
    log.of(LevelFilter::WARN, async {
        let layer = SourceAddressLayer::new(networks(&["192.0.2.1"]), connection());
        for _ in 0..100 {
            status(&layer, request("192.0.2.2", &[])).await;
        }
    });
    let lines = log.lines();
    let last = lines.last().unwrap();
    assert!(last.contains("WARN tower_workos::source_address: requests from unlisted"), "{last}");
    let written = lines.iter().filter(|line| line.contains("request rejected")).count();
    assert_eq!(written + lines.iter().map(|line| suppressed(line)).sum::<usize>(), 100);
}

#[test]
fn a_disabled_line_does_not_use_up_the_limit() {
    let (silent, log) = (Log::default(), Log::default());
    let layer = SourceAddressLayer::new(networks(&["192.0.2.1"]), connection());
    silent.of(LevelFilter::ERROR, async {
        for _ in 0..100 {
            status(&layer, request("192.0.2.2", &[])).await;
        }
    });
    assert_eq!(silent.lines(), Vec::<String>::new());
    log.of(LevelFilter::WARN, async {
        status(&layer, request("192.0.2.2", &[])).await;
    });
    assert_eq!(log.lines().len(), 1);
    assert_eq!(suppressed(&log.lines()[0]), 0);
}
