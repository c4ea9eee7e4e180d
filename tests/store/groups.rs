//! Groups, who is in them, and what their rooms show of it.

use drawbridge::{
    domain::{ChatId, GroupFacts, GroupMember, GroupRole, LoginId, RemoteUserId},
    store::{Database, GroupMemberRow, GroupRow, GroupShown, LoginState},
};

use crate::place::{LOGIN, Place, gatekeeper, login, step, user};

use GroupRole::{Admin, Member, Owner};

pub(crate) fn group(number: u32) -> ChatId {
    ChatId::parse(format!("{number}@g.us")).unwrap()
}

fn row(subject: &str, shown: GroupShown) -> GroupRow {
    GroupRow {
        gatekeeper: gatekeeper(),
        chat: group(1),
        facts: GroupFacts {
            subject: subject.to_owned(),
            description: Some("about \"it\"".to_owned()),
            picture: Some("p1".to_owned()),
            announce: true,
            locked: false,
        },
        shown,
    }
}

fn in_it(number: u32, role: GroupRole) -> GroupMember {
    GroupMember {
        user: user(number),
        role,
    }
}

/// Everybody as (number, what they may do, what is shown of it).
async fn everybody(db: &Database) -> Vec<(String, Option<GroupRole>, Option<GroupRole>)> {
    step!(db, txn => txn.group_members(&gatekeeper(), &group(1)).await)
        .into_iter()
        .map(|row| plain(&row))
        .collect()
}

fn plain(row: &GroupMemberRow) -> (String, Option<GroupRole>, Option<GroupRole>) {
    let (number, _) = row.user.as_str().split_once('@').unwrap();
    (number.to_owned(), row.role, row.shown)
}

fn one(
    number: u32,
    role: Option<GroupRole>,
    shown: Option<GroupRole>,
) -> (String, Option<GroupRole>, Option<GroupRole>) {
    (number.to_string(), role, shown)
}

pub(crate) async fn keeps_what_a_group_is_and_what_is_shown(place: Place) {
    let db = place.open().await;
    assert_eq!(
        step!(db, txn => txn.group(&gatekeeper(), &group(1)).await),
        None
    );
    let first = || row("one", GroupShown::default());
    let second = || {
        let shown = GroupShown {
            facts: Some(row("one", GroupShown::default()).facts),
            avatar: Some("mxc://x/y".to_owned()),
        };
        row("two", shown)
    };
    step!(db, txn => txn.put_group(&first()).await);
    step!(db, txn => txn.put_group(&second()).await);
    let found = step!(db, txn => txn.group(&gatekeeper(), &group(1)).await);
    // What is shown is its own to change.
    assert_eq!(found, Some(row("two", GroupShown::default())));
    step!(db, txn => txn.set_group_shown(&gatekeeper(), &group(1), &second().shown).await);
    let found = step!(db, txn => txn.group(&gatekeeper(), &group(1)).await);
    assert_eq!(found, Some(second()));
    let other = step!(db, txn => txn.group(&gatekeeper(), &group(2)).await);
    assert_eq!(other, None);
    db.close().await;
}

pub(crate) async fn what_a_list_does_not_name_is_gone(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        let list = [in_it(1, Owner), in_it(2, Member), in_it(3, Member)];
        txn.set_group_members(&gatekeeper(), &group(1), &list).await?;
        txn.set_group_members(&gatekeeper(), &group(2), &list).await?;
        for number in [1, 2] {
            txn.set_member_shown(&gatekeeper(), &group(1), &user(number), Some(Member)).await?;
        }
        let list = [in_it(1, Owner), in_it(4, Admin)];
        txn.set_group_members(&gatekeeper(), &group(1), &list).await
    });
    // Who was shown is to be taken out of the room; who was not is forgotten at once.
    assert_eq!(
        everybody(&db).await,
        [
            one(1, Some(Owner), Some(Member)),
            one(2, None, Some(Member)),
            one(4, Some(Admin), None)
        ]
    );
    let other = step!(db, txn => txn.group_members(&gatekeeper(), &group(2)).await);
    assert_eq!(other.len(), 3);
    db.close().await;
}

pub(crate) async fn tells_whom_the_room_shows_wrongly(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        let list = [in_it(1, Owner), in_it(2, Member), in_it(3, Member)];
        txn.set_group_members(&gatekeeper(), &group(1), &list).await?;
        for (number, shown) in [(1, Owner), (2, Admin)] {
            txn.set_member_shown(&gatekeeper(), &group(1), &user(number), Some(shown)).await?;
        }
        // Shown after they had left: the room still has to let them go.
        txn.set_member_shown(&gatekeeper(), &group(1), &user(5), Some(Member)).await?;
        txn.set_group_role(&gatekeeper(), &group(1), &user(1), None).await
    });
    let wrong: Vec<_> = step!(db, txn => txn.unshown_members(&gatekeeper(), &group(1), 9).await)
        .into_iter()
        .map(|row| plain(&row))
        .collect();
    assert_eq!(
        wrong,
        [
            one(1, None, Some(Owner)),
            one(2, Some(Member), Some(Admin)),
            one(3, Some(Member), None),
            one(5, None, Some(Member))
        ]
    );
    let some = step!(db, txn => txn.unshown_members(&gatekeeper(), &group(1), 2).await);
    assert_eq!(some.len(), 2);
    step!(db, txn => {
        for (number, shown) in [(1, None), (2, Some(Member)), (3, Some(Member)), (5, None)] {
            txn.set_member_shown(&gatekeeper(), &group(1), &user(number), shown).await?;
        }
        // Nobody is made by showing nothing of them.
        txn.set_member_shown(&gatekeeper(), &group(1), &user(6), None).await
    });
    assert!(step!(db, txn => txn.unshown_members(&gatekeeper(), &group(1), 9).await).is_empty());
    assert_eq!(
        everybody(&db).await,
        [
            one(2, Some(Member), Some(Member)),
            one(3, Some(Member), Some(Member))
        ]
    );
    db.close().await;
}

