//! Tests of [`RemoteFilename`].

use proptest::prelude::*;

use super::{FileKind, ParseRemoteFilenameError as Error, RemoteFilename, Subdir};

const NORMAL: &str = "M01/0A/07/fwAAAmsCeAWAUa5zAAAACw1KEYU831.txt";

fn parse(text: &str) -> Result<RemoteFilename, Error> {
    text.parse()
}

#[test]
fn a_name_tells_its_place() {
    let name = parse(NORMAL).unwrap();
    assert_eq!(name.store_path(), 1);
    assert_eq!(name.subdir(), Subdir { high: 0x0A, low: 7 });
    assert_eq!(name.local_path(), "0A/07/fwAAAmsCeAWAUa5zAAAACw1KEYU831.txt");
    assert_eq!(name.base_name(), "fwAAAmsCeAWAUa5zAAAACw1KEYU831.txt");
    assert_eq!(name.tail(), "831.txt");
}

#[test]
fn a_name_without_a_store_path_lies_on_path_0() {
    let name = parse(&NORMAL[4..]).unwrap();
    assert_eq!(name.store_path(), 0);
    assert_eq!(name.local_path(), &NORMAL[4..]);
    assert_eq!(name.kind(), Ok(FileKind::Normal));
}

#[test]
fn no_name_leaves_its_directory() {
    for text in [
        "M00/00/00/../../../../etc/passwd",
        "M00/00/00/a/b",
        "M00/00/00/..",
        "M00/00/00/.",
        "M00/00/00/fwAA\0junk",
        "M00/00/00/a\nb",
    ] {
        assert!(matches!(parse(text), Err(Error::BadName | Error::BadSubdir)), "{text:?}");
    }
    assert_eq!(parse("../../../etc/passwd"), Err(Error::BadSubdir));
}

#[test]
fn digits_are_exactly_upper_case_hex() {
    for text in ["M0G/00/00/x", "M 1/00/00/x", "M+1/00/00/x", "M0a/00/00/x", "M00-00/00/xx"] {
        assert_eq!(parse(text), Err(Error::BadStorePath), "{text}");
    }
    for text in ["M00/0a/00/x", "M00/00/0/xx", "m01/00/01/x", "M00/0000/xxxx"] {
        assert_eq!(parse(text), Err(Error::BadSubdir), "{text}");
    }
}

#[test]
fn length_has_two_ends() {
    assert_eq!(parse("M00/00/00/"), Err(Error::TooShort { len: 10 }));
    let longest = format!("M00/00/00/{}", "x".repeat(117));
    assert!(parse(&longest).is_ok());
    assert_eq!(parse(&format!("{longest}x")), Err(Error::TooLong { len: 128 }));
}

proptest! {
    #[test]
    fn any_text_parses_or_not_and_what_parses_can_be_asked(text in "M?[0-9A-G]{0,2}/?[0-9A-G/]{0,8}.{0,70}") {
        if let Ok(name) = parse(&text) {
            prop_assert_eq!(name.as_str(), &text);
            let _ = (name.kind(), name.fields(), name.trunk_part(), name.tail(), name.subdir());
            prop_assert!(!name.base_name().contains('/'));
        }
    }
}
