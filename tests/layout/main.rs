//! What the tree promises about itself: rows, top level, heads of files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Packages by row, lowest first. A package uses only packages of rows below its own.
///
/// Row 0 has a step of its own: `proto` and `conf` stand on `types`.
const ROWS: [&[&str]; 8] = [
    &["fdfs-types"],
    &["fdfs-proto", "fdfs-conf"],
    &["fdfs-net", "fdfs-store", "fdfs-rules", "fdfs-ops"],
    &["fdfs-client", "fdfs-namespace"],
    &["fdfs-objects", "fdfs-http"],
    &["fdfs-tracker", "fdfs-storage", "fdfs-mount", "fdfs-s3"],
    &["fdfs"],
    &["fdfs-tests"],
];

/// What may be seen at the top of the tree beside hidden entries.
const TOP_LEVEL: [&str; 10] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "cluster",
    "crates",
    "mount",
    "s3api",
    "target",
    "tests",
];

/// Packages that never touch a socket, a disk or a clock, with what they may depend on from outside.
const PURE: [&str; 4] = ["fdfs-types", "fdfs-proto", "fdfs-conf", "fdfs-rules"];
/// Crates that would give a pure package a socket, a runtime or a clock.
const IMPURE: [&str; 10] =
    ["tokio", "tokio-util", "rustix", "libc", "socket2", "hyper", "hyper-util", "axum", "jiff", "tempfile"];

#[test]
fn a_package_uses_only_rows_below_its_own() {
    let metadata = metadata();
    let rows = rows();
    let mut faults = Vec::new();
    for package in metadata.workspace_packages() {
        let Some(row) = rows.get(package.name.as_str()) else {
            faults.push(format!("{} stands in no row", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            let Some(below) = rows.get(dependency.name.as_str()) else { continue };
            if below >= row {
                faults.push(format!("{} (row {row}) uses {} (row {below})", package.name, dependency.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_row_names_packages_that_exist() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    for name in ROWS.iter().flat_map(|row| row.iter()) {
        assert!(packages.iter().any(|package| package.name.as_str() == *name), "{name} is gone");
    }
}

#[test]
fn pure_packages_depend_on_nothing_that_does_io() {
    let metadata = metadata();
    let mut faults = Vec::new();
    for package in metadata.workspace_packages() {
        if !PURE.contains(&package.name.as_str()) {
            continue;
        }
        for dependency in &package.dependencies {
            if dependency.kind == DependencyKind::Normal && IMPURE.contains(&dependency.name.as_str()) {
                faults.push(format!("{} uses {}", package.name, dependency.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_top_level_holds_only_what_the_design_names() {
    let mut faults = Vec::new();
    for entry in fs::read_dir(root()).expect("the tree is readable") {
        let name = entry.expect("the tree is readable").file_name();
        let name = name.to_string_lossy();
        if !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_ref()) {
            faults.push(name.into_owned());
        }
    }
    assert!(faults.is_empty(), "not in the design: {}", faults.join(", "));
}

#[test]
fn every_source_file_says_what_it_is() {
    let files = files_with("rs");
    assert!(files.len() > 50, "only {} source files found", files.len());
    let silent: Vec<_> = files
        .iter()
        .filter(|file| !fs::read_to_string(file).expect("sources are readable").starts_with("//!"))
        .map(|file| file.display().to_string())
        .collect();
    assert!(silent.is_empty(), "no //! at the top of:\n{}", silent.join("\n"));
}

/// A promise whose test was renamed is a promise without a test.
#[test]
fn every_test_that_a_document_names_exists() {
    let read = |file: &PathBuf| fs::read_to_string(file).expect("the tree is readable");
    let sources: Vec<_> = files_with("rs").iter().map(read).collect();
    let mut missing = Vec::new();
    let mut found = 0;
    for document in files_with("md") {
        for name in read(&document).split('`').skip(1).step_by(2).filter_map(test_name) {
            let (function, member) = (format!("fn {name}("), format!("{name}: "));
            match sources.iter().any(|source| source.contains(&function) || source.contains(&member)) {
                true => found += 1,
                false => missing.push(format!("{}: {name}", document.display())),
            }
        }
    }
    assert!(missing.is_empty(), "no such test:\n{}", missing.join("\n"));
    assert!(found > 100, "only {found} names of tests found");
}

/// The name of a test in a piece of code of a document: words joined by underscores, behind the modules.
fn test_name(code: &str) -> Option<&str> {
    let name = code.rsplit([':', ' ']).next()?;
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'));
    let is_sentence = name.split('_').count() >= 5 && name.split('_').all(is_word);
    // A figure in /metrics has our name in front.
    (is_sentence && !name.starts_with("fdfs_")).then_some(name)
}

/// Row of each package.
fn rows() -> BTreeMap<&'static str, usize> {
    let rows = ROWS.iter().enumerate();
    rows.flat_map(|(row, packages)| packages.iter().map(move |package| (*package, row))).collect()
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata describes the workspace")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_owned()
}

/// The files of the tree with this extension.
fn files_with(extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for part in ["cluster", "crates", "mount", "s3api", "tests"] {
        collect(&root().join(part), extension, &mut files);
    }
    files
}

/// Finds files below `dir`, leaving out hidden and build directories.
fn collect(dir: &Path, extension: &str, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the tree is readable") {
        let path = entry.expect("the tree is readable").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
            collect(&path, extension, files);
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
}
