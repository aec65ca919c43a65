//! The text of an event: message, fields, and the fields of its spans, on one line.

use std::fmt::{self, Write};

use fdfs_conf::LogLevel;
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};

/// Collects the fields of an event or span as text.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) message: String,
    /// ` key=value` for each.
    pub(crate) rest: String,
    /// A level that `tracing` does not have, from a field named `severity`.
    pub(crate) severity: Option<LogLevel>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => push(&mut self.message, format_args!("{value}")),
            "severity" => self.severity = value.parse().ok(),
            name if value.is_empty() || value.contains([' ', '"', '=']) => {
                push(&mut self.rest, format_args!(" {name}={value:?}"));
            }
            name => push(&mut self.rest, format_args!(" {name}={value}")),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        push(&mut self.rest, format_args!(" {}={value}", field.name()));
        let mut source = value.source();
        while let Some(error) = source {
            push(&mut self.rest, format_args!(": {error}"));
            source = error.source();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => push(&mut self.message, format_args!("{value:?}")),
            "severity" => self.severity = format!("{value:?}").trim_matches('"').parse().ok(),
            name => push(&mut self.rest, format_args!(" {name}={value:?}")),
        }
    }
}

/// The level of an event without a `severity`.
pub(crate) fn level(metadata: &Metadata<'_>) -> LogLevel {
    match *metadata.level() {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warning,
        Level::INFO => LogLevel::Info,
        _ => LogLevel::Debug,
    }
}

/// The level of `tracing` up to which events can matter.
pub(crate) fn tracing_level(level: LogLevel) -> Level {
    match level {
        LogLevel::Emerg | LogLevel::Alert | LogLevel::Crit | LogLevel::Error => Level::ERROR,
        LogLevel::Warning => Level::WARN,
        LogLevel::Notice | LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
    }
}

fn push(text: &mut String, value: fmt::Arguments<'_>) {
    OneLine(text).write_fmt(value).unwrap_or_else(|_| text.push_str("(not shown)"));
}

/// Escapes what would end or garble a line: a peer's text may not forge others.
struct OneLine<'a>(&'a mut String);

impl Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Most texts are plain, and every request has one.
        let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if is_plain || !text.contains(char::is_control) {
            self.0.push_str(text);
            return Ok(());
        }
        for c in text.chars() {
            if c.is_control() {
                self.0.extend(c.escape_default());
            } else {
                self.0.push(c);
            }
        }
        Ok(())
    }
}
