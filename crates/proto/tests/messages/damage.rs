//! What an accident or a hostile peer does to bytes.

use proptest::prelude::*;
use proptest::sample::Index;

/// What an accident or a hostile peer does to bytes.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    Set(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Number(Index, i64),
}

/// One of them.
pub(crate) fn damage() -> impl Strategy<Value = Damage> {
    let number = prop_oneof![Just(i64::MAX), Just(i64::MIN), Just(-1), -2..300_i64, any::<i64>()];
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..20))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        2 => (any::<Index>(), number).prop_map(|(at, number)| Damage::Number(at, number)),
    ]
}

/// Does them, one after the other.
pub(crate) fn apply(body: &mut Vec<u8>, damages: &[Damage]) {
    for damage in damages {
        let at = |index: &Index| index.index(body.len() + 1);
        match damage {
            Damage::Set(index, byte) => {
                let at = at(index);
                if let Some(place) = body.get_mut(at) {
                    *place = *byte;
                }
            }
            Damage::Cut(index) => body.truncate(at(index)),
            Damage::Insert(index, bytes) => {
                let at = at(index);
                body.splice(at..at, bytes.iter().copied());
            }
            Damage::Number(index, number) => {
                let at = at(index) / 8 * 8;
                if let Some(place) = body.get_mut(at..at + 8) {
                    place.copy_from_slice(&number.to_be_bytes());
                }
            }
        }
    }
}
