//! A WebSocket in front of a TCP server, which cuts the stream where it likes.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{accept_async, tungstenite::Message};

/// Bytes a message towards the client carries: less than a frame of the handshake, so each is cut.
const PIECE: usize = 100;

/// Serves one connection; its URL.
pub(crate) async fn in_front_of(server: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (mut to_client, mut from_client) = accept_async(stream).await.unwrap().split();
        let (mut from_server, mut to_server) =
            TcpStream::connect(server).await.unwrap().into_split();
        tokio::spawn(async move {
            let mut piece = [0; PIECE];
            while let Ok(length @ 1..) = from_server.read(&mut piece).await {
                let message = Message::binary(piece[..length].to_vec());
                if to_client.send(message).await.is_err() {
                    break;
                }
            }
        });
        while let Some(Ok(message)) = from_client.next().await {
            if let Message::Binary(bytes) = message
                && to_server.write_all(&bytes).await.is_err()
            {
                break;
            }
        }
    });
    format!("ws://{address}/ws/chat")
}
