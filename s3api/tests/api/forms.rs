//! Uploads by HTML forms.

use std::time::SystemTime;

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::support::{ACCESS_KEY_ID, Answer, Gateway, SECRET, Signed};

const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";

/// A form with these fields and this file.
fn form(fields: &[(&str, &str)], filename: &str, file: &[u8]) -> Signed {
    let mut body = Vec::new();
    let mut part = |head: String, content: &[u8]| {
        body.extend_from_slice(
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    };
    for (name, value) in fields {
        part(format!("name=\"{name}\""), value.as_bytes());
    }
    part(format!("name=\"file\"; filename=\"{filename}\"\r\nContent-Type: text/plain"), file);
    part("name=\"submit\"".to_owned(), b"Upload");
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    post(body)
}

fn post(body: Vec<u8>) -> Signed {
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    Signed::new("POST", "/pets")
        .anonymous()
        .header("content-type", &content_type)
        .payload("UNSIGNED-PAYLOAD")
        .body(body)
}

/// The fields that sign a policy with these conditions.
fn signed(conditions: &str, valid_for: i64) -> Vec<(String, String)> {
    let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap();
    let timestamp = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let expiration = (now + jiff::SignedDuration::from_secs(valid_for)).to_string();
    let credential = format!("{ACCESS_KEY_ID}/{}/us-east-1/s3/aws4_request", &timestamp[..8]);
    let signing = format!(
        "{{\"x-amz-algorithm\":\"AWS4-HMAC-SHA256\"}},{{\"x-amz-credential\":\"{credential}\"}},{{\"x-amz-date\":\"{timestamp}\"}}"
    );
    let policy = format!("{{\"expiration\":\"{expiration}\",\"conditions\":[{conditions},{signing}]}}");
    let policy = BASE64_STANDARD.encode(policy);
    let key = generate_signing_key(SECRET, SystemTime::now(), "us-east-1", "s3");
    let signature = calculate_signature(key, policy.as_bytes());
    [
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", &credential),
        ("X-Amz-Date", &timestamp),
        ("Policy", &policy),
        ("X-Amz-Signature", &signature),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

async fn send(gateway: &Gateway, conditions: &str, fields: &[(&str, &str)], file: &[u8]) -> Answer {
    let signing = signed(conditions, 60);
    let signing = signing.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let all: Vec<_> = fields.iter().copied().chain(signing).collect();
    gateway.send(form(&all, "C:\\photos\\cat.jpg", file)).await
}

const USUAL: &str = r#"{"bucket":"pets"},["starts-with","$key","user/"]"#;

#[tokio::test]
async fn a_form_puts_its_file_as_its_policy_allows() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let conditions = format!(
        "{USUAL},[\"starts-with\",\"$Content-Type\",\"image/\"],{{\"x-amz-meta-a\":\"b\"}},{{\"success_action_status\":\"201\"}}"
    );
    let fields = [
        ("key", "user/${filename}"),
        ("Content-Type", "image/jpeg"),
        ("x-amz-meta-a", "b"),
        ("success_action_status", "201"),
        ("x-ignore-this", ""),
    ];
    // Line ends and half delimiters in the file are the file's.
    let file = format!("\r\n--{}\r\n\r\n--\r\n", &BOUNDARY[..10]);
    let answer = send(&gateway, &conditions, &fields, file.as_bytes()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.element("Key").as_deref(), Some("user/cat.jpg"));
    let got = gateway.send(Signed::new("GET", "/pets/user/cat.jpg")).await;
    assert_eq!(got.text(), file);
    assert_eq!((got.header("content-type"), got.header("x-amz-meta-a")), (Some("image/jpeg"), Some("b")));

    let tagging = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    let tagged = format!("{USUAL},[\"starts-with\",\"$tagging\",\"\"]");
    let answer = send(&gateway, &tagged, &[("key", "user/t"), ("tagging", tagging)], b"x").await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let tags = gateway.send(Signed::new("GET", "/pets/user/t?tagging=")).await;
    assert_eq!((tags.element("Key").as_deref(), tags.element("Value").as_deref()), (Some("a"), Some("b")));
    let answer = send(&gateway, &tagged, &[("key", "user/t"), ("tagging", "nonsense")], b"x").await;
    assert_eq!((answer.status, answer.element("Code").as_deref()), (400, Some("MalformedXML")));

    for length in [0, 1, 70_000, 3_000_000] {
        let file: Vec<u8> = (0..length).map(|index: u32| (index % 251) as u8).collect();
        let answer = send(&gateway, USUAL, &[("key", "user/k")], &file).await;
        assert_eq!((answer.status, answer.header("etag").is_some()), (204, true), "{}", answer.text());
        assert_eq!(gateway.send(Signed::new("GET", "/pets/user/k")).await.body, file);
    }
    let redirect = format!("{USUAL},[\"starts-with\",\"$success_action_redirect\",\"\"]");
    let fields = [("key", "user/a b"), ("success_action_redirect", "http://example.com/done?x=1#end")];
    let answer = send(&gateway, &redirect, &fields, b"x").await;
    let location = answer.header("location").unwrap();
    assert_eq!(answer.status, 303);
    assert!(
        location.starts_with("http://example.com/done?x=1&bucket=pets&key=user%2Fa%20b&etag=%22"),
        "{location}"
    );
    assert!(location.ends_with("%22#end"), "{location}");
}

#[tokio::test]
async fn a_form_that_its_policy_does_not_allow_puts_nothing() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let range = format!("{USUAL},[\"content-length-range\",2,4]");
    let unnamed = [("key", "user/k"), ("x-amz-meta-a", "b")];
    let key = [("key", "user/k")];
    for (conditions, fields, file, code) in [
        (USUAL, &[("key", "other/k")][..], &b"xyz"[..], "AccessDenied"),
        (USUAL, &unnamed[..], b"xyz", "AccessDenied"),
        (r#"{"bucket":"cars"},["starts-with","$key",""]"#, &key[..], b"xyz", "AccessDenied"),
        (&range, &key[..], b"x", "EntityTooSmall"),
        (&range, &key[..], b"xyzab", "EntityTooLarge"),
        (r#""nonsense""#, &key[..], b"xyz", "InvalidPolicyDocument"),
        (USUAL, &[][..], b"xyz", "InvalidArgument"),
    ] {
        let answer = send(&gateway, conditions, fields, file).await;
        assert_eq!(answer.code(), code, "{conditions} {fields:?}: {}", answer.text());
    }
    let mut late = signed(USUAL, -1);
    late.push(("key".into(), "user/k".into()));
    let all: Vec<_> = late.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(gateway.send(form(&all, "f", b"x")).await.code(), "AccessDenied");
    let mut forged = signed(USUAL, 60);
    forged.push(("key".into(), "user/k".into()));
    forged[4].1 = "0".repeat(64);
    let all: Vec<_> = forged.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(gateway.send(form(&all, "f", b"x")).await.code(), "SignatureDoesNotMatch");
    assert_eq!(gateway.send(form(&[("key", "k")], "f", b"x")).await.code(), "AccessDenied");
    assert_eq!(gateway.send(Signed::new("GET", "/pets")).await.elements("Key"), [""; 0]);
    assert_eq!(gateway.files.count(), 0);
}

#[tokio::test]
async fn a_form_that_is_no_form_is_refused_and_leaves_nothing() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let policy = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::pets/*"}}"#;
    assert_eq!(gateway.send(Signed::new("PUT", "/pets?policy=").body(policy)).await.status, 204);
    assert_eq!(gateway.send(form(&[("key", "open")], "f", b"x")).await.status, 204);
    let count = gateway.files.count();
    let key = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n");
    let head = format!("{key}--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n");
    let large = format!(
        "{}--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{}",
        key,
        "x".repeat(30_000)
    );
    for (body, code) in [
        (String::new(), "IncompleteBody"),
        ("nonsense".to_owned(), "IncompleteBody"),
        (key.clone(), "IncompleteBody"),
        (format!("{key}--{BOUNDARY}--\r\n"), "InvalidArgument"),
        (format!("{key}--{BOUNDARY}\r\nnonsense\r\n\r\nx\r\n--{BOUNDARY}--\r\n"), "MalformedPOSTRequest"),
        (format!("{head}data"), "IncompleteBody"),
        (format!("{head}data\r\n--{BOUNDARY}"), "MalformedPOSTRequest"),
        (format!("{head}data\r\n--{BOUNDARY}nonsense\r\n"), "MalformedPOSTRequest"),
        (large, "MaxPostPreDataLengthExceededError"),
    ] {
        let answer = gateway.send(post(body.clone().into_bytes())).await;
        assert_eq!(answer.code(), code, "{body:.200}");
    }
    let plain = Signed::new("POST", "/pets").anonymous().header("content-type", "text/plain").body("x");
    assert_eq!(gateway.send(plain).await.status, 412);
    assert_eq!(gateway.files.count(), count);
}
