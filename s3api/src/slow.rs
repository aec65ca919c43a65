//! Answers that take long: the client is kept from giving up by white space before the document, as S3 does.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use tokio::time::timeout;

use crate::body::ResponseBody;

/// Work that may take long.
pub(crate) type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// How work went in the time it was given.
pub(crate) enum First<T> {
    /// It is done.
    Done(T),
    /// It goes on.
    Still(Work<T>),
}

/// Waits for `work`, not longer than `patience`.
pub(crate) async fn first<T>(mut work: Work<T>, patience: Duration) -> First<T> {
    match timeout(patience, &mut work).await {
        Ok(done) => First::Done(done),
        Err(_) => First::Still(work),
    }
}

/// A body that begins now, shows every `interval` that there is life, and ends with the document of the work when that is done.
///
/// Whoever drops the body drops the work.
pub(crate) fn body<T: 'static>(
    work: Work<T>,
    interval: Duration,
    document: impl FnOnce(T) -> Bytes + Send + 'static,
) -> ResponseBody {
    let begin = stream::once(async { Ok(Bytes::from_static(DECLARATION.as_bytes())) });
    let rest = stream::unfold(Some((work, document)), move |state| async move {
        let (mut work, document) = state?;
        match timeout(interval, &mut work).await {
            Ok(done) => {
                let document = document(done);
                let content = document
                    .strip_prefix(DECLARATION.as_bytes())
                    .map_or(0, |rest| document.len() - rest.len());
                Some((Ok(document.slice(content..)), None))
            }
            Err(_) => Some((Ok(Bytes::from_static(b" ")), Some((work, document)))),
        }
    });
    ResponseBody::Open(Box::pin(futures_util::StreamExt::chain(begin, rest)))
}

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http_body::Body as _;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn who_waits_long_sees_life_and_then_the_document() {
        let (end, ended) = oneshot::channel::<String>();
        let work: Work<String> = Box::pin(async { ended.await.unwrap() });
        let First::Still(work) = first(work, Duration::from_millis(1)).await else { panic!("it waits") };
        let mut body = body(work, Duration::from_millis(1), Bytes::from);
        let mut next = async || {
            let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await?;
            Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
        };
        assert_eq!(next().await.unwrap(), DECLARATION);
        for _ in 0..3 {
            assert_eq!(next().await.unwrap(), " ");
        }
        end.send(format!("{DECLARATION}<Done/>")).unwrap();
        let mut last = next().await.unwrap();
        while last == " " {
            last = next().await.unwrap();
        }
        assert_eq!(last, "<Done/>");
        assert_eq!(next().await, None);
    }

    #[tokio::test]
    async fn what_is_soon_done_is_answered_as_always() {
        let work: Work<u8> = Box::pin(async { 7 });
        assert!(matches!(first(work, Duration::from_secs(30)).await, First::Done(7)));
    }
}
