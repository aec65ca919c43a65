//! Temporary keys: the token service gives them, S3 takes them.

use crate::support::{Answer, Gateway, Signed};

fn ask(form: &str) -> Signed {
    let request = Signed::new("POST", "/").for_service("sts").body(form);
    request.header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
}

fn assume(more: &str) -> Signed {
    ask(&format!("Action=AssumeRole&Version=2011-06-15&RoleArn=example&RoleSessionName=test{more}"))
}

/// A temporary key, and its token.
async fn temporary_key(gateway: &Gateway) -> (String, String, String) {
    let answer = gateway.send(assume("&DurationSeconds=900")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let element = |name| answer.element(name).unwrap();
    assert!(element("Expiration").ends_with('Z'));
    (element("AccessKeyId"), element("SecretAccessKey"), element("SessionToken"))
}

fn outcome(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

#[tokio::test]
async fn a_temporary_key_does_what_the_key_may_that_asked_for_it() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let (id, secret, token) = temporary_key(&gateway).await;
    let by = |request: Signed| request.by(&id, &secret).header("x-amz-security-token", &token);
    assert_eq!(gateway.send(by(Signed::new("PUT", "/pets/k").body("x"))).await.status, 200);
    assert_eq!(gateway.send(by(Signed::new("GET", "/pets/k"))).await.text(), "x");
    // It makes no further ones.
    assert_eq!(outcome(&gateway.send(by(assume(""))).await), (403, "AccessDenied".into()));
    let who = by(ask("Action=GetCallerIdentity&Version=2011-06-15"));
    assert_eq!(gateway.send(who).await.element("Account").unwrap(), "000000000000");
}

#[tokio::test]
async fn a_temporary_key_without_its_own_token_is_refused() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let ((id, secret, token), other) = (temporary_key(&gateway).await, temporary_key(&gateway).await);
    let get = || Signed::new("GET", "/pets?list-type=2");
    let refused = async |request| outcome(&gateway.send(request).await);
    assert_eq!(refused(get().by(&id, &secret)).await, (403, "InvalidAccessKeyId".into()));
    for token in [&other.2, "", "no token"] {
        let request = get().by(&id, &secret).header("x-amz-security-token", token);
        assert_eq!(refused(request).await, (400, "InvalidToken".into()));
    }
    let request = get().by(&id, "another secret").header("x-amz-security-token", &token);
    assert_eq!(refused(request).await, (403, "SignatureDoesNotMatch".into()));
    let request = get().header("x-amz-security-token", &token);
    assert_eq!(refused(request).await, (400, "InvalidToken".into()));
}

#[tokio::test]
async fn the_token_service_refuses_what_it_would_not_honour() {
    let gateway = Gateway::start().await;
    let refused = async |request| outcome(&gateway.send(request).await);
    for (more, code) in [
        ("&Policy=%7B%7D", (501, "NotImplemented")),
        ("&DurationSeconds=60", (400, "ValidationError")),
        ("&DurationSeconds=x", (400, "ValidationError")),
    ] {
        assert_eq!(refused(assume(more)).await, (code.0, code.1.into()), "{more}");
    }
    assert_eq!(refused(ask("Action=AssumeRole&RoleArn=a")).await, (400, "ValidationError".into()));
    assert_eq!(refused(ask("Action=GetSessionToken")).await, (501, "NotImplemented".into()));
    assert_eq!(refused(assume("").by("nobody", "x")).await, (403, "InvalidAccessKeyId".into()));
    let forged = assume("").by(crate::support::ACCESS_KEY_ID, "x");
    assert_eq!(refused(forged).await, (403, "SignatureDoesNotMatch".into()));
    let long = ask(&"a".repeat(100_000));
    assert_eq!(refused(long).await, (400, "MaxMessageLengthExceeded".into()));
    // S3 is no token service, nor the other way round.
    let get = Signed::new("GET", "/").for_service("sts");
    assert_eq!(refused(get).await, (400, "AuthorizationHeaderMalformed".into()));
}
