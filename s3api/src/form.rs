//! Uploads by HTML forms: `multipart/form-data`, read part by part, the file as a stream.

mod policy;

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Body;
use hyper::body::Incoming;
use memchr::memmem::Finder;

use crate::error::{ErrorCode, S3Error};
use crate::payload::Payload;

pub(crate) use policy::PostPolicy;

/// A form whose fields before the file have been read.
#[derive(Debug)]
pub(crate) struct Form<B = Incoming> {
    /// Names in lower case and values, in the order sent. A file that is named comes into `${filename}`.
    fields: Vec<(String, String)>,
    file: FileField<B>,
}

/// The file of a form: its bytes up to the delimiter that has to follow.
#[derive(Debug)]
pub(crate) struct FileField<B = Incoming> {
    reader: PartReader<B>,
}

/// Reads parts. Memory holds one piece of the body and what may be the begin of a delimiter.
#[derive(Debug)]
struct PartReader<B> {
    payload: Payload<B>,
    buffer: BytesMut,
    delimiter: Finder<'static>,
    /// The delimiter behind the current part was seen.
    part_ended: bool,
}

impl<B> Form<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Reads the fields before the file. What stands behind the file is not looked at, as S3 has it.
    pub(crate) async fn read(content_type: &str, payload: Payload<B>) -> Result<Self, S3Error> {
        let boundary = boundary(content_type).ok_or_else(|| {
            S3Error::new(
                ErrorCode::PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold",
            )
            .detail("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
        })?;
        let mut reader = PartReader::new(payload, &boundary);
        reader.begin().await?;
        let (mut fields, mut size) = (Vec::new(), 0);
        loop {
            let Some(disposition) = reader.next_part().await? else {
                return Err(S3Error::new(
                    ErrorCode::InvalidArgument,
                    "POST requires exactly one file upload per request.",
                ));
            };
            let name = parameter(&disposition, "name").ok_or_else(malformed)?.to_ascii_lowercase();
            if name == "file" {
                let filename = parameter(&disposition, "filename").unwrap_or_default();
                // Some browsers send a path.
                let filename = filename.rsplit(['/', '\\']).next().unwrap_or_default();
                for (_, value) in &mut fields {
                    let expanded: &mut String = value;
                    if expanded.contains(FILENAME) {
                        *expanded = expanded.replace(FILENAME, filename);
                    }
                }
                return Ok(Self { fields, file: FileField { reader } });
            }
            let value = reader.text(MAX_FIELDS - size).await?;
            size += name.len() + value.len();
            if size >= MAX_FIELDS || fields.len() == MAX_COUNT {
                return Err(too_large());
            }
            fields.push((name, value));
        }
    }

    /// The value of a field, named in lower case.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All fields, names in lower case.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The fields that say of the object what headers say of it in a PUT.
    pub(crate) fn headers(&self) -> Result<HeaderMap, S3Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.fields {
            let name = if name == "acl" { "x-amz-acl" } else { name.as_str() };
            if !(name.starts_with("x-amz-") && !SIGNING.contains(&name) || CONTENT.contains(&name)) {
                continue;
            }
            let value = HeaderValue::from_bytes(value.as_bytes()).ok();
            let name = HeaderName::from_bytes(name.as_bytes()).ok();
            let (Some(name), Some(value)) = (name, value) else { return Err(malformed()) };
            headers.insert(name, value);
        }
        Ok(headers)
    }

    /// The file.
    pub(crate) fn into_file(self) -> FileField<B> {
        self.file
    }
}

impl<B> FileField<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// The next bytes of the file; nothing after the last, which is known by the delimiter behind it.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, S3Error> {
        self.reader.data().await
    }

    /// Reads what stands behind the file, so that a body that breaks off there is not taken for a whole one.
    pub(crate) async fn finish(mut self) -> Result<(), S3Error> {
        let end = self.reader.line().await?;
        if !end.starts_with("--") && !end.trim().is_empty() {
            return Err(malformed());
        }
        let mut behind = self.reader.buffer.len();
        while self.reader.more().await? {
            behind += self.reader.buffer.len();
            self.reader.buffer.clear();
            if behind > MAX_FIELDS {
                return Err(too_large());
            }
        }
        Ok(())
    }
}

