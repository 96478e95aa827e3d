//! The list of networks: addresses, where they come from, responses, and the log.

mod log;

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};

use axum::{Router, body::Body, extract::ConnectInfo, routing::post};
use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpSocket};
use tower::{Layer, ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer, service_fn};
use tower_workos::{
    ConfigError, DirectoryEvent, RejectionKind, SourceAddressLayer,
    source_address::{ClientAddress, SourceRejection, WORKOS_ADDRESSES_2026_11},
    testing::sample,
    verify::VerifiedBody,
};

use crate::support::{Handler, ScriptBody, Step, delivery, delivery_of, layer};

const FORWARDED: &str = "x-forwarded-for";

fn networks(list: &[&str]) -> Vec<IpNet> {
    let parse = |text: &&str| {
        text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).expect("a network")
    };
    list.iter().map(parse).collect()
}

/// The address of the connection, as a server puts it into the extensions.
fn connection() -> ClientAddress {
    ClientAddress::from_extension(|peer: &SocketAddr| peer.ip())
}

/// A request over a connection from this address, with these lines of `X-Forwarded-For`.
fn request(peer: &str, lines: &[&str]) -> Request<Full<Bytes>> {
    let mut request = Request::post("/").body(Full::default()).unwrap();
    if !peer.is_empty() {
        let ip: IpAddr = peer.parse().unwrap();
        request.extensions_mut().insert(SocketAddr::from((ip, 40_000)));
    }
    for line in lines {
        request.headers_mut().append(FORWARDED, line.parse().unwrap());
    }
    request
}

/// Sends a request to a handler behind the layer. The second value is whether the handler was called.
async fn send<B: Default>(
    layer: &SourceAddressLayer,
    request: Request<B>,
) -> (Response<String>, bool) {
    let service = layer.layer(service_fn(|_: Request<B>| async {
        let mut response = Response::new(Full::<Bytes>::default());
        response.extensions_mut().insert("handled");
        Ok::<_, Infallible>(response)
    }));
    let (parts, body) = service.oneshot(request).await.unwrap().into_parts();
    let handled = parts.extensions.get::<&str>().is_some();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    (Response::from_parts(parts, text), handled)
}

/// The status, after what must be true of each has been checked.
async fn status(layer: &SourceAddressLayer, request: Request<Full<Bytes>>) -> u16 {
    let (response, handled) = send(layer, request).await;
    let status = response.status().as_u16();
    assert_eq!(handled, status == 200);
    match response.extensions().get::<SourceRejection>() {
        None => assert_eq!(status, 200),
        Some(rejection) => {
            assert_eq!(rejection.status(), status);
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            let problem: serde_json::Value = serde_json::from_str(response.body()).unwrap();
            assert_eq!(problem["status"], status);
        }
    }
    status
}

#[tokio::test]
async fn an_address_must_be_in_a_listed_network() {
    let list = ["192.0.2.0/28", "198.51.100.7", "2001:db8:1::/48", "::ffff:203.0.113.0/120"];
    let layer = SourceAddressLayer::new(networks(&list), connection());
    for (address, expected) in [
        ("192.0.2.0", 200),
        ("192.0.2.15", 200),
        ("192.0.2.16", 403),
        ("192.0.1.255", 403),
        ("198.51.100.7", 200),
        ("198.51.100.6", 403),
        ("2001:db8:1::", 200),
        ("2001:db8:1:ffff:ffff:ffff:ffff:ffff", 200),
        ("2001:db8:2::", 403),
        // A socket for both protocols shows IPv4 addresses in this form.
        ("::ffff:192.0.2.15", 200),
        ("::ffff:192.0.2.16", 403),
        ("203.0.113.9", 200),
        ("203.0.114.0", 403),
        // Not a mapped address, although its last bytes are listed.
        ("::192.0.2.1", 403),
        ("0.0.0.0", 403),
        ("::", 403),
    ] {
        assert_eq!(status(&layer, request(address, &[])).await, expected, "{address}");
    }
    let (response, _) = send(&layer, request("::ffff:192.0.2.16", &[])).await;
    let rejection = response.extensions().get::<SourceRejection>().unwrap();
    assert_eq!(rejection.to_string(), "the address 192.0.2.16 is in none of the allowed networks");
    assert_eq!(rejection.as_str(), "NotListed");
    assert!(!response.body().contains("192.0.2.16"), "{}", response.body());
}

