//! Words of the domain as fields hold them: shortest, longest, and all between.

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use fdfs_proto::{Connections, Counter, IpWidth, ServerAddress, StorageStat};
use fdfs_types::{
    Extension, FileId, GroupName, Metadata, NameFields, RemoteFilename, RwMode, SlavePrefix, StorageId,
    StorageStatus, Subdir, Timestamp, TrunkSlot,
};
use proptest::char::range;
use proptest::prelude::*;
use proptest::sample::select;

/// A count: what a signed number of eight bytes holds and is not below zero.
pub(crate) fn number() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![Just(0), Just(i64::MAX as u64), 0..1000_u64, 0..=i64::MAX as u64]
}

/// The length of content that a header can still announce together with its head.
pub(crate) fn content() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![Just(0), Just(i64::MAX as u64 - 1024), 0..1000_u64, 0..=i64::MAX as u64 - 1024]
}

/// A count in four bytes.
pub(crate) fn number32() -> impl Strategy<Value = u32> + Clone {
    prop_oneof![Just(0), Just(i32::MAX as u32), 0..=i32::MAX as u32]
}

/// Any number, and its ends.
pub(crate) fn signed() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![Just(i64::MIN), Just(i64::MAX), -1..2_i64, any::<i64>()]
}

/// A time in eight bytes.
pub(crate) fn time() -> impl Strategy<Value = Timestamp> + Clone {
    signed().prop_map(Timestamp)
}

/// A time in four bytes.
pub(crate) fn time32() -> impl Strategy<Value = Timestamp> + Clone {
    prop_oneof![Just(0), Just(u32::MAX), any::<u32>()].prop_map(|seconds| Timestamp(seconds.into()))
}

/// Text of at most `max` bytes without NUL; every length is as likely as another.
pub(crate) fn text(max: usize) -> impl Strategy<Value = String> + Clone {
    let character = prop_oneof![9 => range(' ', '~'), 1 => range('à', 'ü'), 1 => Just('\u{1f600}')];
    (prop::collection::vec(character, max), 0..=max).prop_map(|(characters, length)| {
        let text: String = characters.into_iter().collect();
        text[..text.floor_char_boundary(length)].to_owned()
    })
}

/// A list of `length` items; the longest lists have the same item throughout.
pub(crate) fn list<T: Clone + Debug>(
    one: impl Strategy<Value = T> + Clone,
    length: RangeInclusive<usize>,
) -> impl Strategy<Value = Vec<T>> {
    let (min, max) = (*length.start(), *length.end());
    prop_oneof![
        9 => prop::collection::vec(one.clone(), min..=max.min(min + 4)),
        1 => one.prop_map(move |item| vec![item; max]),
    ]
}

/// The name of a group.
pub(crate) fn group() -> impl Strategy<Value = GroupName> + Clone {
    "[A-Za-z0-9]{1,16}".prop_map(|text| parse(&text))
}

/// The ID of a storage: 1 to 15 printable characters.
pub(crate) fn storage_id() -> impl Strategy<Value = StorageId> + Clone {
    "[!-~]{1,15}".prop_map(|text| parse(&text))
}

/// An extension, or none.
pub(crate) fn extension() -> impl Strategy<Value = Extension> + Clone {
    "[A-Za-z0-9._-]{0,6}".prop_map(|text| parse(&text))
}

/// What a slave's name adds.
pub(crate) fn slave_prefix() -> impl Strategy<Value = SlavePrefix> + Clone {
    "[A-Za-z0-9._-]{1,16}".prop_map(|text| parse(&text))
}

/// The state of a storage.
pub(crate) fn storage_status() -> impl Strategy<Value = StorageStatus> + Clone {
    select((0..=u8::MAX).filter_map(StorageStatus::from_wire).collect::<Vec<_>>())
}

/// What clients may use a storage for.
pub(crate) fn rw_mode() -> impl Strategy<Value = RwMode> + Clone {
    select((0..=u8::MAX).filter_map(RwMode::from_wire).collect::<Vec<_>>())
}

/// A name of the shortest to the longest.
pub(crate) fn filename() -> impl Strategy<Value = RemoteFilename> + Clone {
    filename_of(RemoteFilename::TOO_SHORT + 1)
}

/// A name of `min` to 127 bytes, at most 44 for `min`: one that a storage makes, or any that is taken.
pub(crate) fn filename_of(min: usize) -> impl Strategy<Value = RemoteFilename> + Clone {
    const MAX: usize = RemoteFilename::MAX_LEN;
    let made = (any::<(u8, u8, u8, [u8; 20])>(), any::<Option<[u32; 3]>>(), "[0-9]{3}\\.txt").prop_map(
        |((store_path, high, low, fields), slot, tail)| {
            let slot = slot.map(|[trunk_id, offset, allocated]| TrunkSlot { trunk_id, offset, allocated });
            let fields = NameFields::from_bytes(&fields);
            RemoteFilename::compose(store_path, Subdir { high, low }, &fields, slot, &tail).expect("a name")
        },
    );
    let length = prop_oneof![Just(min), Just(MAX), min..=MAX];
    let any_length = (directories(), "[!-.0-~]{127}", length).prop_map(|(directories, name, length)| {
        let name = &name[..length - directories.len()];
        // Neither `.` nor `..` is a name.
        let name = if name.len() < 3 { name.replace('.', "x") } else { name.to_owned() };
        parse(&(directories + &name))
    });
    let foreign = (directories(), "[!-.0-~à-ü]{38,58}")
        .prop_map(|(directories, name)| parse(&format!("{directories}{name}")));
    prop_oneof![2 => made, 2 => any_length, 1 => foreign]
}