impl<B> PartReader<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    fn new(payload: Payload<B>, boundary: &str) -> Self {
        let delimiter = Finder::new(&format!("\r\n--{boundary}")).into_owned();
        Self { payload, buffer: BytesMut::new(), delimiter, part_ended: false }
    }

    /// Reads up to the first delimiter, before which there may be a preamble.
    async fn begin(&mut self) -> Result<(), S3Error> {
        // The first delimiter may stand at the very begin.
        self.buffer.extend_from_slice(b"\r\n");
        let mut preamble = 0;
        while let Some(piece) = self.data().await? {
            preamble += piece.len();
            if preamble > MAX_FIELDS {
                return Err(malformed());
            }
        }
        Ok(())
    }

    /// Goes on to the next part, and gives its `Content-Disposition`; nothing after the last.
    async fn next_part(&mut self) -> Result<Option<String>, S3Error> {
        while self.data().await?.is_some() {}
        let line = self.line().await?;
        if line.starts_with("--") {
            return Ok(None);
        }
        if !line.trim().is_empty() {
            return Err(malformed());
        }
        self.part_ended = false;
        let mut disposition = None;
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return disposition.ok_or_else(malformed).map(Some);
            }
            let (name, value) = line.split_once(':').ok_or_else(malformed)?;
            if name.trim().eq_ignore_ascii_case("content-disposition") {
                disposition = Some(value.trim().to_owned());
            }
        }
    }

    /// The next bytes of the part; nothing when its end has been reached.
    async fn data(&mut self) -> Result<Option<Bytes>, S3Error> {
        loop {
            if self.part_ended {
                return Ok(None);
            }
            if let Some(at) = self.delimiter.find(&self.buffer) {
                let data = self.buffer.split_to(at).freeze();
                self.buffer.advance(self.delimiter.needle().len());
                self.part_ended = true;
                if data.is_empty() {
                    continue;
                }
                return Ok(Some(data));
            }
            let certain = (self.buffer.len() + 1).saturating_sub(self.delimiter.needle().len());
            if certain > 0 {
                return Ok(Some(self.buffer.split_to(certain).freeze()));
            }
            if !self.more().await? {
                return Err(ErrorCode::IncompleteBody.into());
            }
        }
    }

    /// A field's text, of less than `limit` bytes.
    async fn text(&mut self, limit: usize) -> Result<String, S3Error> {
        let mut text = Vec::new();
        while let Some(data) = self.data().await? {
            if text.len() + data.len() >= limit {
                return Err(too_large());
            }
            text.extend_from_slice(&data);
        }
        String::from_utf8(text).map_err(|_| malformed())
    }

    /// A line of a part's head.
    async fn line(&mut self) -> Result<String, S3Error> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.split_to(end);
                self.buffer.advance(2);
                return String::from_utf8(line.to_vec()).map_err(|_| malformed());
            }
            // The last delimiter needs no line behind it.
            let more = self.buffer.len() < MAX_LINE && self.more().await?;
            if !more {
                let last = self.buffer.starts_with(b"--");
                return if last { Ok("--".to_owned()) } else { Err(malformed()) };
            }
        }
    }

    async fn more(&mut self) -> Result<bool, S3Error> {
        match self.payload.next().await? {
            Some(piece) => {
                self.buffer.extend_from_slice(&piece);
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

/// The boundary that a content type names.
fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameter(&format!(";{parameters}"), "boundary")?;
    (1..=70).contains(&boundary.len()).then_some(boundary)
}

/// A parameter of a header's value: `; name="value"`. Browsers write quotes in it as `%22` or `\"`.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value;
    loop {
        rest = rest.get(rest.find(';')? + 1..)?.trim_start();
        let (found, after) = rest.split_once('=')?;
        let (text, behind) = match after.strip_prefix('"') {
            Some(quoted) => {
                let mut text = String::new();
                let mut characters = quoted.char_indices();
                let end = loop {
                    match characters.next()? {
                        (at, '"') => break at,
                        (_, '\\') if characters.as_str().starts_with(['"', '\\']) => {
                            text.push(characters.next()?.1);
                        }
                        (_, c) => text.push(c),
                    }
                };
                (text.replace("%22", "\""), quoted.get(end + 1..)?)
            }
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after.get(..end)?.trim().to_owned(), after.get(end..)?)
            }
        };
        if found.trim().eq_ignore_ascii_case(name) {
            return Some(text);
        }
        rest = behind;
    }
}

