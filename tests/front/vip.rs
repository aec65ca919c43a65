//! One address before two fronts: Debian's keepalived moves it, in network namespaces of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fdfs_tests::{Deadline, fdfs_binary};
use tempfile::TempDir;

use crate::stage::{Stage, Stored};

#[test]
fn keepalived_moves_the_address_of_a_killed_front_to_the_other_under_load() -> Result<()> {
    let net = match Net::new() {
        Ok(net) => net,
        Err(reason) => {
            println!(
                "SKIPPED: keepalived_moves_the_address_of_a_killed_front_to_the_other_under_load: {reason:#}"
            );
            return Ok(());
        }
    };
    // The fronts have the file in their caches, and no cluster: what is looked at here is the way to them.
    let dir = tempfile::tempdir()?;
    let file = warm_caches(dir.path())?;
    let mut hosts = [Host::start(&net, dir.path(), 0)?, Host::start(&net, dir.path(), 1)?];
    Deadline::after(LIMIT).wait_for("the address", || net.fetch(&file))?;

    for round in 0..2 {
        let owner = Deadline::after(LIMIT).wait_for("an owner", || owner_of(&hosts, &net))?;
        fetch_often(&net, &file)?;
        hosts[owner].kill_front()?;
        let killed = Instant::now();
        let deadline = Deadline::after(LIMIT);
        deadline.wait_for("the other front", || {
            net.fetch(&file)?;
            ensure!(owner_of(&hosts, &net)? != owner, "the address has not moved");
            Ok(())
        })?;
        println!("round {round}: served again after {} ms", killed.elapsed().as_millis());
        fetch_often(&net, &file)?;
        hosts[owner].start_front(&net)?;
    }
    Ok(())
}

/// A bridge with a client on it, and two hosts.
struct Net {
    names: [String; 3],
}

/// A host with a front and keepalived.
struct Host {
    index: usize,
    dir: PathBuf,
    front: Option<Child>,
    keepalived: Child,
}

impl Net {
    fn new() -> Result<Self> {
        ensure!(rustix::process::geteuid().is_root(), "network namespaces need root");
        let found =
            Command::new("keepalived").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        ensure!(found.is_ok_and(|status| status.success()), "keepalived is not installed");
        let id = std::process::id() % 100_000;
        let net = Self { names: [format!("fdl{id}"), format!("fda{id}"), format!("fdb{id}")] };
        for name in &net.names {
            run("ip", &["netns", "add", name])?;
            run("ip", &["-n", name, "link", "set", "lo", "up"])?;
        }
        let lan = &net.names[0];
        run("ip", &["-n", lan, "link", "add", "br0", "type", "bridge"])?;
        run("ip", &["-n", lan, "addr", "add", "10.99.0.1/24", "dev", "br0"])?;
        run("ip", &["-n", lan, "link", "set", "br0", "up"])?;
        for (index, host) in net.names[1..].iter().enumerate() {
            let port = format!("p{index}");
            run(
                "ip",
                &["-n", lan, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", host],
            )?;
            run("ip", &["-n", lan, "link", "set", &port, "master", "br0", "up"])?;
            run("ip", &["-n", host, "addr", "add", &format!("10.99.0.{}/24", index + 2), "dev", "eth0"])?;
            run("ip", &["-n", host, "link", "set", "eth0", "up"])?;
        }
        Ok(net)
    }

    fn command(&self, index: usize, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[index]]).arg(program);
        command
    }

    /// Fetches the file through the address that moves.
    fn fetch(&self, file: &Stored) -> Result<()> {
        let url = format!("http://{ADDRESS}:8000{}", file.path());
        let mut curl = self.command(0, Path::new("curl"));
        let output = curl.args(["-sS", "-f", "--max-time", "3", &url]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        ensure!(output.stdout == file.content, "not the same bytes");
        Ok(())
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = run("ip", &["netns", "del", name]);
        }
    }
}

