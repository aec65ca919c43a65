//! Commands of ours, from 200 on: sent only to a peer that answered [`HelloRequest`].

mod dead_letters;
mod explain;
mod hello;
mod join_files;
mod lend_file;
mod link_content;
mod member;
mod owner;
mod raw_files;
mod scrub;
mod trunk_slots;
mod upload_framed;

pub use dead_letters::{DeadLetter, DeadLettersRequest, DeadLettersResponse};
pub use explain::{ExplainRequest, ExplainResponse, Explanation};
pub use hello::{Capabilities, Hello, HelloRequest};
pub use join_files::JoinFilesRequest;
pub use lend_file::{LendFileRequest, LendFileResponse};
pub use link_content::LinkContentRequest;
pub use member::{
    Challenge, ChallengeRequest, ClusterSecret, Expectation, Nonce, Proof, ProofRequest, ProofResponse,
    ShortSecret, WrongProof,
};
pub use owner::{ForgetOwnedRequest, ListOwnedRequest, ListOwnedResponse, OwnedFile, OwnerToken};
pub use raw_files::{ListRawRequest, ListRawResponse, RawFile};
pub use scrub::{DamagedFile, ScrubAction, ScrubRequest, ScrubResponse};
pub use trunk_slots::{SlotOutcome, TrunkSlotsRequest, TrunkSlotsResponse};
pub use upload_framed::{Frame, Trailer, UploadFramedRequest, WriteConcern};
