//! SYN cookies.

use plimsoll_model::NamespaceSnapshot;

/// Whether a listener in this namespace has no cookies to answer a flood with.
pub(crate) fn are_off(ns: &NamespaceSnapshot) -> bool {
    ns.settings.syncookies == Some(0)
}
