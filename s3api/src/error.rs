//! What went wrong, in S3's words: one table of codes, statuses and messages.

use std::borrow::Cow;
use std::fmt;

use fdfs_objects::ObjectsError;
use http::StatusCode;

use crate::time;
use crate::xml::XmlWriter;

/// Why a request was refused.
///
/// It is made from an [`ErrorCode`]; message and details are set where S3 sets them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct S3Error {
    code: ErrorCode,
    message: Cow<'static, str>,
    details: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    /// What happened on our side: for the log, not for the client.
    cause: Option<Box<str>>,
}

impl S3Error {
    /// An error with its own message instead of the code's usual one.
    pub(crate) fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), details: Vec::new(), headers: Vec::new(), cause: None }
    }

    /// Adds an element to the error's document.
    pub(crate) fn detail(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    /// Adds a header to the answer.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Headers that go with the answer.
    pub(crate) fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
    }

    /// What happened on our side, if it is our fault.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The code, which clients decide on.
    pub(crate) fn code(&self) -> ErrorCode {
        self.code
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// The document that stands in the body.
    pub(crate) fn to_xml(&self, resource: &str, request_id: &str) -> String {
        let mut xml = XmlWriter::document();
        xml.element("Error", |xml| self.write_fields(xml, Some((resource, request_id))));
        xml.finish()
    }

    /// Code and message alone, as `DeleteObjects` lists them.
    pub(crate) fn write_code_and_message(&self, xml: &mut XmlWriter) {
        xml.text("Code", self.code.as_str());
        xml.text("Message", &self.message);
    }

    fn write_fields(&self, xml: &mut XmlWriter, context: Option<(&str, &str)>) {
        self.write_code_and_message(xml);
        for (name, value) in &self.details {
            xml.text(name, value);
        }
        if let Some((resource, request_id)) = context {
            xml.text("Resource", resource);
            xml.text("RequestId", request_id);
        }
    }
}

impl From<ErrorCode> for S3Error {
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.message())
    }
}

impl fmt::Display for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for S3Error {}

/// What went wrong between names and files, in S3's words.
impl From<ObjectsError> for S3Error {
    fn from(error: ObjectsError) -> Self {
        let code = match &error {
            ObjectsError::NotFound => ErrorCode::NoSuchKey,
            ObjectsError::PreconditionFailed => ErrorCode::PreconditionFailed,
            ObjectsError::NoSuchBucket => ErrorCode::NoSuchBucket,
            ObjectsError::BucketExists => ErrorCode::BucketAlreadyOwnedByYou,
            ObjectsError::BucketNotEmpty => ErrorCode::BucketNotEmpty,
            ObjectsError::NotPrivate => ErrorCode::InvalidRequest,
            ObjectsError::NoSuchGroup => ErrorCode::InvalidLocationConstraint,
            ObjectsError::NotPermitted(_) | ObjectsError::NoSecret => ErrorCode::AccessDenied,
            ObjectsError::InvalidName => ErrorCode::InvalidURI,
            // A directory of a bucket that keeps versions, too: those would not move along.
            ObjectsError::CrossBucket => ErrorCode::InvalidRequest,
            ObjectsError::InvalidRange => ErrorCode::InvalidRange,
            ObjectsError::BadDigest => ErrorCode::BadDigest,
            ObjectsError::WrongLength { .. } => ErrorCode::IncompleteBody,
            ObjectsError::NoSuchVersion => ErrorCode::NoSuchVersion,
            ObjectsError::DeleteMarker { named: false, .. } => ErrorCode::NoSuchKey,
            ObjectsError::DeleteMarker { named: true, .. } => ErrorCode::MethodNotAllowed,
            ObjectsError::NoSuchUpload => ErrorCode::NoSuchUpload,
            ObjectsError::InvalidPart(_) => ErrorCode::InvalidPart,
            ObjectsError::InvalidPartOrder => ErrorCode::InvalidPartOrder,
            ObjectsError::PartTooSmall(_) => ErrorCode::EntityTooSmall,
            ObjectsError::AttributesTooLarge => ErrorCode::MetadataTooLarge,
            ObjectsError::Unsupported => ErrorCode::NotImplemented,
            ObjectsError::NoSpace => ErrorCode::InsufficientStorage,
            ObjectsError::Unavailable(_) => ErrorCode::ServiceUnavailable,
            ObjectsError::AlreadyExists
            | ObjectsError::NotEmpty
            | ObjectsError::IsDirectory
            | ObjectsError::NotDirectory
            | ObjectsError::Loop
            | ObjectsError::NoAttribute
            | ObjectsError::Internal(_) => ErrorCode::InternalError,
        };
        let mut answer = Self::from(code);
        match &error {
            ObjectsError::NotPrivate | ObjectsError::NoSecret => {
                answer.message = Cow::Owned(error.to_string());
            }
            ObjectsError::NotPermitted(what) => answer.message = Cow::Borrowed(what),
            ObjectsError::InvalidPart(number) | ObjectsError::PartTooSmall(number) => {
                answer = answer.detail("PartNumber", number.to_string());
            }
            ObjectsError::DeleteMarker { version_id, since, named } => {
                answer = answer
                    .header("x-amz-delete-marker", "true")
                    .header("x-amz-version-id", version_id.to_string())
                    .header("last-modified", time::http_date(time::of_millis(*since)));
                if *named {
                    answer = answer.header("allow", "DELETE");
                }
            }
            _ => {}
        }
        // A client learns that it is our fault; what happened is for the log.
        if code.status().is_server_error() && code != ErrorCode::NotImplemented {
            answer.cause = Some(error.to_string().into());
        }
        answer
    }
}

