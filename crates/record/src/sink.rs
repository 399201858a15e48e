//! Where rows go.

use plimsoll_recording::{Row, UnixMicros};

/// Where rows go.
pub trait Sink {
    /// Why a row could not be kept.
    type Error: std::error::Error + 'static;

    /// Keeps a row.
    fn keep(&mut self, row: &Row) -> Result<(), Self::Error>;

    /// Time has passed. Rows that this gives rise to are kept by whoever calls.
    fn pass_time(&mut self, now: UnixMicros) -> Result<Vec<Row>, Self::Error>;
}

impl Sink for Vec<Row> {
    type Error = std::convert::Infallible;

    fn keep(&mut self, row: &Row) -> Result<(), Self::Error> {
        self.push(row.clone());
        Ok(())
    }

    fn pass_time(&mut self, _: UnixMicros) -> Result<Vec<Row>, Self::Error> {
        Ok(Vec::new())
    }
}
