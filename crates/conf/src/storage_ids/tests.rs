//! Tests of the list of storages.

use super::*;

fn parse(text: &str) -> Result<StorageIds, ConfError> {
    StorageIds::parse(Path::new("ids.conf"), text.as_bytes(), &mut |name| match name {
        "storage.example" => Ok(IpAddr::from([192, 168, 0, 9])),
        _ => Err(io::Error::other("no such name")),
    })
}

#[test]
fn the_captured_files_are_read() {
    for (name, text) in [
        (
            "03",
            &include_bytes!("../../../../tests/vectors/disk/tracker/03-id-mode-trunk/storage_ids.conf")[..],
        ),
        (
            "05",
            include_bytes!(
                "../../../../tests/vectors/disk/tracker/05-id-mode-ipv6-multi-port/storage_ids.conf"
            ),
        ),
    ] {
        let ids = StorageIds::parse(Path::new(name), text, &mut |_| Err(io::Error::other("no names")));
        let ids = ids.expect(name);
        assert_eq!(ids.entries()[0].id.get(), 100_001);
        assert_eq!(ids.has_ipv6(), name == "05");
        match name {
            "03" => {
                assert_eq!(ids.entries().len(), 5);
                assert_eq!(ids.entries()[2].rw_mode, RwMode::Read);
                assert_eq!(ids.entries()[4].rw_mode, RwMode::None);
            }
            _ => {
                let two: [IpAddr; 2] =
                    ["192.168.254.254", "127.0.0.6"].map(|text| text.parse().expect("an address"));
                assert_eq!(ids.entries()[2].addresses, two, "the inner one is first");
                assert_eq!(ids.entries()[3].port, 23_302);
            }
        }
    }
}

#[test]
fn every_form_of_a_host_is_read() {
    for (host, addresses, port) in [
        ("10.0.0.3", "10.0.0.3", 23_000),
        ("1.1.1.1:80", "1.1.1.1", 80),
        ("storage.example", "192.168.0.9", 23_000),
        ("203.0.113.3,10.0.0.3:1", "10.0.0.3,203.0.113.3", 1),
        ("[fd00::2]:23001", "fd00::2", 23_001),
        ("[10.0.0.3,fd00::2]", "10.0.0.3,fd00::2", 23_000),
    ] {
        let ids = parse(&format!("1 g {host}")).expect(host);
        let entry = &ids.entries()[0];
        let shown: Vec<_> = entry.addresses.iter().map(ToString::to_string).collect();
        assert_eq!((shown.join(",").as_str(), entry.port), (addresses, port), "{host}");
        assert_eq!(entry.storage_id().to_string(), "1");
    }
}

#[test]
fn a_wrong_line_is_an_error_that_names_it() {
    for line in [
        "1 group1",
        "0 g 10.0.0.1",
        "01 g 10.0.0.1",
        "+1 g 10.0.0.1",
        "16777216 g 10.0.0.1",
        "x g 10.0.0.1",
        "1 g! 10.0.0.1",
        "1 g 10.0.0.1:0",
        "1 g 10.0.0.1:99999",
        "1 g 10.0.0.1,",
        "1 g 10.0.0.1,10.0.0.2",
        "1 g 10.0.0.1,1.2.3.4,fd00::1",
        "1 g [fd00::1",
        "1 g [fd00::1]5",
        "1 g nowhere.example",
        "1 g 10.0.0.1 rw",
        "1 g 10.0.0.1 rw=some",
        "1 g 10.0.0.1 ro=read",
        "1 g 10.0.0.1 rw=read more",
        "1 g 10.0.0.1 # comment",
    ] {
        let error = parse(&format!("# ids\n{line}\n")).expect_err(line);
        assert!(error.to_string().starts_with("ids.conf:2: "), "{error}");
        assert_eq!(error.errno(), 22, "{line}");
    }
}

#[test]
fn ids_and_addresses_have_one_owner() {
    let error = parse("1 g 10.0.0.1\n1 g 10.0.0.2").expect_err("an id twice");
    assert_eq!(
        error.to_string(),
        "ids.conf:2: the id 1 is already in use at ids.conf:1: give each storage its own"
    );
    assert_eq!(error.errno(), 17);
    let error = parse("1 g 10.0.0.1\n2 h 10.0.0.1").expect_err("an address twice");
    assert!(error.to_string().contains("the address 10.0.0.1 with port 23000"), "{error}");
    assert!(parse("1 g 10.0.0.1\n2 h 10.0.0.1:23001").is_ok());
}

#[test]
fn a_list_without_entries_is_an_error() {
    let error = parse("# nothing\n\n").expect_err("empty");
    assert_eq!(error.errno(), 2);
    assert!(error.to_string().starts_with("ids.conf: no entries"), "{error}");
}
