//! The store suite: every case runs on both engines.
//!
//! The Postgres cases need a cluster; `scripts/postgres-run cargo test --test store` brings one.

#![expect(
    clippy::unwrap_used,
    reason = "the cases are ordinary functions, stamped as tests for both engines"
)]

use std::collections::BTreeSet;

#[macro_use]
#[path = "support/stamp.rs"]
mod stamp;

#[path = "store/commit.rs"]
mod commit;
#[path = "store/deliveries.rs"]
mod deliveries;
#[path = "store/fence.rs"]
mod fence;
#[path = "store/groups.rs"]
mod groups;
#[path = "store/links.rs"]
mod links;
#[path = "store/logins.rs"]
mod logins;
#[path = "store/matrix_inbox.rs"]
mod matrix_inbox;
#[path = "store/opening.rs"]
mod opening;
#[path = "store/outbox.rs"]
mod outbox;
#[path = "store/people.rs"]
mod people;
#[path = "store/place.rs"]
mod place;
#[path = "store/portals.rs"]
mod portals;
#[path = "store/reactions.rs"]
mod reactions;
#[path = "store/remote_inbox.rs"]
mod remote_inbox;
#[path = "store/reports.rs"]
mod reports;
#[path = "store/rooms.rs"]
mod rooms;
#[path = "store/rooms_shared.rs"]
mod rooms_shared;
#[path = "store/sealed.rs"]
mod sealed;
#[path = "store/sender_keys.rs"]
mod sender_keys;
#[path = "store/signal.rs"]
mod signal;

store_tests! {
    matrix_inbox {
        takes_a_transaction_once,
        takes_an_event_once_whatever_its_transaction,
        the_same_id_with_other_content_is_another_transaction,
        keeps_the_order_of_arrival_a_room,
        sets_aside_and_brings_back,
        forgets_what_is_handled_and_old,
        keeps_single_values,
        finds_values_by_how_their_keys_begin,
    }
    logins {
        finds_a_login_by_everything_it_has,
        refuses_a_second_login_of_the_same_visible_id,
        changes_state_and_keeps_the_name_the_gatekeeper_gave,
        deletes_a_login_with_all_that_is_its_own,
        a_deleted_login_is_in_nothing_any_more,
    }
    signal {
        keeps_the_newest_session_record,
        keeps_identities_and_when_a_session_was_remade,
        uses_up_one_time_prekeys,
        keeps_the_newest_signed_prekeys,
    }
    outbox {
        queues_a_stanza_once_in_order,
        an_acknowledged_message_is_linked_and_can_be_retried,
        a_retry_goes_behind_what_was_sent,
        an_answer_for_an_earlier_copy_changes_nothing,
        a_refused_message_leaves_without_plaintext,
        a_receipt_is_acknowledged_without_a_link,
        forgets_what_was_sent_and_is_old,
    }
    remote_inbox {
        remembers_a_message_once,
        the_same_id_from_another_sender_is_another_message,
        replaces_a_placeholder_when_the_message_comes,
        keeps_order_and_notices,
        counts_retries,
        forgets_handled_messages_but_not_waiting_ones,
        a_kept_message_waits_again_with_a_new_plaintext,
        only_the_message_that_is_meant_is_revised,
        every_notice_is_read_as_it_was_written,
    }
    portals {
        a_portal_is_made_once,
        a_group_is_shared_and_a_direct_chat_is_not,
        knows_rooms_and_readiness,
        keeps_ghosts,
        finds_ghosts_nobody_needs,
        keeps_one_management_room_a_user,
    }
    deliveries {
        an_event_goes_to_each_portal_by_itself,
        an_event_that_is_handled_is_not_handed_on_again,
        a_value_is_replaced_only_if_nobody_else_did,
        notices_are_found_behind_messages,
    }
    links {
        finds_both_ways_in_order_of_part,
        a_link_stays_as_it_is,
        reads_up_to_an_event_once,
        every_login_of_a_group_reads_for_itself,
        a_late_message_of_the_same_second_is_still_unread,
        finds_the_newest_of_messages_of_one_second,
        the_newest_unread_is_the_last_of_its_room_until_a_time,
        forgets_an_event_with_all_its_parts,
    }
    reactions {
        a_person_has_one_reaction_to_a_message,
        reactions_of_others_and_to_others_are_apart,
        a_poll_is_found_both_ways_and_stays_as_it_is,
        a_poll_of_the_login_without_a_secret_is_kept,
    }
    reports {
        every_stage_is_to_be_reported_once,
        a_later_stage_is_not_swallowed,
        a_refusal_is_reported_with_its_reason,
        a_retry_is_not_reported_as_sent_again_but_its_refusal_is,
        reports_are_of_one_chat_in_order_and_only_of_events,
        tells_since_when_messages_wait,
    }
    rooms {
        keeps_what_is_decided_for_a_room,
        settings_of_another_version_are_read,
        a_file_keeps_the_address_it_came_to_be_at,
        an_encrypted_file_keeps_its_key_sealed,
        forgets_old_uploads,
        keeps_the_newest_form_of_a_notice,
        tells_what_disappears_in_its_order,
    }
    rooms_shared {
        a_room_mirrors_several_chats_in_order,
        knows_who_speaks_and_whose_room_it_is,
        a_portal_goes_with_its_messages_and_nothing_else,
        tells_which_login_wrote_a_message,
        a_message_of_a_group_is_known_from_another_login,
    }
    groups {
        keeps_what_a_group_is_and_what_is_shown,
        what_a_list_does_not_name_is_gone,
        tells_whom_the_room_shows_wrongly,
        another_room_shows_nothing_yet,
        tells_which_logins_are_in_a_group,
        forgets_a_group_with_its_members,
    }
    sender_keys {
        keeps_the_newest_sender_key_of_each,
        a_step_of_a_sender_key_is_a_ratchet_step,
        remembers_who_has_the_key,
        forgets_the_own_keys_of_every_group_alone,
        a_sender_key_moved_elsewhere_does_not_open,
        remembers_who_has_a_message,
        remembers_to_whom_a_message_went_as_long_as_the_message,
        how_far_it_is_goes_with_the_message,
    }
    people {
        keeps_one_token_a_puppet_sealed,
        one_puppets_token_is_not_anothers,
        an_account_has_one_owner,
        blocks_are_of_one_login,
        knows_the_last_word_of_who_was_asked,
        contacts_are_those_of_chats_and_groups,
        contacts_are_found_by_name_and_address,
    }
    sealed {
        nothing_secret_can_be_read_at_rest,
        a_row_moved_elsewhere_does_not_open,
        a_poll_or_reaction_moved_elsewhere_does_not_open,
        another_key_is_refused,
    }
    commit {
        many_steps_share_few_commits_and_keep_their_order,
        a_failing_step_fails_alone,
        a_panicking_step_fails_alone,
        a_step_that_swallows_an_error_is_not_called_done,
        close_finishes_what_was_given,
        reads_see_what_is_committed_and_cannot_write,
    }
    fence {
        a_second_opener_stops_the_first,
        an_old_copy_is_noticed_until_its_sessions_are_renewed,
        a_missing_guard_is_noticed,
        another_databases_guard_is_no_guard,
        a_new_or_unchanged_database_is_not_suspected,
    }
    opening {
        what_is_written_is_there_after_opening_again,
        a_database_of_a_newer_program_is_refused,
        migrating_does_not_take_over,
        a_database_of_the_first_version_is_taken_along,
        a_database_of_the_second_version_is_taken_along,
        what_was_read_before_stays_read_by_every_login,
    }
}

