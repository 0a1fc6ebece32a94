//! The rooms of the crate stand in an order, and what a file uses is in its own room or
//! in one below; no files use each other in a circle. Counted by what the files name:
//! paths that begin with `crate` or `super`, and what a room's `mod.rs` gives on.
//!
//!     cargo test --test layering -- --nocapture

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// From below.
const ROOMS: [&str; 9] =
    ["base", "wire", "model", "json", "net", "stream", "replica", "topic", "test"];

/// The rank of a file's room; `pb` is below all, and what is in no room above.
fn rank(module: &str) -> usize {
    let room = module.split("::").next().unwrap_or("");
    match room {
        "pb" => 0,
        _ => ROOMS.iter().position(|known| *known == room).unwrap_or(ROOMS.len()) + 1,
    }
}

type Files = BTreeMap<String, String>;

/// Modules by their paths, with their code: without comments, and without tests, which
/// stand at a file's end.
fn read(directory: &Path, module: &str, files: &mut Files) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let inner = match module {
            "" => name.to_owned(),
            module => format!("{module}::{name}"),
        };
        if path.is_dir() {
            if !["bin", "pb"].contains(&name) {
                read(&path, &inner, files);
            }
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
        let code = code.split("#[cfg(all(test").next().unwrap();
        let lines = code.lines().map(|line| line.split("//").next().unwrap());
        let module = match name {
            "lib" => "",
            "mod" => module,
            _ => &inner,
        };
        files.insert(module.to_owned(), lines.collect::<Vec<_>>().join("\n"));
    }
}

/// Paths of a tree such as `a::{b, c::d}`, each without its beginning; and what follows.
fn leaves<'a>(mut text: &'a str, prefix: &str, found: &mut Vec<String>) -> &'a str {
    let mut path = prefix.to_owned();
    loop {
        text = text.trim_start();
        if let Some(inside) = text.strip_prefix('{') {
            let mut rest = inside.trim_start();
            while !rest.starts_with('}') {
                rest = leaves(rest, &path, found).trim_start();
                rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
            }
            return &rest[1..];
        }
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        if !path.is_empty() && word != "self" {
            path.push_str("::");
        }
        path.push_str(if word == "self" { "" } else { word });
        match rest.strip_prefix("::") {
            Some(more) if !more.starts_with('<') => text = more,
            _ => {
                found.push(path);
                return rest.trim_start_matches([' ', '*']);
            }
        }
    }
}

/// The module that a path is in.
fn module_of<'f>(path: &str, files: &'f Files) -> &'f str {
    let mut path = path;
    loop {
        if let Some((known, _)) = files.get_key_value(path) {
            return known;
        }
        path = path.rsplit_once("::").map_or("", |(outer, _)| outer);
    }
}

/// What a file uses, other than itself and what it contains.
fn uses(module: &str, files: &Files) -> BTreeSet<String> {
    let (code, mut paths) = (&files[module], Vec::new());
    for (at, _) in code.match_indices("crate::") {
        leaves(&code[at + 7..], "", &mut paths);
    }
    let is_room = files.keys().any(|other| other.starts_with(&format!("{module}::")));
    let outer = module.rsplit_once("::").map_or("", |(outer, _)| outer);
    for line in code.split('\n').filter(|line| line.starts_with("use super::")) {
        let at = code.find(line).unwrap();
        leaves(&code[at + 11..], if is_room { module } else { outer }, &mut paths);
    }
    for at in code.match_indices("pub use ").map(|(at, _)| at).filter(|_| is_room) {
        leaves(&code[at + 8..], module, &mut paths);
    }
    let modules = paths.iter().map(|path| match path.starts_with("pb") {
        true => "pb",
        false => module_of(path, files),
    });
    modules.filter(|used| *used != module).map(ToOwned::to_owned).collect()
}

/// Sets of files that reach each other.
fn circles(arrows: &BTreeMap<&str, BTreeSet<String>>) -> BTreeSet<Vec<String>> {
    let reached = |from: &str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(module) = next.pop() {
            for used in arrows.get(&*module).into_iter().flatten() {
                if seen.insert(used.clone()) {
                    next.push(used.clone());
                }
            }
        }
        seen
    };
    let all: BTreeMap<_, _> = arrows.keys().map(|module| (*module, reached(module))).collect();
    let circle = |module: &str| {
        let members = all[module].iter().filter(|other| {
            all.get(other.as_str()).is_some_and(|reached| reached.contains(module))
        });
        members.cloned().collect::<Vec<_>>()
    };
    all.keys().map(|module| circle(module)).filter(|circle| !circle.is_empty()).collect()
}

#[test]
fn rooms_and_circles() {
    let mut files = Files::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut files);
    let arrows: BTreeMap<_, _> =
        files.keys().map(|module| (module.as_str(), uses(module, &files))).collect();
    let all = arrows.iter().flat_map(|(from, to)| to.iter().map(move |to| (*from, to.as_str())));
    let up: Vec<_> = all.clone().filter(|(from, to)| rank(to) > rank(from)).collect();
    let circles = circles(&arrows);
    println!(
        "{} files, {} arrows, {} up, {} circles",
        files.len(),
        all.count(),
        up.len(),
        circles.len()
    );
    assert!(files.len() > 50);
    assert!(arrows["net::open"].contains("net::connection"));
    assert!(up.is_empty(), "arrows up: {up:#?}");
    assert!(circles.is_empty(), "circles: {circles:#?}");
}

/// The counting itself.
#[test]
fn what_is_counted() {
    let mut files = Files::new();
    for (module, code) in [
        ("", ""),
        ("base", "pub(crate) mod a;"),
        ("base::a", "use crate::wire::{b::{B, self}, c};"),
        ("wire", ""),
        ("wire::b", "use super::c::{self, C};\nfn f() { crate::base::a::f() }"),
        ("wire::c", "use crate::pb;"),
    ] {
        files.insert(module.to_owned(), code.to_owned());
    }
    let arrows: BTreeMap<_, _> =
        files.keys().map(|module| (module.as_str(), uses(module, &files))).collect();
    let of = |module: &str| arrows[module].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(of("base::a"), ["wire::b", "wire::c"]);
    assert_eq!(of("wire::b"), ["base::a", "wire::c"]);
    assert_eq!(of("wire::c"), ["pb"]);
    assert_eq!(circles(&arrows).into_iter().collect::<Vec<_>>(), [["base::a", "wire::b"]]);
    assert!(rank("wire::b") > rank("base::a") && rank("pb") < rank("base"));
}