#[tokio::test]
async fn lists_can_be_empty_extended_or_workos() {
    let empty = SourceAddressLayer::new(Vec::<IpNet>::new(), connection());
    assert_eq!(status(&empty, request("192.0.2.1", &[])).await, 403);
    let extended = empty.allow(networks(&["192.0.2.1"]));
    assert_eq!(status(&extended, request("192.0.2.1", &[])).await, 200);

    let workos = SourceAddressLayer::workos(connection());
    for address in WORKOS_ADDRESSES_2026_11 {
        assert_eq!(status(&workos, request(&address.to_string(), &[])).await, 200, "{address}");
    }
    assert_eq!(status(&workos, request("3.217.146.167", &[])).await, 403);
    let also = workos.allow([IpAddr::from([3, 217, 146, 167])]);
    assert_eq!(status(&also, request("3.217.146.167", &[])).await, 200);
}

#[tokio::test]
async fn an_unknown_address_is_a_500_that_explains_itself() {
    let any = ["0.0.0.0/0", "::/0"];
    for client in [
        connection(),
        ClientAddress::from_extension(|_: &SocketAddr| None),
        ClientAddress::from_fn(|_| None),
        ClientAddress::x_forwarded_for(1).unwrap(),
    ] {
        let layer = SourceAddressLayer::new(networks(&any), client);
        let peer = if format!("{layer:?}").contains("SocketAddr") { "" } else { "192.0.2.1" };
        let (response, handled) = send(&layer, request(peer, &[])).await;
        assert_eq!((response.status().as_u16(), handled), (500, false), "{layer:?}");
        assert_eq!(response.extensions().get(), Some(&SourceRejection::AddressUnknown));
        assert!(response.body().contains("into_make_service_with_connect_info"));
    }
}

#[tokio::test]
async fn the_header_counts_only_behind_the_stated_number_of_proxies() {
    let list = networks(&["192.0.2.1"]);
    // Without proxies, the client's header means nothing.
    let direct = SourceAddressLayer::new(list.clone(), connection());
    assert_eq!(status(&direct, request("203.0.113.5", &["192.0.2.1"])).await, 403);
    assert_eq!(status(&direct, request("192.0.2.1", &["203.0.113.5"])).await, 200);

    let behind = |proxies| {
        let client = ClientAddress::x_forwarded_for(proxies).unwrap();
        SourceAddressLayer::new(list.clone(), client)
    };
    for (proxies, lines, expected) in [
        (1, &["192.0.2.1"][..], 200),
        (1, &["192.0.2.1:5000"], 200),
        (1, &["::ffff:192.0.2.1"], 200),
        (1, &["[::ffff:192.0.2.1]:5000"], 200),
        // Written by the client, in the same line or in its own.
        (1, &["192.0.2.1, 203.0.113.5"], 403),
        (1, &["192.0.2.1", "203.0.113.5"], 403),
        (1, &["192.0.2.1, 192.0.2.1,", "203.0.113.5"], 403),
        (1, &["garbage, 192.0.2.1"], 200),
        (2, &["192.0.2.1, 10.0.0.1"], 200),
        (2, &["192.0.2.1", "203.0.113.5, 10.0.0.1"], 403),
        (2, &["203.0.113.5, 192.0.2.1", "10.0.0.1"], 200),
        (2, &["192.0.2.1"], 500),
        (1, &["192.0.2.1, unknown"], 500),
        (1, &["192.0.2.1,"], 500),
        (1, &["\"192.0.2.1\""], 500),
        (1, &[], 500),
    ] {
        let layer = behind(proxies);
        let request = request("192.0.2.1", lines);
        assert_eq!(status(&layer, request).await, expected, "{proxies} {lines:?}");
    }
    assert_eq!(ClientAddress::x_forwarded_for(0).unwrap_err(), ConfigError::NoProxies);
    assert!(ConfigError::NoProxies.to_string().contains("the number of trusted proxies is 0"));
}

