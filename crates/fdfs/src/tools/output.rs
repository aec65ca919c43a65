//! What a tool prints, and its exit code.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use fdfs_client::ClientError;
use serde_json::{Value, json};

use super::progress::Progress;

/// What a tool prints, and how it went so far.
pub struct Output {
    is_json: bool,
    code: Code,
    /// Bars for long work.
    pub progress: Progress,
}

/// How it went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Code {
    Done = 0,
    Failed = 1,
    NotFound = 3,
    Unavailable = 4,
}

impl Output {
    pub fn new(is_json: bool) -> Self {
        Self { is_json, code: Code::Done, progress: Progress::default() }
    }

    /// Prints a result: as text, unless it is empty, or as a JSON object.
    pub fn result(&mut self, text: impl Display, json: &Value) {
        let line = if self.is_json { json.to_string() } else { text.to_string() };
        if line.is_empty() {
            return;
        }
        if let Err(error) = self.progress.suspended(|| writeln!(io::stdout(), "{line}")) {
            self.code = Code::Failed;
            // Whoever closed the pipe has read enough.
            if error.kind() != io::ErrorKind::BrokenPipe {
                eprintln!("fdfs: cannot write to standard output: {error}");
            }
        }
    }

    /// Tells of a failure, and what it is about. The first one decides the exit code.
    pub fn fail(&mut self, subject: Option<&str>, error: &anyhow::Error) {
        if self.code == Code::Done {
            self.code = Code::of(error);
        }
        let reason = sentence(error);
        if self.is_json {
            let line = json!({ "subject": subject, "error": reason });
            self.progress.suspended(|| {
                let _ = writeln!(io::stdout(), "{line}"); // standard error has it too
            });
        }
        self.progress.suspended(|| match subject {
            Some(subject) => eprintln!("fdfs: {subject}: {reason}"),
            None => eprintln!("fdfs: {reason}"),
        });
    }

    /// Prints a result, or tells of the failure.
    pub fn outcome<T>(
        &mut self,
        subject: &str,
        outcome: anyhow::Result<T>,
        show: impl FnOnce(T) -> (String, Value),
    ) {
        match outcome {
            Ok(value) => {
                let (text, json) = show(value);
                self.result(text, &json);
            }
            Err(error) => self.fail(Some(subject), &error),
        }
    }

    /// Tells something that is no failure.
    pub fn warn(&self, text: impl Display) {
        self.progress.suspended(|| eprintln!("fdfs: {text}"));
    }

    pub fn finish(self) -> ExitCode {
        ExitCode::from(self.code as u8)
    }
}

impl Code {
    fn of(error: &anyhow::Error) -> Self {
        match error.chain().find_map(|cause| cause.downcast_ref::<ClientError>()) {
            Some(ClientError::NotFound) => Self::NotFound,
            Some(error) if error.is_transient() => Self::Unavailable,
            _ => Self::Failed,
        }
    }
}

/// An error and its causes; what a text says already is not said again.
pub fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !sentence.contains(&cause) {
            sentence = format!("{sentence}: {cause}");
        }
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let error = anyhow::anyhow!("refused").context("connect failed: refused").context("upload");
        assert_eq!(sentence(&error), "upload: connect failed: refused");
    }

    #[test]
    fn the_exit_code_tells_what_a_script_decides_on() {
        let of = |error: ClientError| Code::of(&anyhow::Error::from(error).context("while"));
        assert_eq!(of(ClientError::NotFound), Code::NotFound);
        assert_eq!(of(ClientError::Timeout), Code::Unavailable);
        assert_eq!(of(ClientError::NoSpace), Code::Failed);
        assert_eq!(Code::of(&anyhow::anyhow!("x")), Code::Failed);
    }
}
