//! Users that have the roles of `deploy/nats` and may do no more; what is
//! refused to one of them is a defect. Whoever says no name may do all.

use std::fs;

use super::{nats::Nats, tools, wait};

/// The password of readers and requesters.
const PASSWORD: &str = "p";

/// An account with `more` of its settings and these users: daemons, a reader
/// and a requester of that name, and the operator.
pub fn account(more: &str, daemons: &[String], password: &str) -> String {
    let user = |name: &str, password: &str, role: &str| {
        let file = tools::root().join(format!("deploy/nats/{role}.conf"));
        let permissions = fs::read_to_string(file).unwrap();
        format!("{{ user: {name}, password: {password}, permissions: {{\n{permissions}}} }}\n")
    };
    let daemons = daemons.iter().map(|name| user(name, password, "daemon"));
    let others = ["reader", "requester"].map(|role| user(role, PASSWORD, role));
    let users: String = daemons.chain(others).collect();
    format!(
        "no_auth_user: operator\naccounts {{ ROLES {{ {more}, users: [\n{users}{{ user: operator, password: p }} ] }} }}\n"
    )
}

/// The server's URL for a foreign client that has a role.
pub fn url(nats: &Nats, role: &str) -> String {
    nats.url().replace("//", &format!("//{role}:{PASSWORD}@"))
}

/// A client that may request, and hear answers.
pub async fn requester(nats: &Nats) -> async_nats::Client {
    wait::until("a connection", async || {
        let options = async_nats::ConnectOptions::new()
            .user_and_password("requester".to_owned(), PASSWORD.to_owned())
            .custom_inbox_prefix("_INBOX_requester");
        options.connect(nats.url()).await.ok()
    })
    .await
}

/// What was refused for want of a permission, by the servers' own word, and is
/// not `told` yet.
pub fn refusals(servers: &[Nats], told: &[String]) -> Vec<String> {
    let logs: String = servers.iter().map(Nats::log).collect();
    let lines = logs.lines().filter(|line| line.contains(" Violation"));
    lines
        .filter(|line| !told.iter().any(|told| told.contains(line)))
        .map(str::to_owned)
        .collect()
}
