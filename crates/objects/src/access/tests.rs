//! Tables of policies and questions.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::proptest;

use super::*;

fn user(name: &str, grants: &[&str]) -> Caller {
    let grants = grants.iter().map(|grant| grant.parse().unwrap()).collect();
    Caller::User(Arc::new(User { access_key_id: format!("ID{name}"), name: name.into(), grants }))
}

fn circumstances() -> Circumstances {
    Circumstances {
        time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600),
        source_ip: Some("192.0.2.7".parse().unwrap()),
        secure: false,
        values: BTreeMap::from([("s3:prefix", "a/b".to_owned()), ("s3:max-keys", "100".to_owned())]),
    }
}

fn policy(statements: &str) -> Policy {
    parse(statements).unwrap()
}

fn parse(statements: &str) -> Result<Policy, PolicyError> {
    let document = format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{statements}]}}");
    Policy::parse(document.replace('\'', "\"").as_bytes(), "pets")
}

fn ask(access: &BucketAccess, caller: &Caller, action: &str, key: Option<&str>) -> Decision {
    let circumstances = circumstances();
    access.decide(&Question { caller, action, bucket: "pets", key, circumstances: &circumstances })
}

fn statement(effect: &str, action: &str, resource: &str, more: &str) -> String {
    format!(
        "{{'Effect':'{effect}','Principal':'*','Action':'{action}','Resource':'arn:aws:s3:::{resource}'{more}}}"
    )
}

const ALLOWED: Decision = Decision::Allowed;
const DENIED: Decision = Decision::Denied;

#[test]
fn permissions_of_a_key_cover_their_actions_on_their_buckets() {
    let access = BucketAccess::default();
    for (grant, action, decision) in [
        ("pets:read", "s3:GetObject", ALLOWED),
        ("pets:read", "s3:ListBucket", ALLOWED),
        ("pets:read", "s3:GetBucketVersioning", ALLOWED),
        ("pets:read", "s3:GetBucketPolicy", DENIED),
        ("pets:read", "s3:PutObject", DENIED),
        ("pets:write", "s3:PutObject", ALLOWED),
        ("pets:write", "s3:DeleteObject", ALLOWED),
        ("pets:write", "s3:GetBucketLocation", DENIED),
        ("pets:read+write", "s3:PutBucketPolicy", DENIED),
        ("pets:admin", "s3:PutBucketPolicy", ALLOWED),
        ("pets:admin", "s3:GetObject", ALLOWED),
        ("pets:admin", DELETE_RAW_FILE, DENIED),
        ("pets:raw-delete", DELETE_RAW_FILE, ALLOWED),
        ("pets:raw-delete", "s3:DeleteObject", DENIED),
        ("*:admin", "s3:CreateBucket", ALLOWED),
        ("pe*:write", "s3:PutObject", ALLOWED),
        ("cars:admin", "s3:DeleteBucket", DENIED),
    ] {
        assert_eq!(ask(&access, &user("ann", &[grant]), action, Some("k")), decision, "{grant} {action}");
    }
    assert_eq!(ask(&access, &Caller::Anonymous, "s3:ListBucket", None), DENIED);
}

#[test]
fn grants_are_read_and_written_alike() {
    for text in ["pets:read", "*:read+write+admin", "a-*.b:raw-delete"] {
        assert_eq!(text.parse::<Grant>().unwrap().to_string(), text);
    }
    for text in ["pets", "pets:", ":read", "pets:all", "pe ts:read", "pets:read,write"] {
        assert!(text.parse::<Grant>().is_err(), "{text}");
    }
}

#[test]
fn a_policy_lets_in_whom_it_names_and_a_deny_wins() {
    let named = "{'Effect':'Allow','Principal':{'AWS':['arn:aws:iam:::user/bob','arn:aws:iam::fdfs:user/IDeve']},\
                 'Action':['s3:GetObject','s3:PutObject'],'Resource':'arn:aws:s3:::pets/*'}";
    let deny = statement("Deny", "s3:*", "pets/secret/*", "");
    let access = BucketAccess { policy: Some(policy(&format!("{named},{deny}"))), ..BucketAccess::default() };
    for (caller, action, key, decision) in [
        (user("bob", &[]), "s3:GetObject", "k", ALLOWED),
        (user("eve", &[]), "s3:PutObject", "k", ALLOWED),
        (user("eve", &[]), "s3:DeleteObject", "k", DENIED),
        (user("ann", &[]), "s3:PutObject", "k", DENIED),
        (user("bob", &[]), "s3:GetObject", "secret/k", DENIED),
        (user("root", &["*:admin"]), "s3:GetObject", "secret/k", DENIED),
        (user("root", &["*:admin"]), "s3:GetObject", "secret", ALLOWED),
        (Caller::Anonymous, "s3:PutObject", "k", DENIED),
    ] {
        assert_eq!(ask(&access, &caller, action, Some(key)), decision, "{caller:?} {action} {key}");
    }
}

