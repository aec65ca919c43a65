//! Figures in words.

use fdfs_types::Timestamp;
use jiff::tz::TimeZone;

/// A number of bytes, with one decimal where it is small for its unit.
pub fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && value < 9.95);
    format!("{value:.decimals$} {}", UNITS[unit])
}

/// A time in the zone of this machine; `never` for zero.
pub fn time(time: Timestamp) -> String {
    if time == Timestamp::ZERO { "never".to_owned() } else { local_time(time) }
}

/// A time in the zone of this machine, as the logs have it.
pub fn local_time(time: Timestamp) -> String {
    match jiff::Timestamp::from_second(time.0) {
        Ok(time) => time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => time.to_string(),
    }
}

/// A time for programs: RFC 3339; nothing for zero.
pub fn json_time(time: Timestamp) -> Option<String> {
    let time = jiff::Timestamp::from_second(time.0).ok().filter(|_| time != Timestamp::ZERO);
    time.map(|time| time.to_string())
}

const UNITS: [&str; 6] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let cases = [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (10 << 20, "10 MiB"),
            (u64::MAX, "16384 PiB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn no_time_is_never() {
        assert_eq!(time(Timestamp::ZERO), "never");
        assert_eq!(json_time(Timestamp::ZERO), None);
        assert_eq!(json_time(Timestamp(1)).as_deref(), Some("1970-01-01T00:00:01Z"));
    }
}
