//! The description is the program's, says everything, and is true of the program.

use std::{
    collections::BTreeSet,
    fs,
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::scene::{ALICE, SECRET, Scene};

fn description() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let text = fs::read_to_string(path).expect("openapi.json");
    serde_json::from_str(&text).expect("JSON")
}

/// The methods, paths and operations of the description.
fn operations(description: &Value) -> Vec<(String, String, Value)> {
    let paths = description["paths"].as_object().expect("paths");
    let all = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().expect("operations");
        item.iter()
            .map(|(method, operation)| (method.to_uppercase(), path.clone(), operation.clone()))
    });
    all.collect()
}

#[test]
fn the_file_in_the_repository_is_what_the_program_prints() {
    let printed = Command::new(env!("CARGO_BIN_EXE_drawbridge"))
        .arg("openapi")
        .output()
        .expect("the program runs");
    assert!(printed.status.success());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    assert!(
        fs::read(path).expect("openapi.json") == printed.stdout,
        "write it again: cargo run -- openapi > openapi.json"
    );
}

#[test]
fn who_reads_only_the_beginning_gets_it() {
    let mut printing = Command::new(env!("CARGO_BIN_EXE_drawbridge"))
        .arg("openapi")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    // It is longer than what a pipe holds.
    let mut read = [0; 11];
    let mut reader = printing.stdout.take().expect("a pipe");
    reader.read_exact(&mut read).expect("a beginning");
    drop(reader);
    assert_eq!(&read, b"{\n  \"openap");
    let ended = printing.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.stderr.is_empty(), "{ended:?}");
}

#[test]
fn everything_is_described() {
    let description = description();
    let said = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let mut names = BTreeSet::new();
    for (method, path, operation) in operations(&description) {
        let what = format!("{method} {path}");
        assert!(said(&operation["summary"]), "{what} has no summary");
        let name = operation["operationId"].as_str().expect("a name");
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        let tags = operation["tags"].as_array().expect("tags");
        let known = description["tags"].as_array().expect("tags");
        assert!(known.iter().any(|tag| tag["name"] == tags[0]), "{what}");
        for parameter in operation["parameters"].as_array().expect("parameters") {
            assert!(said(&parameter["description"]), "{what}: {parameter}");
            assert!(!parameter["example"].is_null(), "{what}: {parameter}");
        }
        let responses = operation["responses"].as_object().expect("answers");
        for status in ["400", "401", "403", "502", "503"] {
            assert!(responses.contains_key(status), "{what} has no {status}");
        }
        let body = operation.get("requestBody");
        assert_eq!(body.is_some(), responses.contains_key("415"), "{what}");
        assert!(body.is_none_or(|body| said(&body["description"])), "{what}");
        for (status, response) in responses {
            let is_known = said(&response["description"]) || said(&response["$ref"]);
            assert!(is_known, "{what} {status}");
        }
    }
    let schemas = description["components"]["schemas"].as_object();
    for (name, schema) in schemas.expect("schemas") {
        assert!(said(&schema["description"]), "{name} has no description");
        let properties = schema["properties"].as_object();
        for (field, property) in properties.into_iter().flatten() {
            // What is described where it is defined is only named here.
            let refers = !property["$ref"].is_null() || !property["oneOf"].is_null();
            assert!(said(&property["description"]) || refers, "{name}.{field}");
        }
    }
}

#[tokio::test]
async fn every_endpoint_of_the_description_is_there() {
    let scene = Scene::start().await;
    for (method, path, _) in operations(&description()) {
        let real = path
            .replace("{login}", "7")
            .replace("{user}", "x")
            .replace("{room_id}", "!r:test.example")
            .replace("{chat}", "x");
        let request = scene.bare(&method, &real).query(&[("user_id", ALICE)]);
        let answer = super::scene::answer(request.bearer_auth(SECRET)).await;
        assert_ne!(answer.body["errcode"], "M_UNRECOGNIZED", "{method} {path}");
        assert_ne!(answer.status, 405, "{method} {path}");
    }
    scene.stop().await;
}
