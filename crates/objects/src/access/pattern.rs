//! Patterns with `*` and `?`, and variables of a policy in them.

/// A pattern over text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pattern(Vec<Token>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Token {
    One(char),
    AnyOne,
    AnyRun,
    /// `${name}`
    Variable(String),
}

impl Pattern {
    /// Reads a pattern, in which `${name}` may stand for a value of the request and `${*}`, `${?}`, `${$}` for themselves.
    pub(super) fn parse(text: &str, with_variables: bool) -> Self {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let variable =
                rest.strip_prefix("${").filter(|_| with_variables).and_then(|rest| rest.split_once('}'));
            if let Some((name, behind)) = variable {
                tokens.push(match name {
                    "*" | "?" | "$" => Token::One(name.chars().next().unwrap_or('$')),
                    name => Token::Variable(name.to_ascii_lowercase()),
                });
                rest = behind;
                continue;
            }
            tokens.push(match c {
                '*' => Token::AnyRun,
                '?' => Token::AnyOne,
                c => Token::One(c),
            });
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        Self(tokens)
    }

    /// Reads text that is compared as it is, but for variables.
    pub(super) fn exact(text: &str, with_variables: bool) -> Self {
        let tokens = Self::parse(text, with_variables).0.into_iter();
        Self(
            tokens
                .map(|token| match token {
                    Token::AnyRun => Token::One('*'),
                    Token::AnyOne => Token::One('?'),
                    token => token,
                })
                .collect(),
        )
    }

    /// Whether it is one text and no other.
    pub(super) fn is_fixed(&self) -> bool {
        self.0.iter().all(|token| matches!(token, Token::One(_)))
    }

    /// The names of its variables.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|token| match token {
            Token::Variable(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether the whole text fits. A variable that has no value fits nothing.
    pub(super) fn fits<'v>(
        &self,
        text: &str,
        value: &dyn Fn(&str) -> Option<std::borrow::Cow<'v, str>>,
    ) -> bool {
        let mut tokens = Vec::with_capacity(self.0.len());
        for token in &self.0 {
            match token {
                Token::Variable(name) => match value(name) {
                    Some(value) => tokens.extend(value.chars().map(Token::One)),
                    None => return false,
                },
                token => tokens.push(token.clone()),
            }
        }
        fits(&tokens, text)
    }
}

/// One pass, that goes back to the last `*` only: no pattern costs more than its length times the text's.
fn fits(tokens: &[Token], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut token) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while at < text.len() {
        let same = match tokens.get(token) {
            Some(Token::AnyRun) => {
                back = Some((token, at));
                token += 1;
                continue;
            }
            Some(Token::AnyOne) => true,
            Some(Token::One(c)) => text.get(at) == Some(c),
            Some(Token::Variable(_)) | None => false,
        };
        if same {
            (at, token) = (at + 1, token + 1);
        } else if let Some((run, from)) = back {
            back = Some((run, from + 1));
            (at, token) = (from + 1, run + 1);
        } else {
            return false;
        }
    }
    tokens.get(token..).is_none_or(|rest| rest.iter().all(|token| *token == Token::AnyRun))
}