#[test]
fn nobody_is_locked_out_of_the_policy_itself() {
    let access = BucketAccess {
        policy: Some(policy(&statement("Deny", "s3:*", "pets", ""))),
        ..BucketAccess::default()
    };
    let root = user("root", &["pets:admin"]);
    assert_eq!(ask(&access, &root, "s3:DeleteBucketPolicy", None), ALLOWED);
    assert_eq!(ask(&access, &root, "s3:DeleteBucket", None), DENIED);
    assert_eq!(ask(&access, &user("ann", &["pets:read"]), "s3:DeleteBucketPolicy", None), DENIED);
}

#[test]
fn conditions_hold_as_their_operators_say() {
    for (condition, holds) in [
        ("'IpAddress':{'aws:SourceIp':'192.0.2.0/24'}", true),
        ("'IpAddress':{'aws:SourceIp':['10.0.0.0/8','192.0.2.7']}", true),
        ("'IpAddress':{'aws:SourceIp':'2001:db8::/32'}", false),
        ("'NotIpAddress':{'aws:SourceIp':'192.0.2.0/24'}", false),
        ("'IpAddress':{'aws:SourceIp':'0.0.0.0/0'}", true),
        ("'StringEquals':{'s3:prefix':['x','a/b']}", true),
        ("'StringEquals':{'s3:prefix':'a/*'}", false),
        ("'StringLike':{'S3:Prefix':'a/*'}", true),
        ("'StringNotLike':{'s3:prefix':'a/*'}", false),
        ("'StringEqualsIgnoreCase':{'s3:prefix':'A/B'}", true),
        ("'StringEquals':{'s3:delimiter':'/'}", false),
        ("'StringEqualsIfExists':{'s3:delimiter':'/'}", true),
        ("'StringNotEquals':{'s3:delimiter':'/'}", true),
        ("'Null':{'s3:delimiter':'true'}", true),
        ("'Null':{'s3:prefix':true}", false),
        ("'Bool':{'aws:SecureTransport':'false'}", true),
        ("'Bool':{'aws:SecureTransport':true}", false),
        ("'DateGreaterThan':{'aws:CurrentTime':'2013-05-23T23:59:59Z'}", true),
        ("'DateLessThan':{'aws:CurrentTime':'2013-05-24'}", false),
        ("'DateLessThanEquals':{'aws:CurrentTime':'2013-05-24'}", true),
        ("'NumericLessThanEquals':{'s3:max-keys':100}", true),
        ("'NumericGreaterThan':{'s3:max-keys':'100'}", false),
        ("'NumericEquals':{'aws:EpochTime':'1369353600'}", true),
        ("'StringLike':{'s3:prefix':'${s3:prefix}'}", true),
        ("'StringEquals':{'s3:prefix':'a/b'},'Bool':{'aws:SecureTransport':'true'}", false),
        ("'ForAllValues:StringLike':{'s3:prefix':'a/*'}", true),
    ] {
        let with =
            policy(&statement("Allow", "s3:ListBucket", "pets", &format!(",'Condition':{{{condition}}}")));
        let access = BucketAccess { policy: Some(with), ..BucketAccess::default() };
        let decision = ask(&access, &Caller::Anonymous, "s3:ListBucket", None);
        assert_eq!(decision == ALLOWED, holds, "{condition}");
    }
}

#[test]
fn a_users_own_directory_can_be_named_by_a_variable() {
    let own = policy(&statement("Allow", "s3:*Object", "pets/home/${aws:username}/*", ""));
    let access = BucketAccess { policy: Some(own), ..BucketAccess::default() };
    assert_eq!(ask(&access, &user("bob", &[]), "s3:PutObject", Some("home/bob/k")), ALLOWED);
    assert_eq!(ask(&access, &user("bob", &[]), "s3:PutObject", Some("home/ann/k")), DENIED);
    assert_eq!(ask(&access, &user("*", &[]), "s3:PutObject", Some("home/ann/k")), DENIED);
    assert_eq!(ask(&access, &Caller::Anonymous, "s3:PutObject", Some("home//k")), DENIED);
}

