//! The crypto machines' store: the crypto library's own suite for stores and what it does not ask, on both engines.
//!
//! The Postgres cases need a cluster; `scripts/postgres-run cargo test --test encryption` brings one.

#![expect(
    clippy::unwrap_used,
    reason = "the cases are ordinary functions, stamped as tests for both engines"
)]
#![expect(
    unexpected_cfgs,
    clippy::ignore_without_reason,
    reason = "the crypto library's suite asks for features of that library, and leaves out a case that most stores fail"
)]

// The crypto library speaks an older version than the bridge; its suite calls that `ruma`.
extern crate ruma_crypto as ruma;

#[macro_use]
#[path = "support/stamp.rs"]
mod stamp;

#[path = "encryption/apart.rs"]
mod apart;
#[path = "encryption/conformance.rs"]
mod conformance;
#[path = "encryption/crash.rs"]
mod crash;
#[path = "encryption/one_step.rs"]
mod one_step;
#[path = "store/place.rs"]
#[expect(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "the store's suite has rows and steps that are of no use here"
)]
mod place;
#[path = "encryption/renewed.rs"]
mod renewed;
#[path = "encryption/retention.rs"]
mod retention;
#[path = "encryption/sealed.rs"]
mod sealed;
#[path = "encryption/town.rs"]
mod town;

store_tests! {
    sealed {
        nothing_secret_can_be_read_at_rest,
        another_key_is_refused,
        a_row_moved_elsewhere_does_not_open,
    }
    apart {
        machines_in_one_database_see_nothing_of_each_other,
        another_devices_account_is_refused,
        a_closed_store_answers_after_it_is_opened_again,
    }
    one_step {
        what_is_done_in_one_step_is_seen_within_and_stored_with_the_rest,
        a_failing_step_leaves_nothing_and_a_stale_store,
        others_are_refused_meanwhile,
        room_keys_and_requests_are_seen_as_they_will_be,
    }
    crash {
        a_conversation_goes_on_after_a_restart,
        events_given_twice_change_nothing,
        a_crash_at_any_moment_loses_no_key,
        without_one_step_a_crash_can_lose_a_key,
    }
    renewed {
        another_device_knows_which_rooms_are_encrypted,
    }
    retention {
        forgets_a_rooms_old_keys,
        forgets_all_old_keys_but_those_in_use,
        keeps_the_newest_key_of_each_device,
        forgets_old_message_hashes,
        forgets_ratchets_and_nothing_else,
        a_step_of_a_session_is_a_ratchet_step,
        a_key_stays_in_the_backup_it_is_in,
    }
}
