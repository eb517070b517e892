//! What stands between two parties of a system: it balances connections over replicas, and can be told to fail.
//!
//! It carries bytes and reads none, so TLS passes through it. A connection goes to the next replica in turn that takes it, as
//! with a service of Kubernetes; a replica that is down is passed over.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Bytes carried at a time; the bandwidth of a slow line is this per delay.
const PIECE_BYTES: usize = 4096;
/// How long connecting to a replica may take.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// Fewer bytes than these are no call and no answer, but what keeps a connection alive.
const MEANINGFUL_BYTES: usize = 48;
/// A connection that has carried less than this back is still being made: nothing is lost of it but itself.
const MADE_BYTES: usize = 1500;

/// How the line behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Line {
    /// It carries what it gets.
    #[default]
    Good,
    /// New connections are ended at once, and so are those there are.
    Refusing,
    /// Each piece waits so long.
    Slow(Duration),
    /// So many connections break when a request comes, before a byte of it goes on; afterwards the line is good.
    LosingRequests(u32),
    /// So many connections break when an answer to a request comes, before a byte of it goes on; afterwards the line is good.
    LosingAnswers(u32),
}

/// A line to the replicas of one service. It carries until the value is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Ends what was accepted.
    _end: watch::Sender<bool>,
}

#[derive(Debug)]
struct Shared {
    replicas: Mutex<Vec<SocketAddr>>,
    turn: AtomicUsize,
    line: Mutex<Line>,
    lost: AtomicUsize,
}

impl Proxy {
    /// A line on a port of the system's choice, to these replicas.
    ///
    /// # Errors
    /// When the machine has no port left.
    pub async fn start(replicas: Vec<SocketAddr>) -> std::io::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            replicas: Mutex::new(replicas),
            turn: AtomicUsize::new(0),
            line: Mutex::default(),
            lost: AtomicUsize::new(0),
        });
        let (end, ended) = watch::channel(false);
        crate::outside(accept(listener, Arc::clone(&shared), ended));
        Ok(Proxy { address, shared, _end: end })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections to these replicas.
    pub fn lead_to(&self, replicas: Vec<SocketAddr>) {
        *self.shared.replicas.lock().unwrap_or_else(PoisonError::into_inner) = replicas;
    }

    /// Makes the line behave like this from now on, also for connections there are.
    pub fn set(&self, line: Line) {
        *self.shared.line.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }

    /// How many requests and answers it has lost.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.shared.lost.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn line(&self) -> Line {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True when this request is to be lost.
    fn loses_request(&self) -> bool {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        match *line {
            Line::LosingRequests(left) => {
                *line = if left > 1 { Line::LosingRequests(left - 1) } else { Line::Good };
                self.lost.fetch_add(1, Ordering::SeqCst);
                true
            }
            Line::Good | Line::Refusing | Line::Slow(_) | Line::LosingAnswers(_) => false,
        }
    }

    /// True when this answer is to be lost.
    fn loses_answer(&self) -> bool {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        match *line {
            Line::LosingAnswers(left) => {
                *line = if left > 1 { Line::LosingAnswers(left - 1) } else { Line::Good };
                self.lost.fetch_add(1, Ordering::SeqCst);
                true
            }
            Line::Good | Line::Refusing | Line::Slow(_) | Line::LosingRequests(_) => false,
        }
    }

    /// A connection to the next replica that takes one.
    async fn connect(&self) -> Option<TcpStream> {
        let replicas = self.replicas.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first = self.turn.fetch_add(1, Ordering::SeqCst);
        for step in 0..replicas.len() {
            let replica = replicas[(first + step) % replicas.len()];
            let connected = tokio::time::timeout(CONNECT_MAX, TcpStream::connect(replica)).await;
            if let Ok(Ok(connected)) = connected {
                return Some(connected);
            }
        }
        None
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut ended: watch::Receiver<bool>) {
    loop {
        let client = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => client,
                Err(_) => continue,
            },
            _ = ended.changed() => return,
        };
        if shared.line() == Line::Refusing {
            continue;
        }
        let (shared, mut ended) = (Arc::clone(&shared), ended.clone());
        crate::outside(async move {
            tokio::select! {
                () = carry(client, &shared) => {}
                _ = ended.changed() => {}
            }
        });
    }
}

/// Carries one connection until one side ends it or the line breaks; both sides end then.
async fn carry(client: TcpStream, shared: &Shared) {
    let Some(replica) = shared.connect().await else {
        return;
    };
    // Neither fails on a socket that is connected; if one did, the line would be a little slower.
    client.set_nodelay(true).ok();
    replica.set_nodelay(true).ok();
    let (from_client, to_client) = client.into_split();
    let (from_replica, to_replica) = replica.into_split();
    let seen = Seen::default();
    tokio::select! {
        () = requests(from_client, to_replica, shared, &seen) => {}
        () = answers(from_replica, to_client, shared, &seen) => {}
    }
}

