//! `SCRUB` (207): how the search for damaged files goes, and what it could not heal.
//!
//! ```text
//!  request: | group [16] | u8 action: 0 tell, 1 try those that are left again, 2 search all files now |
//!  answer:  | u8 searching | begun i64 | last whole i64 | u64 files | u64 bytes | u64 damaged | u64 healed | u32 left
//!           | n times: found i64, tried i64, u32 tries, u16 length, name, u16 length, why |
//! ```

use fdfs_types::{GroupName, RemoteFilename, Timestamp};

use crate::{Command, Decode, DecodeError, Encode, Reader, Request, Writer};

/// Asks how the search for damaged files goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ScrubRequest {
    /// The group.
    pub group: GroupName,
    /// What is to be done besides.
    pub action: ScrubAction,
}

/// What a [`ScrubRequest`] has done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ScrubAction {
    /// Nothing.
    Tell,
    /// The files that could not be healed are tried again.
    TryAgain,
    /// All files are searched, from the first on.
    Search,
}

/// How the search for damaged files goes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ScrubResponse {
    /// Whether files are searched now.
    pub is_searching: bool,
    /// When this search began, or the last one; 0 for never.
    pub begun: Timestamp,
    /// When the last search that reached the end did so; 0 for never.
    pub last_whole: Timestamp,
    /// Files that this search has read, or the last one.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those of them that were damaged.
    pub damaged: u64,
    /// Those of them that were healed.
    pub healed: u64,
    /// How many files are damaged now; the list may have fewer.
    pub left: u32,
    /// The first of them, at most [`Self::MOST`].
    pub files_left: Vec<DamagedFile>,
}

/// A file that is damaged and could not be healed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DamagedFile {
    /// When the damage was found.
    pub found: Timestamp,
    /// When it was tried to heal it last.
    pub tried: Timestamp,
    /// How often that was tried.
    pub tries: u32,
    /// The file.
    pub filename: RemoteFilename,
    /// What is wrong with it, and why it could not be healed.
    pub why: String,
}

impl ScrubResponse {
    /// Most files in one list.
    pub const MOST: usize = 1000;
}

impl Encode for ScrubRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        writer.u8(match self.action {
            ScrubAction::Tell => 0,
            ScrubAction::TryAgain => 1,
            ScrubAction::Search => 2,
        });
    }
}

impl Decode for ScrubRequest {
    const NAME: &'static str = "ScrubRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group = reader.group()?;
        let action = match reader.u8("action")? {
            0 => ScrubAction::Tell,
            1 => ScrubAction::TryAgain,
            2 => ScrubAction::Search,
            other => return Err(reader.invalid("action", other)),
        };
        Ok(Self { group, action })
    }
}

impl Request for ScrubRequest {
    const COMMAND: Command = Command::SCRUB;
    type Response = ScrubResponse;
}

impl Encode for ScrubResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.flag(self.is_searching);
        writer.time(self.begun);
        writer.time(self.last_whole);
        for number in [self.files, self.bytes, self.damaged, self.healed] {
            writer.u64(number);
        }
        writer.u32(self.left);
        for DamagedFile { found, tried, tries, filename, why } in &self.files_left {
            writer.time(*found);
            writer.time(*tried);
            writer.u32(*tries);
            short_text(writer, filename.as_str());
            short_text(writer, &why[..why.floor_char_boundary(MAX_WHY)]);
        }
    }
}

impl Decode for ScrubResponse {
    const NAME: &'static str = "ScrubResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let one = |reader: &mut Reader<'_>| {
            Ok(DamagedFile {
                found: reader.time("found")?,
                tried: reader.time("tried")?,
                tries: reader.u32("tries")?,
                filename: {
                    let length = short_length(reader)?;
                    reader.word("filename", length)?
                },
                why: {
                    let length = short_length(reader)?;
                    reader.text("why", length)?.to_owned()
                },
            })
        };
        Ok(Self {
            is_searching: reader.flag("is searching")?,
            begun: reader.time("begun")?,
            last_whole: reader.time("last whole")?,
            files: reader.u64("files")?,
            bytes: reader.u64("bytes")?,
            damaged: reader.u64("damaged")?,
            healed: reader.u64("healed")?,
            left: reader.u32("left")?,
            files_left: reader.repeat_to_end(one)?,
        })
    }
}

/// A text behind its length in two bytes.
fn short_text(writer: &mut Writer<'_>, text: &str) {
    writer.bytes(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    writer.text(text);
}

fn short_length(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    Ok(u16::from_be_bytes(reader.array("length")?).into())
}

/// Longest reason, in bytes.
const MAX_WHY: usize = 1024;
