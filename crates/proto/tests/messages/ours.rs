//! The bytes of our own commands, as `PROTOCOL.md` promises them.

use std::fmt::Debug;
use std::num::NonZeroU64;

use fdfs_proto::ours::{
    Capabilities, Challenge, ChallengeRequest, ClusterSecret, DamagedFile, DeadLetter, DeadLettersRequest,
    DeadLettersResponse, ExplainRequest, ExplainResponse, Explanation, ForgetOwnedRequest, Frame, Hello,
    HelloRequest, JoinFilesRequest, LendFileRequest, LendFileResponse, LinkContentRequest, ListOwnedRequest,
    ListOwnedResponse, ListRawRequest, ListRawResponse, Nonce, OwnedFile, OwnerToken, Proof, ProofRequest,
    ProofResponse, RawFile, ScrubAction, ScrubRequest, ScrubResponse, SlotOutcome, Trailer,
    TrunkSlotsRequest, TrunkSlotsResponse, UploadFramedRequest, WriteConcern,
};
use fdfs_proto::sync::TrunkSpace;
use fdfs_proto::{Command, Decode, Encode, Header, Request};
use fdfs_types::{StorageStatus, Subdir, Timestamp, TrunkSlot};

const GROUP: &str = "67726f757031 00000000000000000000";
const NAME: &str = "M00/00/01/wKgBcFxyz.jpg";
const NAME_HEX: &str = "4d30302f30302f30312f774b674263467879 7a2e6a7067";
const OWNER: &str = "0000000000000007 0000000000000009";

fn bytes(parts: &[&str]) -> Vec<u8> {
    hex::decode(parts.concat().replace(' ', "")).unwrap()
}

fn owner() -> OwnerToken {
    OwnerToken { session: NonZeroU64::new(7).unwrap(), sequence: 9 }
}

/// The message is these bytes, and no cut of them is the message.
fn is_encoded<M: Encode + Decode + Debug + PartialEq>(message: &M, expected: &[&str]) {
    let expected = bytes(expected);
    assert_eq!(hex::encode(message.encode()), hex::encode(&expected));
    assert_eq!(M::decode(&expected).as_ref(), Ok(message));
    for end in 0..expected.len() {
        assert_ne!(M::decode(&expected[..end]).as_ref(), Ok(message), "cut at {end}");
    }
}

/// A request of each kind, as seeds for damage.
pub(crate) fn requests() -> Vec<(Header, Vec<u8>)> {
    fn seed<R: Request>(request: &R) -> (Header, Vec<u8>) {
        let body = request.encode();
        (Header::request(R::COMMAND, body.len() as u64), body)
    }
    vec![
        seed(&hello()),
        seed(&upload()),
        seed(&list_raw()),
        seed(&join_files()),
        seed(&list_owned()),
        seed(&forget_owned()),
        seed(&dead_letters()),
        seed(&scrub()),
        seed(&lend()),
        seed(&explain()),
        seed(&ChallengeRequest),
        seed(&proof()),
    ]
}

fn lend() -> LendFileRequest {
    LendFileRequest { length: 5, file_id: format!("group1/{NAME}").parse().unwrap() }
}

fn hello() -> HelloRequest {
    let capabilities = Capabilities::UPLOAD_FRAMED | Capabilities::OWNERS;
    HelloRequest(Hello { version: 1, capabilities, software: "fdfs 0.1".to_owned() })
}

fn upload() -> UploadFramedRequest {
    UploadFramedRequest {
        store_path: None,
        expected_size: None,
        extension: "jpg".parse().unwrap(),
        owner: Some(owner()),
        write_concern: WriteConcern::Replicated,
        private: false,
    }
}

fn list_raw() -> ListRawRequest {
    ListRawRequest {
        group: "group1".parse().unwrap(),
        store_path: 1,
        limit: 1000,
        after: Some(NAME.parse().unwrap()),
    }
}

fn join_files() -> JoinFilesRequest {
    JoinFilesRequest {
        group: "group1".parse().unwrap(),
        extension: "jpg".parse().unwrap(),
        owner: None,
        write_concern: WriteConcern::Storage,
        private: true,
        parts: vec![NAME.parse().unwrap(), NAME.parse().unwrap()],
    }
}

fn list_owned() -> ListOwnedRequest {
    ListOwnedRequest { group: "group1".parse().unwrap(), session: owner().session, after: 9, limit: 1000 }
}

fn forget_owned() -> ForgetOwnedRequest {
    ForgetOwnedRequest { group: "group1".parse().unwrap(), session: owner().session, sequences: vec![8, 9] }
}

