//! Very many chats and members, in small: what `scripts/scale` measures, with bounds that are no times.

#[path = "scale/scene.rs"]
mod scene;
#[path = "support/mod.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "each program uses its part, and panics where it cannot go on"
)]
mod support;

use std::time::Duration;

use scene::{Size, measure};
use support::stage::Engine;

/// A ghost's account, name, invitation and entering, and the reads that go with them.
const REQUESTS_A_MEMBER: usize = 6;
/// A room, its owner's invitation, its place in the space, and the reads that go with them.
const REQUESTS_A_PORTAL: usize = 12;
/// Those who come with the room, before anything is said in it.
const FIRST: usize = 20;
/// The pace.
const PER_SECOND: usize = 15;
/// What a member of a room and a portal may cost, in kilobytes, and what the bridge may take beside.
const KILOBYTES_EACH: u64 = 40;
const KILOBYTES_BESIDE: u64 = 24 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn many_members_are_brought_at_a_pace_and_messages_do_not_wait_for_them() {
    let size = Size {
        portals: 20,
        members: 150,
        per_second: PER_SECOND,
    };
    let figures = measure(Engine::Sqlite, size, Duration::from_mins(2)).await;
    println!("{}", figures.json(Engine::Sqlite, size));

    let most = size.members * REQUESTS_A_MEMBER + size.portals * REQUESTS_A_PORTAL;
    assert!(figures.requests <= most, "{figures:?}");
    // The first twenty of a room come at once; then each turn is one member or one room.
    let a_second = (size.per_second + 20) * REQUESTS_A_PORTAL;
    assert!(figures.most_a_second <= a_second, "{figures:?}");

    assert!(!figures.late.is_empty(), "{figures:?}");
    for (number, late) in figures.late.iter().enumerate() {
        // Whoever writes comes before the hundred who wait, but for those whose turn came while the message was on its way.
        let first = if number == 0 { FIRST } else { 0 };
        let turns =
            usize::try_from(late.took.as_millis()).unwrap_or(usize::MAX) * PER_SECOND / 1000;
        assert!(late.members_first <= first + 2 + turns, "{figures:?}");
    }

    let each = u64::try_from(size.members + size.portals).unwrap_or(u64::MAX);
    let most = KILOBYTES_BESIDE + each * KILOBYTES_EACH;
    for memory in &figures.memory[1..] {
        assert!(
            memory.saturating_sub(figures.memory[0]) < most,
            "{figures:?}"
        );
    }
    // A new start asks for nothing that is known already.
    assert!(figures.start_requests < 60, "{figures:?}");
}
