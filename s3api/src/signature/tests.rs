//! The values that AWS publishes for S3, and what is refused.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, Method};

use super::*;
use crate::credentials::{Credentials, KeyPair};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const CREDENTIAL: &str = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";

/// A request to be verified.
struct Sent {
    method: Method,
    path: &'static str,
    query: String,
    headers: HeaderMap,
    host_bucket: Option<&'static str>,
}

impl Sent {
    fn new(method: Method, path: &'static str, query: &str, headers: &[(&'static str, &str)]) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        Self { method, path, query: query.to_owned(), headers, host_bucket: None }
    }

    fn authorized(mut self, signed_headers: &str, signature: &str) -> Self {
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={CREDENTIAL}, SignedHeaders={signed_headers}, Signature={signature}"
        );
        self.headers.insert("authorization", value.parse().unwrap());
        self
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    fn verify_at(&self, now: SystemTime) -> Result<Signer, S3Error> {
        let credentials = Credentials::new([KeyPair {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_access_key: SECRET.into(),
        }]);
        let query = Query::parse(&self.query).unwrap();
        let head = SignedHead {
            method: &self.method,
            path: self.path,
            raw_query: &self.query,
            query: &query,
            headers: &self.headers,
            host_bucket: self.host_bucket,
            other_hosts: OtherHosts::default(),
        };
        Verifier::default().verify(head, &credentials, now)
    }

    fn verify(&self) -> Result<Signer, S3Error> {
        self.verify_at(signed_at())
    }

    fn refusal(&self) -> ErrorCode {
        self.verify().unwrap_err().code()
    }
}

fn signed_at() -> SystemTime {
    time::parse_basic("20130524T000000Z").unwrap()
}

fn put_object(path: &'static str) -> Sent {
    Sent::new(
        Method::PUT,
        path,
        "",
        &[
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("host", "examplebucket.s3.amazonaws.com"),
            ("x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ],
    )
    .authorized(
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    )
}

fn get_object() -> Sent {
    Sent::new(
        Method::GET,
        "/test.txt",
        "",
        &[
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", EMPTY),
            ("x-amz-date", "20130524T000000Z"),
        ],
    )
    .authorized(
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    )
}

fn list(query: &str, signature: &str) -> Sent {
    Sent::new(
        Method::GET,
        "/",
        query,
        &[
            ("host", "examplebucket.s3.amazonaws.com"),
            ("x-amz-content-sha256", EMPTY),
            ("x-amz-date", "20130524T000000Z"),
        ],
    )
    .authorized("host;x-amz-content-sha256;x-amz-date", signature)
}

fn presigned(expires: &str, signature: &str) -> Sent {
    let query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date=20130524T000000Z\
         &X-Amz-Expires={expires}&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}",
        CREDENTIAL.replace('/', "%2F")
    );
    Sent::new(Method::GET, "/test.txt", &query, &[("host", "examplebucket.s3.amazonaws.com")])
}

const PRESIGNED: &str = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";

