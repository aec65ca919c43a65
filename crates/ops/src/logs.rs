//! The log of a process, in the original's line format: `[YYYY-MM-DD HH:MM:SS] LEVEL - text`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use fdfs_conf::{LogLevel, LogSettings};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use thiserror::Error;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry};

use crate::LogFile;
use crate::line_clock::LineClock;
use crate::text_format::{Fields, level, tracing_level};

/// Where a process logs, and what.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// The least grave level that is logged.
    pub level: LogLevel,
    /// The log file, for example `logs/storaged.log` below the base path.
    pub file: Option<(PathBuf, LogSettings)>,
    /// Log to stderr, too: a daemon in the foreground.
    pub stderr: bool,
}

/// Why there is no log.
#[derive(Debug, Error)]
pub enum LogError {
    /// The log file cannot be opened.
    #[error("cannot open the log file {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What opening it answered.
        #[source]
        source: io::Error,
    },
    /// The process logs already.
    #[error("the log is set up twice")]
    Twice(#[from] TryInitError),
}

impl LogOptions {
    /// Sends the events of the whole process to the log, from now on.
    ///
    /// Every event of ours counts by [`Self::level`], those of other libraries from warnings on. A field
    /// `severity` (`"notice"`, `"crit"`, `"alert"`, `"emerg"`) names a level that `tracing` lacks.
    /// Each line is in the file when the call that logs it returns.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or the process has a log.
    pub fn install(&self) -> Result<(), LogError> {
        Ok(self.subscriber()?.try_init()?)
    }

    fn subscriber(&self) -> Result<impl Subscriber + Send + Sync + 'static + use<>, LogError> {
        let file = self.file.as_ref().map(|(path, settings)| {
            LogFile::open(path, settings, true)
                .map_err(|source| LogError::File { path: path.clone(), source })
        });
        let layer = TextLayer {
            level: self.level,
            file: file.transpose()?,
            stderr: self.stderr.then(|| Mutex::new(LineClock::new(TimeZone::system()))),
        };
        let ours = tracing_level(self.level);
        let filter = Targets::new().with_default(ours.min(Level::WARN)).with_target("fdfs", ours);
        // A filter of the whole, not of the layer: those are asked again for every span.
        Ok(Registry::default().with(layer).with(filter))
    }
}

/// Writes events as lines.
struct TextLayer {
    level: LogLevel,
    file: Option<Arc<LogFile>>,
    stderr: Option<Mutex<LineClock>>,
}

/// The fields of a span, as they stand in a line.
struct SpanText(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TextLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(SpanText(fields.rest));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(text) = span.extensions_mut().get_mut::<SpanText>() {
            text.0.push_str(&fields.rest);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = fields.severity.unwrap_or_else(|| level(event.metadata()));
        if level > self.level {
            return;
        }
        let mut text = format!("{level} - {}{}", fields.message, fields.rest);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(SpanText(fields)) = span.extensions().get()
                && !fields.is_empty()
            {
                let _ = write!(text, " | {}{fields}", span.name());
            }
        }
        self.write(&text);
    }
}

impl TextLayer {
    fn write(&self, text: &str) {
        let now = Timestamp::now();
        if let Some(file) = &self.file {
            file.append(now, |stamp, buffer| {
                for part in ["[", stamp, "] ", text, "\n"] {
                    buffer.extend_from_slice(part.as_bytes());
                }
            });
        }
        if let Some(clock) = &self.stderr {
            let line = format!("[{}] {text}\n", clock.lock().text(now));
            let _ = io::stderr().write_all(line.as_bytes()); // nobody to tell
        }
    }
}

#[cfg(test)]
mod tests;
