//! Tests of the grammar.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<ConfFile, ConfError> {
    ConfFile::parse(Path::new("t.conf"), text.as_bytes())
}

fn read(files: &[(&str, &str)]) -> Result<ConfFile, ConfError> {
    let files: HashMap<_, _> = files.iter().map(|(path, text)| (Path::new(path), *text)).collect();
    ConfFile::read(Path::new("etc/main.conf"), &mut |path| match files.get(path) {
        Some(text) => Ok(text.as_bytes().to_vec()),
        None => Err(io::Error::from_raw_os_error(2)),
    })
}

fn value<'a>(file: &'a ConfFile, section: &str, key: &str) -> &'a str {
    &file.get(section, key).expect("the key is there").value
}

#[test]
fn keys_and_values_lose_their_outer_blanks_only() {
    let file = parse("\u{feff} port = 22122 \r\nname=a = b # c\n\tempty =\n;x = 1").expect("a file");
    assert_eq!(value(&file, "", "port"), "22122");
    assert_eq!(value(&file, "", "name"), "a = b # c");
    assert_eq!(value(&file, "", "empty"), "");
    assert_eq!(value(&file, "", ";x"), "1");
    assert!(file.get("", "Port").is_none());
}

#[test]
fn comments_may_be_in_any_encoding_but_keys_may_not() {
    assert!(ConfFile::parse(Path::new("t.conf"), b"# \xd6\xd0\xce\xc4\nport = 1\n").is_ok());
    for text in [&b"\nport = \xd6\xd0\n"[..], b"\nport = 1\x002\n"] {
        let error = ConfFile::parse(Path::new("t.conf"), text).expect_err("not text");
        assert!(error.to_string().starts_with("t.conf:2: "), "{error}");
        assert_eq!(error.errno(), 22);
    }
}

#[test]
fn sections_are_merged_and_an_empty_name_is_the_global_one() {
    let file = parse("a=1\n[ log ]\nb=2\n[]\nc=3\n[log]\nd=4\n").expect("a file");
    assert_eq!((value(&file, "", "a"), value(&file, "", "c")), ("1", "3"));
    assert_eq!((value(&file, "log", "b"), value(&file, "log", "d")), ("2", "4"));
    assert_eq!(file.sections().map(|(name, _)| name).collect::<Vec<_>>(), ["", "log"]);
}

#[test]
fn repeats_are_a_list_or_the_last_wins_with_a_warning() {
    let file = parse("tracker_server=a\nport=1\ntracker_server=b\nport=2\n").expect("a file");
    let trackers: Vec<_> = file.all("", "tracker_server").map(|entry| &*entry.value).collect();
    assert_eq!(trackers, ["a", "b"]);
    assert_eq!(value(&file, "", "port"), "2");
    let warnings: Vec<_> = file.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["t.conf:2: port is given again at t.conf:4"]);
}

#[test]
fn lines_that_mean_nothing_are_named() {
    let file = parse("port 22122\n[open\n").expect("a file");
    let warnings: Vec<_> = file.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "t.conf:1: the line \"port 22122\" is neither a key nor a section",
            "t.conf:2: the line \"[open\" is neither a key nor a section",
        ]
    );
}

#[test]
fn a_value_ends_after_255_bytes_with_a_warning() {
    let file = parse(&format!("k = {}é", "x".repeat(254))).expect("a file");
    assert_eq!(value(&file, "", "k").len(), 254);
    assert_eq!(file.warnings()[0].to_string(), "t.conf:1: the value of k is cut to 255 bytes");
}

#[test]
fn an_included_file_is_beside_the_including_one_and_ends_a_section() {
    let file = read(&[
        ("etc/main.conf", "a=1\n[s]\n#include sub/http.conf\nb=2\n"),
        ("etc/sub/http.conf", "c=3\n[t]\nd=4\n#include more.conf\n"),
        ("etc/sub/more.conf", "e=5\n"),
    ])
    .expect("files");
    for (section, key, text, place) in [
        ("", "a", "1", "etc/main.conf:1"),
        ("", "c", "3", "etc/sub/http.conf:1"),
        ("t", "d", "4", "etc/sub/http.conf:3"),
        ("", "e", "5", "etc/sub/more.conf:1"),
        ("", "b", "2", "etc/main.conf:4"),
    ] {
        let entry = file.get(section, key).expect(key);
        assert_eq!((&*entry.value, entry.place.to_string().as_str()), (text, place));
    }
}

#[test]
fn a_missing_file_is_named_with_the_line_that_asks_for_it() {
    let error = read(&[]).expect_err("no file");
    assert!(error.to_string().starts_with("cannot read etc/main.conf: "), "{error}");
    assert_eq!(error.errno(), 2);
    let error = read(&[("etc/main.conf", "\n#include x.conf\n")]).expect_err("no file");
    assert!(error.to_string().starts_with("etc/main.conf:2: cannot read etc/x.conf: "), "{error}");
}

#[test]
fn files_that_include_each_other_are_an_error() {
    let error = read(&[("etc/main.conf", "#include main.conf")]).expect_err("a circle");
    assert!(error.to_string().starts_with("etc/main.conf:1: #include of etc/main.conf"), "{error}");
}

#[test]
fn generator_features_are_errors_and_look_alikes_are_comments() {
    for line in
        ["#@set A=1", "#@if x in y", "#@else", "#@for i from 1", "#@function LOCAL_IP", "#include http://a/b"]
    {
        let error = parse(&format!("a=1\n{line}\n")).expect_err(line);
        let word = line.split(' ').next().expect("a word");
        assert!(error.to_string().starts_with(&format!("t.conf:2: {word}")), "{error}");
    }
    for line in ["##include http.conf", "# include http.conf", "#included", "#@author x", "#include"] {
        assert_eq!(parse(line).expect(line).sections().count(), 0);
    }
}

#[test]
fn truth_values_and_numbers_are_read_as_the_original_does() {
    let entry = |value: &str| Entry {
        key: "k".to_owned(),
        value: value.to_owned(),
        place: Place { file: Path::new("t").into(), line: 1 },
    };
    for value in ["true", "YES", "On", "1"] {
        assert!(entry(value).boolean(), "{value}");
    }
    for value in ["false", "0", "2", "", "true # really"] {
        assert!(!entry(value).boolean(), "{value}");
    }
    assert!(entry("true # really").is_odd_boolean() && !entry("Off").is_odd_boolean());
    for (value, number, odd) in [
        ("12", 12, false),
        ("-3", -3, false),
        ("+4", 4, false),
        ("5 # five", 5, true),
        ("five", 0, true),
        ("", 0, true),
        ("99999999999999999999", i64::MAX, false),
    ] {
        assert_eq!((entry(value).integer(), entry(value).is_odd_integer()), (number, odd), "{value}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = ConfFile::parse(Path::new("t.conf"), &bytes);
    }

    #[test]
    fn no_lines_make_the_parser_panic(lines in prop::collection::vec(
        "(#include|#@set|\\[|\\]|=|[a-z\u{e9} ]|#){0,40}", 0..20)) {
        let _ = parse(&lines.join("\n"));
    }
}