fn malformed() -> S3Error {
    ErrorCode::MalformedPOSTRequest.into()
}

fn too_large() -> S3Error {
    S3Error::from(ErrorCode::MaxPostPreDataLengthExceededError)
        .detail("MaxPostPreDataLengthBytes", MAX_FIELDS.to_string())
}

const FILENAME: &str = "${filename}";
/// Bytes of all fields before the file, as S3 has it.
const MAX_FIELDS: usize = 20 * 1024;
const MAX_COUNT: usize = 256;
const MAX_LINE: usize = 8 * 1024;
/// Fields about the object that have no `x-amz-` before them.
const CONTENT: [&str; 7] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-md5",
    "content-type",
    "expires",
];
/// Fields of the signature.
const SIGNING: [&str; 5] =
    ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token", "x-amz-signature"];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use proptest::collection::vec;
    use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_assume, prop_oneof};
    use proptest::proptest;

    use super::*;
    use crate::payload::BodySource;
    use crate::signature::PayloadMode;

    /// Reads a form that arrives in pieces of `cut` bytes.
    async fn read(wire: &[u8], cut: usize) -> Result<(Vec<(String, String)>, Vec<u8>), ErrorCode> {
        let pieces: Vec<_> = wire
            .chunks(cut)
            .map(|piece| Ok::<_, std::io::Error>(Frame::data(Bytes::copy_from_slice(piece))))
            .collect();
        let source = BodySource::new(StreamBody::new(stream::iter(pieces)), Duration::from_secs(30));
        let payload = Payload::new(source, PayloadMode::Unsigned, &HeaderMap::new());
        let payload = payload.map_err(|error| error.code())?;
        let form = Form::read("multipart/form-data; boundary=b-b", payload).await;
        let form = form.map_err(|error| error.code())?;
        let (fields, mut data) = (form.fields.clone(), Vec::new());
        let mut file = form.into_file();
        while let Some(piece) = file.next().await.map_err(|error| error.code())? {
            data.extend_from_slice(&piece);
        }
        file.finish().await.map_err(|error| error.code())?;
        Ok((fields, data))
    }

    proptest! {
        #[test]
        fn a_form_says_the_same_however_it_is_cut(
            value in "[-b\\r\\n]{0,12}",
            file in vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'b'), any::<u8>()], 0..200),
            cut in 1_usize..40,
            end in 0_usize..400,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let clash = |bytes: &[u8]| [b"\r\n", bytes, b"\r\n"].concat().windows(7).any(|window| window == b"\r\n--b-b");
            prop_assume!(!clash(value.as_bytes()) && !clash(&file));
            let part = |head: &str| format!("--b-b\r\nContent-Disposition: form-data; {head}\r\n\r\n");
            let mut wire = format!("{}k\r\n{}{value}\r\n{}", part("name=key"), part("name=v"), part("name=file")).into_bytes();
            wire.extend_from_slice(&file);
            wire.extend_from_slice(b"\r\n--b-b--\r\n");
            let fields = vec![("key".to_owned(), "k".to_owned()), ("v".to_owned(), value)];
            prop_assert_eq!(runtime.block_on(read(&wire, cut)), Ok((fields, file)));
            // Cut off before the last delimiter is whole, it is no form.
            if end + 4 < wire.len() {
                prop_assert!(runtime.block_on(read(&wire[..end], cut)).is_err());
            }
        }
    }

    #[test]
    fn parameters_are_found_quoted_or_not() {
        for (value, name, found) in [
            ("form-data; name=\"key\"", "name", Some("key")),
            ("form-data; filename=\"a;b=\\\"c\\\".txt\"; name=file", "filename", Some("a;b=\"c\".txt")),
            ("form-data; filename=\"a;b\"; name=file", "name", Some("file")),
            ("form-data; filename=\"%22.txt\"", "filename", Some("\".txt")),
            ("form-data; name=\"key", "name", None),
            ("form-data", "name", None),
        ] {
            assert_eq!(parameter(value, name).as_deref(), found, "{value}");
        }
        assert_eq!(boundary("multipart/form-data; boundary=\"a b\"").as_deref(), Some("a b"));
        assert_eq!(boundary("Multipart/Form-Data;charset=x; boundary=ab").as_deref(), Some("ab"));
        assert_eq!(boundary("text/plain; boundary=ab"), None);
        assert_eq!(boundary("multipart/form-data; boundary="), None);
    }
}
