//! Tokens as the original makes and reads them.

use std::time::Duration;

use fdfs_conf::NativeHttpConfig;
use fdfs_conf::{ConfFile, Configuration as _};

use super::*;

const ID: &str = "M00/00/00/wKgBh1Xtr9-AeTfWAAVFOL7FJU4.tar.gz";
const KEY: &str = "FastDFS1234567890";

fn check_with(key: &str) -> TokenCheck {
    let text = format!(
        "http.anti_steal.check_token = true\nhttp.anti_steal.token_ttl = 900\n\
         http.anti_steal.secret_key = {key}\nanti_steal_bypass_header_name = X-Inner\n\
         anti_steal_bypass_header_value = yes\n"
    );
    let file = ConfFile::parse("http.conf".as_ref(), text.as_bytes()).unwrap();
    TokenCheck::new(NativeHttpConfig::from_file(&file).unwrap().config.token.unwrap())
}

#[test]
fn tokens_are_those_of_the_original() {
    let jpg = "M00/00/00/wKgBz1shMB2Abls1AABHO7x65CM887.jpg";
    let slave = "M01/1A/FF/wKgBz1shMB2Abls1AABHO7x65CM887_150x150.jpg";
    for (name, key, ts, token) in [
        (ID, KEY, 1_441_637_343, "45b8e8bd89b91701f96448ca02c4ca89"),
        (ID, KEY, 0, "5419335f3fe88e82ee5f316a0de26f7b"),
        (ID, KEY, 1, "7808f6850afeb022e7d2ff25399ee8f9"),
        (ID, KEY, -5, "7d2678135414d10ceeefe98d3998968e"),
        (ID, KEY, 2_147_483_647, "9f0fe73f015ebd0f146d66b619872237"),
        (ID, KEY, -2_147_483_648, "dbcc735642110e1ee94cf6e414d8b38e"),
        (ID, KEY, 4_294_967_296, "adb5719ce1a233bce8835b26176e5655"),
        (ID, KEY, 99_999_999_999, "cf14d4c02abf6afd091954c96876a4bf"),
        (jpg, KEY, 1_529_026_589, "c0fbc1a66c2218b9406c6aeb43877523"),
        (slave, KEY, 1_700_000_000, "8bbf272e5e01845c61bd546764058ce9"),
        (jpg, "k", 1_529_026_589, "3a33845b40fa805e1742ad433d2cb015"),
        (jpg, "", 1_529_026_589, "27caaeeacfd81d332314175c4a890fa6"),
        (ID, &"s".repeat(128), 1_441_637_343, "175b7399772f4c8082b3ab9a92d49132"),
        (ID, &"s".repeat(264), 1_441_637_343, "3d6ee8c4b4b96246bac1d87af49720e1"),
    ] {
        assert_eq!(token_of(name, key, ts), token, "{name} {key} {ts}");
    }
}

#[test]
fn a_token_holds_for_its_time_inclusive() {
    let check = check_with(KEY);
    let now = Timestamp(1_800_000_000);
    let ask = |ts: i32| check.check_token(ID, &token_of(ID, KEY, ts.into()), ts, now);
    let ts = i32::try_from(now.0).unwrap();
    for valid in [ts, ts - 899, ts - 900, ts + 100, ts + 1_000_000] {
        assert_eq!(ask(valid), Ok(Granted::Until(Timestamp(i64::from(valid) + 900))));
    }
    assert_eq!(ask(0), Ok(Granted::Forever));
    for expired in [ts - 901, ts - 1000, 1, -5] {
        assert_eq!(ask(expired), Err(TokenError::Expired));
    }
    assert_eq!(check.check_token(ID, "abc", 1, now), Err(TokenError::Malformed), "length is looked at first");
    assert_eq!(check.check_token(ID, "6419335f3fe88e82ee5f316a0de26f7b", 0, now), Err(TokenError::Wrong));
    let upper = token_of(ID, KEY, 0).to_uppercase();
    assert_eq!(check.check_token(ID, &upper, 0, now), Err(TokenError::Wrong));
    let with_group = token_of(&format!("group1/{ID}"), KEY, 0);
    assert_eq!(check.check_token(ID, &with_group, 0, now), Err(TokenError::Wrong));
}

#[test]
fn a_key_that_is_too_long_for_a_name_lets_nobody_in() {
    let mut settings = check_with(KEY).settings;
    for (length, result) in [(264, Ok(Granted::Forever)), (265, Err(TokenError::Wrong))] {
        settings.secret.secret_key = "s".repeat(length);
        let token = token_of(ID, &settings.secret.secret_key, 0);
        let check = TokenCheck::new(settings.clone());
        assert_eq!(check.check_token(ID, &token, 0, Timestamp(5)), result, "{length}");
    }
    assert_eq!(settings.secret.token_ttl, Duration::from_secs(900));
}

#[test]
fn times_are_read_as_the_original_reads_them() {
    for (text, time) in [
        ("12", 12),
        (" +12x", 12),
        ("-5", -5),
        ("", 0),
        ("x", 0),
        ("4294967296", 0),
        ("2147483648", i32::MIN),
        ("007", 7),
    ] {
        assert_eq!(read_time(text), time, "{text:?}");
    }
}

#[test]
fn the_configured_header_needs_no_token_and_another_value_does() {
    let check = check_with(KEY);
    let ask = |value: &'static str| {
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static("x-inner"),
            http::HeaderValue::from_static(value),
        )]);
        check.check(ID, &Query::default(), &headers, Timestamp(5))
    };
    assert_eq!(ask("yes"), Ok(Granted::Forever));
    assert_eq!(ask("no"), Err(TokenError::Missing));
    assert_eq!(check.check(ID, &Query::default(), &HeaderMap::new(), Timestamp(5)), Err(TokenError::Missing));
}
