//! `PARAMETER_REQ` (75): the settings that the whole cluster shares.
//!
//! The answer is text in the grammar of configuration files: keys of `tracker.conf`, `key=value` and a line feed for each, in a
//! fixed order. What it says is a matter of the crate that knows those files, `fdfs_conf::ClusterParameters`.

use crate::message::empty_request;
use crate::{Decode, DecodeError, Encode, Reader, Writer};

empty_request! {
    /// Asks for the settings that the whole cluster shares.
    ParametersRequest, PARAMETER_REQ, ParametersResponse
}

/// The settings that the whole cluster shares, as text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParametersResponse {
    /// The text.
    pub text: Box<str>,
}

impl Encode for ParametersResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.text(&self.text);
    }
}

impl Decode for ParametersResponse {
    const NAME: &'static str = "ParametersResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { text: reader.rest_text("parameters")?.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_the_text_as_it_is() {
        let answer = ParametersResponse { text: "use_trunk_file=1\nnew_key=7\n".into() };
        assert_eq!(answer.encode(), answer.text.as_bytes());
        assert_eq!(ParametersResponse::decode(answer.text.as_bytes()), Ok(answer));
        assert!(ParametersResponse::decode(b"use_trunk_file=\xff\n").is_err());
    }
}
