//! Schemathesis makes requests out of the description, sound ones and broken ones, and looks whether the answers are as described.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

use super::scene::{ADMIN, SECRET, Scene};

/// How long one run may take at most.
const PATIENCE: Duration = Duration::from_secs(90);

/// The answers to the requests that were made, by method, path and status.
type Answers = BTreeMap<(String, String, u16), usize>;

struct Run {
    folder: TempDir,
}

impl Run {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs it with a description and these settings; what was answered. It must find nothing wrong.
    async fn run(&self, scene: &Scene, description: &Value, settings: &str) -> Answers {
        let python = std::env::var("DRAWBRIDGE_TEST_SCHEMATHESIS").expect(
            "a Schemathesis: run scripts/test, or set DRAWBRIDGE_TEST_SCHEMATHESIS to what scripts/lib/schemathesis-venv prints",
        );
        let (file, report) = (self.file("schemathesis.toml"), self.file("report.har"));
        std::fs::write(&file, settings).expect("its settings");
        let of = self.file("openapi.json");
        std::fs::write(&of, description.to_string()).expect("the description");
        let mut command = Command::new(python);
        command
            .args(["-m", "schemathesis.cli", "--config-file"])
            .arg(&file)
            .arg("run")
            .arg(of)
            .args(["--url", &scene.api, "--no-color", "--seed", "1"])
            .args(["--generation-database", "none", "--no-shrink"])
            .args(["--report", "har", "--report-har-path"])
            .arg(&report)
            .current_dir(self.folder.path())
            .env("NO_PROXY", "*")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = timeout(PATIENCE, command.output())
            .await
            .expect("it ends in time")
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{errors}");
        answers(&report)
    }
}

fn answers(report: &Path) -> Answers {
    let text = std::fs::read_to_string(report).expect("a report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let mut answers = Answers::new();
    for entry in report["log"]["entries"].as_array().expect("requests") {
        let method = entry["request"]["method"].as_str().expect("a method");
        let url = entry["request"]["url"].as_str().expect("an address");
        let path = url.split("/_drawbridge/").nth(1).unwrap_or(url);
        let path = path.split('?').next().unwrap_or_default();
        let status = entry["response"]["status"].as_u64().expect("a status");
        let status = u16::try_from(status).expect("a status");
        let what = (method.to_owned(), path.to_owned(), status);
        *answers.entry(what).or_default() += 1;
    }
    assert!(answers.len() > 50, "hardly anything was asked");
    answers
}

/// How many requests were answered so, at paths that end like this.
fn count(answers: &Answers, method: &str, end: &str, status: u16) -> usize {
    let fits = |(its, path, answered): &&(String, String, u16)| {
        its == method && path.ends_with(end) && *answered == status
    };
    let fitting = answers.iter().filter(|(what, _)| fits(what));
    fitting.map(|(_, count)| count).sum()
}

/// The description in the repository.
fn description() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let text = std::fs::read_to_string(path).expect("openapi.json");
    serde_json::from_str(&text).expect("JSON")
}

/// The description for somebody who has one login and one room, so that what is sound is about these and gets far. What would end
/// them is done to others, which are not there.
fn furnished(login: i64, room: &str) -> Value {
    let mut description = description();
    let paths = description["paths"].as_object_mut().expect("paths");
    for item in paths.values_mut() {
        for operation in item.as_object_mut().expect("operations").values_mut() {
            let ends = matches!(
                operation["operationId"].as_str(),
                Some("log_out" | "unlink")
            );
            for parameter in operation["parameters"].as_array_mut().expect("parameters") {
                let only = match parameter["name"].as_str() {
                    Some("user_id") => json!(ADMIN),
                    Some("login") if ends => json!(7),
                    Some("login") => json!(login),
                    Some("room_id") => json!(room),
                    Some("chat") => json!("447700900002@s.whatsapp.net"),
                    _ => continue,
                };
                if parameter["name"] == "user_id" {
                    parameter["required"] = json!(true);
                }
                parameter["schema"]["enum"] = json!([only]);
                parameter["example"] = only;
            }
        }
    }
    for schema in ["NewLink", "NewRelay"] {
        let schema = &mut description["components"]["schemas"][schema];
        let property = &mut schema["properties"]["login"];
        property["enum"] = json!([login]);
        property["example"] = json!(login);
    }
    description
}

fn settings(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/provisioning");
    std::fs::read_to_string(folder.join(name)).expect("its settings")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_caller_whatever_is_asked_is_refused() {
    let scene = Scene::start().await;
    let run = Run::new();
    let settings = settings("closed.toml");
    let answers = run.run(&scene, &description(), &settings).await;
    for (method, path, status) in answers.keys() {
        assert_eq!(*status, 401, "{method} {path}");
    }
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_the_answer_is_as_described() {
    let scene = Scene::start().await;
    let login = scene.log_in(ADMIN).await;
    let wanted = json!({ "identifier": "+447700900001" });
    let path = format!("logins/{login}/chats");
    let room = scene.tell(ADMIN, "POST", &path, wanted).await.expect(200);
    let settings = settings("open.toml").replace("{secret}", SECRET);
    let description = furnished(login, room["room_id"].as_str().expect("a room"));
    let run = Run::new();
    let answers = run.run(&scene, &description, &settings).await;
    // It got in, and did things.
    for (method, end) in [
        ("GET", "/whoami"),
        ("GET", "/login_flows"),
        ("GET", "/logins"),
        ("GET", "/status"),
        ("GET", "/openapi.json"),
        ("GET", "/contacts"),
        ("GET", "/resolve"),
        ("GET", "/blocked"),
        ("POST", "/chats"),
        ("POST", "/reconnect"),
        ("POST", "/sync"),
    ] {
        let count = count(&answers, method, end, 200);
        assert!(count > 0, "{method} {end} never worked");
    }
    let broken: Vec<_> = answers
        .keys()
        .filter(|(.., status)| *status >= 500)
        .collect();
    assert!(broken.is_empty(), "{broken:?}");
    scene.stop().await;
}
