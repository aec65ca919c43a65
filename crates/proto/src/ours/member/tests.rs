//! Who proves the secret to whom, and what is no proof.

use super::*;

fn secret() -> ClusterSecret {
    ClusterSecret::new(b"  a secret of a cluster\n").expect("long enough")
}

fn nonce(first: u8) -> Nonce {
    Nonce(std::array::from_fn(|index| first + index as u8))
}

#[test]
fn both_sides_prove_the_secret_by_these_bytes() {
    let challenge = Challenge(nonce(0));
    let (request, expectation) = secret().prove(&challenge, nonce(32));
    assert_eq!(request.nonce, nonce(32));
    let connecting = "2cf7197f8411c5c71bc538417b2386c42b4d7462d0d64ec529157400a9dde53d";
    assert_eq!(hex::encode(request.proof.0), connecting);
    let response = secret().check(&challenge, &request).expect("the same secret");
    let accepting = "9b6c50461bffff167c6a0573bfb4b49138ea975378790b9832b7c2de7742ffe2";
    assert_eq!(hex::encode(response.0.0), accepting);
    assert_eq!(expectation.check(&response), Ok(()));
}

#[test]
fn another_secret_proves_nothing_in_either_direction() {
    let other = ClusterSecret::new(b"a secret of a clustes").expect("long enough");
    let challenge = Challenge(nonce(0));
    let (request, expectation) = other.prove(&challenge, nonce(32));
    assert_eq!(secret().check(&challenge, &request), Err(WrongProof));
    // Whoever accepts without knowing it can only guess.
    let (right, _) = secret().prove(&challenge, nonce(32));
    let response = secret().check(&challenge, &right).expect("the same secret");
    assert_eq!(expectation.check(&response), Err(WrongProof));
}

#[test]
fn a_proof_that_was_overheard_fits_no_other_challenge() {
    let (overheard, _) = secret().prove(&Challenge(nonce(0)), nonce(32));
    assert_eq!(secret().check(&Challenge(nonce(1)), &overheard), Err(WrongProof));
}

#[test]
fn an_answer_that_was_overheard_fits_no_other_nonce() {
    let challenge = Challenge(nonce(0));
    let (request, _) = secret().prove(&challenge, nonce(32));
    let overheard = secret().check(&challenge, &request).expect("the same secret");
    let (_, expectation) = secret().prove(&challenge, nonce(33));
    assert_eq!(expectation.check(&overheard), Err(WrongProof));
}

#[test]
fn what_is_sent_back_to_its_sender_proves_nothing() {
    // The peer knows no secret: it takes our nonce for its challenge, and our proof for its own.
    let challenge = Challenge(nonce(7));
    let (request, expectation) = secret().prove(&challenge, nonce(7));
    assert_eq!(expectation.check(&ProofResponse(request.proof)), Err(WrongProof));
    // The other way round: what a member answers does not open another.
    let response = secret().check(&challenge, &request).expect("the same secret");
    let back = ProofRequest { nonce: request.nonce, proof: response.0 };
    assert_eq!(secret().check(&challenge, &back), Err(WrongProof));
}

#[test]
fn a_proof_with_any_bit_turned_is_none() {
    let challenge = Challenge(nonce(0));
    let (request, _) = secret().prove(&challenge, nonce(32));
    for bit in 0..256 {
        let mut turned = request;
        turned.proof.0[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(secret().check(&challenge, &turned), Err(WrongProof), "{bit}");
    }
}

#[test]
fn a_secret_is_long_enough_trimmed_and_never_shown() {
    assert_eq!(ClusterSecret::new(b" 0123456789abcde\n").map(drop), Err(ShortSecret { length: 15 }));
    assert!(ClusterSecret::new(b"0123456789abcdef").is_ok());
    assert_eq!(format!("{:?}", secret()), "ClusterSecret");
    let (one, _) = secret().prove(&Challenge(nonce(0)), nonce(32));
    let plain = ClusterSecret::new(b"a secret of a cluster").expect("long enough");
    assert!(plain.check(&Challenge(nonce(0)), &one).is_ok(), "white space around it does not count");
}
