//! JetStream without the inbox.

use std::time::{Duration, Instant};

use async_nats::jetstream::{Context, consumer::pull, stream};
use bytes::Bytes;
use futures_util::StreamExt as _;

pub(crate) struct JetStream {
    context: Context,
    name: String,
}

impl JetStream {
    pub(crate) async fn new(context: Context, name: String) -> Self {
        let config = stream::Config {
            name: name.clone(),
            retention: stream::RetentionPolicy::WorkQueue,
            ..Default::default()
        };
        context.create_stream(config).await.unwrap();
        Self { context, name }
    }

    /// Publishes this many, then waits until all are acknowledged.
    pub(crate) async fn store(&self, payloads: &[Bytes], batch: usize) -> Duration {
        let begin = Instant::now();
        for batch in payloads.chunks(batch) {
            let mut acknowledgements = Vec::with_capacity(batch.len());
            for payload in batch {
                let published = self.context.publish(self.name.clone(), payload.clone()).await;
                acknowledgements.push(published.unwrap());
            }
            for acknowledgement in acknowledgements {
                acknowledgement.await.unwrap();
            }
        }
        begin.elapsed()
    }

    pub(crate) async fn work(&self, count: usize, concurrency: usize) -> Duration {
        let config = pull::Config { durable_name: Some("worker".to_owned()), ..Default::default() };
        let consumer =
            self.context.create_consumer_on_stream(config, self.name.clone()).await.unwrap();
        let begin = Instant::now();
        let messages = consumer.messages().await.unwrap().take(count);
        messages
            .for_each_concurrent(concurrency, async |message| {
                message.unwrap().double_ack().await.unwrap();
            })
            .await;
        begin.elapsed()
    }

    pub(crate) async fn remove(self) {
        self.context.delete_stream(self.name).await.unwrap();
    }
}
