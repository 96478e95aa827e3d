//! The metrics that the crates describe.

use std::{collections::BTreeSet, sync::Mutex};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};

#[derive(Default)]
pub(crate) struct Described {
    pub(crate) counters: BTreeSet<String>,
    pub(crate) gauges: BTreeSet<String>,
    pub(crate) histograms: BTreeSet<String>,
}

impl Described {
    pub(crate) fn all(&self) -> BTreeSet<&str> {
        let all = [&self.counters, &self.gauges, &self.histograms];
        all.into_iter().flatten().map(String::as_str).collect()
    }
}

/// What the `describe` functions of the three crates describe.
pub(crate) fn described() -> Described {
    let collector = Collector::default();
    with_local_recorder(&collector, || {
        tower_workos::metrics::describe();
        tower_workos_mirror::metrics::describe();
        tower_workos_inbox::metrics::describe();
    });
    let described = collector.0.into_inner().unwrap();
    assert!(described.all().len() >= 19);
    described
}

#[derive(Default)]
struct Collector(Mutex<Described>);

impl Recorder for Collector {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.0.lock().unwrap().counters.insert(key.as_str().to_owned());
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.0.lock().unwrap().gauges.insert(key.as_str().to_owned());
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.0.lock().unwrap().histograms.insert(key.as_str().to_owned());
    }

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
