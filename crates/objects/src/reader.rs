//! Reading an object: a range of its content, out of the files that hold it.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin as StdPin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fdfs_client::Piece;
use fdfs_namespace::Extent;
use futures_util::{Stream, StreamExt, stream};

use crate::error::ObjectsError;
use crate::files::{Files, FilesError};
use crate::info::ObjectInfo;
use crate::pins::Pin;

/// Bytes of an object as they come.
pub type ObjectStream = StdPin<Box<dyn Stream<Item = Result<Bytes, ObjectsError>> + Send>>;

/// Pieces of an object as they come: bytes, or where on this machine they lie.
pub type ObjectPieces = StdPin<Box<dyn Stream<Item = Result<Piece, ObjectsError>> + Send>>;

/// An object that is open: it reads the content of the moment it was opened, whatever happens to its name. Cheap to clone.
#[derive(Clone)]
pub struct ObjectReader {
    info: Arc<ObjectInfo>,
    extents: Arc<[Extent]>,
    files: Arc<dyn Files>,
    pin: Arc<Pin>,
}

impl ObjectReader {
    pub(crate) fn new(info: ObjectInfo, extents: Vec<Extent>, files: Arc<dyn Files>, pin: Pin) -> Self {
        Self { info: Arc::new(info), extents: extents.into(), files, pin: Arc::new(pin) }
    }

    /// What is known of it.
    pub fn info(&self) -> &ObjectInfo {
        &self.info
    }

    /// The bytes of `range`, which is cut at the content's end. Nothing is asked of a storage before the stream is polled.
    pub fn read(&self, range: Range<u64>) -> ObjectStream {
        Box::pin(self.in_turn(range, open))
    }

    /// As [`ObjectReader::read`], but what lies on this machine may come as pieces of files, to be sent on without being read.
    pub fn read_pieces(&self, range: Range<u64>) -> ObjectPieces {
        Box::pin(self.in_turn(range, open_pieces))
    }

    /// What lies in `range`, a stretch after the other, each opened when the one before is at its end.
    fn in_turn<S, Opening>(
        &self,
        range: Range<u64>,
        open: fn(Arc<dyn Files>, Stretch) -> Opening,
    ) -> impl Stream<Item = S::Item> + Send + use<S, Opening>
    where
        S: Stream + Send,
        Opening: Future<Output = S> + Send,
    {
        let end = range.end.min(self.info.size());
        let start = range.start.min(end);
        let state = (stretches(&self.extents, start..end), Arc::clone(&self.files), Arc::clone(&self.pin));
        let streams = stream::unfold(state, move |(mut stretches, files, pin)| async move {
            let stretch = stretches.pop_front()?;
            let stream = open(Arc::clone(&files), stretch).await;
            Some((stream, (stretches, files, pin)))
        });
        streams.flatten()
    }

    /// Pieces of files that the content consists of.
    pub fn pieces(&self) -> usize {
        self.extents.len()
    }

    /// Where bytes that were written come next, from `offset` on; none after the last of them.
    pub fn next_data(&self, offset: u64) -> Option<u64> {
        let at = self.extents.partition_point(|extent| extent.end() <= offset);
        let next = self.extents.get(at)?.offset.max(offset);
        (next < self.info.size()).then_some(next)
    }

    /// Where bytes that nothing was written to come next, from `offset` on: the content's end at the latest.
    pub fn next_hole(&self, offset: u64) -> u64 {
        let mut at = offset;
        let first = self.extents.partition_point(|extent| extent.end() <= offset);
        for extent in self.extents.iter().skip(first) {
            if extent.offset > at {
                break;
            }
            at = extent.end();
        }
        at.min(self.info.size())
    }

    /// The bytes of `range` in one piece. For small ranges: all of it is held in memory.
    pub async fn read_bytes(&self, range: Range<u64>) -> Result<Bytes, ObjectsError> {
        let mut stream = self.read(range);
        let Some(first) = stream.next().await.transpose()? else { return Ok(Bytes::new()) };
        let Some(second) = stream.next().await.transpose()? else { return Ok(first) };
        let mut bytes = BytesMut::from(first.as_ref());
        bytes.extend_from_slice(&second);
        while let Some(more) = stream.next().await.transpose()? {
            bytes.extend_from_slice(&more);
        }
        Ok(bytes.freeze())
    }
}

