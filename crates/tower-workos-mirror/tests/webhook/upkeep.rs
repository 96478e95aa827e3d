//! The upkeep that the writer does between deliveries.

use std::time::Duration;

use tower_workos::testing::sample;

use crate::{
    database::Database,
    requests::{created, event, send, webhook},
};

#[tokio::test]
async fn a_deleted_directory_is_swept_without_a_call() {
    for database in Database::all().await {
        let mirror = database.mirror().await;
        let webhook = webhook(&mirror);
        for user in 0..3 {
            send(&webhook, created(&format!("user_{user}"))).await;
        }
        let named = "SELECT count(*) FROM workos_mirror_user WHERE email IS NOT NULL";
        assert_eq!(database.int(named).await, 3);
        let directory = event(created("user_0")).directory_id().unwrap().to_string();
        let end = sample::DIRECTORY_DELETED.builder().directory(directory).body();
        send(&webhook, end).await;
        assert_eq!(database.users().await, 0);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while database.int(named).await > 0 {
            assert!(tokio::time::Instant::now() < deadline, "nothing swept the directory");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        database.drop().await;
    }
}
