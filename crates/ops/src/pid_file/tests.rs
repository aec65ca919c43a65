//! Tests with real processes.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use super::*;

fn path(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("fdfs_test.pid")
}

/// A process that passes for a daemon of the original.
fn daemon(script: &str) -> Child {
    Command::new("/bin/sh")
        .arg0("fdfs_testd")
        .args(["-c", &format!("{script}echo ready; while :; do sleep 1; done")])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell")
}

fn wait_until_ready(child: &mut Child) {
    let mut ready = [0; 6];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut ready).expect("it says so");
}

#[test]
fn the_file_has_the_number_and_goes_with_its_process() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = path(&directory);
    let pid_file = PidFile::create(&path).expect("a pid file");
    let text = fs::read_to_string(pid_file.path()).expect("a text");
    assert_eq!(text, getpid().as_raw_pid().to_string());
    assert_eq!(running(&path), Some(getpid().as_raw_pid()));
    drop(pid_file);
    assert!(!path.exists());
    assert_eq!(running(&path), None);
}

#[test]
fn a_second_daemon_is_refused_with_the_exit_code_of_the_original() {
    let directory = tempfile::tempdir().expect("a directory");
    let _first = PidFile::create(&path(&directory)).expect("a pid file");
    let error = PidFile::create(&path(&directory)).expect_err("it is taken");
    assert_eq!(error.errno(), 17);
    assert!(error.to_string().contains(&format!("process {} is running", getpid().as_raw_pid())));
}

#[test]
fn the_file_of_a_process_that_is_gone_is_taken_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = path(&directory);
    let mut child = Command::new("/bin/true").spawn().expect("a process");
    child.wait().expect("it ends");
    for stale in [child.id().to_string(), "not a number".to_owned(), "1".to_owned(), "-1".to_owned()] {
        fs::write(&path, &stale).expect("a stale file");
        assert_eq!(running(&path), None, "{stale}");
        drop(PidFile::create(&path).expect(&stale));
    }
}

#[test]
fn a_running_daemon_without_a_lock_is_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = path(&directory);
    let mut child = daemon("");
    wait_until_ready(&mut child);
    fs::write(&path, child.id().to_string()).expect("its file");
    let created = PidFile::create(&path);
    let seen = running(&path);
    child.kill().expect("kill");
    child.wait().expect("it ends");
    assert!(matches!(created, Err(PidFileError::Running { .. })));
    assert_eq!(seen, i32::try_from(child.id()).ok());
}

#[test]
fn stop_ends_a_daemon_and_kills_one_that_does_not_listen() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = path(&directory);
    let (long, short) = (Duration::from_secs(60), Duration::from_millis(300));
    for (script, patience, killed) in [("", long, false), ("trap '' TERM; ", short, true)] {
        let mut child = daemon(script);
        wait_until_ready(&mut child);
        fs::write(&path, child.id().to_string()).expect("its file");
        assert_eq!(stop(&path, patience).expect("it ends"), killed);
        child.wait().expect("it ended");
        let again = stop(&path, short).expect_err("it is gone");
        assert_eq!(again.raw_os_error(), Some(3));
    }
    fs::remove_file(&path).expect("remove");
    let none = stop(&path, short).expect_err("no file");
    assert_eq!(none.raw_os_error(), Some(2));
}
