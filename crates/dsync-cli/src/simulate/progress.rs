//! How it goes, while it goes.

use std::{io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::{engine::Settings, queue::Queue, stats::grouped};
use crate::output::complain;

/// On a terminal, a bar and a line that are drawn again and again; otherwise a line now and then. On stderr.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    begin: Instant,
}

impl Progress {
    pub(super) fn new(settings: &Settings) -> Self {
        let to = settings.network.endpoint();
        complain(format!("seed {}, to {to}", settings.seed));
        let terminal = std::io::stderr().is_terminal();
        let bar = terminal.then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(settings.events), ProgressDrawTarget::stderr());
            let template =
                "{elapsed:>4} {bar:40.cyan/blue} {human_pos}/{human_len} events\n{wide_msg}";
            // The template is a fixed one, and a good one.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar
        });
        Self { bar, begin: Instant::now() }
    }

    /// How often to show it.
    pub(super) fn period(&self) -> Duration {
        Duration::from_millis(if self.bar.is_some() { 100 } else { 2000 })
    }

    pub(super) fn show(&self, queue: &Queue) {
        let line = self.line(queue);
        match &self.bar {
            Some(bar) => {
                bar.set_message(line);
                bar.set_position(queue.settled());
            }
            None => complain(format!("{} events  {line}", grouped(queue.settled()))),
        }
    }

    /// Leaves the last picture where it is.
    pub(super) fn end(&self, queue: &Queue) {
        if let Some(bar) = &self.bar {
            self.show(queue);
            bar.abandon();
        }
    }

    fn line(&self, queue: &Queue) -> String {
        let stats = &queue.stats;
        let millis = self.begin.elapsed().as_millis().max(1);
        let rate = u64::try_from(u128::from(stats.attempts) * 1000 / millis).unwrap_or(u64::MAX);
        let mut line = format!(
            "{}/s  {}  p50 {}  p99 {}",
            grouped(rate),
            stats.answers(),
            stats.latency(50.0),
            stats.latency(99.0)
        );
        if stats.retries > 0 || queue.waiting() > 0 {
            line.push_str(&format!(
                "  retries {} ({} waiting)",
                grouped(stats.retries),
                queue.waiting()
            ));
        }
        line
    }
}
