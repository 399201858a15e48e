//! What names a flow within a recording.

use std::hash::{BuildHasherDefault, Hash, Hasher};

use plimsoll_model::Tuple;
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
        hasher.write_u32(id);
        original.hash(&mut hasher);
        FlowKey(hasher.finish())
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
