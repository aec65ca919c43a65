//! TLS to a database that takes nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::{count, get, write};
use crate::engine::{EngineError, PostgresEngine};
use crate::testing::PostgresServer;

/// An authority, whose certificate stands in a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(dir: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let file = dir.join(name);
        fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file }
    }

    fn pem(&self) -> String {
        fs::read_to_string(&self.file).unwrap()
    }

    /// The same in files of these names, of which others cannot read the key; and the options of a URL that name them.
    fn certify_in(&self, dir: &Path, name: &str) -> (PathBuf, String) {
        let (certificate, key) = self.certify(name);
        let files = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
        fs::write(&files.0, certificate).unwrap();
        fs::write(&files.1, key).unwrap();
        fs::set_permissions(&files.1, fs::Permissions::from_mode(0o600)).unwrap();
        let options = format!("sslcert={}&sslkey={}", files.0.display(), files.1.display());
        (files.1, options)
    }

    /// A certificate for a name, and its key.
    fn certify(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

#[test]
fn a_database_is_encrypted_and_verified_as_its_url_asks() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, other) = (Authority::new(dir.path(), "ours.pem"), Authority::new(dir.path(), "other.pem"));
    let (certificate, key) = ours.certify("database.test");
    let Some((server, address)) = PostgresServer::encrypted(&certificate, &key, &ours.pem()) else { return };
    let open = |host: &str, options: &str| {
        PostgresEngine::open(&format!("postgres://fdfs@{host}/postgres?hostaddr={address}&{options}"))
    };
    let roots = |authority: &Authority| format!("sslrootcert={}", authority.file.display());
    let encrypted = || {
        let counted = server.run(
            "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name = 'fdfs'",
        );
        counted.parse::<u32>().unwrap()
    };

    let full = format!("sslmode=verify-full&{}", roots(&ours));
    let engine = open("database.test", &full).unwrap();
    write(&engine, |txn| count(txn, b"key")).unwrap();
    assert!(get(&engine, b"key").is_some() && encrypted() > 0);
    drop(engine);
    // Another name: to verify the authority, or nothing, does not ask for it.
    for options in
        [format!("sslmode=verify-ca&{}", roots(&ours)), "sslmode=require".into(), "sslmode=prefer".into()]
    {
        let engine = open("elsewhere.test", &options).unwrap();
        assert!(get(&engine, b"key").is_some() && encrypted() > 0, "{options}");
    }
    let refused = [
        ("elsewhere.test", full.clone(), "not valid for name"),
        ("database.test", format!("sslmode=verify-full&{}", roots(&other)), "invalid peer certificate"),
        ("database.test", format!("sslmode=verify-ca&{}", roots(&other)), "invalid peer certificate"),
        ("database.test", format!("sslmode=require&{}", roots(&other)), "invalid peer certificate"),
        // By default, and where that is said, nothing is encrypted, which this server does not take.
        ("database.test", String::new(), "no encryption"),
        ("database.test", "sslmode=disable".to_owned(), "no encryption"),
    ];
    for (host, options, why) in refused {
        let error = open(host, &options).map(drop).unwrap_err();
        assert!(
            matches!(&error, EngineError::Refused(text) if text.contains(why)),
            "{host} {options}: {error}"
        );
    }
    let missing = open("database.test", "sslmode=verify-full&sslrootcert=/nowhere").map(drop).unwrap_err();
    assert!(missing.to_string().contains("/nowhere"), "{missing}");
    for plain in ["", "sslmode=disable&"] {
        let meant = open("database.test", &format!("{plain}{}", roots(&ours))).map(drop).unwrap_err();
        assert!(meant.to_string().contains("would not be encrypted"), "{meant}");
    }
    let odd = open("database.test", "sslmode=maybe").map(drop).unwrap_err();
    assert!(odd.to_string().contains("verify-full"), "{odd}");
}

#[test]
fn a_gateway_shows_its_certificate_and_binds_its_password_to_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, other) = (Authority::new(dir.path(), "ours.pem"), Authority::new(dir.path(), "other.pem"));
    let (certificate, key) = ours.certify("database.test");
    let Some((_server, address)) = PostgresServer::encrypted(&certificate, &key, &ours.pem()) else { return };
    let open = |user: &str, options: &str| {
        PostgresEngine::open(&format!(
            "postgres://{user}@database.test/postgres?hostaddr={address}&sslmode=verify-full&sslrootcert={}&{options}",
            ours.file.display()
        ))
    };
    let (_, shown) = ours.certify_in(dir.path(), "certified");
    let engine = open("certified", &shown).unwrap();
    write(&engine, |txn| count(txn, b"key")).unwrap();
    assert!(get(&engine, b"key").is_some());
    drop(engine);

    let (_, somebody) = ours.certify_in(dir.path(), "somebody");
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let (_, forged) = other.certify_in(&elsewhere, "certified");
    for (options, why) in
        [("", "certificate"), (somebody.as_str(), "certificate authentication failed"), (forged.as_str(), "")]
    {
        let error = open("certified", options).map(drop).unwrap_err();
        assert!(error.to_string().contains(why), "{options}: {error}");
    }

    // The server proves that it knows the password on this connection and no other.
    let engine = open("bound:secret", "channel_binding=require").unwrap();
    assert!(get(&engine, b"key").is_some());
    drop(engine);
    assert!(open("bound:secret", "channel_binding=disable").is_ok());
    let wrong = open("bound:wrong", "channel_binding=require").map(drop).unwrap_err();
    assert!(wrong.to_string().contains("password"), "{wrong}");
    // Nothing is bound where no password is asked for.
    assert!(open("fdfs", "channel_binding=require").is_err());
}

#[test]
fn a_certificate_without_its_own_key_is_refused_before_anybody_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let ours = Authority::new(dir.path(), "ours.pem");
    let open = |options: &str| {
        let url = format!("postgres://fdfs@127.0.0.1:1/postgres?sslmode=require&{options}");
        PostgresEngine::open(&url).map(drop).unwrap_err().to_string()
    };
    let (key, options) = ours.certify_in(dir.path(), "gateway");
    let (certificate, with_key) = options.split_once('&').unwrap();
    assert!(open(certificate).contains("together"));
    assert!(open(with_key).contains("together"));
    assert!(open(&format!("sslcert=/nowhere&{with_key}")).contains("/nowhere"));
    assert!(open(&format!("{certificate}&sslkey=/nowhere")).contains("/nowhere"));
    let swapped = format!("sslcert={key}&sslkey={key}", key = key.display());
    assert!(open(&swapped).contains("no certificate"), "{}", open(&swapped));
    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    let (other_key, _) = ours.certify_in(&other, "gateway");
    let foreign = open(&format!("{certificate}&sslkey={}", other_key.display()));
    assert!(foreign.contains("cannot be used"), "{foreign}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(open(&options).contains("0600"), "{}", open(&options));
}