fn explain() -> ExplainRequest {
    ExplainRequest { group: "group1".parse().unwrap() }
}

fn proof() -> ProofRequest {
    ProofRequest { nonce: Nonce([7; 32]), proof: Proof::new([9; 32]) }
}

#[test]
fn members_prove_their_secret_in_two_exchanges() {
    let (nonce, made) = ("07".repeat(32), "09".repeat(32));
    is_encoded(&ChallengeRequest, &[]);
    is_encoded(&Challenge(Nonce([7; 32])), &[&nonce]);
    is_encoded(&proof(), &[&nonce, &made]);
    is_encoded(&ProofResponse(Proof::new([9; 32])), &[&made]);
    // What the text of the proof is made of, by a challenge of bytes 0 to 31 and a nonce of bytes 32 to 63.
    let secret = ClusterSecret::new(b"a secret of a cluster").unwrap();
    let challenge = Challenge(Nonce(std::array::from_fn(|index| index as u8)));
    let (request, _) = secret.prove(&challenge, Nonce(std::array::from_fn(|index| 32 + index as u8)));
    let expected = "2cf7197f8411c5c71bc538417b2386c42b4d7462d0d64ec529157400a9dde53d";
    assert_eq!(hex::encode(&request.encode()[32..]), expected);
}

fn dead_letters() -> DeadLettersRequest {
    DeadLettersRequest {
        group: "group1".parse().unwrap(),
        member: Some("127.0.0.4".parse().unwrap()),
        try_again: true,
    }
}

#[test]
fn dead_letters_are_told_with_their_record() {
    let id = "3132372e302e302e34 00000000000000";
    is_encoded(&dead_letters(), &[GROUP, id, "01"]);
    let letter = DeadLetter {
        member: "127.0.0.4".parse().unwrap(),
        tried: Timestamp(0x6b02_7ba0),
        tries: 2,
        status: 36,
        record: "7 C a".to_owned(),
    };
    let answer = DeadLettersResponse { total: 3, letters: vec![letter] };
    let (tried, tries, status) = ("000000006b027ba0", "00000002", "24");
    is_encoded(&answer, &["00000003", id, tried, tries, status, "0005", "3720432061"]);
}

fn scrub() -> ScrubRequest {
    ScrubRequest { group: "group1".parse().unwrap(), action: ScrubAction::TryAgain }
}

#[test]
fn damaged_files_are_told_with_what_is_wrong() {
    is_encoded(&scrub(), &[GROUP, "01"]);
    let file = DamagedFile {
        found: Timestamp(0x6b02_7ba0),
        tried: Timestamp(0x6b02_7ba1),
        tries: 2,
        filename: "M00/00/00/a".parse().unwrap(),
        why: "torn".to_owned(),
    };
    let answer = ScrubResponse {
        is_searching: true,
        begun: Timestamp(3),
        last_whole: Timestamp(4),
        files: 5,
        bytes: 6,
        damaged: 7,
        healed: 8,
        left: 9,
        files_left: vec![file],
    };
    let times = "01 0000000000000003 0000000000000004";
    let numbers = "0000000000000005 0000000000000006 0000000000000007 0000000000000008 00000009";
    let file = "000000006b027ba0 000000006b027ba1 00000002";
    is_encoded(&answer, &[times, numbers, file, "000b", "4d30302f30302f30302f61", "0004", "746f726e"]);
}

#[test]
fn slots_are_asked_for_with_what_became_of_earlier_ones() {
    let space = TrunkSpace {
        store_path: 1,
        subdir: Subdir { high: 2, low: 3 },
        slot: TrunkSlot { trunk_id: 4, offset: 512, allocated: 256 },
    };
    let request = TrunkSlotsRequest {
        group: "group1".parse().unwrap(),
        store_path: 1,
        size: 280,
        count: 8,
        outcomes: vec![(SlotOutcome::Filled, space), (SlotOutcome::Occupied, space)],
    };
    let slot = "01 02 03 00000004 00000200 00000100";
    is_encoded(&request, &[GROUP, "01 00000118 00000008", "00", slot, "02", slot]);
    is_encoded(&TrunkSlotsResponse { slots: vec![space, space] }, &[slot, slot]);
}

#[test]
fn a_link_to_a_content_is_asked_for_under_a_name() {
    let request = LinkContentRequest {
        group: "group1".parse().unwrap(),
        link: "M00/00/01/link".parse().unwrap(),
        content: "M00/00/02/other".parse().unwrap(),
    };
    let names = "4d30302f30302f30312f6c696e6b 4d30302f30302f30322f6f74686572";
    is_encoded(&request, &["000000000000000e", GROUP, names]);
}