/// What to send next.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Stretch {
    /// Bytes that nothing was written to.
    Zeros(u64),
    /// Bytes of a file.
    File(Extent),
}

/// The stretches that make up `range`.
fn stretches(extents: &[Extent], range: Range<u64>) -> VecDeque<Stretch> {
    let mut stretches = VecDeque::new();
    let mut at = range.start;
    let first = extents.partition_point(|extent| extent.end() <= range.start);
    for extent in extents.iter().skip(first).take_while(|extent| extent.offset < range.end) {
        if extent.offset > at {
            stretches.push_back(Stretch::Zeros(extent.offset - at));
            at = extent.offset;
        }
        let end = extent.end().min(range.end);
        if end > at {
            let file_offset = extent.file_offset + (at - extent.offset);
            stretches.push_back(Stretch::File(Extent {
                offset: at,
                length: end - at,
                file_offset,
                ..extent.clone()
            }));
            at = end;
        }
    }
    if at < range.end {
        stretches.push_back(Stretch::Zeros(range.end - at));
    }
    stretches
}

async fn open(files: Arc<dyn Files>, stretch: Stretch) -> ObjectStream {
    match stretch {
        Stretch::Zeros(length) => Box::pin(stream::iter(zeros(length).map(Ok))),
        Stretch::File(extent) => match files.read(&extent.file, extent.file_offset, extent.length).await {
            Ok(bytes) => Box::pin(bytes.map(move |item| item.map_err(|error| lost(&extent, error)))),
            Err(error) => Box::pin(stream::iter([Err(lost(&extent, error))])),
        },
    }
}

async fn open_pieces(files: Arc<dyn Files>, stretch: Stretch) -> ObjectPieces {
    match stretch {
        Stretch::Zeros(length) => Box::pin(stream::iter(zeros(length).map(|bytes| Ok(Piece::Bytes(bytes))))),
        Stretch::File(extent) => {
            match files.read_pieces(&extent.file, extent.file_offset, extent.length).await {
                Ok(pieces) => Box::pin(pieces.map(move |item| item.map_err(|error| lost(&extent, error)))),
                Err(error) => Box::pin(stream::iter([Err(lost(&extent, error))])),
            }
        }
    }
}

/// A file that a name refers to and that is not there is not "not found": the name is.
fn lost(extent: &Extent, error: FilesError) -> ObjectsError {
    match error {
        FilesError::NotFound => ObjectsError::Unavailable(format!("{} is missing", extent.file)),
        error => error.into(),
    }
}

fn zeros(length: u64) -> impl Iterator<Item = Bytes> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    let mut left = length;
    std::iter::from_fn(move || {
        let now = left.min(ZEROS.len() as u64);
        left -= now;
        (now > 0).then(|| Bytes::from_static(&ZEROS[..usize::try_from(now).unwrap_or(ZEROS.len())]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(offset: u64, length: u64, file_offset: u64) -> Extent {
        let file = "group1/M00/01/07/fwAAAmsCeAWAUa5zAAAACw1KEYU831.txt".parse().unwrap();
        Extent { offset, file_offset, ..Extent::whole(file, length) }
    }

    #[test]
    fn a_range_across_extents_and_gaps_falls_into_stretches() {
        let extents = [extent(0, 10, 0), extent(10, 10, 5), extent(30, 10, 0)];
        assert_eq!(
            stretches(&extents, 8..35),
            [
                Stretch::File(extent(8, 2, 8)),
                Stretch::File(extent(10, 10, 5)),
                Stretch::Zeros(10),
                Stretch::File(extent(30, 5, 0))
            ]
        );
        assert_eq!(stretches(&extents, 40..45), [Stretch::Zeros(5)]);
        assert_eq!(stretches(&extents, 5..5), []);
        assert_eq!(zeros(200_000).map(|bytes| bytes.len()).sum::<usize>(), 200_000);
    }
}
