//! Programs that take the mount for a local disk.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fdfs_tests::{Deadline, Mounting, Site};

use crate::{can_mount, is_there, shell};

#[test]
fn git_clones_checks_and_checks_out() -> Result<()> {
    if !can_mount() || !is_there("git")? {
        return Ok(());
    }
    let site = Site::start()?;
    let files = if is_full() { 100 } else { 20 };
    let script = "export HOME=$PWD GIT_CONFIG_NOSYSTEM=1
        git config --global user.name t; git config --global user.email t@example.org
        git config --global init.defaultBranch main; git config --global gc.auto 0
        git init -q origin; cd origin
        for d in $(seq 50); do mkdir d$d; for f in $(seq FILES); do echo $d $f >d$d/f$f; done; done
        git add .; git commit -qm old
        for d in $(seq 50); do echo new >>d$d/f1; git mv d$d/f2 d$d/g2; done
        git commit -qam new";
    shell(site.dir(), &script.replace("FILES", &files.to_string()))?;
    let origin = site.dir().join("origin");
    let script = format!(
        "export HOME={home} GIT_CONFIG_NOSYSTEM=1
        git clone -q {origin} clone; cd clone; git fsck --full --strict; test -z \"$(git status --porcelain)\"
        test $(ls d*/g2 | wc -l) = 50; git checkout -q HEAD~; test $(ls d*/f* | wc -l) = {all}
        test -z \"$(git status --porcelain)\"; diff -r -x .git {origin}/d7/f3 d7/f3
        git checkout -qb branch; echo more >d1/f1; git commit -qam more; git gc -q; git fsck --full",
        all = 50 * files,
        home = site.dir().display(),
        origin = origin.display(),
    );
    shell(&site.mounted("group1"), &script).map(drop)
}

#[test]
fn a_project_in_c_is_built_with_make() -> Result<()> {
    if !can_mount() || !is_there("make")? || !is_there("cc")? {
        return Ok(());
    }
    let site = Site::start()?;
    let script = r#"
        for i in $(seq 20); do
            printf 'int f%s(void) { return %s; }\n' $i $i >f$i.c
        done
        { echo '#include <stdio.h>'; for i in $(seq 20); do echo "int f$i(void);"; done
          echo 'int main(void) { int n = 0;'; for i in $(seq 20); do echo "n += f$i();"; done
          echo 'printf("%d", n); return 0; }'; } >main.c
        printf 'OBJECTS := $(patsubst %%.c,%%.o,$(wildcard *.c))\nall: sum\nsum: lib.a main.o\n\t$(CC) -o $@ main.o lib.a\n' >Makefile
        printf 'lib.a: $(filter-out main.o,$(OBJECTS))\n\tar rcs $@ $^\n' >>Makefile
        make -s -j4; test $(./sum) = 210
        make -s -q; printf 'int f1(void) { return 1001; }\n' >f1.c; make -s -j4; test $(./sum) = 1210"#;
    shell(&site.mounted("group1"), script).map(drop)
}

#[test]
fn sqlite_is_whole_after_its_writer_was_killed() -> Result<()> {
    if !can_mount() {
        return Ok(());
    }
    let site = Site::start()?;
    for journal in ["delete", "wal"] {
        let file = site.mounted(&format!("group1/{journal}.db"));
        let progress = site.dir().join(journal);
        let enough = 100_000 / BATCH;
        for round in 0..2 {
            let mut command = Command::new("python3");
            command.args(["-c", WRITER, path(&file)?, journal, &round.to_string()]);
            let mut writer = command.stdout(fs::File::create(&progress)?).spawn()?;
            let done = || -> Result<usize> { Ok(fs::read_to_string(&progress)?.lines().count()) };
            let written = Deadline::after(PATIENCE).wait_for("rows", || match done()? {
                batches if batches >= enough => Ok(()),
                batches => anyhow::bail!("{batches} batches"),
            });
            writer.kill()?;
            writer.wait()?;
            written?;
            let batches = done()?;
            let text = python(CHECKER, &[path(&file)?, &round.to_string()])?;
            let (integrity, rows) = text.trim().split_once(' ').context("two words")?;
            ensure!(integrity == "ok", "{journal}: {text}");
            // What a commit answered is there; of what was under way, all or nothing.
            let rows: usize = rows.parse()?;
            ensure!(
                rows >= batches * BATCH && rows.is_multiple_of(BATCH),
                "{journal}: {rows} rows of {batches} batches"
            );
        }
    }
    Ok(())
}

