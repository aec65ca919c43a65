//! Lists over real sockets, against a sorted set of keys.

use std::collections::BTreeSet;

use bytes::Bytes;
use fdfs_objects::{CommitOptions, Kind, Preconditions, PutOptions};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Answer, Gateway, Signed, Wire};

/// Keys that fall into many directories, with every character that XML and URLs can carry.
fn key() -> impl Strategy<Value = String> {
    let names = prop_oneof![
        4 => "[ab]{0,2}",
        2 => prop::collection::vec(prop::char::range('\u{1}', '\u{7f}'), 0..3).prop_map(String::from_iter),
        1 => prop::collection::vec(any::<char>().prop_filter("no key holds a NUL", |c| *c != '\0'), 0..3)
            .prop_map(String::from_iter),
        1 => prop::sample::select(vec![".".to_owned(), "..".to_owned(), "s".repeat(300), "\u{e9}".repeat(127)]),
    ];
    prop::collection::vec(names, 1..5)
        .prop_map(|names| names.join("/"))
        .prop_filter("a key has 1 to 1,024 bytes", |key| (1..=1024).contains(&key.len()))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// All but what signatures leave as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn decoded(texts: Vec<String>) -> Vec<String> {
    texts.iter().map(|text| percent_decode_str(text).decode_utf8().unwrap().into_owned()).collect()
}

/// Keys, and common prefixes with a star behind them, of a page.
fn items(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut items = decoded(answer.elements("Key"));
    let inner = answer.elements("CommonPrefixes");
    let prefix = |text: &String| text.trim_start_matches("<Prefix>").trim_end_matches("</Prefix>").to_owned();
    items.extend(
        decoded(inner.iter().map(prefix).collect()).into_iter().map(|prefix| format!("{prefix}\u{0}*")),
    );
    items.sort();
    items
}

fn model(keys: &BTreeSet<String>, prefix: &str, delimiter: &str) -> Vec<String> {
    let mut items = BTreeSet::new();
    for key in keys.iter().filter(|key| key.starts_with(prefix)) {
        let rest = &key[prefix.len()..];
        let at = if delimiter.is_empty() { None } else { rest.find(delimiter) };
        items.insert(match at {
            Some(at) => format!("{}\u{0}*", &key[..prefix.len() + at + delimiter.len()]),
            None => key.clone(),
        });
    }
    items.into_iter().collect()
}

/// All pages of a list; `next` gives the question of the page after this one.
async fn pages(
    wire: &mut Wire,
    common: &str,
    mut question: Vec<(String, String)>,
    next: impl Fn(&Answer) -> Option<Vec<(&'static str, String)>>,
) -> Vec<String> {
    let mut all = Vec::new();
    for pair in common.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap();
        question.push((name.to_owned(), value.to_owned()));
    }
    let mut markers: Vec<(&str, String)> = Vec::new();
    loop {
        let mut pairs = question.clone();
        pairs.extend(markers.iter().map(|(name, value)| ((*name).to_owned(), encoded(value))));
        pairs.sort();
        let query: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = wire.send(Signed::new("GET", &format!("/pets?{}", query.join("&")))).await;
        all.extend(items(&answer));
        match next(&answer) {
            Some(next) => markers = next,
            None => return all,
        }
    }
}

/// What a mount shows below a directory, as keys.
async fn walk(gateway: &Gateway, directory: u64, path: String, found: &mut BTreeSet<String>) {
    let page = gateway.objects.read_directory(directory, None, 1_000).await.unwrap();
    assert!(page.next.is_none());
    for entry in page.entries {
        let path = format!("{path}{}", String::from_utf8(entry.name).unwrap());
        match entry.attributes.kind {
            Kind::Directory => {
                Box::pin(walk(gateway, entry.attributes.inode, format!("{path}/"), found)).await;
            }
            _ => {
                found.insert(path);
            }
        }
    }
}

/// What a mount shows of these keys: files under names that POSIX can have and no directory hides.
fn shown(keys: &BTreeSet<String>) -> BTreeSet<String> {
    let is_name = |name: &str| !matches!(name, "" | "." | "..") && name.len() <= 255;
    let hidden = |key: &String| keys.iter().any(|other| other.starts_with(&format!("{key}/")));
    keys.iter().filter(|key| key.split('/').all(is_name) && !hidden(key)).cloned().collect()
}