#[test]
fn what_is_listed_as_not_is_everything_else() {
    let access = BucketAccess {
        policy: Some(policy(
            "{'Effect':'Deny','NotPrincipal':{'AWS':'arn:aws:iam:::user/bob'},'NotAction':'s3:Get*',\
             'NotResource':'arn:aws:s3:::pets/open/*'}",
        )),
        ..BucketAccess::default()
    };
    let full = |name| user(name, &["*:admin"]);
    assert_eq!(ask(&access, &full("ann"), "s3:PutObject", Some("k")), DENIED);
    assert_eq!(ask(&access, &full("bob"), "s3:PutObject", Some("k")), ALLOWED);
    assert_eq!(ask(&access, &full("ann"), "s3:GetObject", Some("k")), ALLOWED);
    assert_eq!(ask(&access, &full("ann"), "s3:PutObject", Some("open/k")), ALLOWED);
}

#[test]
fn canned_acls_open_lists_and_objects_unless_that_is_blocked() {
    let open = BucketAccess { acl: CannedAcl::PublicRead, ..BucketAccess::default() };
    let object = |access: &BucketAccess| ask(access, &Caller::Anonymous, "s3:GetObject", Some("k"));
    assert_eq!(ask(&open, &Caller::Anonymous, "s3:ListBucket", None), ALLOWED);
    assert_eq!(object(&open), Decision::IfObjectIsPublic);
    assert_eq!(ask(&open, &Caller::Anonymous, "s3:PutObject", Some("k")), DENIED);

    let ignore = PublicAccessBlock { ignore_public_acls: true, ..PublicAccessBlock::default() };
    for closed in
        [BucketAccess { block: ignore, ..open.clone() }, BucketAccess { acls_disabled: true, ..open.clone() }]
    {
        assert_eq!(ask(&closed, &Caller::Anonymous, "s3:ListBucket", None), DENIED);
        assert_eq!(object(&closed), DENIED);
    }
}

#[test]
fn a_public_policy_can_be_told_and_restricted() {
    for (statements, public) in [
        (statement("Allow", "s3:GetObject", "pets/*", ""), true),
        (statement("Deny", "s3:GetObject", "pets/*", ""), false),
        (
            statement(
                "Allow",
                "s3:GetObject",
                "pets/*",
                ",'Condition':{'IpAddress':{'aws:SourceIp':'10.0.0.0/8'}}",
            ),
            false,
        ),
        (
            statement(
                "Allow",
                "s3:GetObject",
                "pets/*",
                ",'Condition':{'IpAddress':{'aws:SourceIp':'0.0.0.0/0'}}",
            ),
            true,
        ),
        (
            statement(
                "Allow",
                "s3:GetObject",
                "pets/*",
                ",'Condition':{'StringLike':{'aws:Referer':'http://x/*'}}",
            ),
            true,
        ),
        (
            statement("Allow", "s3:GetObject", "pets/*", "")
                .replace("'*','A", "{'AWS':'arn:aws:iam:::user/a'},'A"),
            false,
        ),
    ] {
        assert_eq!(policy(&statements).is_public(), public, "{statements}");
    }
    let block = PublicAccessBlock { restrict_public_buckets: true, ..PublicAccessBlock::default() };
    let open = policy(&statement("Allow", "s3:ListBucket", "pets", ""));
    let access = BucketAccess { policy: Some(open), block, ..BucketAccess::default() };
    assert_eq!(ask(&access, &Caller::Anonymous, "s3:ListBucket", None), DENIED);
    assert_eq!(ask(&access, &user("ann", &[]), "s3:ListBucket", None), ALLOWED);
}

