//! What is kept with buckets, over real sockets.

use crate::support::{Answer, Gateway, Signed};

fn put(target: &str, body: impl Into<Vec<u8>>) -> Signed {
    Signed::new("PUT", target).body(body)
}

fn get(target: &str) -> Signed {
    Signed::new("GET", target)
}

fn delete(target: &str) -> Signed {
    Signed::new("DELETE", target)
}

fn assert_ok(answer: &Answer) {
    assert_eq!(answer.status / 100, 2, "{} {}", answer.status, answer.text());
}

#[tokio::test]
async fn tags_of_a_bucket_are_kept_until_they_are_deleted() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    let tags = "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet><Tag><Key>a</Key><Value>1</Value></Tag>\
                <Tag><Key>b c</Key><Value/></Tag></TagSet></Tagging>";
    assert_eq!(wire.send(put("/pets?tagging", tags)).await.status, 204);
    let answer = wire.send(get("/pets?tagging")).await;
    assert_eq!(
        (answer.elements("Key"), answer.elements("Value")),
        (vec!["a".into(), "b c".into()], vec!["1".into(), String::new()])
    );

    let twice = tags.replace("b c", "a");
    assert_eq!(wire.send(put("/pets?tagging", twice)).await.code(), "InvalidTag");
    assert_eq!(wire.send(put("/pets?tagging", "<Tagging>")).await.code(), "MalformedXML");
    assert_eq!(wire.send(put("/dogs?tagging", tags)).await.code(), "NoSuchBucket");
    assert_eq!(wire.send(get("/pets?tagging")).await.elements("Key").len(), 2);

    assert_eq!(wire.send(delete("/pets?tagging")).await.status, 204);
    assert_eq!(wire.send(delete("/pets?tagging")).await.status, 204);
    assert_eq!(wire.send(get("/pets?tagging")).await.code(), "NoSuchTagSet");
}

const CORS: &str = "<CORSConfiguration><CORSRule><AllowedOrigin>https://*.example.com</AllowedOrigin>\
    <AllowedMethod>PUT</AllowedMethod><AllowedMethod>GET</AllowedMethod><AllowedHeader>*</AllowedHeader>\
    <ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>600</MaxAgeSeconds></CORSRule></CORSConfiguration>";

/// A question of a browser, which nobody signs.
fn preflight(host: &str, method: &str, origin: &str) -> String {
    format!(
        "OPTIONS /pets/a/b HTTP/1.1\r\nhost: {host}\r\norigin: {origin}\r\naccess-control-request-method: {method}\r\n\
         access-control-request-headers: Content-Type,x-amz-date\r\n\r\n"
    )
}

#[tokio::test]
async fn browsers_are_told_what_the_rules_of_a_bucket_allow() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    let host = wire.host.clone();
    wire.write(preflight(&host, "PUT", "https://a.example.com").as_bytes()).await;
    let answer = wire.answer(false).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "AccessForbidden"));

    assert_ok(&wire.send(put("/pets?cors", CORS)).await);
    wire.write(preflight(&host, "PUT", "https://a.example.com").as_bytes()).await;
    let answer = wire.answer(false).await;
    assert_eq!(answer.status, 200);
    for (name, value) in [
        ("access-control-allow-origin", "https://a.example.com"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "PUT, GET"),
        ("access-control-allow-headers", "content-type, x-amz-date"),
        ("access-control-expose-headers", "ETag"),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    for (method, origin, code) in [
        ("DELETE", "https://a.example.com", "AccessForbidden"),
        ("PUT", "https://example.org", "AccessForbidden"),
        ("PATCH", "https://a.example.com", "BadRequest"),
    ] {
        wire.write(preflight(&host, method, origin).as_bytes()).await;
        assert_eq!(wire.answer(false).await.code(), code, "{method} {origin}");
    }

    assert_eq!(wire.send(get("/pets?cors")).await.elements("AllowedMethod"), ["PUT", "GET"]);
    assert_eq!(wire.send(delete("/pets?cors")).await.status, 204);
    assert_eq!(wire.send(get("/pets?cors")).await.code(), "NoSuchCORSConfiguration");
    wire.write(preflight(&host, "PUT", "https://a.example.com").as_bytes()).await;
    assert_eq!(wire.answer(false).await.status, 403);
}

#[tokio::test]
async fn answers_and_errors_carry_the_headers_that_a_page_needs_to_see_them() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    assert_ok(&wire.send(put("/pets?cors", CORS)).await);
    let of = |request: Signed, origin: &str| request.header("origin", origin);

    let answer = wire.send(of(put("/pets/k", "x"), "https://a.example.com")).await;
    assert_ok(&answer);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://a.example.com"));
    assert_eq!(answer.header("access-control-expose-headers"), Some("ETag"));
    let answer = wire.send(of(get("/pets/none"), "https://a.example.com")).await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (404, Some("https://a.example.com"))
    );
    // Who does not sign is refused, and the page is told why.
    let host = wire.host.clone();
    wire.write(
        format!("GET /pets/k HTTP/1.1\r\nhost: {host}\r\norigin: https://a.example.com\r\n\r\n").as_bytes(),
    )
    .await;
    let answer = wire.answer(false).await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (403, Some("https://a.example.com"))
    );
    let answer = wire.send(of(get("/pets/k"), "https://example.org")).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None));
    assert!(answer.header("vary").is_some_and(|vary| vary.starts_with("Origin")));
    assert_eq!(wire.send(get("/pets/k")).await.header("vary"), None);
}

#[tokio::test]
async fn buckets_are_listed_by_prefix_page_and_region() {
    let gateway = Gateway::start_with(|config| config.region = "eu-test-1".to_owned()).await;
    let mut wire = gateway.connect().await;
    for bucket in ["pets-a", "pets-b", "pets-c", "zoo"] {
        assert_ok(&wire.send(put(&format!("/{bucket}"), "")).await);
    }
    // All are in the one region, which is told to those who ask for it, or page by page.
    let all = wire.send(get("/")).await;
    assert_eq!(all.elements("Name"), ["group1", "pets-a", "pets-b", "pets-c", "zoo"]);
    assert!(all.elements("BucketRegion").is_empty() && all.element("ContinuationToken").is_none());
    let here = wire.send(get("/?bucket-region=eu-test-1")).await;
    assert_eq!(here.elements("Name"), all.elements("Name"));
    assert_eq!(here.elements("BucketRegion"), ["eu-test-1"; 5]);
    let elsewhere = wire.send(get("/?bucket-region=us-west-2")).await;
    assert_eq!((elsewhere.status, elsewhere.elements("Name").len()), (200, 0));

    let (mut found, mut token) = (Vec::new(), String::new());
    for page in 0..3 {
        let query = format!("/?bucket-region=eu-test-1{token}&max-buckets=1&prefix=pets-");
        let answer = wire.send(get(&query)).await;
        assert_eq!(answer.element("Prefix").as_deref(), Some("pets-"), "{}", answer.text());
        assert_eq!(answer.elements("BucketRegion"), ["eu-test-1"]);
        found.extend(answer.elements("Name"));
        let next = answer.element("ContinuationToken");
        assert_eq!(next.is_some(), page < 2, "page {page}");
        token = next.map(|next| format!("&continuation-token={next}")).unwrap_or_default();
    }
    assert_eq!(found, ["pets-a", "pets-b", "pets-c"]);
    for wrong in ["max-buckets=0", "max-buckets=10001", "max-buckets=x"] {
        assert_eq!(wire.send(get(&format!("/?{wrong}"))).await.code(), "InvalidArgument", "{wrong}");
    }
}
