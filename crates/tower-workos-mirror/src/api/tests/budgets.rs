//! The request budgets.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::Notify;

use super::within;
use crate::api::{throttle::Throttle, timer::Timer};

/// A clock that moves to the end of the shortest sleep when no task can run.
#[derive(Clone, Default)]
struct Virtual(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    now: Duration,
    sleepers: BTreeMap<(Duration, usize), Arc<Notify>>,
    count: usize,
}

impl Timer for Virtual {
    fn now(&self) -> Duration {
        self.0.lock().unwrap().now
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let notify = Arc::new(Notify::new());
        let mut state = self.0.lock().unwrap();
        state.count += 1;
        let key = (state.now + duration, state.count);
        state.sleepers.insert(key, Arc::clone(&notify));
        drop(state);
        Box::pin(async move { notify.notified().await })
    }
}

impl Virtual {
    /// Runs a future on a runtime with one thread.
    async fn drive<T>(&self, future: impl Future<Output = T>) -> T {
        let driver = async {
            loop {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                let mut state = self.0.lock().unwrap();
                if let Some(((until, _), sleeper)) = state.sleepers.pop_first() {
                    state.now = until.max(state.now);
                    sleeper.notify_one();
                }
            }
        };
        tokio::select! {
            output = future => output,
            () = driver => unreachable!(),
        }
    }
}

type Starts = Arc<Mutex<Vec<(Duration, &'static str)>>>;

/// Begins requests in tasks of their own, each about a directory.
async fn run(throttle: &Arc<Throttle>, timer: &Virtual, tasks: &[(&'static str, usize)]) -> Starts {
    let starts = Starts::default();
    let tasks: Vec<_> = tasks
        .iter()
        .map(|&(directory, requests)| {
            let (throttle, starts, timer) =
                (Arc::clone(throttle), Arc::clone(&starts), timer.clone());
            tokio::spawn(async move {
                for _ in 0..requests {
                    throttle.start((!directory.is_empty()).then_some(directory)).await;
                    starts.lock().unwrap().push((timer.now(), directory));
                }
            })
        })
        .collect();
    timer
        .drive(async {
            for task in tasks {
                task.await.unwrap();
            }
        })
        .await;
    starts
}

/// The greatest number of starts in any second.
fn peak(starts: impl Iterator<Item = Duration>) -> usize {
    let starts: Vec<_> = starts.collect();
    let within = |from: Duration| {
        let second = from..from + Duration::from_secs(1);
        starts.iter().filter(|at| second.contains::<Duration>(at)).count()
    };
    starts.iter().map(|from| within(*from)).max().unwrap()
}

#[tokio::test]
async fn budgets_are_exact_with_8_tasks() {
    within(async {
        let timer = Virtual::default();
        let throttle = Arc::new(Throttle::new(Arc::new(timer.clone()), 10, 3));
        let tasks =
            [("a", 30), ("a", 30), ("a", 30), ("b", 30), ("b", 30), ("c", 30), ("", 30), ("", 30)];
        let starts = run(&throttle, &timer, &tasks).await;
        let starts = starts.lock().unwrap();
        assert_eq!(starts.len(), 240);
        assert!(peak(starts.iter().map(|it| it.0)) <= 10);
        for directory in ["a", "b", "c"] {
            let of = starts.iter().filter(|it| it.1 == directory).map(|it| it.0);
            assert!(peak(of) <= 3, "{directory}");
        }
    })
    .await;
}

#[tokio::test]
async fn budgets_are_used_up() {
    within(async {
        for (directory, interval) in [("a", 333_333_334), ("", 100_000_000)] {
            let timer = Virtual::default();
            let throttle = Arc::new(Throttle::new(Arc::new(timer.clone()), 10, 3));
            let starts = run(&throttle, &timer, &[(directory, 10); 8]).await;
            let starts: Vec<_> = starts.lock().unwrap().iter().map(|it| it.0).collect();
            let expected: Vec<_> =
                (0..80).map(|number| Duration::from_nanos(number * interval)).collect();
            assert_eq!(starts, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_busy_directory_does_not_delay_others() {
    within(async {
        let timer = Virtual::default();
        let throttle = Arc::new(Throttle::new(Arc::new(timer.clone()), 10, 1));
        let tasks = [("a", 20), ("a", 20), ("a", 20), ("a", 20), ("b", 5)];
        let starts = run(&throttle, &timer, &tasks).await;
        let of_b: Vec<_> =
            starts.lock().unwrap().iter().filter(|it| it.1 == "b").map(|it| it.0).collect();
        assert!(*of_b.last().unwrap() <= Duration::from_millis(4600), "{of_b:?}");
    })
    .await;
}

#[tokio::test]
async fn a_waiting_request_that_is_dropped_leaves_no_gap() {
    within(async {
        let timer = Virtual::default();
        let throttle = Arc::new(Throttle::new(Arc::new(timer.clone()), 1, 1));
        timer.drive(throttle.start(Some("a"))).await;
        for _ in 0..5 {
            let start = throttle.start(Some("a"));
            assert!(is_pending(start).await, "it waits");
        }
        timer.drive(throttle.start(Some("a"))).await;
        assert_eq!(timer.now(), Duration::from_secs(1));
    })
    .await;
}

/// Polls a future once, and returns whether it is still pending.
async fn is_pending(future: impl Future<Output = ()>) -> bool {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

#[tokio::test]
async fn a_pause_reaches_requests_that_wait_already() {
    within(async {
        let timer = Virtual::default();
        let throttle = Arc::new(Throttle::new(Arc::new(timer.clone()), 10, 3));
        throttle.start(None).await;
        let mut waiting = std::pin::pin!(throttle.start(None));
        assert!(
            std::future::poll_fn(|cx| {
                std::task::Poll::Ready(waiting.as_mut().poll(cx).is_pending())
            })
            .await
        );
        throttle.pause(Duration::from_secs(5));
        // A shorter pause does not end it.
        throttle.pause(Duration::from_secs(1));
        timer.drive(waiting).await;
        assert_eq!(timer.now(), Duration::from_secs(5));
    })
    .await;
}

#[tokio::test]
async fn lanes_of_idle_directories_are_dropped() {
    within(async {
        let timer = Virtual::default();
        let throttle = Arc::new(Throttle::new(Arc::new(timer.clone()), 1_000_000, 1_000_000));
        for number in 0..10_000 {
            timer.drive(throttle.start(Some(&format!("directory_{number}")))).await;
        }
        assert!(throttle.lanes() <= 257, "{}", throttle.lanes());
    })
    .await;
}
