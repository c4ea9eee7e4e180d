//! A file of 100 MB each way, in a process of its own, while its memory is watched.

use std::{fs, process::Command};

use bytes::Bytes;
use drawbridge::{domain::MediaKind, network::Network};
use futures_util::{StreamExt as _, stream};

use super::files::Carrier;

const MB: u64 = 1024 * 1024;
const LENGTH: u64 = 100 * MB;
/// By how much the memory may rise.
const MOST: u64 = 16 * MB;

/// A figure of `/proc/self/status`, in bytes.
fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let figure: u64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|figure| figure.parse().ok())
        .unwrap();
    figure * 1024
}

async fn there_and_back(carrier: &Carrier, length: u64) {
    const PIECE: &[u8] = &[0x5a; 64 * 1024];
    let pieces = length / PIECE.len() as u64;
    let file = stream::iter((0..pieces).map(|_| Ok(Bytes::from_static(PIECE)))).boxed();
    let gatekeeper = &carrier.gatekeeper;
    let remote = gatekeeper
        .host(MediaKind::Video, file, length)
        .await
        .unwrap();
    let fetched = gatekeeper
        .fetch(MediaKind::Video, &remote, length)
        .await
        .unwrap();
    assert_eq!(fetched.size, length);
    let mut bytes = fetched.bytes();
    let mut read = 0;
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk.unwrap();
        assert!(
            chunk
                .chunks(PIECE.len())
                .all(|part| part == &PIECE[..part.len()])
        );
        read += chunk.len() as u64;
    }
    assert_eq!(read, length);
}

#[test]
fn a_hundred_megabytes_need_no_more_memory_than_one() {
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory::in_a_process_of_its_own", "--ignored"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "run by the test above, in a process of its own"]
async fn in_a_process_of_its_own() {
    let carrier = Carrier::new().await;
    // What is needed once is not what grows.
    there_and_back(&carrier, MB).await;
    let before = memory("VmRSS");
    // Makes the peak begin here.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    there_and_back(&carrier, LENGTH).await;
    let peak = memory("VmHWM");
    let risen = peak.saturating_sub(before);
    assert!(risen < MOST, "it rose by {} kB", risen / 1024);
    println!("it rose by {} kB", risen / 1024);
}
