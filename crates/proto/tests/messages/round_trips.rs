//! Every message is read as it was written, whatever it holds; and what damage makes of it is an error or
//! another message, got without much memory.
//!
//! A family is a file, as in the crate. Each has a table: kind of message, name of the test, strategy, type. A
//! message that stands in no table fails [`every_message_has_its_strategy`].

mod cluster;
mod ours;
mod shared;
mod storage;
mod sync;
mod tracker;
mod words;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;

use fdfs_proto::{Decode, Encode, Header, Request, Streamed, fuzzing};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{TestCaseResult, TestRunner};

use crate::allocations;
use crate::damage::{Damage, apply, damage};

/// The table of a family: `kind name: strategy => Type;`, where kind is `message`, `request` or `streamed`.
macro_rules! round_trips {
    ($($kind:ident $name:ident: $strategy:expr => $message:ident;)*) => {
        /// The messages of this family.
        pub(super) const MESSAGES: &[&str] = &[$(stringify!($message)),*];

        $(
            #[test]
            fn $name() {
                super::$kind::<$message>($strategy);
            }
        )*
    };
}

/// A strategy that makes a struct of a strategy for every field.
macro_rules! make {
    ($message:ident { $($field:ident: $strategy:expr),* $(,)? }) => {{
        proptest::prop_compose! {
            fn made()($($field in $strategy),*) -> $message {
                $message { $($field),* }
            }
        }
        made().boxed()
    }};
}

use {make, round_trips};

/// Bodies that both sides know from the rest of the conversation.
fn message<M: Encode + Decode + Debug + PartialEq>(strategy: impl Strategy<Value = M>) {
    run(strategy, |message, damages, cut| {
        let body = message.encode();
        let again = M::decode(&body);
        prop_assert_eq!(again.as_ref(), Ok(message));
        survives::<M>(&body, damages, cut)
    });
}

/// Requests that are read whole.
fn request<R: Request + Debug + PartialEq>(strategy: impl Strategy<Value = R>) {
    assert!(fuzzing::COMMANDS.contains(&R::COMMAND), "{} is not fuzzed", R::NAME);
    run(strategy, |request, damages, cut| {
        let frame = request.frame();
        let (header, body) = split(&frame)?;
        prop_assert_eq!((header.command, header.length), (R::COMMAND, body.len() as u64));
        let again = R::decode_request(&header, body);
        prop_assert_eq!(again.as_ref(), Ok(request));
        survives::<R>(body, damages, cut)
    });
}

/// Requests whose content is read as it comes.
fn streamed<R: Streamed + Debug + PartialEq>(strategy: impl Strategy<Value = R>) {
    assert!(fuzzing::COMMANDS.contains(&R::COMMAND), "{} is not fuzzed", R::NAME);
    run(strategy, |request, damages, cut| {
        let frame = request.frame();
        let (header, head) = split(&frame)?;
        prop_assert_eq!(header.command, R::COMMAND);
        prop_assert_eq!(R::head_length(&head[..R::FIXED_LEN]), Ok(head.len()));
        let again = R::decode_head(&header, head);
        prop_assert_eq!(again.as_ref(), Ok(request));
        survives::<R>(head, damages, cut)
    });
}

fn run<T: Debug>(strategy: impl Strategy<Value = T>, holds: impl Fn(&T, &[Damage], Index) -> TestCaseResult) {
    let strategy = (strategy, prop::collection::vec(damage(), 1..4), any::<Index>());
    let config = ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&strategy, |(value, damages, cut)| holds(&value, &damages, cut))
        .unwrap_or_else(|failure| panic!("{failure}"));
}

fn split(frame: &[u8]) -> Result<(Header, &[u8]), TestCaseError> {
    let (header, body) = frame.split_first_chunk().ok_or_else(|| TestCaseError::fail("no header"))?;
    let header = Header::decode(header).map_err(|error| TestCaseError::fail(error.to_string()))?;
    Ok((header, body))
}

/// The body cut, and the body damaged, is an error or another message that keeps its meaning.
fn survives<M: Encode + Decode + Debug + PartialEq>(
    body: &[u8],
    damages: &[Damage],
    cut: Index,
) -> TestCaseResult {
    let mut damaged = body.to_vec();
    apply(&mut damaged, damages);
    for bytes in [&body[..cut.index(body.len() + 1)], &damaged] {
        let (decoded, asked) = allocations::of(|| M::decode(bytes));
        let most = MEMORY_AT_LEAST + MEMORY_PER_BYTE * bytes.len();
        prop_assert!(asked <= most, "{} bytes took {asked} bytes of memory", bytes.len());
        if let Ok(other) = decoded {
            prop_assert_eq!(M::decode(&other.encode()), Ok(other));
        }
    }
    Ok(())
}

/// What an error's text may take, whatever the length of the message.
const MEMORY_AT_LEAST: usize = 4096;
/// What a decoder may take for each byte that has come: no length that a peer declares counts.
const MEMORY_PER_BYTE: usize = 64;

#[test]
fn every_message_has_its_strategy() {
    let tables = [
        shared::MESSAGES,
        storage::MESSAGES,
        tracker::MESSAGES,
        cluster::MESSAGES,
        sync::MESSAGES,
        ours::MESSAGES,
    ];
    let listed: BTreeSet<String> = tables.concat().into_iter().map(str::to_owned).collect();
    assert_eq!(listed.len(), tables.concat().len(), "a message stands in two tables");
    let mut decoded = BTreeSet::new();
    decoders_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut decoded);
    assert!(decoded.len() > 100, "only {} decoders found", decoded.len());
    let missing: Vec<_> = decoded.symmetric_difference(&listed).collect();
    assert!(missing.is_empty(), "have a decoder and no strategy, or the other way round: {missing:?}");
}

/// The types that implement `Decode` in the sources: named in an `impl`, or first in a line of a macro's table.
fn decoders_below(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in folder.read_dir().expect("the sources are there") {
        let path = entry.expect("the sources are there").path();
        if path.is_dir() {
            decoders_below(&path, found);
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("sources are text");
        let mut in_table = false;
        for line in source.lines() {
            let word = |text: &str| text.split(|c: char| !c.is_alphanumeric()).next().map(str::to_owned);
            in_table = (in_table || line.ends_with("! {") && !line.starts_with("macro_rules")) && line != "}";
            match line.split_once("Decode for ") {
                Some((_, name)) if line.starts_with("impl") => found.extend(word(name)),
                _ if in_table => found.extend(word(line.trim()).filter(|word| word.ends_with("Request"))),
                _ => {}
            }
        }
    }
}
