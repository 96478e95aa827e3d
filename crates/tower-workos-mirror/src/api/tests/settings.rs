//! Settings.

use super::{KEY, within};
use crate::api::{client::ApiClient, client::ApiClientBuilder, key::ApiKey};

fn builder() -> ApiClientBuilder {
    ApiClient::builder(ApiKey::new(KEY).unwrap())
}

#[test]
fn the_key_is_only_sent_to_this_machine_without_tls() {
    for url in [
        "http://localhost:8090",
        "http://LOCALHOST",
        "http://127.0.0.1:8090/",
        "http://127.1.2.3",
        "http://[::1]:8090",
        "http://localhost/workos",
    ] {
        assert!(builder().base_url(url).build().is_ok(), "{url}");
    }
    for url in [
        "http://api.workos.com",
        "http://localhost.example.com",
        "http://128.0.0.1",
        "http://[::2]",
        "ftp://localhost",
        "localhost:8090",
        "//localhost",
        "/events",
        "https://",
        "https://user@localhost",
        "https://localhost?a=b",
        "https://localhost#a",
        "",
        "a b",
    ] {
        assert!(builder().base_url(url).build().is_err(), "{url}");
    }
}

#[test]
fn numbers_are_checked() {
    let url = "http://localhost";
    for builder in [
        builder().base_url(url).requests_per_second(0),
        builder().base_url(url).requests_per_second_per_directory(0),
        builder().base_url(url).attempts(0),
    ] {
        assert!(builder.build().is_err());
    }
}

#[tokio::test]
async fn a_path_in_the_base_url_is_kept() {
    within(async {
        let server = super::Server::start([super::Reply::new(200, super::EMPTY)]).await;
        let url = format!("{}/proxy/", server.url);
        let api = builder().base_url(url).build().unwrap();
        api.directories(None).await.unwrap();
        assert_eq!(server.targets(), ["/proxy/directories?limit=100&order=asc"]);
    })
    .await;
}