/// What one connection has carried.
#[derive(Debug, Default)]
struct Seen {
    /// Bytes back.
    back: AtomicUsize,
    /// Requests that went on since an answer came.
    asked: AtomicUsize,
}

impl Seen {
    fn is_made(&self) -> bool {
        self.back.load(Ordering::SeqCst) >= MADE_BYTES
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, seen: &Seen) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Some(count) = read(&mut from, &mut piece).await {
        if count >= MEANINGFUL_BYTES && seen.is_made() {
            if shared.loses_request() {
                return;
            }
            seen.asked.fetch_add(1, Ordering::SeqCst);
        }
        if !pass(shared, &mut to, &piece[..count]).await {
            return;
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, seen: &Seen) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Some(count) = read(&mut from, &mut piece).await {
        let answers = count >= MEANINGFUL_BYTES && seen.asked.swap(0, Ordering::SeqCst) > 0;
        if answers && shared.loses_answer() {
            return;
        }
        seen.back.fetch_add(count, Ordering::SeqCst);
        if !pass(shared, &mut to, &piece[..count]).await {
            return;
        }
    }
}

async fn read(from: &mut OwnedReadHalf, piece: &mut [u8]) -> Option<usize> {
    from.read(piece).await.ok().filter(|count| *count > 0)
}

/// False when the line is broken.
async fn pass(shared: &Shared, to: &mut OwnedWriteHalf, piece: &[u8]) -> bool {
    match shared.line() {
        Line::Refusing => return false,
        Line::Slow(delay) => tokio::time::sleep(delay).await,
        Line::Good | Line::LosingRequests(_) | Line::LosingAnswers(_) => {}
    }
    to.write_all(piece).await.is_ok()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::{Line, MADE_BYTES, Proxy};

    const REQUEST: [u8; 100] = [7; 100];

    /// A server that greets at length, tells of each request, and sends it back; behind a line.
    async fn greeter() -> (Proxy, UnboundedReceiver<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (told, heard) = unbounded_channel();
        crate::outside(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                client.write_all(&[1; MADE_BYTES]).await.expect("the line takes it");
                let mut request = [0; REQUEST.len()];
                while client.read_exact(&mut request).await.is_ok() {
                    told.send(request.to_vec()).expect("the test listens");
                    // A line that broke meanwhile takes nothing.
                    client.write_all(&request).await.ok();
                }
            }
        });
        (Proxy::start(vec![address]).await.expect("a free port"), heard)
    }

    async fn greeted(proxy: &Proxy) -> TcpStream {
        let mut client = TcpStream::connect(proxy.address()).await.expect("it listens");
        client.read_exact(&mut [0; MADE_BYTES]).await.expect("a greeting");
        client
    }

    async fn answer(client: &mut TcpStream) -> bool {
        client.write_all(&REQUEST).await.expect("the connection stands");
        client.read_exact(&mut [0; REQUEST.len()]).await.is_ok()
    }

    #[tokio::test]
    async fn a_good_line_carries_both_ways_and_passes_over_what_is_down() {
        let (proxy, mut heard) = greeter().await;
        assert!(answer(&mut greeted(&proxy).await).await);
        assert_eq!(heard.recv().await.as_deref(), Some(REQUEST.as_slice()));
        let down = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("it was bound");
        let up = proxy.shared.replicas.lock().expect("nobody panicked")[0];
        proxy.lead_to(vec![down, up]);
        for _ in 0..2 {
            assert!(answer(&mut greeted(&proxy).await).await);
        }
    }

    #[tokio::test]
    async fn a_lost_answer_breaks_the_connection_after_the_request_went_on() {
        let (proxy, mut heard) = greeter().await;
        let mut client = greeted(&proxy).await;
        proxy.set(Line::LosingAnswers(1));
        assert!(!answer(&mut client).await);
        assert_eq!(heard.recv().await.as_deref(), Some(REQUEST.as_slice()), "the server knows");
        assert_eq!(proxy.lost(), 1);
        assert!(answer(&mut greeted(&proxy).await).await, "the line is good again");
    }

    #[tokio::test]
    async fn a_lost_request_never_arrives() {
        let (proxy, mut heard) = greeter().await;
        let mut client = greeted(&proxy).await;
        proxy.set(Line::LosingRequests(1));
        assert!(!answer(&mut client).await);
        assert_eq!(proxy.lost(), 1);
        assert!(answer(&mut greeted(&proxy).await).await, "the line is good again");
        heard.recv().await.expect("the second request");
        assert!(heard.try_recv().is_err(), "and only that");
    }

    #[tokio::test]
    async fn a_line_that_is_down_takes_no_connection() {
        let (proxy, _heard) = greeter().await;
        let mut client = greeted(&proxy).await;
        proxy.set(Line::Refusing);
        assert!(!answer(&mut client).await, "those there are break");
        let mut client = TcpStream::connect(proxy.address()).await.expect("it listens");
        assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0, "new ones end at once");
    }
}
