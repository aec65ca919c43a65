//! Damaged messages are errors, never panics; and what does decode means what it says.

use fdfs_proto::{Header, Status, fuzzing};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::damage::{apply, damage};
use crate::ours;
use crate::vectors::{FILES, exchanges, same};

/// All captured requests with the successful answers to them, and one of each of our own.
fn messages() -> Vec<(Header, Vec<u8>, Option<Vec<u8>>)> {
    let all = FILES.iter().flat_map(|file| exchanges(file));
    let captured = all.filter_map(|exchange| {
        let (header, body) = exchange.request()?;
        let answer = exchange.answer().filter(|(header, _)| header.status == Status::OK);
        Some((header, body, answer.map(|(_, body)| body)))
    });
    captured.chain(ours::requests().into_iter().map(|(header, body)| (header, body, None))).collect()
}

/// Either an error, or a request that means exactly these bytes.
fn decode_request(header: &Header, body: &[u8]) {
    if let Some(Ok(decoded)) = fuzzing::request(header, body) {
        let head = &body[..decoded.body.len().min(body.len())];
        assert_eq!(
            decoded.body.len(),
            head.len(),
            "{header:?} has bytes that nobody sent: {}",
            decoded.debug
        );
    }
}

#[test]
fn a_request_cut_anywhere_is_an_error_or_a_shorter_request() {
    let mut shorter = 0_u32;
    for (header, body, _) in messages() {
        for end in 0..body.len().min(2048) {
            let cut = &body[..end];
            if let Some(Ok(decoded)) = fuzzing::request(&header, cut) {
                assert!(decoded.body.len() <= end, "{:?} at {end}: {}", header.command, decoded.debug);
                shorter += 1;
            }
        }
    }
    assert!(shorter > 0, "texts up to the end of the body can be cut");
}

#[test]
fn an_answer_cut_anywhere_is_an_error_or_a_shorter_answer() {
    for (header, body, answer) in messages() {
        let answer = answer.unwrap_or_default();
        for end in 0..answer.len().min(1200) {
            let cut = &answer[..end];
            if let Some(Ok(encoded)) = fuzzing::response(header.command, cut) {
                let is_free_text = encoded.len() != end;
                assert!(
                    is_free_text || same(&encoded, cut),
                    "{:?} at {end} of {}",
                    header.command,
                    body.len()
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn a_damaged_request_is_an_error_or_another_request(
        which in any::<Index>(),
        damages in prop::collection::vec(damage(), 1..4),
        flags in any::<u8>(),
    ) {
        thread_local! { static ALL: Vec<(Header, Vec<u8>, Option<Vec<u8>>)> = messages(); }
        ALL.with(|all| {
            let (header, body, _) = which.get(all);
            let mut body = body.clone();
            apply(&mut body, &damages);
            decode_request(&Header { length: body.len() as u64, status: Status(flags), ..*header }, &body);
        });
    }

    #[test]
    fn a_damaged_answer_is_an_error_or_another_answer(
        which in any::<Index>(),
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        thread_local! { static ALL: Vec<(Header, Vec<u8>, Option<Vec<u8>>)> = messages(); }
        ALL.with(|all| {
            let (header, _, answer) = which.get(all);
            let mut body = answer.clone().unwrap_or_default();
            apply(&mut body, &damages);
            drop(fuzzing::response(header.command, &body));
        });
    }

    #[test]
    fn arbitrary_bytes_are_an_error_or_a_message(
        which in any::<Index>(),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let command = *which.get(fuzzing::COMMANDS);
        decode_request(&Header::request(command, body.len() as u64), &body);
        drop(fuzzing::response(command, &body));
    }
}
