//! A database that fails: the API says so in its own form and nothing besides, and goes on when the database is back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};

use super::scene::{ADMIN, ALICE, Answer, DEADLINE, Engine, Scene, answer, cluster};

/// How long an answer may take while the database fails.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is before the name of a table that was taken away.
const AWAY: &str = "away_";

/// Who asks for what: the user, the method, the path and the body.
type Request = (&'static str, &'static str, String, Value);

async fn send(scene: &Scene, (user, method, path, body): &Request) -> Answer {
    let request = scene.request(user, method, path).timeout(PATIENCE);
    answer(match body {
        Value::Null => request,
        body => request.json(body),
    })
    .await
}

/// What may be asked again and again.
fn lasting(login: i64, room: &str, phone: &str) -> Vec<Request> {
    let of = |rest: &str| format!("logins/{login}/{rest}");
    let room = |rest: &str| format!("rooms/{room}{rest}");
    let (gatekeeper, whom) = (
        json!({ "gatekeeper": "whatsapp" }),
        json!({ "identifier": phone }),
    );
    let found = format!("resolve?identifier={}", phone.replace('+', "%2B"));
    let none = Value::Null;
    vec![
        (ALICE, "GET", "whoami".to_owned(), none.clone()),
        (ALICE, "GET", "login_flows".to_owned(), none.clone()),
        (ALICE, "GET", "logins".to_owned(), none.clone()),
        (ALICE, "POST", "logins".to_owned(), gatekeeper),
        (ALICE, "POST", of("reconnect"), none.clone()),
        (ALICE, "GET", of("contacts?search=a"), none.clone()),
        (ALICE, "GET", of(&found), none.clone()),
        (ALICE, "PUT", of(&format!("blocked/{phone}")), none.clone()),
        (ALICE, "GET", of("blocked"), none.clone()),
        (
            ALICE,
            "DELETE",
            of(&format!("blocked/{phone}")),
            none.clone(),
        ),
        (ALICE, "POST", of("reachability"), whom.clone()),
        (ALICE, "POST", of("chats"), whom),
        (ALICE, "GET", room(""), none.clone()),
        (ALICE, "POST", room("/sync"), none.clone()),
        (ALICE, "PUT", room("/relay"), json!({ "login": login })),
        (ALICE, "DELETE", room("/relay"), none.clone()),
        (ADMIN, "GET", room(""), none.clone()),
        (ADMIN, "GET", "status".to_owned(), none),
    ]
}

/// What can be done once.
fn passing(login: i64, room: &str, phone: &str, chat: &str) -> Vec<Request> {
    let group = json!({ "subject": "Hike", "members": [phone] });
    let link = json!({ "login": login, "identifier": phone });
    let links = format!("rooms/{room}/links");
    let login = format!("logins/{login}");
    vec![
        (ALICE, "POST", format!("{login}/groups"), group),
        (ALICE, "POST", links.clone(), link),
        (ALICE, "DELETE", format!("{links}/{chat}"), Value::Null),
        (ALICE, "DELETE", login, Value::Null),
    ]
}

/// Asserts that an answer says that the database fails, as the API says it, and tells nothing of the database.
fn says_so(request: &Request, answer: &Answer) {
    let what = format!("{request:?}: {answer:?}");
    assert_eq!(answer.status, 503, "{what}");
    let code = "EU.DRAWBRIDGE.UNAVAILABLE";
    let sentence = "the bridge's database cannot be used now, try again in a minute";
    let expected = json!({ "errcode": code, "error": sentence });
    assert_eq!(answer.body, expected, "{what}");
}

/// Changes the bridge's database behind its back; what the statement found, if it asked.
async fn sql(uri: &str, statement: &str) -> Vec<String> {
    let statement = AssertSqlSafe(statement.to_owned());
    if uri.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(uri).await.expect("the database");
        let rows = sqlx::raw_sql(statement).fetch_all(&mut connection).await;
        let rows = rows.expect("SQL");
        connection.close().await.expect("it is closed");
        rows.iter().map(|row| row.get(0)).collect()
    } else {
        let mut connection = PgConnection::connect(uri).await.expect("the database");
        let rows = sqlx::raw_sql(statement).fetch_all(&mut connection).await;
        rows.expect("SQL").iter().map(|row| row.get(0)).collect()
    }
}

