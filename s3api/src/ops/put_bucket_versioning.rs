//! `PUT /bucket?versioning`

use fdfs_objects::Versioning;
use http::StatusCode;

use super::Operation;
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::xml::Element;

/// Begins or stops keeping versions of a bucket's objects.
#[derive(Debug)]
pub(crate) struct PutBucketVersioning {
    bucket: String,
    versioning: Versioning,
}

impl Operation for PutBucketVersioning {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let bucket = request.bucket()?;
        let body = request.payload.read_all(MAX_BODY).await?;
        Ok(Self { bucket, versioning: parse_body(&body)? })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        cx.bucket(&self.bucket).await?;
        cx.objects.set_versioning(&self.bucket, self.versioning).await?;
        Ok(respond::empty(StatusCode::OK))
    }
}

/// The state asked for. Nobody here has a device for MFA.
pub(super) fn parse_body(body: &[u8]) -> Result<Versioning, S3Error> {
    let configuration = Element::parse(body, "VersioningConfiguration")?;
    match configuration.text_of("MfaDelete").map(str::trim) {
        None | Some("Disabled") => {}
        Some("Enabled") => {
            return Err(S3Error::new(ErrorCode::NotImplemented, "MFA delete is not implemented"));
        }
        Some(_) => return Err(ErrorCode::MalformedXML.into()),
    }
    match configuration.text_of("Status").map(str::trim) {
        Some("Enabled") => Ok(Versioning::Enabled),
        Some("Suspended") => Ok(Versioning::Suspended),
        Some(_) => Err(ErrorCode::MalformedXML.into()),
        None => Err(S3Error::new(
            ErrorCode::IllegalVersioningConfigurationException,
            "The Versioning element must be specified",
        )),
    }
}

const MAX_BODY: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_kept_or_no_longer_kept_and_never_guarded_by_mfa() {
        let parse = |inner: &str| {
            let document = format!("<VersioningConfiguration>{inner}</VersioningConfiguration>");
            parse_body(document.as_bytes()).map_err(|error| error.code())
        };
        assert_eq!(parse("<Status>Enabled</Status>"), Ok(Versioning::Enabled));
        assert_eq!(
            parse("<MfaDelete>Disabled</MfaDelete><Status>Suspended</Status>"),
            Ok(Versioning::Suspended)
        );
        assert_eq!(parse("<Status>On</Status>"), Err(ErrorCode::MalformedXML));
        assert_eq!(parse(""), Err(ErrorCode::IllegalVersioningConfigurationException));
        assert_eq!(
            parse("<MfaDelete>Enabled</MfaDelete><Status>Enabled</Status>"),
            Err(ErrorCode::NotImplemented)
        );
    }
}
