//! The same with a real Synapse: whatever the bridge asks of it passes a proxy, which counts it and sees what it leads to.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use drawbridge::sandbox::{ContactHandle, Flavour, Sandbox};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{
    scene::{Cast, Figures, LOOK, Late, START, Size, ghost},
    support::{
        bridge_process::{BridgeProcess, BridgeSetup, free_address},
        process::resident_kilobytes,
        stage::{Engine, gatekeeper},
    },
};

const SERVER: &str = "scale.test";
const USER: &str = "@alice:scale.test";
const BOT: &str = "@drawbridgebot:scale.test";
/// The application service's token and the homeserver's.
const TOKENS: (&str, &str) = (
    "as-token-of-the-measuring-0123456789ab",
    "hs-token-of-the-measuring-0123456789ab",
);
/// The largest body of a request or an answer.
const LARGEST: usize = 64 * 1024 * 1024;

/// What passed the proxy.
#[derive(Default)]
struct Passed {
    at: Vec<Instant>,
    kinds: BTreeMap<&'static str, usize>,
    rooms: usize,
    /// The room of the large group, who came into it, and what was said there with how many were in by then.
    large: Option<String>,
    joined: HashSet<String>,
    said: Vec<(String, usize)>,
}

/// A proxy before the homeserver.
#[derive(Clone)]
struct Proxy {
    http: reqwest::Client,
    homeserver: String,
    passed: Arc<Mutex<Passed>>,
}

impl Proxy {
    async fn start(homeserver: String) -> (Self, String) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let proxy = Self {
            http: reqwest::Client::new(),
            homeserver,
            passed: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(pass).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (proxy, url)
    }

