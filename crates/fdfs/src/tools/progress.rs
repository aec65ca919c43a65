//! Bars for long work, on a terminal only.

use std::io::{self, IsTerminal as _};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The bars of one run.
#[derive(Clone)]
pub struct Progress {
    bars: MultiProgress,
    is_shown: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self { bars: MultiProgress::new(), is_shown: io::stderr().is_terminal() }
    }
}

impl Progress {
    /// A bar for content of this length, if it is long or unknown; else one that is not shown.
    pub fn bar(&self, name: &str, length: Option<u64>) -> ProgressBar {
        if !self.is_shown || length.is_some_and(|length| length < LONG) {
            return ProgressBar::hidden();
        }
        let (bar, template) = match length {
            Some(length) => (ProgressBar::new(length), WITH_END),
            None => (ProgressBar::new_spinner(), WITHOUT_END),
        };
        let style = ProgressStyle::with_template(template).expect("the template is well formed");
        self.bars.add(bar).with_style(style).with_message(name.to_owned())
    }

    /// Runs what prints while no bar is on the screen.
    pub fn suspended<T>(&self, print: impl FnOnce() -> T) -> T {
        if self.is_shown { self.bars.suspend(print) } else { print() }
    }
}

/// Content from this length on is worth a bar.
const LONG: u64 = 8 << 20;

const WITH_END: &str = "{msg:.bold} {wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}";
const WITHOUT_END: &str = "{msg:.bold} {spinner} {bytes} {binary_bytes_per_sec}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_content_has_no_bar_and_templates_are_well_formed() {
        let progress = Progress { is_shown: true, ..Progress::default() };
        assert!(progress.bar("short", Some(LONG - 1)).is_hidden());
        for length in [Some(LONG), None] {
            assert_eq!(progress.bar("long", length).message(), "long");
        }
    }
}
