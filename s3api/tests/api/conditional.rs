//! Conditions on writes, deletes and renames.

use futures_util::future::join_all;

use crate::support::{Gateway, Signed, Wire, assert_ok, assert_refused, complete, get, put, upload_id};

async fn etag_of(wire: &mut Wire, key: &str, body: &str) -> String {
    wire.send(put(key, body)).await.header("etag").unwrap().to_owned()
}

fn delete(target: &str) -> Signed {
    Signed::new("DELETE", target)
}

const BEFORE: &str = "Thu, 23 May 2013 23:59:59 GMT";

#[tokio::test]
async fn a_delete_happens_only_where_its_conditions_hold() {
    let gateway = Gateway::start_with_small_parts().await;
    let mut wire = gateway.connect().await;
    let etag = etag_of(&mut wire, "/pets/k", "hello").await;
    let modified =
        wire.send(Signed::new("HEAD", "/pets/k")).await.header("last-modified").unwrap().to_owned();
    for (name, value) in [
        ("if-match", "\"00000000000000000000000000000000\""),
        ("x-amz-if-match-size", "4"),
        ("x-amz-if-match-last-modified-time", BEFORE),
    ] {
        assert_refused(&wire.send(delete("/pets/k").header(name, value)).await, 412, "PreconditionFailed");
    }
    assert_refused(
        &wire.send(delete("/pets/k").header("x-amz-if-match-size", "x")).await,
        400,
        "InvalidArgument",
    );
    let all = delete("/pets/k")
        .header("if-match", &etag)
        .header("x-amz-if-match-size", "5")
        .header("x-amz-if-match-last-modified-time", &modified);
    assert_eq!(wire.send(all).await.status, 204);

    // A key that is not there: what it must be fails, what it must be like does not.
    assert_refused(&wire.send(delete("/pets/k").header("if-match", "*")).await, 404, "NoSuchKey");
    assert_eq!(wire.send(delete("/pets/k").header("x-amz-if-match-size", "5")).await.status, 204);
}

#[tokio::test]
async fn each_of_many_deletes_has_its_own_conditions() {
    let gateway = Gateway::start_with_small_parts().await;
    let mut wire = gateway.connect().await;
    let etag = etag_of(&mut wire, "/pets/a", "a").await;
    for key in ["b", "c", "d"] {
        etag_of(&mut wire, &format!("/pets/{key}"), key).await;
    }
    let etag = etag.trim_matches('"');
    let body = format!(
        "<Delete><Object><Key>a</Key><ETag>{etag}</ETag></Object>\
         <Object><Key>b</Key><ETag>{etag}</ETag></Object>\
         <Object><Key>c</Key><Size>2</Size></Object>\
         <Object><Key>d</Key><Size>1</Size><LastModifiedTime>{BEFORE}</LastModifiedTime></Object>\
         <Object><Key>e</Key><ETag>*</ETag></Object></Delete>"
    );
    let answer = wire.send(Signed::new("POST", "/pets?delete").body(body)).await;
    assert_ok(&answer);
    assert_eq!(answer.elements("Deleted"), ["<Key>a</Key>"]);
    let codes = answer.elements("Code");
    assert_eq!(codes, ["PreconditionFailed", "PreconditionFailed", "PreconditionFailed", "NoSuchKey"]);
    assert_eq!(wire.send(get("/pets?list-type=2")).await.elements("Key"), ["b", "c", "d"]);
}