/// `Mxx/HH/LL/`, or `HH/LL/` as before there were store paths.
fn directories() -> impl Strategy<Value = String> + Clone {
    "(M[0-9A-F]{2}/)?[0-9A-F]{2}/[0-9A-F]{2}/"
}

/// A file.
pub(crate) fn file_id() -> impl Strategy<Value = FileId> + Clone {
    file_id_of(RemoteFilename::TOO_SHORT + 1)
}

/// A file whose name has at least `min` bytes.
pub(crate) fn file_id_of(min: usize) -> impl Strategy<Value = FileId> + Clone {
    (group(), filename_of(min)).prop_map(|(group, filename)| FileId { group, filename })
}

/// Pairs of name and value.
pub(crate) fn metadata() -> impl Strategy<Value = Metadata> {
    let name =
        prop_oneof![prop::collection::vec(3..=u8::MAX, 1..9), Just(vec![b'n'; Metadata::MAX_NAME_LEN])];
    let value = prop_oneof![prop::collection::vec(2..=u8::MAX, 0..9), Just(vec![2; Metadata::MAX_VALUE_LEN])];
    prop::collection::vec((name, value), 0..5).prop_map(|pairs| {
        let mut metadata = Metadata::new();
        for (name, value) in pairs {
            metadata.insert(&name, &value).expect("a pair");
        }
        metadata
    })
}

/// An address that fits into its field.
pub(crate) fn ip_of(width: IpWidth) -> BoxedStrategy<IpAddr> {
    let ipv4 = prop_oneof![Just(Ipv4Addr::BROADCAST), any::<Ipv4Addr>()].prop_map(IpAddr::from);
    let longest = Ipv6Addr::from([0xfedc; 8]);
    match width {
        IpWidth::Ipv4 => ipv4.boxed(),
        IpWidth::Ipv6 => {
            prop_oneof![ipv4, Just(longest.into()), any::<Ipv6Addr>().prop_map(IpAddr::from)].boxed()
        }
    }
}

/// Any address.
pub(crate) fn ip() -> BoxedStrategy<IpAddr> {
    ip_of(IpWidth::Ipv6)
}

/// Any address, or none.
pub(crate) fn maybe_ip() -> impl Strategy<Value = Option<IpAddr>> + Clone {
    prop::option::of(ip())
}

/// An address and a port.
pub(crate) fn socket_of(width: IpWidth) -> BoxedStrategy<SocketAddr> {
    (ip_of(width), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port)).boxed()
}

/// Any address and a port.
pub(crate) fn socket() -> BoxedStrategy<SocketAddr> {
    socket_of(IpWidth::Ipv6)
}

/// Both widths of addresses.
pub(crate) fn ip_width() -> impl Strategy<Value = IpWidth> + Clone {
    select(IpWidth::ALL.to_vec())
}

/// A server with one address or two.
pub(crate) fn server() -> impl Strategy<Value = ServerAddress> + Clone {
    (prop::collection::vec(ip(), 1..=ServerAddress::MAX_IPS), any::<u16>())
        .prop_map(|(ips, port)| ServerAddress { ips, port })
}

/// Numbers of connections.
pub(crate) fn connections() -> impl Strategy<Value = Connections> + Clone {
    any::<[i32; 3]>().prop_map(|[allocated, current, max]| Connections { allocated, current, max })
}

/// All counters of a storage.
pub(crate) fn stat() -> impl Strategy<Value = StorageStat> + Clone {
    let counters = prop::collection::vec((number(), number()), 19);
    let times = prop::array::uniform4(time());
    (connections(), counters, times).prop_map(|(connections, counters, times)| {
        let mut counters = counters.into_iter().map(|(total, success)| Counter { total, success });
        let mut next = || counters.next().expect("nineteen");
        let [last_source_update, last_sync_update, last_synced, last_heart_beat] = times;
        StorageStat {
            connections,
            upload: next(),
            append: next(),
            modify: next(),
            truncate: next(),
            set_metadata: next(),
            delete: next(),
            download: next(),
            get_metadata: next(),
            create_link: next(),
            delete_link: next(),
            upload_bytes: next(),
            append_bytes: next(),
            modify_bytes: next(),
            download_bytes: next(),
            sync_in_bytes: next(),
            sync_out_bytes: next(),
            file_open: next(),
            file_read: next(),
            file_write: next(),
            last_source_update,
            last_sync_update,
            last_synced,
            last_heart_beat,
        }
    })
}

fn parse<T: std::str::FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error:?}"))
}
