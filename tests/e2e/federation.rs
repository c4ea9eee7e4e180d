//! Homeservers that reach each other: a proxy leads from their names, which no resolver knows, to where they listen.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::Command,
};

use super::homeserver::{free_port, python};

/// The name of a second homeserver.
pub(crate) const ELSEWHERE: &str = "elsewhere.test";

/// The most that is read of a request to the proxy, in bytes.
const MOST: usize = 4096;

/// By name, the port a homeserver has for others.
type Places = Arc<Mutex<HashMap<String, u16>>>;

/// What homeservers need to reach each other.
pub(crate) struct Federation {
    certificate: PathBuf,
    key: PathBuf,
    proxy: u16,
    places: Places,
}

impl Federation {
    /// A proxy that knows nobody yet.
    pub(crate) async fn start(folder: &Path) -> Self {
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/certificate.py");
        let mut make = Command::new(python());
        make.arg(script).arg(&certificate).arg(&key);
        let made = make.status().await.expect("Python runs");
        assert!(made.success(), "no certificate was made");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let proxy = listener.local_addr().expect("an address").port();
        let places = Places::default();
        tokio::spawn(serve(listener, places.clone()));
        Self {
            certificate,
            key,
            proxy,
            places,
        }
    }

    /// Makes a homeserver one that others reach under a name.
    pub(crate) fn configure(&self, name: &str, config: &mut Value) {
        let port = free_port();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.insert(name.to_owned(), port);
        let listener = json!({"port": port, "bind_addresses": ["127.0.0.1"], "type": "http", "tls": true,
            "resources": [{"names": ["federation"]}]});
        let listeners = config["listeners"].as_array_mut().expect("listeners");
        listeners.push(listener);
        config["server_name"] = json!(name);
        config["tls_certificate_path"] = json!(self.certificate);
        config["tls_private_key_path"] = json!(self.key);
        config["federation_verify_certificates"] = json!(false);
        config["ip_range_blacklist"] = json!([]);
    }

    /// The proxy's address.
    pub(crate) fn proxy(&self) -> String {
        format!("http://127.0.0.1:{}", self.proxy)
    }
}

async fn serve(listener: TcpListener, places: Places) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(lead(stream, places.clone()));
    }
}

/// Leads one connection where its `CONNECT name:port` says.
async fn lead(mut stream: TcpStream, places: Places) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < MOST {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let to = head.strip_prefix("CONNECT ")?.split(':').next()?;
    let port = place_of(&places, to)?;
    let mut there = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
    copy_bidirectional(&mut stream, &mut there).await.ok()?;
    Some(())
}

fn place_of(places: &Places, name: &str) -> Option<u16> {
    let places = places.lock().unwrap_or_else(PoisonError::into_inner);
    places.get(name).copied()
}
