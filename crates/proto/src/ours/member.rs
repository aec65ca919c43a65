//! `MEMBER_CHALLENGE` (240) and `MEMBER_PROOF` (241): both sides of a new connection prove that they know the secret of
//! the cluster.
//!
//! ```text
//!  240  answer:  | challenge [32] |
//!  241  request: | nonce [32] | proof [32] |      answer: | proof [32] |
//! ```
//!
//! A proof is the HMAC-SHA256, under the secret, of 16 bytes that say which side proves, the challenge and the nonce. Each
//! side brings 32 random bytes of its own, so that no proof fits another conversation; and the proof of one side is
//! never that of the other, so that nothing is gained by sending back what came.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use thiserror::Error;

use crate::message::empty_request;
use crate::{Command, Decode, DecodeError, Encode, Reader, Request, Writer};

/// What the members of a cluster share, and nobody else knows.
#[derive(Clone)]
pub struct ClusterSecret(Box<[u8]>);

/// A text that is too short for a [`ClusterSecret`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "a cluster secret needs at least {} bytes, here are {length}: make one with `openssl rand -hex 32`",
    ClusterSecret::MIN_LEN
)]
pub struct ShortSecret {
    /// Its length.
    pub length: usize,
}

/// The other side does not know the secret.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the other side has another cluster secret, or none")]
pub struct WrongProof;

/// 32 bytes from the system's source of randomness, used once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Nonce(pub [u8; 32]);

/// What only who knows the secret can make.
#[derive(Clone, Copy, Debug)]
pub struct Proof([u8; 32]);

empty_request! {
    /// Asks for something to prove the secret with.
    ChallengeRequest, MEMBER_CHALLENGE, Challenge
}

/// What the accepting side brings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Challenge(pub Nonce);

/// What the connecting side brings, and its proof.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProofRequest {
    /// Its random bytes.
    pub nonce: Nonce,
    /// Its proof.
    pub proof: Proof,
}

/// The proof of the accepting side, for who has proved first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProofResponse(pub Proof);

/// The answer that the connecting side waits for.
#[derive(Clone, Copy, Debug)]
pub struct Expectation(Proof);

impl ClusterSecret {
    /// The shortest that is taken.
    pub const MIN_LEN: usize = 16;

    /// A secret from the content of a file; white space around it does not count.
    pub fn new(content: &[u8]) -> Result<Self, ShortSecret> {
        let secret = content.trim_ascii();
        if secret.len() < Self::MIN_LEN {
            return Err(ShortSecret { length: secret.len() });
        }
        Ok(Self(secret.into()))
    }

    /// The connecting side: answers a challenge with a nonce that was never used.
    pub fn prove(&self, challenge: &Challenge, nonce: Nonce) -> (ProofRequest, Expectation) {
        let proof = self.proof(CONNECTING, challenge, nonce);
        (ProofRequest { nonce, proof }, Expectation(self.proof(ACCEPTING, challenge, nonce)))
    }

    /// The accepting side: checks an answer to its challenge, and proves in turn. A challenge is for one answer.
    pub fn check(&self, challenge: &Challenge, request: &ProofRequest) -> Result<ProofResponse, WrongProof> {
        if self.proof(CONNECTING, challenge, request.nonce) != request.proof {
            return Err(WrongProof);
        }
        Ok(ProofResponse(self.proof(ACCEPTING, challenge, request.nonce)))
    }

    fn proof(&self, side: &[u8; 16], challenge: &Challenge, nonce: Nonce) -> Proof {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length is taken");
        mac.update(side);
        mac.update(&challenge.0.0);
        mac.update(&nonce.0);
        Proof(mac.finalize().into_bytes().into())
    }
}

impl Expectation {
    /// Checks the answer of the accepting side.
    pub fn check(&self, response: &ProofResponse) -> Result<(), WrongProof> {
        if self.0 == response.0 { Ok(()) } else { Err(WrongProof) }
    }
}

impl Proof {
    /// A proof of any bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// Takes the same time wherever two proofs differ.
impl PartialEq for Proof {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Proof {}

/// Never shows the secret.
impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret")
    }
}

impl Encode for Challenge {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.bytes(&self.0.0);
    }
}

impl Decode for Challenge {
    const NAME: &'static str = "Challenge";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(Nonce(reader.array("challenge")?)))
    }
}

impl Encode for ProofRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.bytes(&self.nonce.0);
        writer.bytes(&self.proof.0);
    }
}

impl Decode for ProofRequest {
    const NAME: &'static str = "ProofRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { nonce: Nonce(reader.array("nonce")?), proof: Proof(reader.array("proof")?) })
    }
}

impl Request for ProofRequest {
    const COMMAND: Command = Command::MEMBER_PROOF;
    type Response = ProofResponse;
}

impl Encode for ProofResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.bytes(&self.0.0);
    }
}

impl Decode for ProofResponse {
    const NAME: &'static str = "ProofResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(Proof(reader.array("proof")?)))
    }
}

/// What the proof of the connecting side begins with.
const CONNECTING: &[u8; 16] = b"FDFS-EXT connect";
/// What the proof of the accepting side begins with.
const ACCEPTING: &[u8; 16] = b"FDFS-EXT accept\0";

#[cfg(test)]
mod tests;
