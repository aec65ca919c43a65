//! Names and addresses with ranges: `10.0.1.[1-15,20]`, `host[01-08].example`.

/// Expands every range of a pattern; nothing if a range cannot be understood or the result has more than
/// `limit` texts.
pub(crate) fn expand(pattern: &str, limit: usize) -> Option<Vec<String>> {
    let Some((head, rest)) = pattern.split_once('[') else {
        return (!pattern.contains(']')).then(|| vec![pattern.to_owned()]);
    };
    let (ranges, tail) = rest.split_once(']')?;
    let tails = expand(tail, limit)?;
    let mut texts = Vec::new();
    for range in ranges.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.trim(), last.trim());
        let width = if first.starts_with('0') { first.len() } else { 0 };
        let (first, last) = (number(first)?, number(last)?);
        if first > last || ((last - first) as usize) >= limit {
            return None;
        }
        for number in first..=last {
            if texts.len() + tails.len() > limit {
                return None;
            }
            texts.extend(tails.iter().map(|tail| format!("{head}{number:0width$}{tail}")));
        }
    }
    Some(texts)
}

fn number(text: &str) -> Option<u32> {
    let plain = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_expanded_and_leading_zeros_kept() {
        let expand = |text| expand(text, 100).map(|texts| texts.join(" "));
        assert_eq!(expand("10.0.1.[1-3,20]").as_deref(), Some("10.0.1.1 10.0.1.2 10.0.1.3 10.0.1.20"));
        assert_eq!(expand("h[08-10].d").as_deref(), Some("h08.d h09.d h10.d"));
        assert_eq!(expand("a[1-2]b[3-4]").as_deref(), Some("a1b3 a1b4 a2b3 a2b4"));
        assert_eq!(expand("plain").as_deref(), Some("plain"));
        for bad in ["h[", "h]", "h[]", "h[a-b]", "h[2-1]", "h[1-1000]", "h[0-99999999]", "h[-1]"] {
            assert_eq!(expand(bad), None, "{bad}");
        }
    }
}