#[test]
fn the_published_requests_verify() {
    let signer = get_object().verify().unwrap();
    let Caller::User(user) = signer.caller else { panic!("somebody signed") };
    assert_eq!(user.access_key_id, "AKIAIOSFODNN7EXAMPLE");
    assert_eq!(signer.region, "us-east-1");
    assert!(matches!(signer.payload, PayloadMode::Exact(_)));

    put_object("/test%24file.text").verify().unwrap();

    list("lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543").verify().unwrap();
    list("max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
        .verify()
        .unwrap();
}

#[test]
fn the_published_presigned_request_verifies_until_it_expires() {
    let presigned = presigned("86400", PRESIGNED);
    let day = Duration::from_secs(86_400);

    assert!(matches!(presigned.verify().unwrap().payload, PayloadMode::Unsigned));
    presigned.verify_at(signed_at() + day).unwrap();
    for other in [signed_at() + day + Duration::from_secs(1), signed_at() - Duration::from_secs(901)] {
        assert_eq!(presigned.verify_at(other).unwrap_err().code(), ErrorCode::AccessDenied);
    }
}

#[test]
fn a_path_that_was_sent_in_another_encoding_verifies() {
    let mut sent = put_object("/test$file.text");
    sent.verify().unwrap();

    sent.path = "/test$other.text";
    assert_eq!(sent.refusal(), ErrorCode::SignatureDoesNotMatch);
}

#[test]
fn a_change_anywhere_is_noticed() {
    assert_eq!(get_object().with("range", "bytes=0-10").refusal(), ErrorCode::SignatureDoesNotMatch);
    assert_eq!(get_object().with("host", "other").refusal(), ErrorCode::SignatureDoesNotMatch);
    let mut sent = get_object();
    sent.method = Method::HEAD;
    assert_eq!(sent.refusal(), ErrorCode::SignatureDoesNotMatch);
    let mut sent = get_object();
    sent.query = "acl".into();
    assert_eq!(sent.refusal(), ErrorCode::SignatureDoesNotMatch);
    assert_eq!(presigned("86401", PRESIGNED).refusal(), ErrorCode::SignatureDoesNotMatch);
}

#[test]
fn a_wrong_signature_shows_what_was_signed_here() {
    let error = list("lifecycle", "00").verify().unwrap_err();
    let document = error.to_xml("/", "0");

    assert_eq!(error.code(), ErrorCode::SignatureDoesNotMatch);
    assert!(document.contains("<CanonicalRequest>GET\n/\nlifecycle=\nhost:examplebucket"), "{document}");
    assert!(document.contains("<StringToSign>AWS4-HMAC-SHA256\n20130524T000000Z\n"), "{document}");
}

#[test]
fn a_header_that_is_not_signed_is_refused() {
    let sent = get_object().with("x-amz-meta-added", "later");

    let error = sent.verify().unwrap_err();
    assert_eq!(error.code(), ErrorCode::AccessDenied);
    assert!(error.to_xml("/", "0").contains("<HeadersNotSigned>x-amz-meta-added</HeadersNotSigned>"));
}

#[test]
fn a_clock_may_be_wrong_by_a_quarter_of_an_hour() {
    let quarter = Duration::from_secs(900);
    get_object().verify_at(signed_at() + quarter).unwrap();
    get_object().verify_at(signed_at() - quarter).unwrap();

    let late = get_object().verify_at(signed_at() + quarter + Duration::from_secs(1)).unwrap_err();
    assert_eq!(late.code(), ErrorCode::RequestTimeTooSkewed);
}

#[test]
fn what_is_no_signature_of_version_4_is_refused_in_words_of_s3() {
    let authorization = |value: &str| get_object().with("authorization", value).refusal();

    assert_eq!(authorization("AWS AKIA:sig"), ErrorCode::InvalidRequest);
    assert_eq!(authorization("AWS4-HMAC-SHA256"), ErrorCode::AuthorizationHeaderMalformed);
    for credential in
        ["", "A/B", "A/20130524/r/s3/x", "A/20130524/r/ec2/aws4_request", "A/2013/r/s3/aws4_request"]
    {
        let value = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0");
        assert_eq!(authorization(&value), ErrorCode::AuthorizationHeaderMalformed, "{credential}");
    }
    let value = "AWS4-HMAC-SHA256 Credential=A/20130525/r/s3/aws4_request, SignedHeaders=host, Signature=0";
    assert_eq!(authorization(value), ErrorCode::AuthorizationHeaderMalformed, "another day");
    let value = "AWS4-HMAC-SHA256 Credential=A/20130524/r/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=0";
    assert_eq!(authorization(value), ErrorCode::InvalidAccessKeyId);

    let mut sent = get_object();
    sent.headers.remove("authorization");
    assert_eq!(sent.refusal(), ErrorCode::AccessDenied);
    assert_eq!(presigned("604801", PRESIGNED).refusal(), ErrorCode::AuthorizationQueryParametersError);
    assert_eq!(presigned("", PRESIGNED).refusal(), ErrorCode::AuthorizationQueryParametersError);
    assert_eq!(get_object().with("x-amz-content-sha256", "nonsense").refusal(), ErrorCode::InvalidArgument);
}

#[test]
fn the_published_presigned_url_of_version_2_verifies_until_it_expires() {
    let sent = |signature: &str| {
        let query = format!("AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature={signature}&Expires=1175139620");
        let mut sent =
            Sent::new(Method::GET, "/photos/puppy.jpg", &query, &[("host", "johnsmith.s3.amazonaws.com")]);
        sent.host_bucket = Some("johnsmith");
        sent
    };
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_175_139_620);
    let right = sent("NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D");

    assert!(matches!(right.verify_at(end).unwrap().payload, PayloadMode::Unsigned));
    let late = right.verify_at(end + Duration::from_secs(1)).unwrap_err();
    assert_eq!(late.code(), ErrorCode::AccessDenied);
    let wrong = sent("NpgCjnDzrM%2BWFzoENXmpNDUsSn9%3D").verify_at(end).unwrap_err();
    assert_eq!(wrong.code(), ErrorCode::SignatureDoesNotMatch);
    let mut other = sent("NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D");
    other.query.push_str("&response-content-type=a%2Fb");
    assert_eq!(other.verify_at(end).unwrap_err().code(), ErrorCode::SignatureDoesNotMatch);
}
