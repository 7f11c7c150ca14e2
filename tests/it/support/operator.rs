//! Decentralised accounts, as nsc makes them: an operator, an account, users
//! with their permissions in signed tokens.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use serde_json::{Value, json};

/// An operator with one account that has JetStream.
pub struct Operator {
    token: String,
    system: (String, String),
    account: KeyPair,
    account_token: String,
}

impl Operator {
    pub fn new() -> Self {
        let operator = KeyPair::new_operator();
        let (account, system) = (KeyPair::new_account(), KeyPair::new_account());
        let limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
            "wildcards": true, "conn": -1, "leaf": -1,
            "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
        });
        let of_account = json!({ "type": "account", "version": 2, "limits": limits });
        let of_system = json!({ "type": "account", "version": 2, "limits": { "subs": -1, "data": -1,
            "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1 } });
        let of_operator = json!({ "type": "operator", "version": 2,
            "system_account": system.public_key() });
        Self {
            token: token(&operator.public_key(), &of_operator, &operator),
            system: (
                system.public_key(),
                token(&system.public_key(), &of_system, &operator),
            ),
            account_token: token(&account.public_key(), &of_account, &operator),
            account,
        }
    }

    /// What a server's configuration says of it.
    pub fn config(&self) -> String {
        format!(
            "operator: {}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {}, {}: {} }}",
            self.token,
            self.system.0,
            self.system.0,
            self.system.1,
            self.account.public_key(),
            self.account_token
        )
    }

    /// The `.creds` file of a new user that may do this.
    pub fn credentials(&self, publish: &[&str], subscribe: &[&str], responses: bool) -> String {
        let user = KeyPair::new_user();
        let mut claims = json!({
            "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1,
            "pub": { "allow": publish }, "sub": { "allow": subscribe },
        });
        if responses {
            claims["resp"] = json!({ "max": 1, "ttl": 120_000_000_000_u64 });
        }
        format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            token(&user.public_key(), &claims, &self.account),
            user.seed().unwrap()
        )
    }
}

fn token(subject: &str, nats: &Value, signer: &KeyPair) -> String {
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = encoded(&json!({ "typ": "JWT", "alg": "ed25519-nkey" }));
    let claims = encoded(&json!({
        "jti": subject, "iat": 1_700_000_000, "iss": signer.public_key(), "sub": subject,
        "name": "test", "nats": nats,
    }));
    let signed = format!("{head}.{claims}");
    let signature = signer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
