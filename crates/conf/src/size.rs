//! Sizes in bytes: `1024`, `64KB`, `20 G`.

use thiserror::Error;

/// Reads a number of bytes: an integer, blanks, a unit `K`, `M`, `G` or `T` in any case, a `B`.
///
/// # Errors
///
/// The text has another form, or the size does not fit 64 bits.
pub fn parse_size(text: &str) -> Result<u64, ParseSizeError> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start().to_ascii_uppercase();
    let shift = match unit.strip_suffix('B').unwrap_or(&unit) {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(ParseSizeError::Form),
    };
    if number.is_empty() {
        return Err(ParseSizeError::Form);
    }
    let number: u64 = number.parse().map_err(|_| ParseSizeError::TooLarge)?;
    number.checked_mul(1 << shift).ok_or(ParseSizeError::TooLarge)
}

/// Why a text is not a size.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseSizeError {
    /// The text has another form.
    #[error("a size is a number with an optional unit K, M, G or T, for example 64MB")]
    Form,
    /// The size does not fit 64 bits.
    #[error("the size is larger than 64 bits can hold")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_count_in_powers_of_1024_in_any_case() {
        for (text, size) in [
            ("0", 0),
            ("256", 256),
            ("256B", 256),
            ("64KB", 65_536),
            ("8k", 8_192),
            ("1MB", 1_048_576),
            ("64 mb", 67_108_864),
            ("20G", 21_474_836_480),
            (" 2 T ", 2_199_023_255_552),
        ] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_sizes() {
        for text in ["", "MB", "-1", "1.5G", "1X", "1 2", "1MBB", "1GiB", "4é"] {
            assert_eq!(parse_size(text), Err(ParseSizeError::Form), "{text}");
        }
        for text in ["99999999999999999999", "17179869184G"] {
            assert_eq!(parse_size(text), Err(ParseSizeError::TooLarge), "{text}");
        }
    }
}