#[test]
fn states_are_explained_in_words() {
    is_encoded(&explain(), &[GROUP]);
    let reason = "joined and reports".to_owned();
    let (status, since) = (StorageStatus::Active, Timestamp(0x6b02_7ba0));
    let storage = Explanation { id: "127.0.0.4".parse().unwrap(), status, since, reason };
    let words = "6a6f696e656420616e64207265706f727473";
    let id = "3132372e302e302e34 00000000000000";
    is_encoded(&ExplainResponse { storages: vec![storage] }, &[id, "07", "000000006b027ba0", "12", words]);
}

#[test]
fn hello_has_magic_version_and_capabilities() {
    is_encoded(&hello(), &["464446532d455854", "00000001", "0000000000000009", "6664667320302e31"]);
}

#[test]
fn hello_without_magic_is_refused() {
    for body in [&b""[..], b"FDFS-EXU\0\0\0\x01\0\0\0\0\0\0\0\0"] {
        assert!(HelloRequest::decode(body).is_err());
    }
}

#[test]
fn capabilities_that_are_not_known_are_kept() {
    let hello = Hello { version: 9, capabilities: Capabilities(u64::MAX), software: String::new() };
    assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
}

#[test]
fn a_framed_upload_has_a_head_of_32_bytes_and_frames_outside_of_its_length() {
    is_encoded(&upload(), &["ff", "ffffffffffffffff", "6a7067000000", OWNER, "02"]);
    let header = *upload().frame().first_chunk().unwrap();
    assert_eq!(Header::decode(&header), Ok(Header::request(Command::UPLOAD_FRAMED, 32)));
    assert_eq!(Frame::Data(3).encode().to_vec(), bytes(&["00000003"]));
    assert_eq!(Frame::End.encode().to_vec(), bytes(&["00000000"]));
    is_encoded(&Trailer { length: 3, crc32: 0x3524_41c2 }, &["0000000000000003", "352441c2"]);
}

#[test]
fn raw_files_are_listed_from_a_name_on() {
    is_encoded(&list_raw(), &[GROUP, "01", "000003e8", NAME_HEX]);
    let file = RawFile { filename: NAME.parse().unwrap(), size: 5, modified: Timestamp(0x6b02_7ba0) };
    let response = ListRawResponse { has_more: true, files: vec![file] };
    is_encoded(&response, &["01", "17", NAME_HEX, "0000000000000005", "000000006b027ba0"]);
}

#[test]
fn files_are_joined_in_the_order_given() {
    let none = "0000000000000000 0000000000000000";
    let parts = ["17", NAME_HEX, "17", NAME_HEX];
    let head = [GROUP, "6a7067000000", none, "80", "00000002"];
    is_encoded(&join_files(), &[&head[..], &parts].concat());
    assert!(join_files().encode().len() < JoinFilesRequest::MAX_LEN);
}

#[test]
fn a_join_of_nothing_or_of_too_much_is_refused() {
    for count in ["00000000", "00002711", "ffffffff"] {
        let body = bytes(&[GROUP, "6a7067000000", "0000000000000000 0000000000000000", "00", count]);
        let error = JoinFilesRequest::decode(&body).unwrap_err();
        assert_eq!(error.field(), Some("part count"), "{count}");
    }
}

#[test]
fn owned_files_are_listed_by_sequence_and_forgotten() {
    is_encoded(&list_owned(), &[GROUP, "0000000000000007", "0000000000000009", "000003e8"]);
    let file = OwnedFile { sequence: 10, filename: NAME.parse().unwrap() };
    let response = ListOwnedResponse { has_more: false, files: vec![file] };
    is_encoded(&response, &["00", "000000000000000a", "17", NAME_HEX]);
    is_encoded(&forget_owned(), &[GROUP, "0000000000000007", "0000000000000008", "0000000000000009"]);
}

#[test]
fn a_file_is_lent_by_its_name_and_lies_somewhere_in_the_descriptor() {
    is_encoded(&lend(), &["0000000000000005", GROUP, NAME_HEX]);
    assert!(lend().encode().len() <= LendFileRequest::MAX_LEN);
    let response = LendFileResponse { start: 4096, size: 5 };
    is_encoded(&response, &["0000000000001000", "0000000000000005"]);
    assert_eq!(response.encode().len(), LendFileResponse::LEN);
}

#[test]
fn a_sequence_without_a_session_is_no_token() {
    let mut body = upload().encode();
    body[22] = 0;
    assert_eq!(UploadFramedRequest::decode(&body).unwrap_err().field(), Some("session"));
}