impl Host {
    fn start(net: &Net, dir: &Path, index: usize) -> Result<Self> {
        let dir = dir.join(index.to_string());
        let text = format!(
            "trackers = ['10.99.0.250']\nnamespace = 'lmdb://{0}/names'\ncredentials = '{0}/credentials'\n\
             [front]\ncache = '{0}/cache'\nconnect_timeout = 1\nrequest_deadline = 2\n",
            dir.display()
        );
        fs::write(dir.join("gateway.toml"), text)?;
        let conf = format!(
            "global_defs {{\n  vrrp_version 3\n  enable_script_security\n  script_user root\n}}\n\
             vrrp_script front {{\n  script \"/usr/bin/curl -fsS -m 5 http://127.0.0.1:8000/healthz\"\n  interval 1\n  timeout 6\n  fall 1\n  rise 1\n}}\n\
             vrrp_instance front {{\n  state BACKUP\n  nopreempt\n  interface eth0\n  virtual_router_id 51\n  priority {}\n  advert_int 1\n\
             \x20 virtual_ipaddress {{\n    {ADDRESS}/24\n  }}\n  track_script {{\n    front\n  }}\n}}\n",
            100 + index
        );
        fs::write(dir.join("keepalived.conf"), conf)?;
        let mut keepalived = net.command(index + 1, Path::new("keepalived"));
        keepalived.args(["--dont-fork", "--log-console", "--use-file"]).arg(dir.join("keepalived.conf"));
        keepalived.arg("--pid").arg(dir.join("pid")).arg("--vrrp_pid").arg(dir.join("vrrp"));
        keepalived.arg("--checkers_pid").arg(dir.join("checkers"));
        let log = fs::File::create(dir.join("keepalived.log"))?;
        let keepalived = keepalived.stdout(log.try_clone()?).stderr(log).spawn()?;
        let mut host = Self { index, dir, front: None, keepalived };
        host.start_front(net)?;
        Ok(host)
    }

    fn start_front(&mut self, net: &Net) -> Result<()> {
        let mut front = net.command(self.index + 1, &fdfs_binary()?);
        let log = fs::File::create(self.dir.join("front.log"))?;
        front.args(["gateway", "-c"]).arg(self.dir.join("gateway.toml")).stdout(log.try_clone()?).stderr(log);
        self.front = Some(front.spawn()?);
        Ok(())
    }

    /// `ip netns exec` becomes the program, so its process is the front's.
    fn kill_front(&mut self) -> Result<()> {
        let mut front = self.front.take().context("a front")?;
        front.kill()?;
        front.wait()?;
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.kill_front();
        // Its children end with it when it is asked to end.
        if let Ok(pid) = i32::try_from(self.keepalived.id())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.keepalived.wait();
    }
}

/// Fetches the file again and again; each time it is there in the end, whatever a busy machine makes of keepalived's clocks.
fn fetch_often(net: &Net, file: &Stored) -> Result<()> {
    for _ in 0..20 {
        Deadline::after(LIMIT).wait_for("the file", || net.fetch(file))?;
    }
    Ok(())
}

/// Which host has the address.
fn owner_of(hosts: &[Host; 2], net: &Net) -> Result<usize> {
    for host in hosts {
        let output = Command::new("ip")
            .args(["-n", &net.names[host.index + 1], "-4", "addr", "show", "eth0"])
            .output()?;
        if String::from_utf8_lossy(&output.stdout).contains(&format!("inet {ADDRESS}/")) {
            return Ok(host.index);
        }
    }
    bail!("nobody has the address")
}

/// A file in two caches, as two fronts leave them.
fn warm_caches(dir: &Path) -> Result<Stored> {
    let stage = Stage::start(&[("group1", 1)])?;
    let file = stage.store("group1", 50_000)?;
    for index in 0..2 {
        let cache: TempDir = tempfile::tempdir_in(dir)?;
        let (gateway, browser) = stage.front(&format!("[front]\ncache = '{}'\n", cache.path().display()))?;
        ensure!(browser.get(&file.path())?.body == file.content);
        Deadline::after(LIMIT).wait_for("a cached file", || {
            let shelves = fs::read_dir(cache.path())?.flatten().filter(|shelf| shelf.path().is_dir());
            let parts = shelves.filter_map(|shelf| fs::read_dir(shelf.path()).ok()).flatten().flatten();
            let whole = parts.filter_map(|part| part.metadata().ok()).any(|part| part.len() > 50_000);
            ensure!(whole, "not stored yet");
            Ok(())
        })?;
        drop(gateway);
        fs::create_dir(dir.join(index.to_string()))?;
        fs::rename(cache.keep(), dir.join(index.to_string()).join("cache"))?;
    }
    Ok(file)
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output().with_context(|| program.to_owned())?;
    ensure!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

const ADDRESS: &str = "10.99.0.100";
const LIMIT: Duration = Duration::from_secs(60);
