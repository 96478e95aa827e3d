//! Whether the tables are in step.

use tower_workos_mirror::Mirror;

use crate::{
    client::{open, page, text},
    databases::on_both,
    events::directory,
};

/// What the first page says at the top.
async fn said(mirror: &Mirror) -> String {
    let html = page(&open(mirror), "/overview").await;
    let (_, rest) = html.split_once("<section class=\"verdict").unwrap();
    text(&format!("<{}", rest.split("</section>").next().unwrap()))
}

#[tokio::test]
async fn a_poller_that_never_finished_is_not_in_step() {
    on_both(async |database| {
        let mirror = database.mirror().await;
        mirror.apply(&directory("d")).await.unwrap();
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
        database
            .run(&format!(
                "INSERT INTO workos_mirror_repair (environment, first_at, succeeded_at, finished_at, report) \
                 VALUES ('default', {now}, {now}, {now}, '{{\"is_complete\":true,\"counts\":[]}}')"
            ))
            .await;
        // Without a poller, the comparison is enough.
        let in_step = said(&mirror).await;
        assert!(in_step.contains("In step with WorkOS"), "{in_step}");
        database
            .run(&format!("INSERT INTO workos_mirror_poll (stream, started_at) VALUES ('default', {now})"))
            .await;
        let unknown = said(&mirror).await;
        assert!(unknown.contains("Not known to be in step"), "{unknown}");
        assert!(unknown.contains("The Events API has not been read to its end yet."), "{unknown}");
        database.run(&format!("UPDATE workos_mirror_poll SET drained_at = {now}")).await;
        assert_eq!(said(&mirror).await, in_step);
    })
    .await;
}
