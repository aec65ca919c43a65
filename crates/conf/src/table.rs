//! What is done with each key of a file.

use crate::{ConfFile, Warning, WarningKind};

/// What is done with one key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Handling {
    /// It has the effect that it has in the original, or a stronger one.
    Honoured,
    /// It tunes the inside of the original; nothing is lost without it.
    Ignored(&'static str),
    /// It asks for something that is not done here.
    NotHonoured(&'static str),
}

/// The keys of one section, as patterns: `N` in angle brackets stands for a number, `*` at the end for
/// anything. The first that fits decides.
pub(crate) type KeyTable = &'static [(&'static str, Handling)];

/// The sections of one kind of file, by the same patterns; the global one is named "".
pub(crate) type SectionTable = &'static [(&'static str, KeyTable)];

/// Names each key without effect once, with the line that counts.
pub(crate) fn warnings(file: &ConfFile, sections: SectionTable) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for (name, section) in file.sections() {
        let Some((_, table)) = sections.iter().find(|(known, _)| fits(known, name)) else {
            let (place, key) = (section.place().clone(), format!("[{name}]"));
            warnings.push(Warning { place, key, kind: WarningKind::UnknownSection });
            continue;
        };
        for (index, entry) in section.entries().iter().enumerate() {
            if section.entries()[..index].iter().any(|earlier| earlier.key == entry.key) {
                continue;
            }
            let kind = match handling(table, &entry.key) {
                Some(Handling::Honoured) => continue,
                Some(Handling::Ignored(reason)) => WarningKind::Ignored { reason },
                // Switched off or empty: nothing is asked for.
                Some(Handling::NotHonoured(reason)) if entry.is_off() => WarningKind::Ignored { reason },
                Some(Handling::NotHonoured(reason)) => WarningKind::NotHonoured { reason },
                None => WarningKind::Unknown,
            };
            warnings.push(Warning { place: entry.place.clone(), key: entry.key.clone(), kind });
        }
    }
    warnings
}

/// What a table says about a key.
pub(crate) fn handling(table: KeyTable, key: &str) -> Option<Handling> {
    table.iter().find(|(pattern, _)| fits(pattern, key)).map(|(_, handling)| *handling)
}

/// Puts tables together.
pub(crate) const fn concat<const N: usize>(tables: &[KeyTable]) -> [(&'static str, Handling); N] {
    let mut all = [("", Handling::Honoured); N];
    let (mut at, mut table) = (0, 0);
    while table < tables.len() {
        let mut key = 0;
        while key < tables[table].len() {
            all[at] = tables[table][key];
            at += 1;
            key += 1;
        }
        table += 1;
    }
    all
}

fn fits(pattern: &str, key: &str) -> bool {
    if let Some((head, tail)) = pattern.split_once("<N>") {
        return key
            .strip_prefix(head)
            .and_then(|rest| rest.strip_suffix(tail))
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
    }
    match pattern.strip_suffix('*') {
        Some(head) => key.starts_with(head),
        None => key == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_numbers_and_tails() {
        assert!(fits("port", "port") && !fits("port", "ports"));
        assert!(fits("store_path<N>", "store_path12") && !fits("store_path<N>", "store_path"));
        assert!(fits("store_path<N>_readonly", "store_path0_readonly"));
        assert!(!fits("store_path<N>", "store_path0_readonly"));
        assert!(fits("http.*", "http.server_port") && !fits("http.*", "https"));
    }
}