#[tokio::test]
async fn conditions_hold_for_copies_and_completed_uploads() {
    let gateway = Gateway::start_with_small_parts().await;
    let mut wire = gateway.connect().await;
    let etag = etag_of(&mut wire, "/pets/a", "a").await;
    etag_of(&mut wire, "/pets/b", "b").await;
    let copy = |target: &str| put(target, "").header("x-amz-copy-source", "/pets/a");
    for (name, value) in [
        ("x-amz-copy-source-if-none-match", etag.as_str()),
        ("x-amz-copy-source-if-match", "\"0\""),
        ("x-amz-copy-source-if-unmodified-since", BEFORE),
        ("if-none-match", "*"),
        ("if-match", &etag),
    ] {
        assert_refused(&wire.send(copy("/pets/b").header(name, value)).await, 412, "PreconditionFailed");
    }
    assert_refused(&wire.send(copy("/pets/none").header("if-match", "*")).await, 404, "NoSuchKey");
    assert_eq!(wire.send(get("/pets/b")).await.text(), "b");
    let allowed = copy("/pets/b").header("x-amz-copy-source-if-match", &etag).header("if-match", "*");
    assert_ok(&wire.send(allowed).await);

    let id = upload_id(&mut wire, Signed::new("POST", "/pets/b?uploads")).await;
    let part = wire.send(put(&format!("/pets/b?partNumber=1&uploadId={id}"), "part")).await;
    let done = complete(&format!("/pets/b?uploadId={id}"), &[(1, part.header("etag").unwrap(), "")]);
    assert_refused(&wire.send(done.clone().header("if-none-match", "*")).await, 412, "PreconditionFailed");
    assert_refused(&wire.send(done.clone().header("if-match", "\"0\"")).await, 412, "PreconditionFailed");
    assert_ok(&wire.send(done.header("if-match", &etag)).await);
    assert_eq!(wire.send(get("/pets/b")).await.text(), "part");
}

#[tokio::test]
async fn of_racing_uploads_in_parts_one_wins() {
    let gateway = Gateway::start_with_small_parts().await;
    let mut wire = gateway.connect().await;
    let mut requests = Vec::new();
    for writer in 0..16 {
        let id = upload_id(&mut wire, Signed::new("POST", "/pets/k?uploads")).await;
        let part = put(&format!("/pets/k?partNumber=1&uploadId={id}"), format!("writer {writer}"));
        let etag = wire.send(part).await.header("etag").unwrap().to_owned();
        let request = complete(&format!("/pets/k?uploadId={id}"), &[(1, &etag, "")]);
        requests.push(request.header("if-none-match", "*"));
    }
    // Plain writers race with them.
    let puts = (0..8).map(|_| put("/pets/k", "whole").header("if-none-match", "*"));
    let answers = join_all(requests.into_iter().chain(puts).map(|request| gateway.send(request))).await;
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 412)));
    let winners: Vec<_> =
        answers.iter().enumerate().filter(|(_, answer)| answer.status == 200).map(|(at, _)| at).collect();
    let [winner] = winners[..] else { panic!("{winners:?} have won") };
    let wanted = if winner < 16 { format!("writer {winner}") } else { "whole".to_owned() };
    assert_eq!(gateway.send(get("/pets/k")).await.text(), wanted);
}

#[tokio::test]
async fn an_object_is_renamed_in_one_step() {
    let gateway = Gateway::start_with_small_parts().await;
    let mut wire = gateway.connect().await;
    let etag = etag_of(&mut wire, "/pets/d/a%20b", "a").await;
    let other = etag_of(&mut wire, "/pets/b", "b").await;
    let rename =
        |target: &str| put(&format!("{target}?renameObject"), "").header("x-amz-rename-source", "d/a%20b");
    for (name, value) in [
        ("if-none-match", "*"),
        ("if-match", etag.as_str()),
        ("if-unmodified-since", BEFORE),
        ("x-amz-rename-source-if-match", &other),
        ("x-amz-rename-source-if-none-match", &etag),
        ("x-amz-rename-source-if-unmodified-since", BEFORE),
    ] {
        assert_refused(&wire.send(rename("/pets/b").header(name, value)).await, 412, "PreconditionFailed");
    }
    let renamed = rename("/pets/b").header("if-match", &other).header("x-amz-rename-source-if-match", &etag);
    assert_ok(&wire.send(renamed).await);
    assert_eq!(wire.send(get("/pets?list-type=2")).await.elements("Key"), ["b"]);
    assert_eq!(wire.send(get("/pets/b")).await.text(), "a");
    assert_refused(&wire.send(rename("/pets/c")).await, 404, "NoSuchKey");
    let slash = put("/pets/c/?renameObject", "").header("x-amz-rename-source", "b");
    assert_refused(&wire.send(slash).await, 400, "InvalidRequest");
    assert_refused(&wire.send(put("/pets/c?renameObject", "")).await, 400, "InvalidArgument");
}
