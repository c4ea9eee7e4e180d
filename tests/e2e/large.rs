//! Large files: the bridge carries them without holding them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use drawbridge::{
    domain::MediaKind,
    sandbox::{Flavour, MediaSource, MediaToSend},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    client::http,
    contact::Contact,
    management::{Desk, ghost_of},
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
        let (stop, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
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
        self.peak.load(Ordering::Relaxed).saturating_sub(self.before)
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
    let mut alice = world.user("alice").await;
    let mut desk = Desk::open(&mut alice).await;
    desk.log_in(&mut alice, "whatsapp").await;
    let contact = Contact::of(&world, &alice, Flavour::WhatsApp).await;
    let whom = format!("whatsapp {}", contact.number());
    let room = desk.start_chat(&mut alice, &whom).await;
    let ghost = ghost_of(&alice, &room).await;
    let process = world.bridge.id();

    // A small one each way first, so that what is made once is made.
    for (size, seed) in [(50_000, 1), (SIZE, 2)] {
        let file = bytes(size, seed);
        let hash = Sha256::digest(&file);
        let url = format!(
            "{}/_matrix/media/v3/upload?filename=large.bin",
            world.homeserver.url()
        );
        let answer = http()
            .post(url)
            .bearer_auth(alice.token())
            .header("content-type", "application/octet-stream")
            .timeout(PATIENCE)
            .body(file)
            .send()
            .await
            .expect("an answer");
        let uploaded: serde_json::Value = answer.json().await.expect("JSON");
        let memory = Memory::watch(process);
        let content = json!({
            "msgtype": "m.file", "body": "large.bin", "url": uploaded["content_uri"],
            "info": { "mimetype": "application/octet-stream", "size": size },
        });
        alice.send(&room, "m.room.message", &content).await;
        let arrived = until("the file to reach the contact", PATIENCE, async || {
            contact.latest_file().await.filter(|path| {
                std::fs::metadata(path).is_ok_and(|file| file.len() == size as u64)
            })
        })
        .await;
        let rise = memory.rise();
        let got = std::fs::read(arrived).expect("the contact's copy");
        assert_eq!(Sha256::digest(&got), hash, "the file is another one");
        eprintln!("{size} bytes to the gatekeeper: {} kB more memory", rise / 1024);
        assert!(size < SIZE || rise < MOST, "memory rose by {rise} bytes");
    }

    for (size, seed) in [(50_000, 3), (SIZE, 4)] {
        let file = bytes(size, seed);
        let hash = Sha256::digest(&file);
        let memory = Memory::watch(process);
        let mut media = MediaToSend::new(
            MediaKind::File,
            "application/octet-stream",
            MediaSource::Bytes(file),
        );
        media.file_name = Some(format!("large-{size}.bin"));
        contact.send_media(media).await;
        let name = format!("large-{size}.bin");
        let event = alice.hear(&room, &ghost, |body| body == name).await;
        let rise = memory.rise();
        let uri = event["content"]["url"].as_str().expect("a file");
        let url = format!(
            "{}/_matrix/client/v1/media/download/{}",
            world.homeserver.url(),
            uri.strip_prefix("mxc://").expect("an mxc URI")
        );
        let answer = http()
            .get(url)
            .bearer_auth(alice.token())
            .timeout(PATIENCE)
            .send()
            .await
            .expect("an answer");
        let got = answer.bytes().await.expect("the file");
        assert_eq!(Sha256::digest(&got), hash, "the file is another one");
        eprintln!("{size} bytes to Matrix: {} kB more memory", rise / 1024);
        assert!(size < SIZE || rise < MOST, "memory rose by {rise} bytes");
    }
}