#[tokio::test]
async fn another_header_and_a_closure() {
    let name = HeaderName::from_static("cf-connecting-ip");
    let client = ClientAddress::header(name.clone(), 1).unwrap();
    let layer = SourceAddressLayer::new(networks(&["192.0.2.1"]), client);
    let mut request_with = request("", &["203.0.113.5"]);
    request_with.headers_mut().insert(name, "192.0.2.1".parse().unwrap());
    assert_eq!(status(&layer, request_with).await, 200);
    assert_eq!(status(&layer, request("", &["192.0.2.1"])).await, 500);

    let closure = ClientAddress::from_fn(|parts| parts.uri.host()?.parse().ok());
    let layer = SourceAddressLayer::new(networks(&["192.0.2.1"]), closure);
    for (uri, expected) in
        [("http://192.0.2.1/", 200), ("http://192.0.2.2/", 403), ("http://example.com/", 500)]
    {
        let mut request = request("", &[]);
        *request.uri_mut() = uri.parse().unwrap();
        assert_eq!(status(&layer, request).await, expected, "{uri}");
    }
}

#[tokio::test]
async fn with_the_verification_inside() {
    let handler = Handler::default();
    let layers = SourceAddressLayer::new(networks(&["192.0.2.1"]), connection());
    let respond = |peer: &str, request: Request<ScriptBody>| {
        let mut request = request;
        request.extensions_mut().insert(SocketAddr::from((peer.parse::<IpAddr>().unwrap(), 1)));
        layers.layer(handler.wrap(&layer())).oneshot(request)
    };
    let genuine = |steps| delivery_of(b"{}", ScriptBody::new(steps));
    // Neither the body nor the signature of an unlisted client is looked at.
    let response = respond("192.0.2.2", genuine(vec![Step::Untouchable])).await.unwrap();
    assert_eq!(response.status(), 403);
    assert!(response.extensions().get::<tower_workos::Rejection>().is_none());
    // A listed address proves nothing.
    let forged = genuine(vec![Step::Data("forged".into())]);
    let response = respond("192.0.2.1", forged).await.unwrap();
    assert_eq!(response.status(), 401);
    let rejection = response.extensions().get::<tower_workos::Rejection>().unwrap();
    assert_eq!(rejection.kind(), RejectionKind::SignatureMismatch);
    assert_eq!(handler.calls(), 0);
    let body = sample::USER_CREATED.body().as_bytes();
    let request = delivery_of(body, ScriptBody::chunks(body, 100));
    let response = respond("192.0.2.1", request).await.unwrap();
    assert_eq!(response.status(), 200);
    let event = response.extensions().get::<DirectoryEvent>().unwrap();
    assert_eq!(event.raw(), sample::USER_CREATED.body());
    assert_eq!(handler.calls(), 1);
}

#[tokio::test]
async fn rejections_do_not_use_up_permits() {
    let service = ServiceBuilder::new()
        .layer(SourceAddressLayer::new(networks(&["192.0.2.1"]), connection()))
        .layer(layer())
        .layer(ConcurrencyLimitLayer::new(1))
        .service(service_fn(|_: Request<VerifiedBody>| async {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }));
    let mut one = service.clone();
    for (peer, expected) in [("192.0.2.2", 403), ("192.0.2.1", 200), ("192.0.2.2", 403)] {
        for _ in 0..3 {
            let mut request = delivery::<Full<Bytes>>(sample::USER_CREATED);
            request.extensions_mut().insert(SocketAddr::from((peer.parse::<IpAddr>().unwrap(), 1)));
            let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut one).await.unwrap();
            let response = tower::Service::call(ready, request).await.unwrap();
            assert_eq!(response.status().as_u16(), expected);
        }
    }
}