macro_rules! error_codes {
    ($($name:ident $status:ident $message:literal)*) => {
        /// A code of the S3 API with its status and usual message.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(crate) enum ErrorCode {
            $(#[doc = $message] $name,)*
        }

        impl ErrorCode {
            /// The code as it stands in the document.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// The HTTP status that goes with the code.
            pub(crate) fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// What S3 usually says with the code.
            pub(crate) fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
        }
    };
}

error_codes! {
    AccessControlListNotSupported BAD_REQUEST "The bucket does not allow ACLs"
    AccessDenied FORBIDDEN "Access Denied"
    AccessForbidden FORBIDDEN "Access forbidden"
    AuthorizationHeaderMalformed BAD_REQUEST "The authorization header is malformed."
    AuthorizationQueryParametersError BAD_REQUEST "The query parameters of the signature are malformed."
    BadRequest BAD_REQUEST "Bad Request"
    BadDigest BAD_REQUEST "The Content-MD5 or checksum you specified did not match what we received."
    BucketAlreadyOwnedByYou CONFLICT "Your previous request to create the named bucket succeeded and you already own it."
    BucketNotEmpty CONFLICT "The bucket you tried to delete is not empty"
    EntityTooLarge BAD_REQUEST "Your proposed upload exceeds the maximum allowed size"
    EntityTooSmall BAD_REQUEST "Your proposed upload is smaller than the minimum allowed size"
    ExpiredToken BAD_REQUEST "The provided token has expired."
    IllegalVersioningConfigurationException BAD_REQUEST "Indicates that the versioning configuration specified in the request is invalid."
    IncompleteBody BAD_REQUEST "The request body terminated unexpectedly"
    InternalError INTERNAL_SERVER_ERROR "We encountered an internal error. Please try again."
    InvalidAccessKeyId FORBIDDEN "The AWS Access Key Id you provided does not exist in our records."
    InvalidArgument BAD_REQUEST "Invalid Argument"
    InvalidBucketAclWithObjectOwnership BAD_REQUEST "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
    InvalidBucketName BAD_REQUEST "The specified bucket is not valid."
    InvalidBucketOwnerAWSAccountID BAD_REQUEST "The value of the expected bucket owner parameter must be an AWS account ID"
    InvalidDigest BAD_REQUEST "The Content-MD5 you specified is not valid."
    InvalidLocationConstraint BAD_REQUEST "The specified location-constraint is not valid"
    InvalidPart BAD_REQUEST "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
    InvalidPartNumber RANGE_NOT_SATISFIABLE "The requested partnumber is not satisfiable"
    InvalidPartOrder BAD_REQUEST "The list of parts was not in ascending order. Parts must be ordered by part number."
    InvalidPolicyDocument BAD_REQUEST "The content of the form does not meet the conditions specified in the policy document."
    InvalidRedirectLocation BAD_REQUEST "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."
    InvalidRange RANGE_NOT_SATISFIABLE "The requested range is not satisfiable"
    InvalidRequest BAD_REQUEST "Invalid Request"
    InvalidStorageClass BAD_REQUEST "The storage class you specified is not valid"
    InvalidTag BAD_REQUEST "The tag provided was not a valid tag."
    InvalidToken BAD_REQUEST "The provided token is malformed or otherwise invalid."
    InvalidURI BAD_REQUEST "Couldn't parse the specified URI."
    KeyTooLongError BAD_REQUEST "Your key is too long"
    MalformedACLError BAD_REQUEST "The XML you provided was not well-formed or did not validate against our published schema"
    MalformedPolicy BAD_REQUEST "Policies must be valid JSON and the first byte must be '{'"
    MalformedPOSTRequest BAD_REQUEST "The body of your POST request is not well-formed multipart/form-data."
    MalformedXML BAD_REQUEST "The XML you provided was not well-formed or did not validate against our published schema"
    MalformedTrailerError BAD_REQUEST "The request contained trailing data that was not well-formed or did not conform to our published schema."
    MaxMessageLengthExceeded BAD_REQUEST "Your request was too big."
    MaxPostPreDataLengthExceededError BAD_REQUEST "Your POST request fields preceding the upload file were too large."
    MetadataTooLarge BAD_REQUEST "Your metadata headers exceed the maximum allowed metadata size"
    MethodNotAllowed METHOD_NOT_ALLOWED "The specified method is not allowed against this resource."
    MissingContentLength LENGTH_REQUIRED "You must provide the Content-Length HTTP header."
    NoSuchBucket NOT_FOUND "The specified bucket does not exist"
    NoSuchBucketPolicy NOT_FOUND "The bucket policy does not exist"
    NoSuchCORSConfiguration NOT_FOUND "The CORS configuration does not exist"
    NoSuchKey NOT_FOUND "The specified key does not exist."
    NoSuchLifecycleConfiguration NOT_FOUND "The lifecycle configuration does not exist"
    NoSuchPublicAccessBlockConfiguration NOT_FOUND "The public access block configuration was not found"
    NoSuchTagSet NOT_FOUND "The TagSet does not exist"
    NoSuchUpload NOT_FOUND "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    NoSuchVersion NOT_FOUND "The specified version does not exist."
    NoSuchWebsiteConfiguration NOT_FOUND "The specified bucket does not have a website configuration"
    NotImplemented NOT_IMPLEMENTED "A header you provided implies functionality that is not implemented"
    NotModified NOT_MODIFIED "Not Modified"
    ObjectLockConfigurationNotFoundError NOT_FOUND "Object Lock configuration does not exist for this bucket"
    OwnershipControlsNotFoundError NOT_FOUND "The bucket ownership controls were not found"
    PreconditionFailed PRECONDITION_FAILED "At least one of the pre-conditions you specified did not hold"
    ReplicationConfigurationNotFoundError NOT_FOUND "The replication configuration was not found"
    RequestTimeTooSkewed FORBIDDEN "The difference between the request time and the current time is too large."
    RequestTimeout BAD_REQUEST "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed."
    ServerSideEncryptionConfigurationNotFoundError NOT_FOUND "The server side encryption configuration was not found"
    InsufficientStorage INSUFFICIENT_STORAGE "There is not enough free space to store this."
    ServiceUnavailable SERVICE_UNAVAILABLE "Service is unable to handle request."
    SignatureDoesNotMatch FORBIDDEN "The request signature we calculated does not match the signature you provided. Check your key and signing method."
    XAmzContentSHA256Mismatch BAD_REQUEST "The provided 'x-amz-content-sha256' header does not match what was computed."
    ValidationError BAD_REQUEST "The input does not satisfy the constraints of the service."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_code_message_details_and_request() {
        let error = S3Error::from(ErrorCode::NoSuchKey).detail("Key", "a&b");

        assert_eq!(
            error.to_xml("/bucket/a&b", "4442587FB7D0A2F9"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code>\
             <Message>The specified key does not exist.</Message><Key>a&amp;b</Key>\
             <Resource>/bucket/a&amp;b</Resource><RequestId>4442587FB7D0A2F9</RequestId></Error>"
        );
        assert_eq!(error.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn a_full_cluster_is_not_an_unreachable_one() {
        let full = S3Error::from(ObjectsError::NoSpace);
        assert_eq!((full.code().as_str(), full.status().as_u16()), ("InsufficientStorage", 507));
        let away = S3Error::from(ObjectsError::Unavailable("no storage answers".into()));
        assert_eq!((away.code().as_str(), away.status().as_u16()), ("ServiceUnavailable", 503));
    }
}
