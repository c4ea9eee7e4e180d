//! The provisioning API: the whole bridge in this process, between a homeserver and a gatekeeper of this process on their real
//! wires, asked by programs with the secret, by users with `OpenID` tokens, by strangers, and by Schemathesis. What touches the
//! store is asked on both engines; `scripts/postgres-run cargo test --test provisioning` brings a Postgres.

#[path = "support/homeserver/mod.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "each program uses its part, and panics where it cannot go on"
)]
mod homeserver;

#[path = "support/postgres.rs"]
mod postgres;

mod provisioning {
    mod account;
    mod description;
    mod doors;
    mod failing;
    mod odd;
    mod people;
    mod rooms;
    mod scene;
    mod schemathesis;

    /// Stamps every case for both engines.
    macro_rules! both {
        ($($topic:ident { $($case:ident),* $(,)? })*) => {
            both! { sqlite Sqlite $($topic { $($case)* })* }
            both! { postgres Postgres $($topic { $($case)* })* }
        };
        ($name:ident $engine:ident $($topic:ident { $($case:ident)* })*) => {
            mod $name {
                use super::scene::Engine::$engine;
                $(mod $topic {
                    $(#[tokio::test]
                    async fn $case() {
                        crate::provisioning::$topic::$case(super::$engine).await;
                    })*
                })*
            }
        };
    }

    both! {
        account {
            a_user_logs_in_is_connected_and_logs_out,
            a_login_that_was_forgotten_is_brought_back,
            a_gatekeeper_that_is_not_there_is_not_found,
            nobody_uses_the_login_of_another,
            how_the_bridge_is_is_told_to_admins_alone,
        }
        people {
            people_are_found_and_listed,
            somebody_is_blocked_and_let_back,
            who_takes_no_messages_of_other_apps_is_asked_to,
        }
        rooms {
            a_chat_is_opened_once_and_carries_messages,
            nobody_and_nothing_is_no_chat,
            a_group_is_made_with_its_room,
            a_room_is_linked_by_who_has_the_power_and_let_go,
            a_login_speaks_for_others_when_it_is_told_to,
        }
        failing {
            without_its_database_it_says_so_and_comes_back,
            without_a_table_it_does_what_is_asked_or_says_so,
        }
    }
}
