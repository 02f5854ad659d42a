//! Links in the pages. The README and `docs/` are published with the crate, where a relative link
//! leads nowhere: they may only link to pages of the crate's documentation, which must exist.

use std::fs;
use std::path::{Path, PathBuf};

const DOCUMENTATION: &str = "https://docs.rs/disband/latest/disband/";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files under `folder` whose name ends so, without what was built or installed.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_foreign = ["target", "node_modules", "pkg"].contains(&name);
            if path.is_dir() && !is_foreign && !name.starts_with('.') {
                folders.push(path);
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The targets of all links and images of a page, outside of code.
fn links(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    let targets = prose.flat_map(|prose| prose.split("](").skip(1));
    targets.filter_map(|rest| rest.split_once(')').map(|(target, _)| target)).collect()
}

/// The page of `docs/` that a link to the crate's documentation shows.
fn page_of(link: &str) -> Option<String> {
    let name = link.strip_prefix("guide/")?.strip_suffix("index.html")?;
    Some(if name.is_empty() { "guide".to_owned() } else { name.strip_suffix('/')?.to_owned() })
}

#[test]
fn links_of_published_pages_lead_to_pages_of_the_documentation() {
    let modules = fs::read_to_string(root().join("src/guide.rs")).unwrap();
    let mut published = files("docs", ".md");
    published.push(root().join("README.md"));
    let mut count = 0;
    for path in &published {
        let text = fs::read_to_string(path).unwrap();
        for link in links(&text) {
            let page = link.strip_prefix(DOCUMENTATION).and_then(page_of);
            let page = page.unwrap_or_else(|| panic!("{}: {link}", path.display()));
            let source = format!("../docs/{page}.md");
            assert!(modules.contains(&source), "{}: {link} is not a module", path.display());
            assert!(root().join("src").join(&source).exists(), "{}: {link}", path.display());
            count += 1;
        }
    }
    assert!(count > 5, "{count} links found");
    // Every page is part of the documentation, and the README leads to the guide.
    for page in files("docs", ".md") {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(modules.contains(&format!("../docs/{name}")), "{name} is not a module");
    }
}

#[test]
fn links_of_other_pages_lead_to_files() {
    let published = |path: &PathBuf| *path == root().join("README.md");
    for path in files("", ".md").iter().filter(|path| !published(path)) {
        let text = fs::read_to_string(path).unwrap();
        for link in links(&text).into_iter().filter(|link| !link.starts_with("https://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            assert!(target.exists(), "{}: {link}", path.display());
            if !anchor.is_empty() {
                let target = fs::read_to_string(target).unwrap();
                let slug = |heading: &str| {
                    let words = heading.trim_start_matches('#').trim().to_lowercase();
                    words.replace(' ', "-").replace(|c: char| !c.is_alphanumeric() && c != '-', "")
                };
                let mut headings = target.lines().filter(|line| line.starts_with('#')).map(slug);
                assert!(headings.any(|heading| heading == anchor), "{}: {link}", path.display());
            }
        }
    }
}

#[test]
fn images_of_the_readme_exist() {
    if !root().join("bindings").exists() {
        return; // The published package has no other packages.
    }
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    for rest in text.split("src=\"").skip(1) {
        let (image, _) = rest.split_once('"').unwrap();
        assert!(root().join(image).exists(), "{image}");
    }
}

#[test]
fn the_readme_has_at_most_900_words() {
    let words = fs::read_to_string(root().join("README.md")).unwrap().split_whitespace().count();
    assert!(words <= 900, "{words}");
}

/// Each `--example NAME` and `-p PACKAGE` in a page names something that exists.
#[test]
fn commands_in_the_pages_name_examples_and_packages_that_exist() {
    if !root().join("examples/hosts").exists() {
        return; // The published package has no other packages.
    }
    let manifests = files("", "Cargo.toml");
    let manifests: Vec<_> =
        manifests.iter().map(|manifest| fs::read_to_string(manifest).unwrap()).collect();
    let sources = files("", ".rs");
    let mut count = 0;
    for path in files("", ".md") {
        let text = fs::read_to_string(&path).unwrap();
        let words: Vec<_> = text.split([' ', '\n', '`']).collect();
        for pair in words.windows(2) {
            let exists = match pair[0] {
                "--example" => {
                    let file = format!("examples/{}.rs", pair[1]);
                    sources.iter().any(|source| source.ends_with(&file))
                }
                "-p" => {
                    let name = format!("name = \"{}\"\n", pair[1]);
                    manifests.iter().any(|manifest| manifest.contains(&name))
                }
                _ => continue,
            };
            assert!(exists, "{}: {} {}", path.display(), pair[0], pair[1]);
            count += 1;
        }
    }
    assert!(count > 5, "{count} commands found");
}
