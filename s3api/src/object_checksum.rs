//! The checksum of an object: how it is told in heads and documents.

use fdfs_objects::{ObjectInfo, VersionId};
use http::HeaderMap;

use crate::checksum::{Checksum, ChecksumAlgorithm, ChecksumType};
use crate::context::Context;
use crate::error::S3Error;
use crate::respond;
use crate::xml::XmlWriter;

/// The checksum that is kept of an object, and what it is made of.
#[derive(Clone, Debug)]
pub(crate) struct ObjectChecksum {
    pub(crate) checksum: Checksum,
    pub(crate) kind: ChecksumType,
    parts: u32,
}

impl ObjectChecksum {
    /// That of an object, if one is kept.
    pub(crate) fn of(info: &ObjectInfo) -> Option<Self> {
        let kept = info.checksums.first()?;
        let kind = if kept.kind == 1 { ChecksumType::Composite } else { ChecksumType::FullObject };
        Some(Self { checksum: Checksum::of_kept(kept)?, kind, parts: info.part_count })
    }

    /// Its text: one composed of parts' tells how many.
    pub(crate) fn to_text(&self) -> String {
        let value = self.checksum.to_base64();
        match self.kind {
            ChecksumType::Composite => format!("{value}-{}", self.parts),
            ChecksumType::FullObject => value,
        }
    }

    /// Writes it into a head.
    pub(crate) fn write_headers(&self, headers: &mut HeaderMap) {
        respond::set(headers, self.checksum.algorithm.header(), &self.to_text());
        respond::set(headers, "x-amz-checksum-type", self.kind.name());
    }

    /// Writes it into a document.
    pub(crate) fn write_elements(&self, xml: &mut XmlWriter) {
        xml.text(self.checksum.algorithm.element(), &self.to_text());
        xml.text("ChecksumType", self.kind.name());
    }
}

/// The checksum of a range of an object by this algorithm: the one that is kept where it is the range's, else its bytes are read for it.
pub(crate) async fn of_range(
    cx: &Context,
    source: (&str, &[u8]),
    version_id: Option<VersionId>,
    info: &ObjectInfo,
    range: std::ops::Range<u64>,
    algorithm: ChecksumAlgorithm,
) -> Result<Checksum, S3Error> {
    if let Some(kept) = kept_of(info, &range).filter(|kept| kept.algorithm == algorithm) {
        return Ok(kept);
    }
    let reader = cx.objects.open_version(source.0, source.1, version_id).await?;
    let mut content = reader.read(range);
    let mut digest = crate::checksum::ChecksumDigest::new(algorithm);
    while let Some(piece) = futures_util::StreamExt::next(&mut content).await.transpose()? {
        digest.update(&piece);
    }
    Ok(digest.finish())
}

/// The checksum that is kept of a range: that of the whole, if it is of all its bytes.
pub(crate) fn kept_of(info: &ObjectInfo, range: &std::ops::Range<u64>) -> Option<Checksum> {
    let kept = ObjectChecksum::of(info).filter(|kept| kept.kind == ChecksumType::FullObject)?;
    (*range == (0..info.size())).then_some(kept.checksum)
}

/// Writes which checksum an object has, as lists do.
pub(crate) fn write_form(xml: &mut XmlWriter, form: Option<fdfs_objects::ChecksumForm>) {
    let Some((form, algorithm)) =
        form.and_then(|form| Some((form, ChecksumAlgorithm::of_number(form.algorithm)?)))
    else {
        return;
    };
    xml.text("ChecksumAlgorithm", algorithm.name());
    let kind = if form.composed { ChecksumType::Composite } else { ChecksumType::FullObject };
    xml.text("ChecksumType", kind.name());
}