/// The tables and indexes there are after every migration of an engine, and the migrations' names.
fn schema(engine: &str) -> (Vec<String>, BTreeSet<String>) {
    let folder = format!("{}/migrations/{engine}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut made = BTreeSet::new();
    for file in &files {
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let words: Vec<_> = line.trim_end_matches(';').split([' ', '(']).collect();
            match words[..] {
                ["CREATE", "TABLE", table, ..] => {
                    made.insert(format!("TABLE {table}"));
                }
                ["CREATE", "INDEX", index, "ON", table, ..] => {
                    made.insert(format!("INDEX {index} ON {table}"));
                }
                // Its indexes go with it.
                ["DROP", "TABLE", table] => {
                    let gone = [format!("TABLE {table}"), format!(" ON {table}")];
                    made.retain(|one| *one != gone[0] && !one.ends_with(&gone[1]));
                }
                ["ALTER", "TABLE", table, "RENAME", "TO", name] => {
                    assert!(made.remove(&format!("TABLE {table}")));
                    made.insert(format!("TABLE {name}"));
                }
                _ => {}
            }
        }
    }
    let names = files.iter().filter_map(|file| file.file_name());
    (
        names
            .map(|name| name.to_string_lossy().into_owned())
            .collect(),
        made,
    )
}

#[test]
fn both_engines_know_the_same_migrations_with_the_same_tables() {
    assert_eq!(schema("sqlite"), schema("postgres"));
    let (names, made) = schema("sqlite");
    assert!(names.len() > 2 && made.len() > 30);
    assert!(made.contains("INDEX portals_of ON portals"));
}

#[tokio::test]
async fn a_wrong_address_is_refused_without_showing_its_password() {
    let now = drawbridge::domain::Timestamp(0);
    for uri in [
        "mysql://user:hunter2@host/db",
        "sqlite:",
        "sqlite::memory:",
        "drawbridge.db",
    ] {
        let error = drawbridge::store::open(uri, &[0; 32], None, now)
            .await
            .err()
            .expect("refused");
        assert!(!error.to_string().contains("hunter2"));
        assert!(matches!(error, drawbridge::store::StoreError::Address(_)));
    }
}

#[tokio::test]
async fn the_database_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = place::Place::sqlite();
    let db = place.open().await;
    for file in std::fs::read_dir(place.folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.file_name());
    }
    db.close().await;
}