// --- Over real sockets ---

async fn handler(event: DirectoryEvent) -> String {
    event.name().to_owned()
}

/// An axum server with this client address. It knows its connections' addresses only if `connect_info` is set.
async fn serve(allowed: &str, client: ClientAddress, connect_info: bool) -> SocketAddr {
    let layers = ServiceBuilder::new()
        .layer(SourceAddressLayer::new(networks(&[allowed]), client))
        .layer(layer());
    let app = Router::new().route("/webhooks/workos", post(handler)).route_layer(layers);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        if connect_info {
            axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
        } else {
            axum::serve(listener, app).await
        }
    });
    address
}

/// Sends a request from a local address.
async fn forward(from: &str, to: SocketAddr, request: Request<Body>) -> Response<Body> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    let stream = socket.connect(to).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(request).await.unwrap().map(Body::new)
}

/// A reverse proxy that appends the address of its client to `X-Forwarded-For`. It connects from `own`.
async fn proxy(own: &'static str, upstream: SocketAddr) -> SocketAddr {
    let app = Router::new().fallback(
        move |ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request<Body>| async move {
            let before: Vec<&str> = request
                .headers()
                .get_all(FORWARDED)
                .iter()
                .map(|line| line.to_str().unwrap())
                .collect();
            let line = [before, vec![&peer.ip().to_string()]].concat().join(", ");
            request.headers_mut().insert(FORWARDED, line.parse().unwrap());
            forward(own, upstream, request).await
        },
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn deliver(from: &str, to: SocketAddr, spoofed: &[&str]) -> StatusCode {
    let mut request: Request<Body> = delivery(sample::USER_CREATED);
    request.headers_mut().insert("host", "localhost".parse().unwrap());
    for line in spoofed {
        request.headers_mut().append(FORWARDED, line.parse().unwrap());
    }
    forward(from, to, request).await.status()
}

#[tokio::test]
async fn in_axum_with_the_address_of_the_connection() {
    let client = || ClientAddress::from_extension(|peer: &ConnectInfo<SocketAddr>| peer.0.ip());
    let server = serve("127.0.0.2", client(), true).await;
    assert_eq!(deliver("127.0.0.2", server, &[]).await, 200);
    assert_eq!(deliver("127.0.0.3", server, &["127.0.0.2"]).await, 403);
    let without = serve("127.0.0.2", client(), false).await;
    assert_eq!(deliver("127.0.0.2", without, &["127.0.0.2"]).await, 500);
}

#[tokio::test]
async fn in_axum_behind_one_and_two_reverse_proxies() {
    let behind = |proxies| ClientAddress::x_forwarded_for(proxies).unwrap();
    let server = serve("127.0.0.2", behind(1), false).await;
    let near = proxy("127.0.0.9", server).await;
    for spoofed in [&[][..], &["127.0.0.2"], &["127.0.0.2, 127.0.0.2", "127.0.0.2"]] {
        assert_eq!(deliver("127.0.0.2", near, spoofed).await, 200, "{spoofed:?}");
        assert_eq!(deliver("127.0.0.3", near, spoofed).await, 403, "{spoofed:?}");
    }
    let server = serve("127.0.0.2", behind(2), false).await;
    let near = proxy("127.0.0.9", server).await;
    let far = proxy("127.0.0.8", near).await;
    for spoofed in [&[][..], &["127.0.0.2"], &["127.0.0.2, 127.0.0.2", "127.0.0.2"]] {
        assert_eq!(deliver("127.0.0.2", far, spoofed).await, 200, "{spoofed:?}");
        assert_eq!(deliver("127.0.0.3", far, spoofed).await, 403, "{spoofed:?}");
    }
    // A request that bypasses the first proxy.
    assert_eq!(deliver("127.0.0.2", near, &[]).await, 500);
}
