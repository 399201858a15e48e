//! Where the XDP stage of a shield is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Untrusted;

/// An XDP stage: on an interface it does what the shield of the same application does, before there is an skb.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct XdpStage {
    /// The interface, as it was called.
    pub interface: Interface,
    /// Its number, by which it is found when it has been renamed.
    pub index: i32,
}

/// The name of a network interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Interface(String);

/// Not the name of a network interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoInterface;

impl Interface {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Interface {
    type Error = NoInterface;

    /// What the kernel takes for one (`dev_valid_name`), and can be shown.
    fn try_from(name: String) -> Result<Self, NoInterface> {
        const MOST_BYTES: usize = 15;
        let is_out_of_place = |letter: char| letter.is_whitespace() || letter.is_control() || "/:".contains(letter);
        let is_one = (1..=MOST_BYTES).contains(&name.len())
            && ![".", ".."].contains(&name.as_str())
            && !name.contains(is_out_of_place);
        if is_one { Ok(Self(name)) } else { Err(NoInterface) }
    }
}

impl FromStr for Interface {
    type Err = NoInterface;

    fn from_str(name: &str) -> Result<Self, NoInterface> {
        Self::try_from(name.to_string())
    }
}

impl From<Interface> for String {
    fn from(interface: Interface) -> Self {
        interface.0
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Untrusted::from(self.as_str()).fmt(f)
    }
}

impl fmt::Display for NoInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be the name of a network interface, as eth0 (`ip link` lists them)")
    }
}

impl std::error::Error for NoInterface {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_takes_for_a_name_is_one() {
        for name in ["eth0", "enp3s0f1", "wg-0.7", "abcdefghijklmno"] {
            assert_eq!(name.parse::<Interface>().unwrap().as_str(), name);
        }
        for wrong in ["", ".", "..", "a/b", "a b", "eth0:1", "abcdefghijklmnop", "a\u{1b}[1m"] {
            assert_eq!(wrong.parse::<Interface>(), Err(NoInterface), "{wrong}");
        }
        assert!(serde_json::from_str::<Interface>(r#""../x""#).is_err());
    }
}
