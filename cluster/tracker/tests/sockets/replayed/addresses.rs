//! IPv6, storages with two addresses, and several ports.

use super::script::{Event, Script, replay};
use crate::own_network::again_as;

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

/// One of the recorded addresses is no loopback address: this test cannot run but in a network of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_tracker_with_ipv6_answers_as_recorded() {
    let name = "replayed::addresses::a_tracker_with_ipv6_answers_as_recorded";
    if tokio::task::block_in_place(|| again_as(name)) {
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