#[test]
fn trees_are_copied_and_brought_up_to_date() -> Result<()> {
    if !can_mount() {
        return Ok(());
    }
    let site = Site::start()?;
    let script = "mkdir tree; cd tree
        for d in $(seq 10); do mkdir d$d; for f in $(seq 20); do echo $d.$f >d$d/f$f; done; done
        dd if=/dev/urandom of=large bs=64k count=80 2>/dev/null; ln -s d1/f1 soft; ln d1/f2 hard; chmod 750 d2; chmod 4711 d3/f1
        touch -d '2001-02-03 04:05:06.789' d4/f4; cd ..; tar cf tree.tar --format=posix tree";
    shell(site.dir(), script)?;
    let tree = site.dir().join("tree");
    let here = site.mounted("group1");
    let listing = "find . -printf '%P %y %m %s %T@ %l\n' | grep -v ' d ' | sort";
    let same = |copy: &Path| -> Result<()> {
        ensure!(shell(&tree, listing)? == shell(copy, listing)?, "other attributes in {}", copy.display());
        shell(site.dir(), &format!("diff -r --no-dereference tree {}", copy.display())).map(drop)
    };
    shell(&here, &format!("mkdir tar; tar xf {}/tree.tar -C tar", site.dir().display()))?;
    same(&here.join("tar/tree"))?;
    shell(&here, &format!("cp -a {} copied; cp -a copied again; rm -r copied", tree.display()))?;
    same(&here.join("again"))?;
    if is_there("rsync")? {
        let rsync = |options: &str| shell(&here, &format!("rsync -a {options} {}/ synced", tree.display()));
        shell(&here, "mkdir temporary")?;
        // By its whole path: rsync 3.5 refuses a temporary folder named through `..`, on any file system.
        rsync("--temp-dir=$PWD/temporary")?;
        same(&here.join("synced"))?;
        shell(
            &tree,
            "printf changed | dd of=large bs=1 seek=1000000 conv=notrunc 2>/dev/null; rm d5/f5; echo new >d5/new",
        )?;
        rsync("--inplace --no-whole-file --delete")?;
        same(&here.join("synced"))?;
    }
    Ok(())
}

#[test]
fn an_archive_of_many_files_is_unpacked_whole() -> Result<()> {
    if !can_mount() {
        return Ok(());
    }
    let site = Site::start()?;
    let directories = if is_full() { 500 } else { 10 };
    let script = format!(
        "mkdir many; cd many; for d in $(seq {directories}); do mkdir d$d; for f in $(seq 100); do echo $d $f >d$d/f$f; done; done
        cd ..; tar cf many.tar many"
    );
    shell(site.dir(), &script)?;
    let (here, archive) = (site.mounted("group1"), site.dir().join("many.tar"));
    shell(
        &here,
        &format!(
            "tar xf {0}; tar df {0}; test $(find many -type f | wc -l) = {directories}00",
            archive.display()
        ),
    )?;
    shell(&here, "rm -r many; test -z \"$(ls)\"").map(drop)
}

#[test]
fn what_fio_writes_at_random_it_finds_again() -> Result<()> {
    if !can_mount() || !is_there("fio")? {
        return Ok(());
    }
    let mut site = Site::start_that_frees_soon()?;
    let size = if is_full() { "256m" } else { "8m" };
    let fio = format!(
        "fio --name=verify --filename=file --size={size} --bs=4k --ioengine=psync --verify=crc32c --verify_fatal=1 \
         --rw=randrw --rwmixwrite=70 --randseed=7 --fsync=64"
    );
    shell(&site.mounted("group1"), &format!("{fio} --do_verify=1"))?;
    site = site.restart()?;
    shell(&site.mounted("group1"), &format!("{fio} --verify_only")).map(drop)
}

