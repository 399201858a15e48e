//! Whose entries: flows of a table tied to this machine's sockets, and these to the programs that hold them.
//!
//! [`Question`] chooses which of a census's drawn entries are asked about, takes in the sockets of every namespace, look by look, and keeps
//! only what may answer: the sockets of these flows, who listens where they end, and other connections to the same services. It
//! names the inodes whose holders have to be found, and [`Question::answer`] writes the ends into the census. Nothing here does I/O.
//!
//! A flow's own socket is told by its addresses and ports, after translation: at the client's end by the tuple of the original
//! direction, at the server's by that of the reply. A flow that has ended has none any more. Then its server's end is told by who listens
//! at the port, and its client's by connections from that address to that service that come and go between looks. One that is kept tells
//! nothing of others.
//!
//! [`resolver`] reads what a program's resolver is told.
//!
//! [`services`] recognises the services that a ruleset translates to backends, with the names that kube-proxy gives them.

mod openers;
mod question;
mod resolver;
mod services;
mod sightings;

pub use question::{Location, Look, Over, Question};
pub use resolver::resolver;
pub use services::services;
pub use sightings::Met;