#[test]
fn what_cannot_be_judged_is_no_policy() {
    let good = statement("Allow", "s3:GetObject", "pets/*", "");
    for bad in [
        good.replace("Allow", "Maybe"),
        good.replace("s3:GetObject", "s3:GetObjekt"),
        good.replace("s3:GetObject", "ec2:Start"),
        good.replace("s3:GetObject", "s3:ListBucket"),
        good.replace("pets/*", "cars/*"),
        good.replace("pets/*", "pets"),
        good.replace("arn:aws:s3:::", ""),
        good.replace("'Principal':'*',", ""),
        good.replace("'Principal':'*'", "'Principal':{'AWS':'arn:aws:iam::111122223333:root'}"),
        good.replace("'Principal':'*'", "'Principal':{'Service':'x.amazonaws.com'}"),
        good.replace("'Effect'", "'Effekt':'Deny','Effect'"),
        statement("Allow", "s3:GetObject", "pets/*", ",'Condition':{'StringEquals':{'s3:nonsense':'x'}}"),
        statement("Allow", "s3:GetObject", "pets/*", ",'Condition':{'StringIs':{'s3:prefix':'x'}}"),
        statement(
            "Allow",
            "s3:GetObject",
            "pets/*",
            ",'Condition':{'IpAddress':{'aws:SourceIp':'10.0.0.0/33'}}",
        ),
        statement(
            "Allow",
            "s3:GetObject",
            "pets/*",
            ",'Condition':{'DateLessThan':{'aws:CurrentTime':'soon'}}",
        ),
        String::new(),
    ] {
        assert!(parse(&bad).is_err(), "{bad}");
    }
    assert!(parse(&good).is_ok());
    for document in ["", "[]", "{", "{\"Version\":\"2013-01-01\",\"Statement\":[]}", "{\"Statement\":{}}"] {
        assert!(Policy::parse(document.as_bytes(), "pets").is_err(), "{document}");
    }
    assert!(Policy::parse(&[b' '; 21 * 1024], "pets").is_err());
}

#[test]
fn patterns_fit_whole_texts_and_end_in_time() {
    use super::pattern::Pattern;
    let fits = |pattern: &str, text: &str| Pattern::parse(pattern, true).fits(text, &|_| None);
    for (pattern, text, fit) in [
        ("", "", true),
        ("*", "", true),
        ("a*c", "abbc", true),
        ("a*c", "abcd", false),
        ("a?c", "a\u{e9}c", true),
        ("?", "", false),
        ("*a*b*", "xxaxxbxx", true),
        ("${*}", "*", true),
        ("${*}", "x", false),
        ("${unknown}", "", false),
    ] {
        assert_eq!(fits(pattern, text), fit, "{pattern} {text}");
    }
    assert!(!fits(&"*a".repeat(500), &"a".repeat(499)));
}

/// Values that stand somewhere in a policy, and others.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("*".to_owned()),
        Just("Allow".to_owned()),
        Just("Deny".to_owned()),
        Just("s3:*".to_owned()),
        Just("s3:GetObject".to_owned()),
        Just("arn:aws:s3:::pets/*".to_owned()),
        Just("arn:aws:s3:::pets/${aws:username}${".to_owned()),
        Just("arn:aws:iam:::user/bob".to_owned()),
        Just("192.0.2.0/24".to_owned()),
        Just("2013-05-24".to_owned()),
        Just("-1".to_owned()),
        any::<String>(),
    ]
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        word().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        Just(serde_json::Value::Null),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        let name = prop_oneof![
            Just("AWS".to_owned()),
            Just("StringLike".to_owned()),
            Just("IpAddress".to_owned()),
            Just("DateLessThanIfExists".to_owned()),
            Just("ForAllValues:NumericEquals".to_owned()),
            Just("aws:SourceIp".to_owned()),
            Just("s3:prefix".to_owned()),
            any::<String>(),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(serde_json::Value::from),
            proptest::collection::btree_map(name, inner, 0..3).prop_map(serde_json::Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn any_document_is_a_policy_or_refused(
        effect in word(),
        principal in value(),
        action in value(),
        resource in value(),
        condition in value(),
        broken in any::<Vec<u8>>(),
    ) {
        let _ = Policy::parse(&broken, "pets");
        let document = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": effect, "Principal": principal, "Action": action, "Resource": resource, "Condition": condition},
            ],
        });
        if let Ok(policy) = Policy::parse(document.to_string().as_bytes(), "pets") {
            let _ = policy.is_public();
            let access = BucketAccess { policy: Some(policy), ..BucketAccess::default() };
            let everybody = user("bob", &[]);
            let _ = ask(&access, &everybody, "s3:GetObject", Some("a/b"));
            let _ = ask(&access, &Caller::Anonymous, "s3:ListBucket", None);
        }
    }
}