#[test]
fn what_shells_and_media_tools_do_with_files_works() -> Result<()> {
    if !can_mount() {
        return Ok(());
    }
    let site = Site::start()?;
    let here = site.mounted("group1");
    let script = r#"
        echo one >log; echo two >>log; { echo three; echo four; } >>log; test "$(wc -l <log)" = 4
        : >empty; test ! -s empty; touch -d @1234.5 old; test $(stat -c %.1Y old) = 1234.5
        dd if=/dev/urandom of=raw bs=1M count=3 2>/dev/null; dd if=raw of=direct bs=1M oflag=direct 2>/dev/null
        dd if=direct bs=1M iflag=direct 2>/dev/null | cmp - raw; dd if=raw of=synced bs=64k oflag=sync 2>/dev/null; cmp raw synced
        sort -o log log; sed -i s/one/1/ log; grep -q '^1$' log
        exec 3>open; echo text >&3; rm open; echo more >&3; exec 3>&-
        mkfifo pipe; (echo through >pipe &) ; test "$(cat pipe)" = through
        truncate -s 5M sparse; test $(stat -c %s sparse) = 5242880; cp sparse copy; cmp sparse copy
        # As Samba and editors do: written aside, renamed over.
        echo old >document; for i in $(seq 20); do echo $i >document.tmp; mv -f document.tmp document; done; test $(cat document) = 20"#;
    shell(&here, script)?;
    // As muxers do: the body is written, then the head in place of a gap that was left for it.
    python(MUXER, &[path(&here.join("film.mp4"))?])?;
    // As linkers and databases do: shared memory.
    python(MAPPER, &[path(&here.join("mapped"))?])?;
    Ok(())
}

#[test]
fn appenders_on_two_mounts_under_a_lock_lose_nothing() -> Result<()> {
    if !can_mount() || !is_there("flock")? {
        return Ok(());
    }
    let site = Site::start()?;
    let other = Mounting::start(&site, "other", &[])?;
    let appenders = [site.mounted("group1"), other.path("group1")].map(|directory| {
        let script = "for i in $(seq 20); do flock lock sh -c \"echo $0.$i >>log\"; done";
        let mut command = Command::new("sh");
        command
            .args(["-euc", script])
            .arg(directory.as_os_str())
            .current_dir(&directory)
            .stdin(Stdio::null());
        command.spawn()
    });
    for appender in appenders {
        ensure!(appender?.wait()?.success(), "an appender failed");
    }
    let log = fs::read_to_string(site.mounted("group1/log"))?;
    ensure!(log.lines().count() == 40, "{} lines of 40", log.lines().count());
    Ok(())
}

/// True where programs do as much as the promises of this project name: minutes.
fn is_full() -> bool {
    std::env::var_os("FDFS_PROGRAMS_FULL").is_some()
}

fn python(script: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new("python3").args(["-c", script]).args(arguments).output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{}\n{out}{err}", output.status);
    Ok(out.into_owned())
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("path is UTF-8")
}

/// Inserts batches until it is killed, and says which are committed.
const WRITER: &str = r"
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
db.execute('PRAGMA journal_mode=' + sys.argv[2])
db.execute('PRAGMA synchronous=FULL')
db.execute('CREATE TABLE IF NOT EXISTS t (round, batch, text)')
for batch in range(1_000_000):
    db.execute('BEGIN IMMEDIATE')
    db.executemany('INSERT INTO t VALUES (?, ?, ?)', [(sys.argv[3], batch, 'x' * 50)] * 500)
    db.execute('COMMIT')
    print(batch, flush=True)
";
const BATCH: usize = 500;
const CHECKER: &str = r"
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=60)
print(db.execute('PRAGMA integrity_check').fetchone()[0], db.execute('SELECT count(*) FROM t WHERE round = ?', (sys.argv[2],)).fetchone()[0])
";
const MUXER: &str = r"
import os, sys
body = os.urandom(3_000_000)
with open(sys.argv[1], 'wb') as film:
    film.write(bytes(1000))
    for at in range(0, len(body), 100_000):
        film.write(body[at:at + 100_000])
    film.seek(0)
    film.write(b'h' * 1000)
    film.seek(0, 2)
    film.write(b'index')
with open(sys.argv[1], 'rb') as film:
    assert film.read() == b'h' * 1000 + body + b'index'
";
const MAPPER: &str = r"
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 2_000_000)
with mmap.mmap(fd, 2_000_000) as memory:
    memory[1_500_000:1_500_005] = b'hello'
    memory[0:5] = b'first'
    memory.flush()
    assert os.pread(fd, 5, 1_500_000) == b'hello'
    memory[10:15] = b'later'
os.close(fd)
content = open(sys.argv[1], 'rb').read()
assert len(content) == 2_000_000 and content[:5] == b'first' and content[10:15] == b'later' and content[1_500_000:1_500_005] == b'hello'
";
const PATIENCE: Duration = Duration::from_secs(300);
