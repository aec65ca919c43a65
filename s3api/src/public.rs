//! Objects that anybody may read, for who serves them elsewhere than on the port of S3.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};

use crate::connection::GoAhead;
use crate::peer::Peer;
use crate::service::S3Service;

/// Objects that anybody may read. Copies are the same.
#[derive(Clone, Debug)]
pub struct PublicObjects(Arc<S3Service>);

impl PublicObjects {
    pub(crate) fn new(service: Arc<S3Service>) -> Self {
        Self(service)
    }

    /// Answers `GET` or `HEAD` of `/BUCKET/KEY` as S3 answers it to `client` without a signature, by the rules of the bucket;
    /// or tells with which status it is refused.
    pub async fn answer(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        client: IpAddr,
        tls: bool,
    ) -> Result<
        Response<impl http_body::Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + use<>>,
        StatusCode,
    > {
        // Whom a proxy asks for is known already.
        let (address, go_ahead) = (SocketAddr::new(client, 0), GoAhead::default());
        let peer = Peer { address, tls, outgoing: None, go_ahead, trusted: Arc::new([]) };
        let answer = self.0.answer_anybody(method, path, headers, &peer, SystemTime::now()).await;
        answer.map_err(|error| error.status())
    }
}
