//! One address for several replicas, as a service of Kubernetes gives them.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

/// A balancer: each connection goes to the next replica in turn that takes it. It carries bytes and reads none.
pub(crate) struct Balancer {
    /// Where it answers.
    pub(crate) address: SocketAddr,
}

impl Balancer {
    /// Starts one before these replicas; it ends with the test.
    pub(crate) async fn start(replicas: Vec<SocketAddr>) -> Balancer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        testkit::outside(async move {
            for turn in 0.. {
                let Ok((caller, _)) = listener.accept().await else {
                    return;
                };
                testkit::outside(carry(caller, turn, replicas.clone()));
            }
        });
        Balancer { address }
    }
}

async fn carry(mut caller: TcpStream, turn: usize, replicas: Vec<SocketAddr>) {
    for place in 0..replicas.len() {
        if let Ok(mut replica) = TcpStream::connect(replicas[(turn + place) % replicas.len()]).await {
            // Either side may end the connection whenever it likes.
            let _ended = tokio::io::copy_bidirectional(&mut caller, &mut replica).await;
            return;
        }
    }
}
