//! Queues whose state is shown.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::time::timeout;

use crate::page::facts::{QueueFigures, QueueState};

/// How long the page waits for a queue's storage.
const PATIENCE: Duration = Duration::from_secs(2);

type Read =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Option<QueueFigures>> + Send>> + Send + Sync>;

#[derive(Clone, Default)]
pub(super) struct Queues(Vec<(String, Read)>);

impl Queues {
    #[cfg(feature = "outbox")]
    pub(super) fn add<T: tower_workos_inbox::Payload>(
        &mut self,
        queue: &tower_workos_inbox::Queue<T>,
    ) {
        let name = queue.name().to_owned();
        let queue = queue.clone();
        let read = move || -> Pin<Box<dyn Future<Output = _> + Send>> {
            let queue = queue.clone();
            Box::pin(async move {
                let status = queue.status().await.ok()?;
                Some(QueueFigures {
                    depth: status.depth,
                    oldest_age: status.oldest_age,
                    dead: status.dead,
                })
            })
        };
        self.0.push((name, Arc::new(read)));
    }

    pub(super) async fn states(&self) -> Vec<QueueState> {
        let mut states = Vec::with_capacity(self.0.len());
        for (name, read) in &self.0 {
            let status = timeout(PATIENCE, read()).await.ok().flatten();
            states.push(QueueState { name: name.clone(), status });
        }
        states
    }
}

impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
