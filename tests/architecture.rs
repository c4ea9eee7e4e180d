//! The architecture as a test: who may use whom, and the rules that hold in every file.
//!
//! The rules are functions over a file's text ([`rules`]) that return what they object to, so each is shown to object to a
//! small wrong text as well as applied to the tree.

#[path = "architecture/lexer.rs"]
mod lexer;
#[path = "architecture/rules.rs"]
mod rules;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use rules::{File, TABLE};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every `.rs` file below a folder of the crate, with its path from the crate's root.
fn rust_files(folder: &str) -> Vec<File> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found.iter().map(read).collect()
}

fn read(path: &PathBuf) -> File {
    let text = fs::read_to_string(path).expect("a readable source file");
    let relative = path.strip_prefix(root()).expect("below the root");
    File::new(&relative.to_string_lossy(), &text)
}

fn complain_about(objections: &[String]) {
    assert!(objections.is_empty(), "\n{}\n", objections.join("\n"));
}

fn check(files: &[File], rule: fn(&File) -> Vec<String>) {
    assert!(!files.is_empty(), "no source files were found");
    complain_about(&files.iter().flat_map(rule).collect::<Vec<_>>());
}

#[test]
fn modules_use_only_what_the_table_allows() {
    check(&rust_files("src"), rules::uses);
}

#[test]
fn every_row_of_the_table_is_a_module() {
    let modules: BTreeSet<String> = rust_files("src").iter().map(File::top).collect();
    let stale: Vec<String> = TABLE
        .iter()
        .filter(|(module, _)| !modules.contains(*module))
        .map(|(module, _)| format!("the table has a row for `{module}`, which does not exist"))
        .collect();
    complain_about(&stale);
}

#[test]
fn only_the_store_contains_sql() {
    check(&rust_files("src"), rules::sql);
}

#[test]
fn only_main_exits() {
    check(&rust_files("src"), rules::exits);
}

#[test]
fn translate_and_wire_take_time_and_randomness_as_arguments() {
    check(&rust_files("src"), rules::purity);
}

#[test]
fn every_file_opens_with_its_purpose_and_stays_short() {
    for folder in ["src", "tests", "benches"] {
        let files = rust_files(folder);
        complain_about(&files.iter().flat_map(rules::opening).collect::<Vec<_>>());
        complain_about(&files.iter().flat_map(rules::length).collect::<Vec<_>>());
    }
}

#[test]
fn both_engines_have_the_same_migrations() {
    let names = |engine: &str| -> BTreeSet<String> {
        fs::read_dir(root().join("migrations").join(engine))
            .expect("a folder of migrations")
            .map(|entry| entry.expect("readable").file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    };
    let (sqlite, postgres) = (names("sqlite"), names("postgres"));
    assert!(!sqlite.is_empty());
    assert_eq!(sqlite, postgres);
}
