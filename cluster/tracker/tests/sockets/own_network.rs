//! Tests that run in a network of their own, so that recorded addresses are free there.

use std::process::Command;

/// Set in a process that runs in a network of its own.
const IN_OWN_NETWORK: &str = "FDFS_IN_OWN_NETWORK";

/// Whether this process runs in a network of its own.
pub(crate) fn is_own() -> bool {
    std::env::var_os(IN_OWN_NETWORK).is_some()
}

/// Runs the calling test once more, in a network of its own. Returns whether that was done: not where this is that run, and not
/// where networks cannot be made, or the test runs by itself, on a thread that is not called after it.
pub(crate) fn again_in_own_network() -> bool {
    let name = std::thread::current().name().filter(|name| name.contains("::")).map(str::to_owned);
    name.is_some_and(|name| again_as(&name))
}

/// The same for a test of this name.
pub(crate) fn again_as(name: &str) -> bool {
    if is_own() {
        return false;
    }
    if !unshared(":").status().is_ok_and(|status| status.success()) {
        eprintln!(
            "no network of its own can be made here: unshare (util-linux) and ip (iproute2) are needed"
        );
        return false;
    }
    let again = unshared("exec \"$@\"")
        .arg(std::env::current_exe().expect("a path"))
        .args(["--exact", name, "--nocapture"])
        .env(IN_OWN_NETWORK, "1")
        .output()
        .expect("it could be run a moment ago");
    let (out, err) = (String::from_utf8_lossy(&again.stdout), String::from_utf8_lossy(&again.stderr));
    let is_passed = again.status.success() && out.contains("1 passed");
    assert!(is_passed, "{name} in a network of its own: {}\n{out}\n{err}", again.status);
    true
}

fn unshared(then: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "sh", "-c"]);
    command.arg(format!("ip link set lo up && ip address add {ADDRESS}/128 dev lo && {then}")).arg("sh");
    command
}

/// The recorded address that is no loopback address.
const ADDRESS: &str = "fd00:5bec::2002";
