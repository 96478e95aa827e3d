//! Runs every schedule of two deliveries of one event with the real futures. The test decides when the store applies a call,
//! replies to it, fails or loses the reply, and when a request is dropped, a time-out or a lease expires, or the process
//! crashes.
//!
//! A schedule is a list of choices. Each run follows a prefix of choices, then always takes the first alternative; the next run
//! changes the last choice that has alternatives left. This covers all schedules of two deliveries with at most one fault, and
//! of one delivery with at most four. With `SCHEDULE_FAULTS=1` in the environment, each has one more fault.

use std::{
    collections::HashSet,
    future::Future,
    io::Write as _,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::Request;
use tower::{Layer, Service, service_fn};
use tower_workos::{DedupeLayer, DirectoryEvent, testing::sample};

use self::store::{Key, Kind, LEASE, Mode, Outcome, STORE_TIMEOUT, Stepped, handle};

mod store;

/// The size of the schedules.
#[derive(Clone, Copy)]
struct Bounds {
    mode: Mode,
    deliveries: usize,
    /// The maximum number of faults in a schedule.
    faults: usize,
}

/// What can happen next.
#[derive(Clone, Copy, Debug)]
enum Action {
    Start(usize),
    Apply(usize),
    Reply(usize),
    End(usize, Outcome),
    // The faults.
    Crash,
    Drop(usize),
    Expire,
    FailBefore(usize),
    LoseReply(usize),
    Timeout,
}

impl Action {
    fn is_fault(self) -> bool {
        !matches!(self, Self::Start(_) | Self::Apply(_) | Self::Reply(_) | Self::End(..))
    }
}

type Delivery = Pin<Box<dyn Future<Output = u16>>>;

/// One process: its runtime and the deliveries that it is handling.
struct Process {
    store: Stepped,
    layer: DedupeLayer<Stepped>,
    deliveries: Vec<Option<Delivery>>,
}

impl Process {
    fn start(&mut self, delivery: usize) {
        let store = self.store.clone();
        let inner = service_fn(move |request| handle(store.clone(), delivery, request));
        let mut service = self.layer.layer(inner);
        let mut request = Request::new(());
        let event = DirectoryEvent::parse(sample::USER_DEACTIVATED.into()).unwrap();
        request.extensions_mut().insert(event);
        let future = service.call(request);
        self.deliveries[delivery] =
            Some(Box::pin(async move { future.await.unwrap().status().as_u16() }));
    }

    /// Polls everything that can make progress, also in the background.
    async fn settle(&mut self) {
        for _ in 0..3 {
            for delivery in &mut self.deliveries {
                let Some(future) = delivery else { continue };
                let mut cx = Context::from_waker(Waker::noop());
                if let Poll::Ready(status) = future.as_mut().poll(&mut cx) {
                    *delivery = None;
                    let world = self.store.lock();
                    let done = matches!(world.key, Key::Done { .. });
                    assert!(status != 200 || done, "200 but not done: {:#?}", world.trace);
                }
            }
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        }
        self.store.lock().check();
    }
}

/// Chooses between alternatives: follows the prefix, then takes the first.
#[derive(Default)]
struct Choices {
    taken: Vec<(usize, usize)>,
    next: usize,
}

impl Choices {
    fn choose(&mut self, count: usize) -> usize {
        let choice = match self.taken.get(self.next) {
            Some(&(choice, _)) => choice,
            None => {
                self.taken.push((0, count));
                0
            }
        };
        self.next += 1;
        choice
    }

    /// Moves to the next schedule, if there is one.
    fn advance(&mut self) -> bool {
        self.next = 0;
        while let Some((choice, count)) = self.taken.pop() {
            if choice + 1 < count {
                self.taken.push((choice + 1, count));
                return true;
            }
        }
        false
    }
}

/// What can happen now, without faults first.
fn actions(process: &Process, startable: bool, started: usize, faults: usize) -> Vec<Action> {
    let world = process.store.lock();
    let mut actions = Vec::new();
    if startable {
        actions.push(Action::Start(started));
    }
    for (index, op) in world.ops.iter().enumerate() {
        match (op.effect, op.reply) {
            (None, None) => actions.push(Action::Apply(index)),
            (Some(_), None) if !op.dropped => actions.push(Action::Reply(index)),
            _ => {}
        }
    }
    for (index, handler) in world.handlers.iter().enumerate() {
        if handler.running.is_some() && handler.outcome.is_none() {
            actions.push(Action::End(index, Outcome::Succeed));
            actions.push(Action::End(index, Outcome::Fail));
            if world.mode == Mode::Handler {
                actions.push(Action::End(index, Outcome::CommitAndFail));
                actions.push(Action::End(index, Outcome::ForgetAndSucceed));
            }
        }
    }
    if faults == 0 || (actions.is_empty() && process.deliveries.iter().all(Option::is_none)) {
        return actions;
    }
    for (index, op) in world.ops.iter().enumerate() {
        match (op.effect, op.reply) {
            _ if op.dropped => {}
            (None, None) => actions.push(Action::FailBefore(index)),
            (Some(_), None) => actions.push(Action::LoseReply(index)),
            _ => {}
        }
    }
    for (index, delivery) in process.deliveries.iter().enumerate() {
        if delivery.is_some() {
            actions.push(Action::Drop(index));
        }
    }
    if process.deliveries.iter().any(Option::is_some) {
        actions.push(Action::Timeout);
        actions.push(Action::Crash);
    }
    if matches!(world.key, Key::Held { expired: false, .. }) {
        actions.push(Action::Expire);
    }
    actions
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

fn process(store: &Stepped) -> Process {
    let layer = DedupeLayer::new("workos", store.clone()).lease(LEASE).store_timeout(STORE_TIMEOUT);
    Process { store: store.clone(), layer, deliveries: vec![None, None, None] }
}

/// Runs one schedule and returns its faults.
fn run(bounds: Bounds, choices: &mut Choices) -> Vec<Action> {
    let store = Stepped::new(bounds.mode);
    let mut faults = Vec::new();
    let mut started = 0;
    let mut crashed = false;
    let mut process = process(&store);
    let mut alive = runtime();
    loop {
        let startable = started < bounds.deliveries && !crashed;
        let actions = actions(&process, startable, started, bounds.faults - faults.len());
        if actions.is_empty() {
            break;
        }
        let action = actions[choices.choose(actions.len())];
        store.lock().trace.push(format!("{action:?}"));
        if action.is_fault() {
            faults.push(action);
        }
        if matches!(action, Action::Crash) {
            // Deliveries and tasks are gone; calls that the store has received may still take effect.
            crashed = true;
            store.lock().may_be_left = true;
            alive.block_on(async { process.deliveries.iter_mut().for_each(|it| *it = None) });
            alive = runtime();
            continue;
        }
        alive.block_on(async {
            act(action, &mut process, &mut started).await;
            process.settle().await;
        });
    }
    finish(&store, &mut process, &alive);
    check_end(&store, &faults);
    faults
}

async fn act(action: Action, process: &mut Process, started: &mut usize) {
    let mut world = process.store.lock();
    match action {
        Action::Apply(op) => world.apply(op),
        Action::Reply(op) => {
            let effect = world.ops[op].effect.unwrap();
            world.reply(op, Ok(effect));
        }
        Action::End(handler, outcome) => world.handlers[handler].outcome = Some(outcome),
        Action::Expire => {
            if let Key::Held { token, expired } = &mut world.key {
                *expired = true;
                let token = *token;
                world.expired.insert(token);
            }
        }
        Action::FailBefore(op) => {
            // Nothing else can release it.
            world.may_be_left |= matches!(world.ops[op].kind, Kind::Release(_));
            world.reply(op, Err(()));
        }
        Action::LoseReply(op) => {
            // Nothing knows the token.
            world.may_be_left |= world.ops[op].kind == Kind::Claim;
            world.reply(op, Err(()));
        }
        Action::Start(delivery) => {
            drop(world);
            *started = delivery + 1;
            process.start(delivery);
        }
        Action::Drop(delivery) => {
            drop(world);
            process.deliveries[delivery] = None;
        }
        Action::Timeout => {
            drop(world);
            tokio::time::advance(STORE_TIMEOUT + Duration::from_millis(1)).await;
        }
        Action::Crash => unreachable!("handled by the caller"),
    }
}

/// The store replies to everything, so that all deliveries end.
fn finish(store: &Stepped, process: &mut Process, alive: &tokio::runtime::Runtime) {
    alive.block_on(async {
        loop {
            let open = {
                let world = store.lock();
                world.ops.iter().position(|op| op.reply.is_none() && !op.dropped)
            };
            let Some(op) = open else { break };
            {
                let mut world = store.lock();
                if world.ops[op].effect.is_none() {
                    world.apply(op);
                }
                let effect = world.ops[op].effect.unwrap();
                world.reply(op, Ok(effect));
            }
            process.settle().await;
        }
    });
}

/// A last delivery, whose handler succeeds, must end with the event done.
fn check_end(store: &Stepped, faults: &[Action]) {
    let (before, successes) = {
        let mut world = store.lock();
        if let Key::Held { token, .. } = world.key {
            assert!(world.may_be_left, "left for the whole lease: {:#?}", world.trace);
            world.expired.insert(token);
            world.key = Key::Held { token, expired: true };
        }
        world.trace.push("the last delivery".to_owned());
        (world.key, world.succeeded.len())
    };
    // A disconnect alone must not cause a second success.
    if faults.iter().all(|fault| matches!(fault, Action::Drop(_) | Action::Timeout)) {
        assert!(successes <= 1, "handled twice: {:#?}", store.lock().trace);
    }
    let mut process = process(store);
    let alive = runtime();
    alive.block_on(async {
        process.start(2);
        process.settle().await;
    });
    finish(store, &mut process, &alive);
    let ran = store.lock().handlers[2].running.is_some();
    let done = matches!(before, Key::Done { .. });
    assert_eq!(ran, !done, "{:#?}", store.lock().trace);
    store.lock().handlers[2].outcome = Some(Outcome::Succeed);
    alive.block_on(process.settle());
    finish(store, &mut process, &alive);
    let world = store.lock();
    assert!(matches!(world.key, Key::Done { .. }), "{:#?}", world.trace);
    assert!(process.deliveries[2].is_none(), "{:#?}", world.trace);
}

fn run_all(mode: Mode, deliveries: usize, faults: usize) {
    let more = std::env::var("SCHEDULE_FAULTS").map_or(0, |more| more.parse().unwrap());
    let bounds = Bounds { mode, deliveries, faults: faults + more };
    let mut choices = Choices::default();
    let mut schedules = 0;
    let mut kinds = HashSet::new();
    loop {
        for fault in run(bounds, &mut choices) {
            kinds.insert(format!("{fault:?}").split('(').next().unwrap().to_owned());
        }
        schedules += 1;
        if !choices.advance() {
            break;
        }
    }
    let completes = if mode == Mode::Layer { "layer" } else { "handler" };
    // The test runner would hide the output of `eprintln!`.
    let _ = writeln!(
        std::io::stderr(),
        "{schedules} schedules of {deliveries} deliveries with up to {} faults; the {completes} completes",
        bounds.faults
    );
    assert!(schedules > 500, "{schedules}");
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort();
    assert_eq!(kinds, ["Crash", "Drop", "Expire", "FailBefore", "LoseReply", "Timeout"]);
}

#[test]
fn two_deliveries_and_a_fault_if_the_layer_completes() {
    run_all(Mode::Layer, 2, 1);
}

#[test]
fn two_deliveries_and_a_fault_if_the_handler_completes() {
    run_all(Mode::Handler, 2, 1);
}

#[test]
fn one_delivery_and_four_faults_if_the_layer_completes() {
    run_all(Mode::Layer, 1, 4);
}

#[test]
fn one_delivery_and_four_faults_if_the_handler_completes() {
    run_all(Mode::Handler, 1, 4);
}
