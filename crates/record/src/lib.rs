//! Records a network namespace: the lives of its flows, their silences, the table's numbers and its settings.
//!
//! Two sources are read side by side by one thread; another writes files ([`Filed`]). **Events** tell of each entry that is
//! made, changes state, and goes; they tell of no packet in between, and nothing of entries that were there before anybody
//! listened. **Looks** read the beginning of the table again and again, which shows the same entries each time, and so when
//! each of them last saw a packet.
//!
//! Listening changes the host: the kernel allocates room for events with each new entry, in every namespace, for as long as
//! somebody listens (`nf_conntrack_events` = 2, `nf_ct_ecache_ext_add`). Looks change nothing but that the kernel reaps what
//! has expired in the buckets that it passes.
//!
//! Memory is bounded by [`Bounds::followed`] and [`Wishes::looked_at`]: some 310 bytes a flow that is followed, some 400 an
//! entry that is looked at.

mod clock;
mod cohort;
mod error;
mod followed;
mod governor;
mod hide;
mod keys;
mod lives;
mod look;
mod recorder;
mod sink;
mod table;
mod traffic;
mod window;
mod wishes;

pub use error::Error;
pub use governor::Bounds;
pub use recorder::{Progress, REST, Recorded, Stopped, origin, record};
pub use sink::{Filed, Kept, Sink};
pub use table::History;
pub use wishes::{LookEvery, Wishes};
