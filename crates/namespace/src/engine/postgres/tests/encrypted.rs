//! TLS to a database that takes nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};

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

    /// A certificate for a name, and its key.
    fn certify(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

#[test]
fn a_database_is_encrypted_and_verified_as_its_url_asks() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, other) = (Authority::new(dir.path(), "ours.pem"), Authority::new(dir.path(), "other.pem"));
    let (certificate, key) = ours.certify("database.test");
    let Some((server, address)) = PostgresServer::encrypted(&certificate, &key) else { return };
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
    let odd = open("database.test", "sslmode=maybe").map(drop).unwrap_err();
    assert!(odd.to_string().contains("verify-full"), "{odd}");
}
