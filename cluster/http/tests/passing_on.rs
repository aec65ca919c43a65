//! What several members that are asked over HTTP say together.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use fdfs_http::{Content, NativePaths, Settings, Source, SourceError};
use fdfs_types::FileId;
use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const PATH: &str = "/group1/M00/00/07/fwAAAmsCerKAKbhRAAATiC17JN8110.jpg";
/// Says that there is no such file.
const LACKING: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 43, 2));
/// Nobody listens there.
const AWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 43, 3));
/// Has the file.
const HOLDING: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 43, 4));

/// A storage whose group cannot be asked by the storage protocol.
struct Cut(Vec<IpAddr>);

impl Source for Cut {
    async fn open(&self, _id: &FileId) -> Result<Content, SourceError> {
        Err(SourceError::Unavailable)
    }

    async fn members(&self, _id: &FileId) -> Vec<IpAddr> {
        self.0.clone()
    }
}

#[tokio::test]
async fn a_file_is_not_gone_while_one_of_those_asked_over_http_is_away() {
    let port = members().await;
    for (members, status) in [
        (vec![LACKING], 404),
        (vec![LACKING, AWAY], 503),
        (vec![AWAY, LACKING], 503),
        (vec![AWAY], 503),
        (vec![], 503),
        (vec![LACKING, AWAY, HOLDING], 200),
    ] {
        let paths = NativePaths::new(Arc::new(Cut(members.clone())), Arc::new(Settings::default()), None);
        let request = Request::get(PATH).body(()).unwrap();
        let answer = paths.respond(&request, port).await;
        assert_eq!(answer.status().as_u16(), status, "{members:?}");
        assert_eq!(answer.headers().contains_key("retry-after"), status == 503, "{members:?}");
    }
}

/// Two members that answer, on one port.
async fn members() -> u16 {
    loop {
        let lacking = TcpListener::bind((LACKING, 0)).await.unwrap();
        let port = lacking.local_addr().unwrap().port();
        // Another one's port here is no reason to fail, nor is one that somebody listens on where nobody should.
        let Ok(holding) = TcpListener::bind((HOLDING, port)).await else { continue };
        if TcpListener::bind((AWAY, port)).await.is_err() {
            continue;
        }
        serve(lacking, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        serve(holding, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        return port;
    }
}

fn serve(listener: TcpListener, answer: &'static str) {
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            if stream.read(&mut head).await.is_ok() {
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    });
}
