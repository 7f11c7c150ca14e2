//! `tests/fixtures/config/bad`: one mistake a file (or a folder, when it takes
//! several files), and beside it, in `NAME.txt`, what is printed for it.
//!
//! `UPDATE=1 cargo test --lib config` writes the texts anew: read the diff.

use super::*;

const ENV: Env<'_> = &[("API_KEY", "hunter2")];

#[test]
fn each_mistake_is_told_with_its_place_and_what_helps() {
    let root = package().join("tests/fixtures/config/bad");
    let cases = cases(&root);
    let mut wrong = Vec::new();
    for case in &cases {
        let said = match load_path(&root, &main_of(&root, case), ENV) {
            Ok(_) => "no mistake was found".to_owned(),
            Err(mistakes) => mistakes.to_string(),
        };
        let wanted = expected(&root.join(case).with_extension("txt"), &said);
        if said != wanted || said.contains("hunter2") {
            let name = case.display();
            wrong.push(format!(
                "=== {name}: wanted\n{wanted}\n=== {name}: got\n{said}\n"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(cases.len() > 100, "only {} cases were found", cases.len());
}

#[test]
fn one_mistake_is_not_told_as_two() {
    let root = package().join("tests/fixtures/config/bad");
    for case in cases(&root) {
        let mistakes = load_path(&root, &main_of(&root, &case), ENV).unwrap_err();
        let two = case.ends_with("env-missing-twice.toml");
        assert_eq!(
            mistakes.len(),
            1 + usize::from(two),
            "{}:\n{mistakes}",
            case.display()
        );
    }
}

#[test]
fn many_mistakes_are_told_at_once_in_the_order_of_the_files() {
    let root = package().join("tests/fixtures/config");
    let path = Path::new("many/supercheck.toml");
    let said = load_path(&root, path, ENV).unwrap_err().to_string();
    assert_eq!(said, expected(&root.join("many.txt"), &said));
}

#[test]
fn nothing_is_expected_of_a_file_that_is_not_there() {
    let root = package().join("tests/fixtures/config/bad");
    let cases = cases(&root);
    for entry in fs::read_dir(&root).unwrap() {
        let path = PathBuf::from(entry.unwrap().file_name());
        let case = path.with_extension("");
        let known = cases.contains(&case) || cases.contains(&case.with_extension("toml"));
        assert!(known, "{}", path.display());
    }
}

/// The text in `path`, where `said` is written first when asked to.
fn expected(path: &Path, said: &str) -> String {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, format!("{said}\n")).unwrap();
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    text.strip_suffix('\n').unwrap_or_default().to_owned()
}

/// The names of the files and folders of the corpus.
fn cases(root: &Path) -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|entry| PathBuf::from(entry.unwrap().file_name()))
        .filter(|path| path.extension().is_none_or(|end| end == "toml"))
        .collect();
    cases.sort();
    cases
}

fn main_of(root: &Path, case: &Path) -> PathBuf {
    if root.join(case).is_dir() {
        case.join("supercheck.toml")
    } else {
        case.to_owned()
    }
}
