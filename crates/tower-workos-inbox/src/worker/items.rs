//! A service of items as a service of jobs.

use std::task::{Context, Poll};

use tower_service::Service;

use crate::job::Job;

/// Passes the item of a [`Job`] to the inner service. [`Queue::worker`](crate::Queue::worker) wraps services in it.
#[derive(Clone, Debug)]
pub struct Items<S>(S);

impl<S> Items<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self(inner)
    }
}

impl<T, S: Service<T>> Service<Job<T>> for Items<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, job: Job<T>) -> S::Future {
        self.0.call(job.into_item())
    }
}
