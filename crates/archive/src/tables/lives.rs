//! Lives of flows.

use plimsoll_model::{Layer4, Protocol, Status, Tuple, Zone};
use plimsoll_recording::{Began, Counts, End, FlowKey, Life, Sight, State, Step, Translation, Volume};

use super::{Columns, columns};
use crate::column::{Column, Table};
use crate::error::{Error, Problem};
use crate::kind::{
    Address, Amount, Count, Count32, Layout, Moment, Name64, Of, ProtocolName, ScatteredPort, Small, Whether,
};
use crate::read::Group;
use crate::word::StateName;
use crate::write::GroupWriter;

columns! { LifeColumns and LifeCursor:
    /// Names the flow's entry within the recording; its gaps have the same number.
    flow: Required<Name64>;
    /// Protocol: tcp, udp, icmp, icmpv6, sctp, gre, dccp, udplite, or a number.
    protocol: Required<ProtocolName>;
    /// Address that opened the flow.
    client: Required<Address>;
    /// Port that it was opened from; null for protocols without ports.
    client_port: Optional<ScatteredPort>;
    /// Address that the client opened it to, before any translation.
    server: Required<Address>;
    /// Port that the client opened it to; null for protocols without ports.
    server_port: Optional<Small<u16>>;
    /// Identifier of an ICMP query; null for other protocols.
    icmp_id: Optional<Small<u16>>;
    /// Type of an ICMP query; null for other protocols.
    icmp_type: Optional<Small<u8>>;
    /// Code of an ICMP query; null for other protocols.
    icmp_code: Optional<Small<u8>>;
    /// Conntrack zone, 0 for the default one.
    zone: Required<Small<u16>> = 0;
    /// What is translated (NAT): none, source, destination or both.
    translation: Required<Of<Translation>> = Translation::None;
    /// Address that answers, behind a translation; this column and the next six are null where the answer is simply the way back.
    reply_source: Optional<Address>;
    /// Port that answers.
    reply_source_port: Optional<Small<u16>>;
    /// Address that is answered to: the client's as the answering side sees it.
    reply_destination: Optional<Address>;
    /// Port that is answered to.
    reply_destination_port: Optional<ScatteredPort>;
    /// Identifier of the ICMP answer.
    reply_icmp_id: Optional<Small<u16>>;
    /// Type of the ICMP answer.
    reply_icmp_type: Optional<Small<u8>>;
    /// Code of the ICMP answer.
    reply_icmp_code: Optional<Small<u8>>;
    /// When the flow was first seen: its first packet if first_packet_seen.
    began_at: Required<Moment>;
    /// Whether its first packet was seen; otherwise the flow is older than began_at.
    first_packet_seen: Required<Whether> = false;
    /// States that it came to, in their order, in the kernel's words; without a tracker UNREPLIED, REPLIED, ASSURED.
    states: List<Of<StateName>>;
    /// When it was seen to come to each of them.
    state_at: List<Moment>;
    /// When its end was seen, or when it was seen last.
    ended_at: Required<Moment>;
    /// How its entry ended: expired, evicted, reset, reopened, deleted, unseen, or open if it had not ended.
    ending: Required<Of<End>> = End::Unseen;
    /// Whether nothing of it was missed: whole, broken (events were lost) or looks (it was looked at now and then).
    sight: Required<Of<Sight>> = Sight::Looks;
    /// Last status bits that were seen (IPS_* of the kernel's nf_conntrack_common.h).
    status: Required<Count32> = 0;
    /// Packets from the client; null where the kernel does not count (nf_conntrack_acct).
    client_packets: Optional<Count>;
    /// Bytes of IP packets from the client, headers included; null where the kernel does not count.
    client_bytes: Optional<Count>;
    /// Packets from the side that answers; null where the kernel does not count.
    server_packets: Optional<Count>;
    /// Bytes of IP packets from the side that answers, headers included; null where the kernel does not count.
    server_bytes: Optional<Count>;
    /// How many flows this row stands for: more than 1 where only a share of them was recorded.
    weight: Required<Amount> = 1.0;
}

impl Columns for LifeColumns {
    type Row = Life;
    type Cursor = LifeCursor;
    const TABLE: Table = Table::Lives;
    const COLUMNS: &'static [Column] = Self::LIST;
    const LAYOUTS: &'static [Layout] = Self::LAYOUT_LIST;

    fn push(&mut self, life: &Life) {
        let original = &life.original;
        self.flow.push(life.key.0);
        self.protocol.push(original.protocol);
        self.client.push(original.source);
        self.server.push(original.destination);
        let (source, destination) = ports(original.layer4);
        self.client_port.push(source);
        self.server_port.push(destination);
        let (id, kind, code) = query(original.layer4);
        self.icmp_id.push(id);
        self.icmp_type.push(kind);
        self.icmp_code.push(code);
        self.zone.push(life.zone.0);
        self.translation.push(Translation::of(life.status));
        self.push_reply(life);
        self.began_at.push(life.began.first_seen());
        self.first_packet_seen.push(matches!(life.began, Began::At(_)));
        self.states.push(life.steps.iter().map(|step| StateName(step.state.name())));
        self.state_at.push(life.steps.iter().map(|step| step.at));
        self.ended_at.push(life.ended_at);
        self.ending.push(life.end);
        self.sight.push(life.sight);
        self.status.push(life.status.0);
        self.client_packets.push(life.volume.map(|volume| volume.original.packets));
        self.client_bytes.push(life.volume.map(|volume| volume.original.bytes));
        self.server_packets.push(life.volume.map(|volume| volume.reply.packets));
        self.server_bytes.push(life.volume.map(|volume| volume.reply.bytes));
        self.weight.push(life.weight);
    }

