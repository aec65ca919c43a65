//! Times as S3 writes them: ISO 8601 in XML, HTTP dates in headers, basic format in signatures.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// `2013-05-24T00:00:00.000Z`, as XML carries it. Lists write it once for every key, so it is written by hand.
pub(crate) fn iso8601(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    for (at, width, number) in [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, second / 3_600),
        (14, 2, second / 60 % 60),
        (17, 2, second % 60),
        (20, 3, u64::from(since.subsec_millis())),
    ] {
        let mut rest = number;
        for digit in text[at..at + width].iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Year, month and day of a day since 1970, counted from the first of March of the year 0 as calendars do it: leap days come last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// `Fri, 24 May 2013 00:00:00 GMT`, as headers carry it.
pub(crate) fn http_date(time: SystemTime) -> String {
    httpdate::fmt_http_date(time)
}

/// Reads an HTTP date of any of the three forms.
pub(crate) fn parse_http_date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

/// Reads `20130524T000000Z`, as signatures carry it.
pub(crate) fn parse_basic(text: &str) -> Option<SystemTime> {
    let text = text.as_bytes();
    if text.len() != "20130524T000000Z".len() || text[8] != b'T' || text[15] != b'Z' {
        return None;
    }
    // Every request has such a time, so it is read by hand.
    let number = |at: usize, width: usize| {
        let digits = text[at..at + width].iter();
        digits.copied().try_fold(0, |number: i16, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i16::from(digit - b'0'))
        })
    };
    let two = |at| number(at, 2).and_then(|number| i8::try_from(number).ok());
    let date = DateTime::new(number(0, 4)?, two(4)?, two(6)?, two(9)?, two(11)?, two(13)?, 0).ok()?;
    let zoned = date.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp().into())
}

/// Reads a time as XML carries it, with or without parts of a second, or a date: milliseconds since 1970.
pub(crate) fn parse_iso8601(text: &str) -> Option<u64> {
    let of_date =
        || text.parse::<jiff::civil::Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp());
    let timestamp = text.parse::<Timestamp>().ok().or_else(of_date)?;
    u64::try_from(timestamp.as_millisecond()).ok()
}

/// `20130524T000000Z`.
pub(crate) fn basic(time: SystemTime) -> String {
    timestamp(time).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The time this many milliseconds after 1970.
pub(crate) fn of_millis(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// The time this many nanoseconds after 1970; times before are taken for 1970.
pub(crate) fn of_nanos(nanos: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
}

/// The distance of two times, whichever is first.
pub(crate) fn distance(a: SystemTime, b: SystemTime) -> Duration {
    a.duration_since(b).unwrap_or_else(|earlier| earlier.duration())
}

fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_leap_years_and_centuries_have_their_dates() {
        let expected = |seconds: u64| {
            let time = Timestamp::from_millisecond(i64::try_from(seconds * 1_000 + 7).unwrap()).unwrap();
            time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
        };
        // Every hour of a day that moves through 180 years.
        for step in 0..24 * 66_000_u64 / 5 {
            let seconds = step * 5 * 3_600 + step % 3_600;
            assert_eq!(iso8601(of_millis(seconds * 1_000 + 7)), expected(seconds));
        }
    }

    #[test]
    fn the_three_forms_name_one_moment() {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(1_369_353_600_000);

        assert_eq!(iso8601(moment), "2013-05-24T00:00:00.000Z");
        assert_eq!(http_date(moment), "Fri, 24 May 2013 00:00:00 GMT");
        assert_eq!(basic(moment), "20130524T000000Z");
        assert_eq!(parse_basic("20130524T000000Z"), Some(moment));
        assert_eq!(parse_http_date("Fri, 24 May 2013 00:00:00 GMT"), Some(moment));
    }

    #[test]
    fn other_texts_are_no_date() {
        for text in
            ["", "20130524", "20131324T000000Z", "2013-05-24T00:00", "20130524T000000+", "20130524T000000ZZ"]
        {
            assert_eq!(parse_basic(text), None, "{text}");
        }
    }
}
