//! Rulesets, and how they are loaded.

use std::fmt;
use std::path::{Path, PathBuf};

use plimsoll_host::HostFs;
use plimsoll_lab::{Firewall, LabNamespace};
use plimsoll_rules::Ruleset;

/// A ruleset of the folder `rulesets`, and by which program it is loaded.
#[derive(Clone, Debug)]
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) by: By,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Nft,
    IptablesNft,
    IptablesLegacy,
    Nothing,
}

/// All of them.
pub(crate) fn all() -> Vec<Fixture> {
    let mut names: Vec<(String, String)> = std::fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter_map(|path| Some((path.file_stem()?.to_str()?.to_string(), path.extension()?.to_str()?.to_string())))
        .collect();
    names.sort();
    let fixtures: Vec<_> = names
        .into_iter()
        .flat_map(|(name, extension)| {
            let by: &[By] = match extension.as_str() {
                "nft" => &[By::Nft],
                "v4" => &[By::IptablesNft, By::IptablesLegacy],
                _ => &[],
            };
            by.iter().map(|by| Fixture { name: name.clone(), by: *by }).collect::<Vec<_>>()
        })
        .collect();
    assert!(fixtures.len() > 15, "{fixtures:?}");
    fixtures
}

/// Reads the ruleset as the product does.
pub(crate) fn read(firewall: &Firewall) -> Ruleset {
    let rulesets = firewall.namespace().enter(|| HostFs::new().rulesets()).unwrap();
    assert!(rulesets.unseen.is_empty(), "{:?}", rulesets.unseen);
    Ruleset::read(&rulesets.told).unwrap()
}

impl Fixture {
    pub(crate) fn empty() -> Self {
        Self { name: "nothing".to_string(), by: By::Nothing }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by == By::Nothing
    }

    pub(crate) fn load(&self, namespace: &LabNamespace) {
        let file = |extension: &str| folder().join(format!("{}.{extension}", self.name));
        let restore = |program: &str, file: &Path| {
            if file.exists() {
                namespace.run(&["sh", "-c", &format!("{program} < {}", file.display())]).unwrap();
            }
        };
        match self.by {
            By::Nothing => {}
            By::Nft => namespace.nft(&std::fs::read_to_string(file("nft")).unwrap()).unwrap(),
            By::IptablesNft | By::IptablesLegacy => {
                let variant = if self.by == By::IptablesNft { "nft" } else { "legacy" };
                restore("ipset restore", &file("ipset"));
                restore(&format!("iptables-{variant}-restore"), &file("v4"));
                restore(&format!("ip6tables-{variant}-restore"), &file("v6"));
            }
        }
    }
}

impl fmt::Display for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {:?}", self.name, self.by)
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rulesets")
}