async fn tables(scene: &Scene, engine: Engine) -> Vec<String> {
    let statement = match engine {
        Engine::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table'",
        Engine::Postgres => {
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'"
        }
    };
    let all = sql(&scene.database, statement).await.into_iter();
    all.filter(|table| !table.starts_with('_') && !table.starts_with("sqlite_"))
        .collect()
}

async fn take_away(scene: &Scene, table: &str) {
    let statement = format!("ALTER TABLE {table} RENAME TO {AWAY}{table}");
    sql(&scene.database, &statement).await;
}

async fn bring_back(scene: &Scene, table: &str) {
    let statement = format!("ALTER TABLE {AWAY}{table} RENAME TO {table}");
    sql(&scene.database, &statement).await;
}

/// Makes every use of the database fail, or lets it work again: on SQLite by its tables, on Postgres by the connections to it.
async fn set_broken(scene: &Scene, engine: Engine, tables: &[String], broken: bool) {
    match engine {
        Engine::Sqlite => {
            for table in tables {
                if broken {
                    take_away(scene, table).await;
                } else {
                    bring_back(scene, table).await;
                }
            }
        }
        Engine::Postgres => {
            let (_, name) = scene.database.rsplit_once('/').expect("it has a name");
            let allow = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {}", !broken);
            sql(&cluster(), &allow).await;
            if broken {
                let end = format!(
                    "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE datname = '{name}'"
                );
                sql(&cluster(), &end).await;
            }
        }
    }
}

/// A login with a chat in a room of its own: the login, the room, the contact's number, and the chat.
async fn furnish(scene: &Scene) -> (i64, String, String, String) {
    let login = scene.log_in(ALICE).await;
    let lena = scene.contact("Lena").await;
    let path = format!("logins/{login}/chats");
    let wanted = json!({ "identifier": lena.phone() });
    let room = scene.tell(ALICE, "POST", &path, wanted).await.expect(200);
    let room = room["room_id"].as_str().expect("a room").to_owned();
    scene.homeserver.join(&room, ALICE);
    (login, room, lena.phone(), lena.jid().to_string())
}

pub(crate) async fn without_its_database_it_says_so_and_comes_back(engine: Engine) {
    let scene = Scene::on(engine).await;
    let (login, room, phone, chat) = furnish(&scene).await;
    let lasting = lasting(login, &room, &phone);
    for request in &lasting {
        let answer = send(&scene, request).await;
        assert!(answer.status < 300, "{request:?}: {answer:?}");
    }
    let tables = tables(&scene, engine).await;
    set_broken(&scene, engine, &tables, true).await;
    for request in lasting.iter().chain(&passing(login, &room, &phone, &chat)) {
        says_so(request, &send(&scene, request).await);
    }
    // What needs no database is there.
    let description = scene.ask(ALICE, "GET", "openapi.json").await.expect(200);
    assert_eq!(description["openapi"], "3.1.0");

    set_broken(&scene, engine, &tables, false).await;
    let end = Instant::now() + DEADLINE;
    for request in &lasting {
        // Postgres's broken connections are found out one by one.
        while send(&scene, request).await.status >= 300 {
            assert!(Instant::now() < end, "{request:?} stays refused");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    scene.stop().await;
}

pub(crate) async fn without_a_table_it_does_what_is_asked_or_says_so(engine: Engine) {
    let scene = Scene::on(engine).await;
    let (login, room, phone, _) = furnish(&scene).await;
    let requests = lasting(login, &room, &phone);
    let tables = tables(&scene, engine).await;
    assert!(tables.len() >= 30, "{tables:?}");
    let mut refused = Vec::new();
    for table in &tables {
        take_away(&scene, table).await;
        for request in &requests {
            let answer = send(&scene, request).await;
            if answer.status >= 300 {
                says_so(request, &answer);
                refused.push((request.1, request.2.as_str()));
            }
        }
        bring_back(&scene, table).await;
    }
    // Each needs some table, and every one did its work again in between.
    for request in &requests {
        let times = refused
            .iter()
            .filter(|one| **one == (request.1, request.2.as_str()));
        let times = times.count();
        assert!((1..tables.len()).contains(&times), "{request:?}: {times}");
    }
    scene.stop().await;
}
