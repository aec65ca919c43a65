//! Replays the recorded requests: what the original's module answered is answered here, or what `ours` says.
//!
//! The pairs were recorded on a site of five hosts (`tests/vectors/http-fixtures.*`), which is built here from their trees:
//! each host serves its own disk, and asks the others as members do. Where the tutorials have front servers, there is our
//! front.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fronts;
mod pair;
mod peer;
mod site;
mod trunk;

use pair::{ONE_MAP, Pair};
use site::Site;

/// What is not answered as recorded though the pair itself does not say so: the status, and the part of the contract that
/// says it for all pairs of a kind.
const OTHERWISE: &[(&str, u16, &str)] = &[
    ("tutorial-storage/M01", 200, "13.1: every store path is served, not M00 alone"),
    ("tutorial-storage/other", 400, "3: what is no native path is told so"),
    ("tutorial-storage/503page", 400, "13.13: no page of errors takes the place of the answer"),
    ("multi/M01-section-has-1-path", 200, "13.1: the store paths are those that there are"),
    ("multi/g2-M01", 404, "13.1: the other group's members know their store paths"),
    ("range/slave2-multi", 206, "2: a slave goes by the time of its content, however long its name is"),
    ("flv/start-end-1", 200, "12, D1: an end of 1 is the end, as for ranges"),
    ("remote/proxy-ims-later", 304, "12, D7: a later date is not modified either"),
    ("front/root", 400, "3: what is no native path is told so; there was nginx's own page"),
    ("front/xpurge", 400, "3: what is no native path is told so"),
    ("front/purge-hit", 200, "13.11: a short text, which names no file of the cache"),
    ("front/purge-query", 200, "13.11: a short text, which names no file of the cache"),
    ("front/purge-head", 404, "13.7: a query is no part of the key, so the request before has purged all"),
    ("front/purge-delete", 405, "13.1: other methods are refused"),
    ("front-token/expired-direct", 200, "12, D21: the picture is not to be kept"),
    ("front-token/wrong-token-picture-cached", 200, "12, D21: the picture is not to be kept"),
    ("front-token/wrong-token-picture-cached-2", 200, "12, D21: the picture is not to be kept"),
];

#[test]
fn every_rule_by_which_pairs_are_answered_otherwise_stands_in_the_document() {
    let document = include_str!("../../COMPATIBILITY.md");
    for (name, status, rule) in OTHERWISE {
        let row = format!("| `{name}` | {status} | {rule} |");
        assert!(document.contains(&row), "{row}");
    }
    for name in ONE_MAP {
        assert!(document.contains(&format!("`{name}`")), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_module_answers_is_answered_or_what_ours_says() {
    let pairs = Pair::load();
    assert_eq!(pairs.len(), 590);
    let site = Site::start().await;
    let (mut replayed, mut wrong) = (0, Vec::new());
    for pair in &pairs {
        replayed += 1;
        site.prepare(pair);
        let (answer, asked) = site.ask(pair).await;
        let expected = OTHERWISE.iter().find(|(name, _, _)| *name == pair.name);
        let result = match expected {
            Some((_, status, rule)) if answer.status == *status => match answer.header("cache-control") {
                Some("no-store") | None => Ok(()),
                control if rule.contains("D21") => Err(format!("cache-control: {control:?}")),
                _ => Ok(()),
            },
            Some((_, status, _)) => Err(format!("status {} instead of {status}", answer.status)),
            None => pair.check(&answer).and_then(|()| pair.check_passed_on(asked.as_deref())),
        };
        if let Err(problem) = result {
            wrong.push(format!("{}: {problem}", pair.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {replayed} pairs:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(replayed, 590);
}
