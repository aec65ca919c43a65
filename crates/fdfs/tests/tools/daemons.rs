//! `fdfs_trackerd` and `fdfs_storaged`: going to the background, and being found there.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cluster::{Site, free_address, kill};

/// Ends what a pid file names, whatever happens.
struct Background {
    site: Site,
    pid_file: PathBuf,
}

impl Background {
    fn new(pid_file: &str) -> Self {
        let site = Site::new();
        Self { pid_file: site.path(pid_file), site }
    }

    fn pid(&self) -> Option<u32> {
        fs::read_to_string(&self.pid_file).ok()?.trim().parse().ok()
    }

    fn kill(&self) {
        let Some(pid) = self.pid() else { return };
        // Not somebody who got its number.
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let here = self.site.path("");
        if String::from_utf8_lossy(&command).contains(here.to_str().unwrap().trim_end_matches('/')) {
            kill(pid);
            let begun = Instant::now();
            while self.is_alive(pid) && begun.elapsed() < Duration::from_secs(10) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// Whether it runs; one that has ended and that nobody waits for does not.
    fn is_alive(&self, pid: u32) -> bool {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|command| !command.is_empty())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.kill();
    }
}

fn answers(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_ok()
}

#[test]
fn a_tracker_is_started_found_restarted_and_stopped() {
    let daemon = Background::new("tracker/data/fdfs_trackerd.pid");
    let site = &daemon.site;
    let address = free_address();
    let conf = site.tracker_conf("tracker.conf", address, "");
    let call = |action: &str| site.old("fdfs_trackerd", &[conf.to_str().unwrap(), action]);

    let run = call("status");
    assert_eq!((run.code, run.text()), (2, "NOT running\n"));
    let run = call("stop");
    assert_eq!(run.code, 2);
    assert_eq!(run.err, format!("pid file: {} not exist!\n", daemon.pid_file.display()));

    let run = site.old("fdfs_trackerd", &[conf.to_str().unwrap()]);
    assert_eq!((run.code, run.text(), &*run.err), (0, "", ""), "no action is start");
    assert!(answers(address), "exit 0 means that the port is bound");
    let pid = daemon.pid().unwrap();
    let run = call("status");
    assert_eq!((run.code, run.text()), (0, &*format!("Running, pid: {pid}\n")));
    for arguments in [&["start"][..], &["-N"]] {
        let run = site.old("fdfs_trackerd", &[&[conf.to_str().unwrap()], arguments].concat());
        assert_eq!(run.code, 17);
        assert_eq!(run.err, format!("process fdfs_trackerd already running, pid: {pid}\n"));
    }

    let run = call("restart");
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.err, format!("waiting for pid [{pid}] exit ...\npid [{pid}] exit.\n\nstarting ...\n"));
    let second = daemon.pid().unwrap();
    assert!(second != pid && answers(address));
    assert!(!daemon.is_alive(pid));

    let run = call("stop");
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.err, format!("waiting for pid [{second}] exit ...\npid [{second}] exit.\n\n"));
    assert!(!answers(address) && !daemon.pid_file.exists());
}

#[test]
fn a_restart_with_a_broken_configuration_leaves_the_daemon_alone() {
    let daemon = Background::new("tracker/data/fdfs_trackerd.pid");
    let site = &daemon.site;
    let address = free_address();
    let conf = site.tracker_conf("tracker.conf", address, "");
    let call = |action: &str| site.old("fdfs_trackerd", &[conf.to_str().unwrap(), action]);
    assert_eq!(call("start").code, 0);
    let pid = daemon.pid();
    site.tracker_conf("tracker.conf", address, "store_lookup=9");
    assert_eq!(call("restart").code, 22);
    assert!(answers(address) && daemon.pid() == pid);
    assert_eq!(call("stop").code, 0, "the base path is enough to stop it");
}

#[test]
fn a_killed_tracker_is_known_to_be_gone_and_started_again() {
    let daemon = Background::new("tracker/data/fdfs_trackerd.pid");
    let site = &daemon.site;
    let conf = site.tracker_conf("tracker.conf", free_address(), "");
    let call = |action: &str| site.old("fdfs_trackerd", &[conf.to_str().unwrap(), action]);
    assert_eq!(call("restart").code, 0, "not running is fine");
    let pid = daemon.pid().unwrap();
    daemon.kill();
    assert_eq!(call("status").code, 2);
    let run = call("stop");
    assert_eq!(run.code, 3);
    assert_eq!(run.err, format!("kill pid: {pid} fail, errno: 3, error info: No such process\n"));
    assert_eq!(call("start").code, 0);
    assert_eq!(call("stop").code, 0);
}

#[test]
fn a_start_that_fails_has_the_number_of_its_error() {
    let daemon = Background::new("tracker/data/fdfs_trackerd.pid");
    let site = &daemon.site;
    let taken = TcpListener::bind("127.0.8.20:0").unwrap();
    let busy = site.tracker_conf("busy.conf", taken.local_addr().unwrap(), "");
    let wrong = site.tracker_conf("wrong.conf", free_address(), "store_lookup=9");
    let no_base = site.conf("no_base.conf", "port=1\n");
    let none = site.path("none.conf");
    for (conf, code, text) in [
        (busy, 98, "Address already in use"),
        (wrong, 22, "wrong.conf:5: store_lookup = 9"),
        (no_base, 2, "the key base_path is missing"),
        (none, 2, "none.conf"),
    ] {
        let run = site.old("fdfs_trackerd", &[conf.to_str().unwrap(), "start"]);
        assert_eq!((run.code, run.text()), (code, ""), "{run:?}");
        assert!(run.err.contains(text), "{run:?}");
    }
    assert!(daemon.pid().is_none());
    let run = site.old("fdfs_trackerd", &["some.conf", "begin"]);
    assert!(run.code == 22 && run.err.starts_with("invalid action: begin\n"), "{run:?}");
    let run = site.old("fdfs_storaged", &["-V"]);
    assert_eq!((run.code, run.text()), (0, "\nfdfs_storaged V6.16.1\n\n"));
}

#[test]
fn a_storage_that_cannot_start_says_so() {
    let daemon = Background::new("storage/data/fdfs_storaged.pid");
    let site = &daemon.site;
    let conf = site.conf("storage.conf", &format!("base_path={}\n", site.path("storage").display()));
    let run = site.old("fdfs_storaged", &[conf.to_str().unwrap()]);
    assert!(run.code == 2 && run.err.contains("tracker_server"), "{run:?}");
    assert!(daemon.pid().is_none());
}

#[test]
fn the_start_of_a_storage_does_not_wait_for_its_tracker_for_ever() {
    let daemon = Background::new("storage/data/fdfs_storaged.pid");
    let site = &daemon.site;
    let conf = site.storage_conf(free_address(), free_address());
    let call = |action: &str| site.old("fdfs_storaged", &[conf.to_str().unwrap(), action]);
    let run = call("start");
    assert!(run.code == 0 && run.err.contains("still starting"), "{run:?}");
    assert_eq!(call("status").code, 0);
    assert_eq!(call("stop").code, 0);
    assert_eq!(call("status").code, 2);
}
