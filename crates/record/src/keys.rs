//! What names a flow within a recording.

use std::hash::{BuildHasherDefault, Hasher};
use std::net::IpAddr;

use plimsoll_model::{Layer4, Tuple};
use plimsoll_recording::FlowKey;
use siphasher::sip::SipHasher13;

/// Makes keys of entries. Without its secret nobody can tell from a key which addresses it was made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    secret: (u64, u64),
}

impl Keys {
    pub(crate) const fn new(secret: (u64, u64)) -> Self {
        Self { secret }
    }

    /// An entry's: of its id, which is a hash that an entry keeps for life (`nf_ct_get_id`), and of its tuple, since ids of
    /// 32 bits meet.
    #[inline]
    pub(crate) fn of(&self, id: u32, original: &Tuple) -> FlowKey {
        let mut hasher = SipHasher13::new_with_keys(self.secret.0, self.secret.1);
        // Words of 64 bits: as the tuple hashes itself, byte by byte, it takes five times as long.
        match (original.source, original.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                hasher.write_u64(u64::from(source.to_bits()) << 32 | u64::from(destination.to_bits()));
            }
            (source, destination) => {
                hasher.write_u128(in_v6(source));
                hasher.write_u128(in_v6(destination));
            }
        }
        let (kind, first, second) = match original.layer4 {
            Layer4::Ports { source, destination } => (0_u64, source, destination),
            Layer4::Icmp { id, kind, code } => (1, id, u16::from_be_bytes([kind, code])),
            Layer4::None => (2, 0, 0),
        };
        hasher.write_u64(u64::from(id) << 32 | u64::from(first) << 16 | u64::from(second));
        hasher.write_u64(kind << 8 | u64::from(original.protocol.0));
        FlowKey(hasher.finish())
    }
}

const fn in_v6(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Maps by keys need no further hashing.
pub(crate) type KeyState = BuildHasherDefault<KeyHasher>;

/// A key is a hash already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}
