//! The server's thread, and who is let into it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::access::{Access, Gate};
use crate::http::{refuse, serve};
use crate::listen::{Listener, Socket};
use crate::places::{Peer, Places};
use crate::{Error, Limits, Site};

/// Clients that can be told at a time that there are too many; more are cut off without a word.
const REFUSALS: usize = 256;

/// How long nothing is accepted after that has failed, as it does when there are no more file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// How long answers under way may take when the server ends.
const FAREWELL: Duration = Duration::from_millis(500);

/// How long a silent peer is believed to be there: then it is asked, and this long it may take to acknowledge.
const SILENCE: Duration = Duration::from_mins(1);

/// A server, in a thread of its own. Dropping it ends it.
pub struct Server {
    shared: Arc<Shared>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) gate: Gate,
    pub(crate) site: Arc<dyn Site>,
    pub(crate) limits: Limits,
}

/// Whoever has connected.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Server {
    /// Begins to serve. Files are read before, so an error is one of the configuration or of the system.
    pub fn begin(listeners: Vec<Listener>, access: Access, limits: Limits, site: Arc<dyn Site>) -> Result<Self, Error> {
        let shared = Arc::new(Shared { gate: Gate::new(access)?, site, limits });
        let system = |answer| Error::Begin { answer };
        // One blocking thread: so passwords are compared one after the other, and take no more than one core.
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build().map_err(system)?;
        let (doors, files): (Vec<_>, Vec<_>) = {
            let _entered = runtime.enter();
            let open = |listener: Listener| Ok((Door::open(listener.socket)?, listener.file));
            listeners.into_iter().map(open).collect::<io::Result<Vec<_>>>().map_err(system)?.into_iter().unzip()
        };
        let (end, ended) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("plimsoll-web".to_owned())
            .spawn(move || {
                run(&runtime, &served, doors, ended);
                drop(files);
                runtime.shutdown_background();
            })
            .map_err(system)?;
        Ok(Self { shared, end: Some(end), thread: Some(thread) })
    }

    /// Takes other rules for who is let in, or the same from files that have changed. If they cannot be used, those in force
    /// stay so. Connections that were made before end once they are answered.
    pub fn reload(&self, access: Access) -> Result<(), Error> {
        self.shared.gate.replace(access)
    }

    /// Ends: nobody is accepted any more, and answers under way get half a second.
    pub fn end(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // If the thread is gone already, there is nobody to be told.
        let _ = self.end.take().map(|end| end.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("limits", &self.shared.limits).finish_non_exhaustive()
    }
}

/// Serves until the end is told, or whoever could tell it is gone.
fn run(runtime: &Runtime, shared: &Arc<Shared>, doors: Vec<Door>, ended: oneshot::Receiver<()>) {
    let places = Arc::new(Places::new(shared.limits.connections));
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    runtime.block_on(async {
        let mut accepting = JoinSet::new();
        for door in doors {
            accepting.spawn(accept(Arc::clone(shared), door, Arc::clone(&places), Arc::clone(&refusals)));
        }
        let _ = ended.await;
        accepting.shutdown().await;
        shared.gate.end();
        // Whoever has not ended then is cut off with the runtime.
        let _ = timeout(FAREWELL, places.all_back()).await;
    });
}

/// Lets clients in by a door, as far as there are places.
async fn accept(shared: Arc<Shared>, door: Door, places: Arc<Places>, refusals: Arc<Semaphore>) {
    loop {
        let Ok((stream, peer)) = door.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        if let Some(place) = places.take(peer) {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                serve(&shared, stream).await;
                drop(place);
            });
        } else if let Ok(place) = Arc::clone(&refusals).try_acquire_owned()
            && is_plain(&shared, &stream)
        {
            tokio::spawn(async move {
                refuse(stream).await;
                drop(place);
            });
        }
    }
}

/// Whether a client understands a word without a handshake.
fn is_plain(shared: &Shared, stream: &Stream) -> bool {
    matches!(stream, Stream::Unix(_)) || shared.gate.settings(&*shared.site).tls.is_none()
}

/// A listener in the runtime.
enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Door {
    fn open(socket: Socket) -> io::Result<Self> {
        match socket {
            Socket::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                TcpListener::from_std(socket).map(Self::Tcp)
            }
            Socket::Unix(socket) => {
                socket.set_nonblocking(true)?;
                UnixListener::from_std(socket).map(Self::Unix)
            }
        }
    }

    async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                notice_silence(&stream);
                Ok((Stream::Tcp(stream), Peer::at(address.ip())))
            }
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| (Stream::Unix(stream), Peer::Unix)),
        }
    }
}

/// Has the kernel find out that a peer is gone. Where it refuses, the limits' times do, later; nothing else depends on it.
fn notice_silence(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENCE).with_interval(SILENCE / 4));
    let _ = socket.set_tcp_user_timeout(Some(SILENCE));
}