async fn check(keys: BTreeSet<String>, prefix: &str, delimiter: &str, page: usize, with_versions: bool) {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    if with_versions {
        gateway.objects.set_versioning("pets", fdfs_objects::Versioning::Enabled).await.unwrap();
    }
    for key in &keys {
        let mut writer = gateway.objects.writer("pets", key.as_bytes(), PutOptions::default()).await.unwrap();
        writer.write(Bytes::from_static(b"x")).await.unwrap();
        writer.commit(CommitOptions::default()).await.unwrap();
    }
    let expected = model(&keys, prefix, delimiter);
    let common = format!(
        "encoding-type=url&max-keys={page}&prefix={}&delimiter={}",
        encoded(prefix),
        encoded(delimiter)
    );
    let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let text = |answer: &Answer, name: &str| answer.element(name).filter(|text| !text.is_empty());
    let decode = |text: String| decoded(vec![text]).remove(0);

    let listed = pages(&mut wire, &common, pair("list-type", "2"), |answer| {
        text(answer, "NextContinuationToken").map(|token| vec![("continuation-token", token)])
    });
    assert_eq!(listed.await, expected, "v2 {prefix:?} {delimiter:?} {page}");
    let listed = pages(&mut wire, &common, Vec::new(), |answer| {
        let truncated = answer.element("IsTruncated").as_deref() == Some("true");
        let last_key = answer.elements("Key").pop();
        truncated.then(|| vec![("marker", decode(text(answer, "NextMarker").or(last_key).unwrap()))])
    });
    assert_eq!(listed.await, expected, "v1 {prefix:?} {delimiter:?} {page}");
    let listed = pages(&mut wire, &common, pair("versions", ""), |answer| {
        let key = text(answer, "NextKeyMarker").map(|key| ("key-marker", decode(key)));
        let id = text(answer, "NextVersionIdMarker").map(|id| ("version-id-marker", id));
        key.map(|key| [key].into_iter().chain(id).collect())
    });
    assert_eq!(listed.await, expected, "versions {prefix:?} {delimiter:?} {page}");

    let mut found = BTreeSet::new();
    let bucket = gateway.objects.bucket("pets").await.unwrap();
    walk(&gateway, bucket.root, String::new(), &mut found).await;
    assert_eq!(found, shown(&keys));
    drop(wire);
    gateway.shutdown(std::time::Duration::from_secs(1)).await;
}

#[test]
fn joined_pages_of_every_list_equal_the_sorted_keys_and_the_tree_agrees() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let question = (
        prop::collection::btree_set(key(), 1..30),
        prop_oneof![2 => Just(String::new()), 2 => "[ab]{0,1}/?", 1 => key()],
        prop::sample::select(vec!["", "/", "/", "a", "//", "b/", "\u{1}"]),
        1..8_usize,
        any::<bool>(),
    );
    let outcome = runner.run(&question, |(keys, prefix, delimiter, page, with_versions)| {
        runtime.block_on(check(keys, &prefix, delimiter, page, with_versions));
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn a_list_goes_on_though_what_it_ended_with_is_deleted() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    for number in 0..10 {
        let put = Signed::new("PUT", &format!("/pets/d{number}/k")).body("x");
        assert_eq!(wire.send(put).await.status, 200);
    }
    let mut left: BTreeSet<String> = (0..10).map(|number| format!("d{number}/k")).collect();
    let mut target = "/pets?list-type=2&max-keys=3".to_owned();
    loop {
        let answer = wire.send(Signed::new("GET", &target)).await;
        let mut doomed = answer.elements("Key");
        assert!(doomed.iter().all(|key| left.remove(key)), "{doomed:?} {left:?}");
        // The key that the next page would begin with goes, too.
        doomed.extend(left.pop_first());
        for key in &doomed {
            gateway.objects.delete("pets", key.as_bytes(), Preconditions::default()).await.unwrap();
        }
        let Some(token) = answer.element("NextContinuationToken") else { break };
        target = format!("/pets?continuation-token={}&list-type=2&max-keys=3", encoded(&token));
    }
    assert!(left.is_empty());
}
