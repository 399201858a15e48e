//! Finding again what an application was made on.

use plimsoll_host::HostFs;

use crate::Error;
use crate::live::Live;
use crate::place::Place;
use crate::record::Begun;
use crate::undo::Ground;

/// What an application was made on, or nothing, in another boot.
#[derive(Debug)]
pub(crate) struct Footing(Option<Live>);

impl Footing {
    /// Looks for the boot and the namespace of an application.
    pub(crate) fn of(begun: &Begun) -> Result<Self, Error> {
        if HostFs::new().boot_id()?.as_str() != begun.boot_id {
            return Ok(Self(None));
        }
        let live = match Place::of(&begun.namespace)? {
            Some(place) => Live::at(place),
            None => Live::of_the_host(),
        };
        Ok(Self(Some(live)))
    }

    /// The settings, if they are there still.
    pub(crate) const fn live(&self) -> Option<&Live> {
        self.0.as_ref()
    }

    /// For undoing.
    pub(crate) fn ground(&self) -> Ground<'_> {
        match &self.0 {
            Some(live) => Ground::There(live),
            None => Ground::Gone,
        }
    }
}
