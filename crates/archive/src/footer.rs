//! What each file says of itself, in its footer's key-value metadata.

use parquet::file::metadata::KeyValue;
use plimsoll_model::Untrusted;
use plimsoll_recording::{Addresses, Origin, Sources, UnixMicros};

use crate::column::Table;
use crate::error::Problem;

/// The version of the format. It rises when something that is there changes its meaning; columns may be added without.
pub const VERSION: u32 = 1;

const VERSION_KEY: &str = "plimsoll.recording.version";
const TABLE: &str = "plimsoll.recording.table";
const WRITTEN_BY: &str = "plimsoll.recording.written_by";
const KERNEL: &str = "plimsoll.recording.kernel";
const HOST: &str = "plimsoll.recording.host";
const NAMESPACE: &str = "plimsoll.recording.namespace";
const BEGAN_AT: &str = "plimsoll.recording.began_at_unix_us";
const SOURCES: &str = "plimsoll.recording.sources";
const ADDRESSES: &str = "plimsoll.recording.addresses";

/// What a file's footer says.
pub(crate) fn write(origin: &Origin, table: Table) -> Vec<KeyValue> {
    let entry = |key: &str, value: &str| KeyValue::new(key.to_string(), value.to_string());
    let mut all = vec![
        entry(VERSION_KEY, &VERSION.to_string()),
        entry(TABLE, table.name()),
        entry(WRITTEN_BY, &origin.written_by),
        entry(KERNEL, &origin.kernel),
        entry(NAMESPACE, &origin.namespace),
        entry(BEGAN_AT, &origin.began_at.0.to_string()),
        entry(SOURCES, origin.sources.name()),
        entry(ADDRESSES, origin.addresses.name()),
    ];
    all.extend(origin.host.as_deref().map(|host| entry(HOST, host)));
    all
}

/// The version that a file says to be of.
pub(crate) fn version(pairs: &[KeyValue]) -> Result<u32, Problem> {
    // A minor version may come to follow a dot.
    let major = text(pairs, VERSION_KEY)?.split('.').next().and_then(|major| major.parse().ok());
    major.filter(|major| *major >= 1).ok_or(Problem::Origin { key: VERSION_KEY })
}

/// Where a file comes from, if it holds a table.
pub(crate) fn read(pairs: &[KeyValue], table: Table) -> Result<Origin, Problem> {
    let found = text(pairs, TABLE)?;
    if found != table.name() {
        return Err(Problem::Table { found: Untrusted::from_bytes(found.as_bytes()) });
    }
    let owned = |key| text(pairs, key).map(str::to_string);
    let began_at = text(pairs, BEGAN_AT)?.parse().map_err(|_| Problem::Origin { key: BEGAN_AT })?;
    let sources = Sources::named(text(pairs, SOURCES)?).ok_or(Problem::Origin { key: SOURCES })?;
    let addresses = Addresses::named(text(pairs, ADDRESSES)?).ok_or(Problem::Origin { key: ADDRESSES })?;
    Ok(Origin {
        written_by: owned(WRITTEN_BY)?,
        kernel: owned(KERNEL)?,
        host: owned(HOST).ok(),
        namespace: owned(NAMESPACE)?,
        began_at: UnixMicros(began_at),
        sources,
        addresses,
    })
}

fn text<'a>(pairs: &'a [KeyValue], key: &'static str) -> Result<&'a str, Problem> {
    let pair = pairs.iter().find(|pair| pair.key == key);
    pair.and_then(|pair| pair.value.as_deref()).ok_or(Problem::Origin { key })
}