    fn in_lists(&self) -> usize {
        self.states.cells()
    }

    fn flush(&mut self, group: &mut GroupWriter<'_>) -> Result<(), parquet::errors::ParquetError> {
        self.write_each(group)
    }

    fn cursor(group: &Group<'_>) -> Result<LifeCursor, Error> {
        LifeCursor::open(group)
    }

    fn next(cursor: &mut LifeCursor) -> Result<Life, Error> {
        cursor.life()
    }
}

impl LifeColumns {
    fn push_reply(&mut self, life: &Life) {
        let reply = (life.reply != life.original.mirrored()).then_some(life.reply);
        self.reply_source.push(reply.map(|reply| reply.source));
        self.reply_destination.push(reply.map(|reply| reply.destination));
        let layer4 = reply.map_or(Layer4::None, |reply| reply.layer4);
        let (source, destination) = ports(layer4);
        self.reply_source_port.push(source);
        self.reply_destination_port.push(destination);
        let (id, kind, code) = query(layer4);
        self.reply_icmp_id.push(id);
        self.reply_icmp_type.push(kind);
        self.reply_icmp_code.push(code);
    }
}

impl LifeCursor {
    fn life(&mut self) -> Result<Life, Error> {
        let key = FlowKey(self.flow.next()?);
        let protocol = self.protocol.next()?;
        let layer4 = layer4(
            (self.client_port.next()?, self.server_port.next()?),
            (self.icmp_id.next()?, self.icmp_type.next()?, self.icmp_code.next()?),
        );
        let original = Tuple { source: self.client.next()?, destination: self.server.next()?, protocol, layer4 };
        let reply = self.reply(protocol)?.unwrap_or_else(|| original.mirrored());
        let began_at = self.began_at.next()?;
        let began = if self.first_packet_seen.next()? { Began::At(began_at) } else { Began::Before(began_at) };
        // The status tells it too; the column is for people.
        self.translation.next()?;
        Ok(Life {
            key,
            original,
            reply,
            zone: Zone(self.zone.next()?),
            began,
            steps: self.steps(protocol)?,
            ended_at: self.ended_at.next()?,
            end: self.ending.next()?,
            status: Status(self.status.next()?),
            volume: self.volume()?,
            weight: self.weight.next()?,
            sight: self.sight.next()?,
        })
    }

    fn reply(&mut self, protocol: Protocol) -> Result<Option<Tuple>, Error> {
        let layer4 = layer4(
            (self.reply_source_port.next()?, self.reply_destination_port.next()?),
            (self.reply_icmp_id.next()?, self.reply_icmp_type.next()?, self.reply_icmp_code.next()?),
        );
        let ends = (self.reply_source.next()?, self.reply_destination.next()?);
        Ok(match ends {
            (Some(source), Some(destination)) => Some(Tuple { source, destination, protocol, layer4 }),
            _ => None,
        })
    }

    fn steps(&mut self, protocol: Protocol) -> Result<Vec<Step>, Error> {
        let (states, moments) = (self.states.next()?, self.state_at.next()?);
        if states.len() != moments.len() {
            let problem = Problem::Path { states: states.len(), moments: moments.len() };
            return Err(self.states.fault(problem));
        }
        let step = |(name, at): (StateName, _)| Step { at, state: State::named(name.0, protocol) };
        Ok(states.iter().copied().zip(moments.iter().copied()).map(step).collect())
    }

    fn volume(&mut self) -> Result<Option<Volume>, Error> {
        let original = counts(self.client_packets.next()?, self.client_bytes.next()?);
        let reply = counts(self.server_packets.next()?, self.server_bytes.next()?);
        Ok(original.zip(reply).map(|(original, reply)| Volume { original, reply }))
    }
}

const fn ports(layer4: Layer4) -> (Option<u16>, Option<u16>) {
    match layer4 {
        Layer4::Ports { source, destination } => (Some(source), Some(destination)),
        Layer4::Icmp { .. } | Layer4::None => (None, None),
    }
}

const fn query(layer4: Layer4) -> (Option<u16>, Option<u8>, Option<u8>) {
    match layer4 {
        Layer4::Icmp { id, kind, code } => (Some(id), Some(kind), Some(code)),
        Layer4::Ports { .. } | Layer4::None => (None, None, None),
    }
}

const fn layer4(ports: (Option<u16>, Option<u16>), query: (Option<u16>, Option<u8>, Option<u8>)) -> Layer4 {
    match (ports, query) {
        ((Some(source), Some(destination)), _) => Layer4::Ports { source, destination },
        (_, (Some(id), Some(kind), Some(code))) => Layer4::Icmp { id, kind, code },
        _ => Layer4::None,
    }
}

fn counts(packets: Option<u64>, bytes: Option<u64>) -> Option<Counts> {
    Some(Counts { packets: packets?, bytes: bytes? })
}
