//! What is counted.

use fdfs_ops::Metrics;

use crate::support::{Gateway, Signed};

#[tokio::test]
async fn requests_are_counted_by_operation_and_status() {
    let metrics = Metrics::install();
    let gateway = Gateway::start().await.with_bucket("counted").await;
    gateway.send(Signed::new("PUT", "/counted/k").body("12345")).await;
    gateway.send(Signed::new("POST", "/counted/k?restore")).await;

    let text = metrics.render();
    for line in [
        r#"fdfs_s3_requests_total{operation="PutObject",status="2xx"}"#,
        r#"fdfs_s3_requests_total{operation="Unknown",status="5xx"}"#,
        r#"fdfs_s3_request_seconds_count{operation="PutObject"}"#,
        r#"fdfs_connections_accepted_total{server="s3"}"#,
        "fdfs_s3_received_bytes_total",
        "fdfs_s3_sent_bytes_total",
    ] {
        let value = text.lines().find_map(|counted| counted.strip_prefix(line)).map(str::trim);
        assert!(value.is_some_and(|value| value.parse::<u64>().unwrap() > 0), "{line}: {text}");
    }
}
