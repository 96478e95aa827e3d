//! Runs a simulated life in real time.

use std::{cell::RefCell, rc::Rc, time::Duration};

use dsync_cli::directory::{Event, Life, Schedule};
use dsync_emulator::{Emulator, Faults};
use tokio::{sync::Notify, time::sleep};

/// A life, and the receivers of its events.
pub(super) struct Live<'a> {
    pub(super) life: Life,
    /// Events per second.
    pub(super) rate: u32,
    pub(super) emulator: &'a Emulator,
    pub(super) schedule: Rc<RefCell<Schedule>>,
    pub(super) changed: Rc<Notify>,
    /// The faults, and the number of events after which they begin.
    pub(super) faults: (u64, Faults),
    /// Every event so far, to explain differences.
    pub(super) events: &'a RefCell<Vec<Event>>,
}

impl Live<'_> {
    /// Makes the events happen, one after the other.
    pub(super) async fn run(mut self) {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / self.rate.max(1));
        let (begin, faults) = self.faults;
        let mut count = 0;
        loop {
            if count == begin {
                self.emulator.set_faults(faults.clone());
            }
            ticks.tick().await;
            let clock = self.emulator.clock();
            let Some(event) = self.life.next_at(clock.now()) else { break };
            // Two events can't happen in the same millisecond. An event must not be visible before it happens.
            while let Ok(ahead) =
                u64::try_from(event.created_at().as_unix_millis() - clock.now().as_unix_millis())
                && ahead > 0
            {
                sleep(Duration::from_millis(ahead)).await;
            }
            // The bodies of a `Life` are always valid.
            let _ = self.emulator.record(&event);
            self.events.borrow_mut().push(event.clone());
            self.schedule.borrow_mut().add(event);
            self.changed.notify_waiters();
            count += 1;
        }
        self.schedule.borrow_mut().end();
        self.changed.notify_waiters();
    }
}
