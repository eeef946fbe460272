//! Which files are read, strings that point elsewhere included, and which are watched.

use super::*;

#[test]
fn included_files_are_merged_in_the_order_of_their_names() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("routes.d")).unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join("routes.d").join(name), text).unwrap();
    write("b.toml", "[[route]]\npath = \"/b\"\naccess = \"public\"\n");
    write(
        "a.toml",
        "[[upstream]]\nname = \"app\"\nurl = \"http://a\"\n[[route]]\npath = \"/a\"\naccess = \"public\"\n",
    );
    write(".hidden.toml", "nonsense");
    let text = "include = [\"routes.d/*.toml\"]\n";
    let settings = read_in(text, dir.path()).unwrap().settings;
    let paths: Vec<&str> = settings.routes.routes().iter().map(|route| route.path.as_str()).collect();
    assert_eq!(paths, ["/a", "/b"]);
    for file in ["routes.d", "routes.d/a.toml", "routes.d/b.toml"] {
        assert!(settings.files.contains(&dir.path().join(file)), "{file} is not watched");
    }
    write("c.toml", "server = {}\n[[route]]\npath = \"c\"\naccess = \"public\"\n");
    let found: Vec<String> = read_in(text, dir.path()).unwrap_err().0.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("routes.d/c.toml: server (line 1): unknown key"), "{found:#?}");
    assert!(found[1].starts_with("routes.d/c.toml: route[0].path (line 3): "), "{found:#?}");
}

#[test]
fn a_missing_file_is_a_mistake_and_no_panic() {
    let world = World { env: &env, secrets: Secrets::Indirect };
    let found = load_in(Path::new("/nowhere/doorward.toml"), &world).unwrap_err();
    assert_eq!(found.to_string(), "/nowhere/doorward.toml: there is no such file\n1 mistake");
}

#[test]
fn a_loaded_file_is_watched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("doorward.toml");
    fs::write(&path, "").unwrap();
    let loaded = load_in(&path, &World { env: &env, secrets: Secrets::Indirect }).unwrap();
    assert_eq!(loaded.settings.files, [path]);
}

#[test]
fn strings_may_stand_in_the_environment_or_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("secret"), format!("{SECRET}\n")).unwrap();
    for secret in ["env:SECRET", "env:ENCODED", "file:secret"] {
        let text = with_issuer(&format!("secret = \"{secret}\"\nalgorithms = [\"HS256\"]\nleeway = \"env:SPAN\""));
        let settings = read_in(&text, dir.path()).unwrap().settings;
        let KeyOrigin::Shared(found) = &settings.issuers[0].keys else { panic!() };
        assert!(found.matches(SECRET.as_bytes()), "{secret}");
        assert_eq!(settings.issuers[0].issuer.leeway, Duration::from_secs(7));
        assert_eq!(settings.files.contains(&dir.path().join("secret")), secret == "file:secret");
    }
}

#[test]
fn a_string_that_points_at_a_device_does_not_hang_us() {
    one_mistake("server.prefix = \"file:/dev/zero\"", "server.prefix (line 1): /dev/zero: is not a regular file");
}
