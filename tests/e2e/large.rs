//! Large files: the bridge carries them without holding them.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use drawbridge::{domain::MediaKind, sandbox::MediaToSend};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    chat::Chat,
    contact::Contact,
    wait::until,
    world::{Plan, World},
};

const SIZE: usize = 100 * 1024 * 1024;
/// By how much the bridge's resident memory may rise.
const MOST: u64 = 16 * 1024 * 1024;
/// How long a file may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// Watches a process's resident memory.
struct Memory {
    stop: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    before: u64,
}

fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let number: u64 = kilobytes.expect("a size").trim().parse().expect("a number");
    number * 1024
}

impl Memory {
    fn watch(process: u32) -> Self {
        let before = resident(process);
        let (stop, peak) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let (stopped, highest) = (stop.clone(), peak.clone());
        std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                highest.fetch_max(resident(process), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Self { stop, peak, before }
    }

    /// By how much it rose at most.
    fn rise(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.peak
            .load(Ordering::Relaxed)
            .saturating_sub(self.before)
    }
}

/// Bytes that do not compress and differ from block to block.
fn bytes(size: usize, seed: u8) -> Vec<u8> {
    let mut block: [u8; 32] = Sha256::digest([seed]).into();
    let mut out = Vec::with_capacity(size + 32);
    while out.len() < size {
        out.extend_from_slice(&block);
        block = Sha256::digest(block).into();
    }
    out.truncate(size);
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_100_mb_each_way_costs_no_memory() {
    let world = World::start(Plan::default()).await;
    let mut chat = Chat::open(&world).await;
    let process = world.bridge.id();

    // A small one each way first, so that what is made once is made.
    for (size, seed) in [(50_000, 1), (SIZE, 2)] {
        let file = bytes(size, seed);
        let hash = Sha256::digest(&file);
        let memory = Memory::watch(process);
        let mime_type = "application/octet-stream";
        chat.sends_file(
            "m.file",
            mime_type,
            &file,
            json!({"body": format!("{size}.bin")}),
        )
        .await;
        drop(file);
        let arrived = until("the file to reach the contact", PATIENCE, async || {
            chat.contact.latest_file(size as u64).await
        })
        .await;
        let rise = memory.rise();
        let got = std::fs::read(arrived).expect("the contact's copy");
        assert_eq!(Sha256::digest(&got), hash, "the file is another one");
        eprintln!(
            "{size} bytes to the gatekeeper: {} kB more memory",
            rise / 1024
        );
        assert!(size < SIZE || rise < MOST, "memory rose by {rise} bytes");
    }

    for (size, seed) in [(50_000, 3), (SIZE, 4)] {
        let file = bytes(size, seed);
        let hash = Sha256::digest(&file);
        let memory = Memory::watch(process);
        let name = format!("large-{size}.bin");
        let media = MediaToSend::bytes(MediaKind::File, "application/octet-stream", file);
        chat.contact.sends_file(media.named(&name)).await;
        let event = chat.hears(&name).await;
        let rise = memory.rise();
        let uri = event["content"]["url"].as_str().expect("a file");
        let got = chat.alice.download(uri).await;
        assert_eq!(Sha256::digest(&got), hash, "the file is another one");
        eprintln!("{size} bytes to Matrix: {} kB more memory", rise / 1024);
        assert!(size < SIZE || rise < MOST, "memory rose by {rise} bytes");
    }
}

impl Contact {
    /// The newest file of the chat, if it has this size, as the phone keeps it.
    async fn latest_file(&self, size: u64) -> Option<PathBuf> {
        let shown = self.shown();
        let message = shown
            .iter()
            .rfind(|m| !m.outgoing && m.content.file().is_some())?;
        let file = message.content.file().filter(|file| file.size == size)?;
        assert_eq!(file.kind, MediaKind::File);
        self.phone
            .media_file(&self.user, false, &message.id)
            .await
            .ok()
    }
}
