//! What is said of a service that is to be left untracked, beyond which it is.

/// Under which terms a bypass is judged. Those by default know nothing, and open nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Who begins flows between its ports.
    pub begins: Begins,
    /// Whether answers may pass that nobody asked for, where they did not.
    pub unsolicited: Unsolicited,
}

/// Who begins flows between a service's ports. A resolver that sends queries from port 53, or ntpd from 123, begins some whose answers
/// look like requests; entries tell whether there are any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Begins {
    /// Whoever sends requests.
    ClientsOnly,
    /// Who answers does so, too, or may.
    #[default]
    Either,
}

/// Whether packets may pass that look like answers and answer nothing. What leaves this host may in any case: it is told as a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unsolicited {
    /// They may not, if they could not before.
    #[default]
    Refused,
    /// They may: whoever asks for the bypass knows what it opens.
    Allowed,
}
