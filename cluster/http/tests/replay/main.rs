//! Replays the recorded requests: what the original's module answered is answered here, or what `ours` says.
//!
//! The pairs were recorded on a site of five hosts (`tests/vectors/http-fixtures.*`), which is built here from their trees:
//! each host serves its own disk, and asks the others as members do. Pairs of the tutorials' front servers are those of the
//! front.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pair;
mod peer;
mod site;
mod trunk;

use pair::Pair;
use site::Site;

/// What is not answered as recorded, though the pair itself does not say so: settings of nginx, or rules that another pair
/// names.
const OTHERWISE: &[(&str, u16, &str)] = &[
    (
        "tutorial-storage/M01",
        200,
        "the tutorial's location admits M00 alone; every store path is served here",
    ),
    ("tutorial-storage/other", 400, "what is no native path is told so"),
    ("tutorial-storage/503page", 400, "no page of errors takes the place of the answer"),
    ("multi/M01-section-has-1-path", 200, "the store paths are those of storage.conf"),
    ("multi/g2-M01", 404, "the other group's members know their store paths"),
    ("range/slave2-multi", 206, "a slave goes by the time of its content, however long its name is"),
    ("flv/start-end-1", 200, "an end of 1 is the end, as for ranges (D1)"),
    ("remote/proxy-ims-later", 304, "a later date is not modified either (D7)"),
];

/// Groups of pairs that were recorded at the tutorials' front servers.
const FRONT: &[&str] = &["front", "front-token", "front-failure", "front2", "vip"];

#[tokio::test(flavor = "multi_thread")]
async fn what_the_module_answers_is_answered_or_what_ours_says() {
    let pairs = Pair::load();
    assert_eq!(pairs.len(), 590);
    let site = Site::start().await;
    let (mut replayed, mut wrong) = (0, Vec::new());
    for pair in &pairs {
        if FRONT.contains(&pair.group()) {
            continue;
        }
        replayed += 1;
        site.prepare(pair);
        let (answer, asked) = site.ask(pair).await;
        let expected = OTHERWISE.iter().find(|(name, _, _)| *name == pair.name);
        let result = match expected {
            Some((_, status, _)) if answer.status == *status => Ok(()),
            Some((_, status, _)) => Err(format!("status {} instead of {status}", answer.status)),
            None => pair.check(&answer).and_then(|()| pair.check_passed_on(asked.as_deref())),
        };
        if let Err(problem) = result {
            wrong.push(format!("{}: {problem}", pair.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {replayed} pairs:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(replayed, 503);
}
