//! A gate before a chat server, which a test can shut: a gatekeeper that is away.

use std::{net::SocketAddr, sync::Arc};

use serde_json::{Value, json};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Where a gate leads, while it is open.
type Target = Option<SocketAddr>;

/// A gate; it is shut until it leads somewhere.
pub(crate) struct Gate {
    address: String,
    target: Arc<watch::Sender<Target>>,
}

impl Gate {
    /// Builds one.
    pub(crate) async fn build() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let target = Arc::new(watch::Sender::new(None));
        let gate = target.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, gate.subscribe()));
            }
        });
        Self { address, target }
    }

    /// What a gatekeeper's profile says so that its chat server is behind the gate.
    pub(crate) fn profile(&self) -> Value {
        json!({"chat": {"transport": "tcp", "address": self.address}})
    }

    /// Opens it.
    pub(crate) fn open(&self, target: SocketAddr) {
        self.target.send_replace(Some(target));
    }

    /// Shuts it; whoever is connected is cut off.
    pub(crate) fn shut(&self) {
        self.target.send_replace(None);
    }
}

async fn pass(mut stream: TcpStream, mut gate: watch::Receiver<Target>) {
    let Some(target) = *gate.borrow_and_update() else {
        return;
    };
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut stream, &mut server) => {}
        _ = gate.wait_for(Option::is_none) => {}
    }
}
