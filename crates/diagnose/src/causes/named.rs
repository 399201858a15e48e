//! Services and backends of a part, by name where rules tell one.

use plimsoll_model::{Entry, Evidence, Sample, Service, ServiceId, Services, Surroundings};

use super::part::{Part, tally};
use crate::evidence::{fact, number};
use crate::words::percent;

/// What is not understood is quoted so often.
const QUOTED: usize = 2;
/// Makers of rules that are named.
const MAKERS: usize = 3;

/// A service as it is listed: all addresses of one that is known are one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Listed {
    Known(ServiceId),
    Other(Service),
}

impl Part<'_> {
    /// The services that are asked most.
    pub(super) fn services(&self) -> Evidence {
        let listed = |entry: &Entry| {
            let known = self.around().and_then(|around| around.service_of(entry));
            known.map(Listed::Known).or_else(|| entry.original.service().map(Listed::Other))
        };
        self.most_as("services", "services", listed, |listed| match listed {
            Listed::Known(id) => {
                self.known().and_then(|known| known.get(*id)).map_or_else(String::new, ToString::to_string)
            }
            Listed::Other(service) => service.to_string(),
        })
    }

    /// What answers most, with the service that it is a backend of.
    pub(super) fn backends(&self) -> Evidence {
        self.most_as("backends", "backends", |entry| entry.reply.source_service(), |backend| self.backend(*backend))
    }

    fn backend(&self, backend: Service) -> String {
        let service = self.known().and_then(|known| known.with_backend(backend));
        service
            .and_then(|service| service.name.as_ref())
            .map_or_else(|| backend.to_string(), |name| format!("{backend} ({name})"))
    }

    /// What translation makes of them, and by whose rules.
    pub(super) fn translation(&self) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        let translated = |what: fn(&Entry) -> bool| self.drawn.iter().filter(|drawn| what(&drawn.entry)).count();
        if translated(|entry| entry.translation().source.is_some()) > 0 {
            let masqueraded = self.most("masqueraded", "masqueraded as", |entry| entry.translation().source);
            evidence.push(masqueraded);
        }
        let hairpins = translated(|entry| entry.translation().is_hairpin);
        if hairpins > 0 {
            let share = Sample { read: self.drawn.len() as u64, live: self.count.entries }.share(hairpins as u64);
            evidence.push(number(
                "hairpin_ratio",
                share.value,
                format!(
                    "{} ({} to {}) are of clients that reach themselves through the service",
                    percent(share.value),
                    percent(share.low),
                    percent(share.high)
                ),
            ));
        }
        evidence.extend(self.makers());
        evidence.extend(self.known().and_then(not_understood));
        evidence
    }

    fn makers(&self) -> Option<Evidence> {
        let around = self.around()?;
        let makers = tally(self.drawn.iter().filter_map(|drawn| {
            let service = around.services.get(around.service_of(&drawn.entry)?)?;
            Some(service.by)
        }));
        let named: Vec<_> = makers.iter().take(MAKERS).map(|(maker, _)| maker.to_string()).collect();
        (!named.is_empty()).then(|| fact("translated_by", format!("translated by {}", named.join(", "))))
    }

    pub(super) fn around(&self) -> Option<&Surroundings> {
        self.table.ns.surroundings.as_ref()
    }

    fn known(&self) -> Option<&Services> {
        self.around().map(|around| &around.services)
    }
}

/// What rules say that is not understood, where there is some.
fn not_understood(services: &Services) -> Option<Evidence> {
    let all = &services.not_understood;
    let quoted: Vec<_> = all.iter().take(QUOTED).map(ToString::to_string).collect();
    (!all.is_empty()).then(|| {
        number(
            "rules_not_understood",
            all.len() as f64,
            format!("{} of what the rules say of translation is not understood: {}", all.len(), quoted.join("; ")),
        )
    })
}