pub(crate) async fn another_room_shows_nothing_yet(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        let facts = row("s", GroupShown::default()).facts;
        let shown = GroupShown { facts: Some(facts), avatar: Some("mxc://x/y".to_owned()) };
        txn.put_group(&row("s", shown)).await?;
        let list = [in_it(1, Owner), in_it(2, Member)];
        txn.set_group_members(&gatekeeper(), &group(1), &list).await?;
        txn.set_group_members(&gatekeeper(), &group(2), &list).await?;
        for number in [1, 2] {
            for chat in [1, 2] {
                let role = Some(Member);
                txn.set_member_shown(&gatekeeper(), &group(chat), &user(number), role).await?;
            }
        }
        txn.set_group_role(&gatekeeper(), &group(1), &user(2), None).await?;
        txn.forget_shown(&gatekeeper(), &group(1)).await
    });
    let found = step!(db, txn => txn.group(&gatekeeper(), &group(1)).await);
    assert_eq!(found, Some(row("s", GroupShown::default())));
    assert_eq!(everybody(&db).await, [one(1, Some(Owner), None)]);
    let other = step!(db, txn => txn.group_members(&gatekeeper(), &group(2)).await);
    assert!(
        other
            .iter()
            .all(|member| member.shown == Some(Member) && member.role.is_some())
    );
    db.close().await;
}

pub(crate) async fn tells_which_logins_are_in_a_group(place: Place) {
    let db = place.open().await;
    let called = |number: u64| format!("1-{number}@interop");
    step!(db, txn => {
        for (id, number) in [(LOGIN, 7), (LoginId(8), 8), (LoginId(9), 9), (LoginId(10), 10)] {
            txn.insert_login(&login(id, &format!("user{number}"))).await?;
            txn.set_login_state(id, LoginState::Active, Some(&called(number))).await?;
        }
        txn.set_login_state(LoginId(9), LoginState::LoggedOut, None).await?;
        // An account elsewhere that happens to have the same address.
        let mut other = login(LoginId(11), "elsewhere");
        other.gatekeeper = drawbridge::domain::GatekeeperId::parse("messenger").unwrap();
        txn.insert_login(&other).await?;
        txn.set_login_state(LoginId(11), LoginState::Active, Some(&called(7))).await?;
        let of = |number| RemoteUserId::parse(called(number)).unwrap();
        let member = |user| GroupMember { user, role: Member };
        let list = [member(of(7)), member(of(8)), member(of(9)), member(user(1))];
        txn.set_group_members(&gatekeeper(), &group(1), &list).await?;
        txn.set_group_members(&gatekeeper(), &group(2), &list[3..]).await?;
        // Still shown, but not in it any more.
        txn.set_member_shown(&gatekeeper(), &group(1), &of(8), Some(Member)).await?;
        txn.set_group_role(&gatekeeper(), &group(1), &of(8), None).await
    });
    let ids = |rows: Vec<drawbridge::store::LoginRow>| -> Vec<LoginId> {
        rows.into_iter().map(|row| row.id).collect()
    };
    let found = step!(db, txn => txn.group_logins(&gatekeeper(), &group(1)).await);
    assert_eq!(ids(found), [LOGIN]);
    let found = step!(db, txn => txn.group_logins(&gatekeeper(), &group(2)).await);
    assert!(found.is_empty());
    let with = step!(db, txn => txn.groups_with(&gatekeeper(), &user(1)).await);
    assert_eq!(with, [group(1), group(2)]);
    let with = step!(db, txn => {
        let gone = RemoteUserId::parse(called(8)).unwrap();
        txn.groups_with(&gatekeeper(), &gone).await
    });
    assert!(with.is_empty());
    db.close().await;
}

pub(crate) async fn forgets_a_group_with_its_members(place: Place) {
    let db = place.open().await;
    step!(db, txn => {
        txn.put_group(&row("s", GroupShown::default())).await?;
        for chat in [1, 2] {
            txn.set_group_members(&gatekeeper(), &group(chat), &[in_it(1, Owner)]).await?;
        }
        txn.delete_group(&gatekeeper(), &group(1)).await
    });
    assert_eq!(
        step!(db, txn => txn.group(&gatekeeper(), &group(1)).await),
        None
    );
    assert!(everybody(&db).await.is_empty());
    let other = step!(db, txn => txn.group_members(&gatekeeper(), &group(2)).await);
    assert_eq!(other.len(), 1);
    db.close().await;
}
