//! Settings from environment variables: `SUPERCHECK_SECTION__KEY`, and
//! `SUPERCHECK_CHECK__NAME__KEY`, which makes the check if need be.
//!
//! Variables without a double underscore are none of ours: Kubernetes puts
//! `SUPERCHECK_PORT` and the like beside a service called `supercheck`.

use std::collections::BTreeMap;

use super::{
    book::Book,
    mistake::Place,
    settings::{SECTIONS, SETTINGS},
    tree::{Entry, Node, Value},
};

const PREFIX: &str = "SUPERCHECK_";

/// The one variable of another form; it came before the others.
const KV_TTL: &str = "SUPERCHECK_NATS_KV_TTL_SECS";

/// Sets what the environment says.
pub(super) fn overrides(env: &BTreeMap<String, String>, root: &mut Node, book: &mut Book) {
    if let Some(seconds) = env.get(KV_TTL) {
        let at = Place::Env(KV_TTL.to_owned());
        if seconds.parse::<u64>().is_ok_and(|seconds| seconds > 0) {
            set(root, &["store", "kv_ttl"], format!("{seconds}s"), &at);
        } else {
            book.mistake(&at, format!("`{seconds}` is no number of seconds"))
                .hint("such as 86400");
        }
    }
    for (name, value) in env {
        let Some(path) = name.strip_prefix(PREFIX).map(str::to_lowercase) else {
            continue;
        };
        let at = Place::Env(name.clone());
        let parts: Vec<&str> = path.split("__").collect();
        match parts.as_slice() {
            [_] => slip(&path, &at, book),
            ["check", _, "name"] => book
                .mistake(&at, "a check is named by the names of its variables")
                .hint("SUPERCHECK_CHECK__API__URL is the URL of the check `api`"),
            ["check", check, "headers", header] => {
                set_header(set_check(root, check, &at), header, value, &at);
            }
            ["check", check, key] => {
                if let Some(check) = set_check(root, check, &at) {
                    set(check, &[key], value.clone(), &at);
                }
            }
            ["defaults", "headers", header] => {
                set_header(child(root, "defaults"), header, value, &at);
            }
            ["maintenance", ..] => book
                .mistake(&at, "times of maintenance are not set by variables")
                .hint(
                    "write `[[maintenance]]` into a file, or use `supercheck maintenance NAME \
                     --for 2h`",
                ),
            [section, _] if SECTIONS.contains(section) => {
                set(root, &parts, value.clone(), &at);
            }
            _ => book.mistake(&at, "no setting has that name").hint(format!(
                "variables are SUPERCHECK_<SECTION>__<KEY> (sections: {}) and \
                 SUPERCHECK_CHECK__<NAME>__<KEY>",
                SECTIONS.join(", ")
            )),
        }
    }
}

/// Warns of a variable that has one underscore where two were meant.
fn slip(path: &str, at: &Place, book: &mut Book) {
    let meant = SETTINGS.iter().find(|setting| {
        path.strip_prefix(setting.section)
            .and_then(|rest| rest.strip_prefix('_'))
            == Some(setting.name)
    });
    if let Some(setting) = meant {
        let name = format!("{PREFIX}{}__{}", setting.section, setting.name).to_uppercase();
        let hint = format!("did you mean {name}, with two underscores?");
        book.warn(at, "this variable sets nothing", &hint);
    }
}

fn set(node: &mut Node, path: &[&str], value: String, at: &Place) {
    let Some((last, sections)) = path.split_last() else {
        return;
    };
    let mut node = Some(node);
    for section in sections {
        node = node.and_then(|node| child(node, section));
    }
    if let Some(entries) = node.and_then(Node::entries_mut) {
        let entry = Entry {
            key_at: at.clone(),
            node: Node::new(Value::Raw(value), at.clone()),
        };
        entries.insert((*last).to_owned(), Box::new(entry));
    }
}

/// The table under `key`, made if need be.
fn child<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    let entries = node.entries_mut()?;
    let entry = entries.entry(key.to_owned()).or_insert_with(|| {
        Box::new(Entry {
            key_at: Place::Whole,
            node: Node::table(Place::Whole),
        })
    });
    Some(&mut entry.node)
}

/// Sets a header: case does not matter in its name, and `_` stands for `-`.
fn set_header(owner: Option<&mut Node>, header: &str, value: &str, at: &Place) {
    let Some(headers) = owner.and_then(|owner| child(owner, "headers")) else {
        return;
    };
    let name = header.replace('_', "-");
    if let Some(entries) = headers.entries_mut() {
        entries.retain(|written, _| !written.eq_ignore_ascii_case(&name));
    }
    set(headers, &[&name], value.to_owned(), at);
}

/// The check called `name`, made if need be. A variable's name has no `-`, so
/// an underscore stands for it too.
fn set_check<'a>(root: &'a mut Node, name: &str, at: &Place) -> Option<&'a mut Node> {
    let entries = root.entries_mut()?;
    let all = entries.entry("check".to_owned()).or_insert_with(|| {
        Box::new(Entry {
            key_at: at.clone(),
            node: Node::new(Value::List(Vec::new()), at.clone()),
        })
    });
    let Value::List(checks) = &mut all.node.value else {
        return None;
    };
    let like = |text: &str| text.replace('-', "_");
    let found = checks
        .iter()
        .position(|check| name_of(check) == Some(name))
        .or_else(|| {
            checks
                .iter()
                .position(|check| name_of(check).map(like) == Some(like(name)))
        });
    let index = found.unwrap_or_else(|| {
        let mut check = Node::table(at.clone());
        set(&mut check, &["name"], name.to_owned(), at);
        checks.push(check);
        checks.len() - 1
    });
    checks.get_mut(index)
}

/// The name that a check has in the file, or got from a variable.
fn name_of(check: &Node) -> Option<&str> {
    let Value::Table(entries) = &check.value else {
        return None;
    };
    if let Value::Text(name) | Value::Raw(name) = &entries.get("name")?.node.value {
        Some(name)
    } else {
        None
    }
}