    fn passed(&self) -> MutexGuard<'_, Passed> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something was said in the large room; how many were in it before.
    async fn said(&self, text: &str) {
        let end = Instant::now() + START;
        while !self.passed().said.iter().any(|(said, _)| said == text) {
            assert!(Instant::now() < end, "{text:?} is not shown");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn pass(State(proxy): State<Proxy>, request: Request) -> Response {
    let at = Instant::now();
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST).await.unwrap_or_default();
    let target = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let url = format!("{}{target}", proxy.homeserver);
    let mut forward = proxy.http.request(parts.method.clone(), url);
    for name in ["authorization", "content-type"] {
        if let Some(value) = parts.headers.get(name) {
            forward = forward.header(name, value);
        }
    }
    let Ok(answer) = forward.body(body.clone()).send().await else {
        return plain(StatusCode::BAD_GATEWAY, Vec::new());
    };
    let status = answer.status();
    let bytes = answer.bytes().await.unwrap_or_default();
    let method = parts.method.as_str();
    let query = parts.uri.query().unwrap_or_default();
    let mut query = url::form_urlencoded::parse(query.as_bytes());
    let user = query.find(|(key, _)| key == "user_id");
    let user = user.map(|(_, user)| user.into_owned()).unwrap_or_default();
    note(
        &mut proxy.passed(),
        (at, method, parts.uri.path(), &user),
        &body,
        status.is_success().then_some(&bytes),
    );
    plain(status, bytes.to_vec())
}

fn plain(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = "application/json".parse().expect("a header's value");
    response.headers_mut().insert("content-type", json);
    response
}

/// Notes a request, and what it did if it was done.
fn note(
    passed: &mut Passed,
    (at, method, path, user): (Instant, &str, &str, &str),
    body: &[u8],
    answer: Option<&bytes::Bytes>,
) {
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    let kind = match path {
        _ if path.ends_with("/createRoom") => "createRoom",
        _ if path.contains("/join/") || path.ends_with("/join") => "join",
        _ if path.ends_with("/invite") => "invite",
        _ if path.ends_with("/register") => "register",
        _ if path.contains("/profile/") => "profile",
        _ if path.contains("/send/") => "send",
        _ if path.contains("/state/") => "state",
        _ if path.contains("/devices/") => "device",
        _ => "other",
    };
    passed.at.push(at);
    *passed.kinds.entry("all").or_default() += 1;
    *passed.kinds.entry(kind).or_default() += 1;
    let Some(answer) = answer else {
        return;
    };
    match (method, kind) {
        (_, "createRoom") => {
            let (asked, made) = (json(body), json(answer));
            passed.rooms += usize::from(asked["creation_content"]["type"] != "m.space");
            if asked["name"] == "Large" {
                passed.large = made["room_id"].as_str().map(str::to_owned);
            }
        }
        (_, "join") => {
            let room = json(answer)["room_id"].as_str().map(str::to_owned);
            if room.is_some() && room == passed.large {
                passed.joined.insert(user.to_owned());
            }
        }
        ("PUT", "send") => {
            if let Some(text) = json(body)["body"].as_str() {
                let there = passed.joined.len();
                passed.said.push((text.to_owned(), there));
            }
        }
        _ => {}
    }
}

/// A Synapse; killed when dropped.
struct Synapse(Child);

impl Drop for Synapse {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn synapse(python: &Path, folder: &Path, port: u16) -> Synapse {
    fs::create_dir_all(folder.join("media")).expect("a folder");
    let plenty = json!({ "per_second": 100_000, "burst_count": 100_000 });
    let config = json!({
        "server_name": SERVER,
        "pid_file": folder.join("pid"),
        "listeners": [{ "port": port, "bind_addresses": ["127.0.0.1"], "type": "http", "tls": false,
            "resources": [{ "names": ["client"] }] }],
        "database": { "name": "sqlite3", "args": { "database": folder.join("homeserver.db") } },
        "media_store_path": folder.join("media"),
        "signing_key_path": folder.join("signing.key"),
        "macaroon_secret_key": "only for measuring", "form_secret": "only for measuring",
        "report_stats": false, "trusted_key_servers": [],
        "enable_registration": true, "enable_registration_without_verification": true,
        "app_service_config_files": [folder.join("registration.yaml")],
        "rc_message": plenty, "rc_registration": plenty, "rc_joins": { "local": plenty }, "rc_joins_per_room": plenty,
        "rc_invites": { "per_room": plenty, "per_user": plenty, "per_issuer": plenty }, "rc_room_creation": plenty,
    });
    let path = folder.join("homeserver.yaml");
    fs::write(&path, config.to_string()).expect("a file");
    let log = fs::File::create(folder.join("synapse.log")).expect("a file");
    let mut command = Command::new(python);
    command
        .args(["-m", "synapse.app.homeserver", "--generate-keys"])
        .args(["--config-path".as_ref(), path.as_os_str()])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(log.try_clone().expect("a file"));
    let made = command.status().expect("Synapse starts");
    assert!(made.success(), "Synapse made no keys");
    let mut command = Command::new(python);
    command
        .args(["-m", "synapse.app.homeserver"])
        .args(["--config-path".as_ref(), path.as_os_str()])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file"))
        .stderr(log);
    Synapse(command.spawn().expect("Synapse starts"))
}

/// Everything there is.
struct Scene {
    size: Size,
    proxy: Proxy,
    /// Straight to the homeserver.
    homeserver: String,
    setup: BridgeSetup,
    sandbox: Sandbox,
    _synapse: Synapse,
    folder: TempDir,
}

/// Makes everything and measures; gives up after a time.
pub(crate) async fn measure(
    python: &Path,
    engine: Engine,
    size: Size,
    deadline: Duration,
) -> Figures {
    let scene = Scene::prepare(python, engine, size).await;
    let mut bridge = scene.started().await;
    scene.log_in().await;
    let alone = resident_kilobytes(bridge.id());
    bridge.kill();
    let login = scene.sandbox.partner_login(Flavour::WhatsApp, USER);
    let login = login.expect("there is a login");
    let login = login.parse().expect("an address");
    // The groups are made while the bridge is away.
    let cast = Cast::gather(&scene.sandbox, &login, size).await;
    let bridge = scene.started().await;
    let mut figures = scene.fill(&cast, &bridge, deadline).await;
    figures.memory[0] = alone;
    figures.memory[1] = resident_kilobytes(bridge.id());
    drop(bridge);
    let before = scene.proxy.passed().at.len();
    let large = cast.large.to_string();
    let sent = cast.owner.send_text(&large, "welcome");
    sent.await.expect("the owner can write");
    let began = Instant::now();
    let bridge = scene.started().await;
    figures.start = began.elapsed();
    scene.proxy.said("welcome").await;
    figures.first_message = began.elapsed();
    figures.start_requests = scene.proxy.passed().at.len() - before;
    figures.memory[2] = resident_kilobytes(bridge.id());
    drop(bridge);
    scene.sandbox.shutdown().await;
    figures
}

impl Scene {
    async fn prepare(python: &Path, engine: Engine, size: Size) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_address().port();
        let homeserver = format!("http://127.0.0.1:{port}");
        let (proxy, url) = Proxy::start(homeserver.clone()).await;
        let listen = (free_address(), free_address());
        let sandbox = gatekeeper(&folder.path().join("sandbox"), listen.1).await;
        let setup = BridgeSetup {
            dir: folder.path().to_owned(),
            database: engine.database(folder.path()).await,
            homeserver: (url, SERVER.to_owned()),
            tokens: (TOKENS.0.to_owned(), TOKENS.1.to_owned()),
            gatekeepers: vec![(
                "whatsapp".to_owned(),
                "whatsapp".to_owned(),
                sandbox.profile_layer(Flavour::WhatsApp),
            )],
            listen,
            log: "warn".to_owned(),
            bridge: json!({ "groups": "at_once", "members_per_second": size.per_second }),
        };
        let config = setup.write();
        let mut command = Command::new(env!("CARGO_BIN_EXE_drawbridge"));
        command
            .arg("--config")
            .arg(config)
            .args(["registration", "--output"])
            .arg(folder.path().join("registration.yaml"))
            .stderr(Stdio::null())
            .stdout(Stdio::null());
        let made = command.status().expect("the bridge starts");
        assert!(made.success(), "there is no registration");
        let synapse = synapse(python, folder.path(), port);
        let scene = Self {
            size,
            proxy,
            homeserver,
            setup,
            sandbox,
            _synapse: synapse,
            folder,
        };
        scene.until_it_answers().await;
        scene
    }

    async fn until_it_answers(&self) {
        let url = format!("{}/_matrix/client/versions", self.homeserver);
        let end = Instant::now() + START;
        while reqwest::get(&url).await.is_err() {
            let log = self.folder.path().join("synapse.log");
            assert!(Instant::now() < end, "see {}", log.display());
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn started(&self) -> BridgeProcess {
        let binary = Path::new(env!("CARGO_BIN_EXE_drawbridge"));
        let mut bridge = self.setup.spawn(binary, None);
        let log = self.folder.path().join("bridge.log");
        assert!(bridge.listening(START).await, "see {}", log.display());
        bridge
    }

    async fn call(&self, method: &str, path: &str, token: Option<&str>, body: &Value) -> Value {
        let method = method.parse().expect("a method");
        let url = format!("{}/_matrix/client/v3/{path}", self.homeserver);
        let mut request = self.proxy.http.request(method, url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.expect("an answer");
        let text = answer.text().await.expect("an answer");
        serde_json::from_str(&text).expect("JSON")
    }

    /// The user registers, and logs in at the gatekeeper.
    async fn log_in(&self) {
        let account = json!({
            "username": "alice", "password": "of no secret", "auth": { "type": "m.login.dummy" },
        });
        let account = self.call("POST", "register", None, &account).await;
        let token = account["access_token"].as_str();
        let token = Some(token.expect("an account"));
        let room = json!({ "invite": [BOT], "is_direct": true });
        let room = self.call("POST", "createRoom", token, &room).await;
        let room = room["room_id"].as_str().expect("a room").to_owned();
        let end = Instant::now() + START;
        let mut number = 0;
        while self
            .sandbox
            .partner_login(Flavour::WhatsApp, USER)
            .is_none()
        {
            assert!(Instant::now() < end, "the user cannot log in");
            let login = json!({ "msgtype": "m.text", "body": "login whatsapp" });
            let path = format!("rooms/{room}/send/m.room.message/{number}");
            self.call("PUT", &path, token, &login).await;
            number += 1;
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }

    /// Waits until every room and member is there; who is not in yet writes meanwhile.
    async fn fill(&self, cast: &Cast, bridge: &BridgeProcess, deadline: Duration) -> Figures {
        let began = Instant::now();
        let before = self.proxy.passed().kinds.clone();
        let ghosts = self.size.members - 1;
        let mut writers: Vec<&ContactHandle> = cast.writers.iter().collect();
        let (mut waiting, mut late) = (None::<(String, Instant, usize)>, Vec::new());
        let already = self.proxy.passed().rooms;
        loop {
            let mut next = None;
            let is_full = {
                let passed = self.proxy.passed();
                if let Some((text, at, there)) = &waiting
                    && let Some((_, before)) = passed.said.iter().find(|(said, _)| said == text)
                {
                    late.push(Late {
                        took: at.elapsed(),
                        members_first: before.saturating_sub(*there),
                    });
                    waiting = None;
                }
                writers.retain(|one| !passed.joined.contains(&ghost(one.jid(), SERVER)));
                if passed.large.is_some() && waiting.is_none() {
                    next = writers.pop().map(|writer| (writer, passed.joined.len()));
                }
                passed.rooms - already == self.size.portals && passed.joined.len() == ghosts
            };
            if let Some((writer, there)) = next {
                let text = format!("late {}", late.len());
                let sent = writer.send_text(&cast.large.to_string(), &text).await;
                sent.expect("a member can write");
                waiting = Some((text, Instant::now(), there));
            } else if is_full && waiting.is_none() {
                break;
            }
            if began.elapsed() > deadline {
                let passed = self.proxy.passed();
                panic!(
                    "in {deadline:?} there are {} rooms and {} members, {} kB",
                    passed.rooms - already,
                    passed.joined.len(),
                    resident_kilobytes(bridge.id())
                );
            }
            tokio::time::sleep(LOOK).await;
        }
        let filled = began.elapsed();
        self.check_members().await;
        let passed = self.proxy.passed();
        let counted = passed.kinds.iter().map(|(kind, count)| {
            let earlier = before.get(kind).copied().unwrap_or(0);
            ((*kind).to_owned(), json!(count - earlier))
        });
        Figures {
            homeserver: "synapse",
            filled,
            requests: passed.kinds["all"] - before.get("all").copied().unwrap_or(0),
            most_a_second: most_in_a_second(&passed.at),
            kinds: Value::Object(counted.collect()),
            late,
            memory: [0; 3],
            start: Duration::ZERO,
            first_message: Duration::ZERO,
            start_requests: 0,
        }
    }

    /// The homeserver has the members in the room who were seen to come.
    async fn check_members(&self) {
        let large = self.proxy.passed().large.clone();
        let large = large.expect("there is the room");
        let path = format!("rooms/{large}/joined_members");
        let members = self.call("GET", &path, Some(TOKENS.0), &Value::Null).await;
        let count = members["joined"].as_object().map(serde_json::Map::len);
        // The bot and everybody but the user, who has not accepted the invitation.
        assert_eq!(count, Some(self.size.members), "{members}");
    }
}

fn most_in_a_second(at: &[Instant]) -> usize {
    let mut at = at.to_vec();
    at.sort();
    let within = |(number, first): (usize, &Instant)| {
        let later = at[number..].iter();
        later
            .take_while(|one| **one - *first <= Duration::from_secs(1))
            .count()
    };
    at.iter().enumerate().map(within).max().unwrap_or(0)
}
