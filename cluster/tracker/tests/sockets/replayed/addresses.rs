//! IPv6, storages with two addresses, and several ports.

use std::process::Command;

use super::script::{Event, Script, replay};

const SETTINGS: &str = "bind_addr = 127.0.0.2,fd00:5bec::2002
reserved_storage_space = 1%
use_storage_id = true
storage_ids_filename = storage_ids.conf
id_type_in_filename = id
";

const IDS: &str = "100001 group1 [fd00:5bec::2002]:23301
100002 group1 127.0.0.5:23301
100003 group1 192.168.254.254,127.0.0.6:23301
100004 group1 127.0.0.7:23302 rw=write
";

/// Set in the process that runs in a network of its own.
const IN_OWN_NETWORK: &str = "FDFS_IN_OWN_NETWORK";

/// The recorded address is no loopback address: this test runs once more in a network of its own, where it may be set.
#[tokio::test(flavor = "multi_thread")]
async fn a_tracker_with_ipv6_answers_as_recorded() {
    if std::env::var_os(IN_OWN_NETWORK).is_none() {
        let in_own_network = Command::new("unshare")
            .args(["--map-root-user", "--net", "sh", "-c"])
            .arg("ip link set lo up && ip address add fd00:5bec::2002/128 dev lo && exec \"$@\"")
            .arg("sh")
            .arg(std::env::current_exe().expect("a path"))
            .args(["--exact", "replayed::addresses::a_tracker_with_ipv6_answers_as_recorded", "--nocapture"])
            .env(IN_OWN_NETWORK, "1")
            .status()
            .expect("unshare (util-linux) and ip (iproute2) are needed");
        assert!(in_own_network.success(), "the replay in a network of its own: {in_own_network}");
        return;
    }
    let script = Script {
        tracker: "127.0.0.2:22301",
        second_address: Some("fd00:5bec::2002:22301"),
        settings: SETTINGS,
        ids: IDS,
        scenarios: &["19"],
        before: &[("19/011", Event::Leads), ("19/030", Event::Missed("127.0.0.5"))],
        differences: &[("19/032", "a refused join leaves no group behind")],
        ..Script::default()
    };
    replay(&script).await;
}
