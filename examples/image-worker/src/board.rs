//! Progress bars: one for each picture, and one for all. Where there is no terminal, a line for each picture that is finished.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use lightbus::{TaskError, TaskHandle};
use serde::de::DeserializeOwned;

use crate::look::Look;

/// A task is so long on a bar.
const TASK: u64 = 1000;

pub(crate) struct Board {
    look: Look,
    bars: MultiProgress,
    all: ProgressBar,
}

impl Board {
    pub(crate) fn new(look: Look) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let all = bars.add(ProgressBar::new(0));
        all.set_style(style(look, "{pos} of {len} tasks"));
        all.set_prefix("all of them");
        Self { look, bars, all }
    }

    /// A bar for a picture of which so many tasks are made.
    pub(crate) fn row(&self, name: &str, tasks: u64) -> Row {
        let bar = ProgressBar::new(tasks * TASK);
        let bar = self.bars.insert_before(&self.all, bar);
        bar.set_style(style(self.look, "{msg}"));
        bar.set_prefix(name.to_owned());
        bar.set_message("arrives");
        self.all.inc_length(tasks);
        Row {
            look: self.look,
            bar,
            all: self.all.clone(),
        }
    }

    pub(crate) fn end(self) {
        self.all.finish();
        if !self.all.is_hidden() {
            // The bars leave the cursor behind the last one.
            println!();
        }
    }
}

fn style(look: Look, text: &str) -> ProgressStyle {
    let colour = if look.has_colours() { ".cyan/dim" } else { "" };
    let template = format!("   {{prefix:<11}} {{bar:24{colour}}} {text}");
    let style = ProgressStyle::with_template(&template);
    style
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}

pub(crate) struct Row {
    look: Look,
    bar: ProgressBar,
    all: ProgressBar,
}

impl Row {
    /// Waits for a task, and shows meanwhile how far its worker is, in whichever process.
    pub(crate) async fn follow<T, E>(&self, task: &TaskHandle<T, E>) -> Result<T, TaskError<E>>
    where
        T: DeserializeOwned + 'static,
        E: 'static,
    {
        let (mut updates, mut shown) = (task.progress(), 0);
        while let Some(progress) = updates.next().await {
            self.bar.set_message(progress.text);
            shown = self.advance(shown, (progress.part * TASK as f64) as u64);
        }
        let value = task.result().await?;
        self.advance(shown, TASK);
        self.all.inc(1);
        Ok(value)
    }

    /// An attempt that begins anew takes nothing back.
    fn advance(&self, shown: u64, now: u64) -> u64 {
        self.bar.inc(now.saturating_sub(shown));
        now.max(shown)
    }

    pub(crate) fn finish(self, text: String) {
        if self.bar.is_hidden() {
            self.look.tell(&self.bar.prefix(), &text);
        }
        self.bar.finish_with_message(text);
    }
}
