//! What is logged and reported contains no personal data, and no key.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter};

use crate::{databases::on_both, support::World};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[track_caller]
fn is_private(what: &str, text: &str, key: &str) {
    for secret in ["anthippe", "allisto", key] {
        let found = text.find(secret).map(|at| &text[at.saturating_sub(200)..at]);
        assert_eq!(found, None, "{what} contains {secret}");
    }
}

// On one thread, so that the subscriber is that of all tasks.
#[tokio::test]
async fn nothing_personal_is_logged_or_reported() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    on_both(async |database| {
        let world = World::start(database).await;
        let key = world.emulator.api_key().to_owned();
        world.told("d", 30, 2).await;
        world.emulator.remove_silently("d_u3").unwrap();
        world.emulator.set_role("d_u7", "owner").unwrap();
        let reconciler = world.reconciler();
        for _ in 0..2 {
            world.wait(120);
            reconciler.fetch_user(&"d_u8".to_owned().into()).await.unwrap();
            reconciler.dry_run().await.unwrap();
            let report = reconciler.run().await.unwrap();
            is_private("the report", &format!("{report:?}"), &key);
            is_private("its JSON", &serde_json::to_string(&report).unwrap(), &key);
        }
        let stored = database.column("report", "workos_mirror_repair").await;
        is_private("the stored report", &format!("{stored:?}"), &key);
        is_private("the reconciler", &format!("{reconciler:?} {:?}", world.builder()), &key);

        // Failures: the API's, then the database's.
        world.proxy.rule(|call, reply| {
            if call.path == "/directory_users" {
                reply.status = 500;
            }
        });
        let report = world.run().await;
        is_private("a failure", &format!("{report:?}"), &key);
        world.proxy.rule(|_, reply| reply.status = 401);
        let error = world.reconciler().run().await.unwrap_err();
        is_private("an error", &format!("{error:?} {error}"), &key);
        world.proxy.clear();
        database.run("ALTER TABLE workos_mirror_user RENAME TO elsewhere").await;
        world.wait(120);
        let report = world.reconciler().run().await;
        is_private("an error of the database", &format!("{report:?}"), &key);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("the comparison of a directory failed"));
        is_private("the log", &text, &key);
    })
    .await;
}
