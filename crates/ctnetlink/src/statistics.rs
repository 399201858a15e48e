//! The table's statistics: one count and one limit, and counters of each CPU.

use plimsoll_model::{Capacity, Counter, CounterReading, CpuCounters, Occupancy};

use crate::error::{Error, ParseError, Problem, Request};
use crate::message::{ANY_FAMILY, DUMP, Header, Requests};
use crate::socket::{DATAGRAM_BYTES, Socket};
use crate::wire::{Fault, Message, Messages, NLMSG_DONE};

/// `IPCTNL_MSG_CT_GET_STATS_CPU`.
const GET_CPU_STATISTICS: u16 = 0x0104;
/// `IPCTNL_MSG_CT_GET_STATS`.
pub(crate) const GET_TABLE_STATISTICS: u16 = 0x0105;

/// Entries and limit of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableStatistics {
    /// Entries.
    pub occupancy: Occupancy,
    /// Limit; kernels before 4.18 do not send it.
    pub capacity: Option<Capacity>,
}

/// Reads entries and limit of the calling thread's network namespace.
pub fn table_statistics() -> Result<TableStatistics, Error> {
    let header = Header { kind: GET_TABLE_STATISTICS, flags: 0, sequence: 1, selector: ANY_FAMILY };
    let socket = Socket::ask(Request::TableStatistics, &Requests::one(header, |_| {}))?;
    let mut buffer = vec![0; DATAGRAM_BYTES];
    let message = socket.receive_one(&mut buffer)?;
    table_of(&message).map_err(|problem| socket.broken(problem))
}

/// Reads the counters of each CPU in the calling thread's network namespace.
pub fn cpu_statistics() -> Result<CounterReading, Error> {
    let header = Header { kind: GET_CPU_STATISTICS, flags: DUMP, sequence: 1, selector: ANY_FAMILY };
    let socket = Socket::ask(Request::CpuStatistics, &Requests::one(header, |_| {}))?;
    let mut reading = CounterReading::default();
    socket.receive_dump(|message| {
        reading.cpus.push(cpu_of(&message)?);
        Ok(())
    })?;
    Ok(reading)
}

/// Parses a datagram that answers a request for the table's statistics.
pub fn parse_table_statistics(datagram: &[u8]) -> Result<Vec<TableStatistics>, ParseError> {
    Messages::of(datagram).map(|message| table_of(&message?)).collect()
}

/// Parses a datagram of per-CPU counters, up to the end of the dump where the datagram holds it.
pub fn parse_cpu_statistics(datagram: &[u8]) -> Result<CounterReading, ParseError> {
    let messages = Messages::of(datagram);
    let counters = messages.take_while(|message| !matches!(message, Ok(message) if message.kind == NLMSG_DONE));
    let cpus = counters.map(|message| cpu_of(&message?)).collect::<Result<_, _>>()?;
    Ok(CounterReading { cpus })
}

fn table_of(message: &Message<'_>) -> Result<TableStatistics, ParseError> {
    parse_table(message).map_err(|fault| message.error(fault))
}

/// `enum ctattr_stats_global`.
fn parse_table(message: &Message<'_>) -> Result<TableStatistics, Fault> {
    const ENTRIES: u16 = 1;
    const MAX_ENTRIES: u16 = 2;
    message.expect(GET_TABLE_STATISTICS)?;
    let mut occupancy = None;
    let mut capacity = None;
    let mut attributes = message.attributes()?;
    for attribute in attributes.by_ref() {
        match attribute.kind {
            ENTRIES => occupancy = Some(Occupancy(attribute.be32()?)),
            MAX_ENTRIES => capacity = Some(Capacity(attribute.be32()?)),
            _ => {}
        }
    }
    attributes.end()?;
    match occupancy {
        Some(occupancy) => Ok(TableStatistics { occupancy, capacity }),
        None => Err(Fault::at(message.payload, Problem::Missing { kind: ENTRIES })),
    }
}

fn cpu_of(message: &Message<'_>) -> Result<CpuCounters, ParseError> {
    parse_cpu(message).map_err(|fault| message.error(fault))
}

/// `enum ctattr_stats_cpu`; the numbers that are not here are of counters that the kernel no longer counts.
fn parse_cpu(message: &Message<'_>) -> Result<CpuCounters, Fault> {
    message.expect(GET_CPU_STATISTICS)?;
    let mut counters = CpuCounters::default();
    let mut attributes = message.attributes()?;
    for attribute in attributes.by_ref() {
        let counter = match attribute.kind {
            2 => Counter::Found,
            4 => Counter::Invalid,
            8 => Counter::Insert,
            9 => Counter::InsertFailed,
            10 => Counter::Drop,
            11 => Counter::EarlyDrop,
            12 => Counter::IcmpError,
            13 => Counter::SearchRestart,
            14 => Counter::ClashResolved,
            15 => Counter::ChainTooLong,
            _ => continue,
        };
        counters.set(counter, attribute.be32()?);
    }
    attributes.end()?;
    Ok(counters)
}
