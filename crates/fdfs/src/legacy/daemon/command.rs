//! The arguments of a daemon.

/// What a daemon is called for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    Help,
    Version,
    Do { action: Action, config: String, in_foreground: bool },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    Start,
    Stop,
    Restart,
    Status,
}

/// Why the arguments make no sense, and the original's exit code for that.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    pub text: Option<String>,
    pub code: i32,
}

impl Command {
    /// Options may stand anywhere.
    pub fn parse(arguments: &[String]) -> Result<Self, Refusal> {
        if arguments.is_empty() {
            return Err(Refusal { text: None, code: 1 });
        }
        // As with the original these are no failure to the shell.
        let refused = |text| Refusal { text: Some(text), code: 0 };
        let (mut operands, mut in_foreground) = (Vec::new(), false);
        for argument in arguments {
            match argument.as_str() {
                "-h" | "--help" => return Ok(Self::Help),
                "-V" | "--version" => return Ok(Self::Version),
                "-N" | "--no-daemon" => in_foreground = true,
                option if option.starts_with('-') => {
                    return Err(refused(format!("\nError: unrecognized option: {option}")));
                }
                operand => operands.push(operand),
            }
        }
        let (config, action) = match operands[..] {
            [] => return Err(Refusal { text: None, code: 1 }),
            [config] => (config, Action::Start),
            [config, "start"] => (config, Action::Start),
            [config, "stop"] => (config, Action::Stop),
            [config, "restart"] => (config, Action::Restart),
            [config, "status"] => (config, Action::Status),
            [_, action] => return Err(Refusal { text: Some(format!("invalid action: {action}")), code: 22 }),
            _ => return Err(refused("\nError: too many arguments!".to_owned())),
        };
        Ok(Self::Do { action, config: config.to_owned(), in_foreground })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Command, Refusal> {
        Command::parse(&text.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_and_actions_are_those_of_the_original() {
        for (text, action, foreground) in [
            ("c.conf", Action::Start, false),
            ("c.conf start", Action::Start, false),
            ("-N c.conf", Action::Start, true),
            ("c.conf restart --no-daemon", Action::Restart, true),
            ("c.conf status", Action::Status, false),
            ("c.conf stop", Action::Stop, false),
        ] {
            let config = "c.conf".to_owned();
            assert_eq!(parse(text), Ok(Command::Do { action, config, in_foreground: foreground }), "{text}");
        }
        assert_eq!(parse("c.conf -V"), Ok(Command::Version));
        assert_eq!(parse("--help"), Ok(Command::Help));
    }

    #[test]
    fn exit_codes_of_wrong_arguments_are_those_of_the_original() {
        for (text, code) in [("", 1), ("-x c.conf", 0), ("c.conf start more", 0), ("c.conf begin", 22)] {
            assert_eq!(parse(text).map_err(|refusal| refusal.code), Err(code), "{text}");
        }
    }
}
