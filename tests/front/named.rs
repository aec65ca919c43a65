//! `/BUCKET/key` at the front.

use anyhow::{Result, ensure};

use crate::stage::Stage;

#[test]
fn names_are_answered_at_the_front_where_anybody_may_read_them() -> Result<()> {
    let stage = Stage::start(&[("group1", 1)])?;
    let file = stage.store("group1", 3000)?;
    let (gateway, browser) = stage.front("[front]\nnamed_paths = true\n")?;
    let open = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::open/*"}]}"#;
    for bucket in ["open", "closed"] {
        gateway.s3(&format!("/{bucket}"), &["-X", "PUT"])?;
        let put = gateway.put(&format!("/{bucket}/pets/my-cat.txt"), b"a cat, in words")?;
        ensure!(put.status == 200, "{}", put.status);
    }
    let policy = gateway.s3("/open?policy=", &["-X", "PUT", "--data-binary", open])?;
    ensure!(policy.status == 204 || policy.status == 200, "{}", policy.status);

    let page = browser.get("/open/pets/my%2Dcat.txt")?;
    ensure!(page.status == 200 && page.body == b"a cat, in words", "{}", page.head);
    ensure!(page.header("etag").is_some() && page.header("last-modified").is_some(), "{}", page.head);
    let prefixed = browser.ask("GET", "/dfs/open/pets/my%2Dcat.txt", "Range: bytes=2-4\r\n")?;
    ensure!(prefixed.status == 206 && prefixed.body == b"cat", "{}", prefixed.head);
    ensure!(browser.ask("HEAD", "/open/pets/my%2Dcat.txt", "")?.header("content-length") == Some("15"));
    // Who may not list is not told whether there is such a key; what is closed stays closed.
    for path in ["/closed/pets/my%2Dcat.txt", "/open/none", "/none/x", "/", "/open", "/open/"] {
        let page = browser.get(path)?;
        ensure!(matches!(page.status, 403 | 404), "{path}: {}", page.status);
        ensure!(!page.head.contains("xml"), "{}", page.head);
    }
    ensure!(browser.ask("PUT", "/open/new.txt", "Content-Length: 0\r\n")?.status == 405);
    // Native paths are native as before.
    ensure!(browser.get(&file.path())?.body == file.content);
    ensure!(browser.get("/group1/M00/00/00/xx")?.status == 400);
    Ok(())
}

#[test]
fn names_are_no_paths_of_the_front_where_that_is_not_configured() -> Result<()> {
    let stage = Stage::start(&[("group1", 1)])?;
    let (_gateway, browser) = stage.front("")?;
    ensure!(browser.get("/open/pets/cat.txt")?.status == 400);
    Ok(())
}
