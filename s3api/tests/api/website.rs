//! Buckets as websites.

use crate::support::{Answer, Gateway, Signed, Wire};

fn put(target: &str, body: &str) -> Signed {
    Signed::new("PUT", target).body(body)
}

fn assert_ok(answer: &Answer) {
    assert_eq!(answer.status / 100, 2, "{} {}", answer.status, answer.text());
}

/// A visitor, who signs nothing.
async fn visit(wire: &mut Wire, method: &str, path: &str) -> Answer {
    wire.write(format!("{method} {path} HTTP/1.1\r\nhost: pets.web.test\r\n\r\n").as_bytes()).await;
    wire.answer(method == "HEAD").await
}

const WEBSITE: &str = "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument>\
    <ErrorDocument><Key>oops.html</Key></ErrorDocument><RoutingRules><RoutingRule>\
    <Condition><KeyPrefixEquals>old/</KeyPrefixEquals></Condition>\
    <Redirect><ReplaceKeyPrefixWith>new/</ReplaceKeyPrefixWith></Redirect></RoutingRule></RoutingRules></WebsiteConfiguration>";

#[tokio::test]
async fn a_public_bucket_is_shown_with_index_error_and_redirects() {
    let gateway = Gateway::start_with(|config| config.website_suffix = Some("web.test".into())).await;
    let gateway = gateway.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    let answer = visit(&mut wire, "GET", "/").await;
    assert_eq!(answer.status, 404);
    assert!(
        answer.text().contains("NoSuchWebsiteConfiguration")
            && answer.header("content-type").unwrap().starts_with("text/html")
    );

    assert_ok(&wire.send(put("/pets?website", WEBSITE)).await);
    assert_eq!(
        wire.send(Signed::new("GET", "/pets?website")).await.element("Suffix").as_deref(),
        Some("index.html")
    );
    for (key, body) in [("index.html", "home"), ("a/index.html", "a"), ("b.txt", "b"), ("oops.html", "oops")]
    {
        assert_ok(&wire.send(put(&format!("/pets/{key}"), body).header("content-type", "text/html")).await);
    }
    // Nothing is public yet, not even the page that says so.
    let answer = visit(&mut wire, "GET", "/b.txt").await;
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("AccessDenied"));
    let policy = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\
        \"Action\":[\"s3:GetObject\",\"s3:ListBucket\"],\"Resource\":[\"arn:aws:s3:::pets\",\"arn:aws:s3:::pets/*\"]}]}";
    assert_ok(&wire.send(put("/pets?policy", policy)).await);

    for (path, status, body) in [
        ("/", 200, "home"),
        ("/a/", 200, "a"),
        ("/b.txt", 200, "b"),
        ("/none", 404, "oops"),
        ("/none/", 404, "oops"),
    ] {
        let answer = visit(&mut wire, "GET", path).await;
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{path}");
        assert_eq!(visit(&mut wire, "HEAD", path).await.status, status, "{path}");
    }
    let moved = |answer: &Answer| (answer.status, answer.header("location").unwrap_or_default().to_owned());
    assert_eq!(moved(&visit(&mut wire, "GET", "/a").await), (302, "/a/".to_owned()));
    assert_eq!(
        moved(&visit(&mut wire, "GET", "/old/x%20y").await),
        (301, "http://pets.web.test/new/x%20y".to_owned())
    );
    let redirect = put("/pets/c", "").header("x-amz-website-redirect-location", "/b.txt");
    assert_ok(&wire.send(redirect).await);
    assert_eq!(moved(&visit(&mut wire, "GET", "/c").await), (301, "/b.txt".to_owned()));
    let nowhere = put("/pets/c", "").header("x-amz-website-redirect-location", "nowhere");
    assert_eq!(wire.send(nowhere).await.code(), "InvalidRedirectLocation");
    assert_eq!(visit(&mut wire, "POST", "/b.txt").await.status, 405);

    // Pages of other origins see it as the bucket's rules say.
    let rules = "<CORSConfiguration><CORSRule><AllowedOrigin>http://a.test</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>";
    assert_ok(&wire.send(put("/pets?cors", rules)).await);
    for (method, more) in [("GET", ""), ("OPTIONS", "access-control-request-method: GET\r\n")] {
        let request =
            format!("{method} /b.txt HTTP/1.1\r\nhost: pets.web.test\r\norigin: http://a.test\r\n{more}\r\n");
        wire.write(request.as_bytes()).await;
        let answer = wire.answer(false).await;
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (200, Some("http://a.test"))
        );
    }

    assert_eq!(wire.send(Signed::new("DELETE", "/pets?website")).await.status, 204);
    assert_eq!(visit(&mut wire, "GET", "/b.txt").await.status, 404);
}
