//! Commands of ours.

use std::num::NonZeroU64;

use fdfs_proto::ours::{
    Capabilities, Challenge, ChallengeRequest, DamagedFile, DeadLetter, DeadLettersRequest,
    DeadLettersResponse, ExplainRequest, ExplainResponse, Explanation, ForgetOwnedRequest, Frame, Hello,
    HelloRequest, JoinFilesRequest, LendFileRequest, LendFileResponse, LinkContentRequest, ListOwnedRequest,
    ListOwnedResponse, ListRawRequest, ListRawResponse, Nonce, OwnedFile, OwnerToken, Proof, ProofRequest,
    ProofResponse, RawFile, ScrubAction, ScrubRequest, ScrubResponse, SlotOutcome, Trailer,
    TrunkSlotsRequest, TrunkSlotsResponse, UploadFramedRequest, WriteConcern,
};
use proptest::prelude::*;

use super::sync::space;
use super::words::{
    extension, file_id, filename, group, list, number, number32, storage_id, storage_status, text, time,
};
use super::{make, round_trips};

round_trips! {
    request hello: a_hello().prop_map(HelloRequest) => HelloRequest;
    message hello_answer: a_hello() => Hello;
    request upload_framed: make!(UploadFramedRequest {
        store_path: prop::option::of(0..=127_u8),
        expected_size: prop::option::of(number()),
        extension: extension(),
        owner: prop::option::of(owner()),
        write_concern: write_concern(),
        private: any::<bool>(),
    }) => UploadFramedRequest;
    message frame: prop_oneof![
        Just(Frame::End), Just(Frame::Data(1)), Just(Frame::Data(Frame::MAX)), (1..=Frame::MAX).prop_map(Frame::Data),
    ] => Frame;
    message trailer: make!(Trailer { length: number(), crc32: any::<u32>() }) => Trailer;
    request list_raw: make!(ListRawRequest {
        group: group(), store_path: any::<u8>(), limit: number32(), after: prop::option::of(filename()),
    }) => ListRawRequest;
    message list_raw_answer: make!(ListRawResponse {
        has_more: any::<bool>(),
        files: list(make!(RawFile { filename: filename(), size: number(), modified: time() }), 0..=1000),
    }) => ListRawResponse;
    request join_files: make!(JoinFilesRequest {
        group: group(),
        extension: extension(),
        owner: prop::option::of(owner()),
        write_concern: write_concern(),
        private: any::<bool>(),
        parts: list(filename(), 1..=JoinFilesRequest::MAX_PARTS),
    }) => JoinFilesRequest;
    request list_owned: make!(ListOwnedRequest {
        group: group(), session: session(), after: any::<u64>(), limit: number32(),
    }) => ListOwnedRequest;
    message list_owned_answer: make!(ListOwnedResponse {
        has_more: any::<bool>(),
        files: list(make!(OwnedFile { sequence: any::<u64>(), filename: filename() }), 0..=1000),
    }) => ListOwnedResponse;
    request forget_owned: make!(ForgetOwnedRequest {
        group: group(), session: session(), sequences: list(any::<u64>(), 0..=1000),
    }) => ForgetOwnedRequest;
    request dead_letters: make!(DeadLettersRequest {
        group: group(), member: prop::option::of(storage_id()), try_again: any::<bool>(),
    }) => DeadLettersRequest;
    message dead_letters_answer: make!(DeadLettersResponse {
        total: number32(),
        letters: list(
            make!(DeadLetter {
                member: storage_id(), tried: time(), tries: number32(), status: any::<u8>(), record: text(512),
            }),
            0..=1000,
        ),
    }) => DeadLettersResponse;
    request scrub: make!(ScrubRequest {
        group: group(),
        action: prop::sample::select(vec![ScrubAction::Tell, ScrubAction::TryAgain, ScrubAction::Search]),
    }) => ScrubRequest;
    message scrub_answer: make!(ScrubResponse {
        is_searching: any::<bool>(), begun: time(), last_whole: time(), files: number(), bytes: number(),
        damaged: number(), healed: number(), left: number32(),
        files_left: list(
            make!(DamagedFile {
                found: time(), tried: time(), tries: number32(), filename: filename(), why: text(512),
            }),
            0..=1000,
        ),
    }) => ScrubResponse;
    request lend: make!(LendFileRequest { length: number(), file_id: file_id() }) => LendFileRequest;
    message lend_answer: make!(LendFileResponse { start: number(), size: number() }) => LendFileResponse;
    request trunk_slots: make!(TrunkSlotsRequest {
        group: group(), store_path: any::<u8>(), size: number32(), count: number32(),
        outcomes: list(
            (
                prop::sample::select(vec![SlotOutcome::Filled, SlotOutcome::Unused, SlotOutcome::Occupied]),
                space(),
            ),
            0..=100,
        ),
    }) => TrunkSlotsRequest;
    message trunk_slots_answer: make!(TrunkSlotsResponse { slots: list(space(), 0..=64) }) => TrunkSlotsResponse;
    request link_content: make!(LinkContentRequest {
        group: group(), link: filename(), content: filename(),
    }) => LinkContentRequest;
    request explain: make!(ExplainRequest { group: group() }) => ExplainRequest;
    message explain_answer: make!(ExplainResponse {
        storages: list(
            make!(Explanation {
                id: storage_id(), status: storage_status(), since: time(), reason: text(255),
            }),
            0..=40,
        ),
    }) => ExplainResponse;
    request challenge: Just(ChallengeRequest) => ChallengeRequest;
    message challenge_answer: nonce().prop_map(Challenge) => Challenge;
    request proof: make!(ProofRequest { nonce: nonce(), proof: any::<[u8; 32]>().prop_map(Proof::new) }) => ProofRequest;
    message proof_answer: any::<[u8; 32]>().prop_map(|bytes| ProofResponse(Proof::new(bytes))) => ProofResponse;
}

fn a_hello() -> impl Strategy<Value = Hello> {
    make!(Hello {
        version: number32(),
        capabilities: any::<u64>().prop_map(Capabilities),
        software: text(64),
    })
}

fn nonce() -> impl Strategy<Value = Nonce> {
    any::<[u8; 32]>().prop_map(Nonce)
}

fn owner() -> impl Strategy<Value = OwnerToken> {
    make!(OwnerToken { session: session(), sequence: any::<u64>() })
}

fn session() -> impl Strategy<Value = NonZeroU64> {
    any::<NonZeroU64>()
}

fn write_concern() -> impl Strategy<Value = WriteConcern> {
    prop::sample::select((0..=u8::MAX).filter_map(WriteConcern::from_wire).collect::<Vec<_>>())
}
