//! Shows the progress on stderr.

use std::{io::IsTerminal as _, time::Duration};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::{queue::Queue, settings::Settings};
use crate::output::complain;

/// A bar and a line that are redrawn if stderr is a terminal; otherwise a new line every two seconds.
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
            // The template is a constant, and valid.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar
        });
        Self { bar, begin: Instant::now() }
    }

    /// The time between two calls of [`show`](Self::show).
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
            None => complain(format!("{} events  {line}", HumanCount(queue.settled()))),
        }
    }

    /// Draws the bar once more and leaves it on the screen.
    pub(super) fn end(&self, queue: &Queue) {
        if let Some(bar) = &self.bar {
            self.show(queue);
            bar.abandon();
        }
    }

    fn line(&self, queue: &Queue) -> String {
        let stats = &queue.stats;
        let mut line = format!(
            "{}/s  {}  p50 {:.1?}  p99 {:.1?}",
            stats.rate(self.begin.elapsed()),
            stats.answers(),
            stats.latency(50.0),
            stats.latency(99.0)
        );
        if stats.retries > 0 || queue.waiting() > 0 {
            let retries = HumanCount(stats.retries);
            line.push_str(&format!("  retries {retries} ({} waiting)", queue.waiting()));
        }
        line
    }
}
