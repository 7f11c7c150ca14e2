//! Requests are read as people and programs write them.

use proptest::prelude::*;

use super::*;

#[test]
fn names_urls_and_json_are_read() {
    let ask = |text: &str| Ask::parse(text.as_bytes()).unwrap();
    assert_eq!(ask(" api\n").what, Some(What::Check("api".into())));
    assert_eq!(ask("").what, None);
    let url = "https://a.example/health?x=1";
    assert_eq!(ask(url).what, Some(What::Url(url.into())));
    let full = ask(r#"{"check":"api","max_age":"10s","id":"7","timeout":"500ms"}"#);
    assert_eq!(
        full,
        Ask {
            what: Some(What::Check("api".into())),
            max_age: Some(Duration::from_secs(10)),
            id: Some(RequestId::new("7").unwrap()),
            timeout: Some(Duration::from_millis(500)),
        }
    );
}

#[test]
fn mistakes_are_named_with_what_helps() {
    for (body, error, hint) in [
        (
            r#"{"chek":"api"}"#,
            "unknown key `chek`",
            "did you mean `check`?",
        ),
        (
            r#"{"check":"api","max_age":"10"}"#,
            "`max_age` is `10`",
            "`10s`",
        ),
        (
            r#"{"check":"api","max_age":10}"#,
            "`max_age` is not a string",
            "max_age",
        ),
        (r#"{"check":"a","url":"http://b"}"#, "both", "leave one"),
        (r#"{"check":"#, "not JSON", "max_age"),
        ("two words", "neither", "`api`"),
        (r#"{"id":""}"#, "0 bytes", "1 to 128"),
    ] {
        let refusal = Ask::parse(body.as_bytes()).unwrap_err();
        assert_eq!(refusal.code, 400);
        assert!(refusal.error.contains(error), "{body}: {refusal:?}");
        assert!(refusal.hint.contains(hint), "{body}: {refusal:?}");
    }
}

#[test]
fn a_record_is_small_json() {
    let run = Record::new("check:api".into(), Outcome::Run("r1".into()));
    let json = serde_json::to_string(&run).unwrap();
    assert_eq!(json, r#"{"v":1,"asked":"check:api","run":"r1"}"#);
    assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), run);
    let refused = Record::new(
        "check:api".into(),
        Outcome::Refused(Refusal::new(404, "e", "h")),
    );
    let json = serde_json::to_string(&refused).unwrap();
    assert_eq!(
        json,
        r#"{"v":1,"asked":"check:api","refused":{"code":404,"error":"e","hint":"h"}}"#
    );
    assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), refused);
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Err(refusal) = Ask::parse(&body) {
            prop_assert_eq!(refusal.code, 400);
        }
    }

    #[test]
    fn an_id_survives_its_token(id in "\\PC{1,32}") {
        let id = RequestId::new(&id).unwrap();
        let token = id.token();
        prop_assert!(token.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        prop_assert_eq!(RequestId::of_token(&token), Some(id));
    }
}
