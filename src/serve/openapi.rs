//! The API's description, for programs: OpenAPI 3.1, made of the schemas of
//! what is really sent.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    health::{Health, Readiness},
    http::Face,
    problem::Document,
};
use crate::report::{Report, Summary};

/// A question that can be asked.
struct Question {
    method: &'static str,
    path: &'static str,
    about: &'static str,
    /// Parameters of the query, and what they take.
    query: &'static [(&'static str, &'static str)],
    /// What may be sent along.
    body: Option<Sent>,
    /// Statuses that are answered, and with what.
    answers: &'static [(u16, &'static str)],
}

/// What is sent along with a question.
#[derive(Clone, Copy)]
enum Sent {
    /// A job's report.
    Report,
    /// How long maintenance lasts, or that it ends.
    Maintenance,
}

const PROBLEM: &str = "problem";

/// Every question of the API, in the order of the documentation.
const QUESTIONS: &[Question] = &[
    Question {
        method: "get",
        path: "/api/v1/checks",
        about: "The newest of all checks, narrowed and in pages.",
        query: &[
            ("status", "status"),
            ("group", "text"),
            ("tag", "text"),
            ("q", "text"),
            ("after", "text"),
            ("limit", "limit"),
        ],
        body: None,
        answers: &[(200, "list"), (304, ""), (400, PROBLEM)],
    },
    Question {
        method: "get",
        path: "/api/v1/checks/{name}",
        about: "The newest of one check, and its last 30 runs.",
        query: &[],
        body: None,
        answers: &[(200, "row"), (304, ""), (404, PROBLEM)],
    },
    Question {
        method: "get",
        path: "/api/v1/checks/{name}/report",
        about: "The newest report, as it is stored.",
        query: &[],
        body: None,
        answers: &[(200, "report"), (304, ""), (404, PROBLEM), (503, PROBLEM)],
    },
    Question {
        method: "get",
        path: "/api/v1/checks/{name}/history",
        about: "What was, oldest first.",
        query: &[("since", "moment"), ("after", "place"), ("limit", "limit")],
        body: None,
        answers: &[
            (200, "past"),
            (304, ""),
            (400, PROBLEM),
            (404, PROBLEM),
            (429, PROBLEM),
            (503, PROBLEM),
        ],
    },
    Question {
        method: "post",
        path: "/api/v1/checks/{name}/run",
        about: "A report of a run that began after this was asked, or one no older than \
                `max_age`; `Idempotency-Key` is the request's id, which has one result.",
        query: &[("max_age", "duration"), ("timeout", "duration")],
        body: None,
        answers: &[
            (200, "report"),
            (400, PROBLEM),
            (401, PROBLEM),
            (403, PROBLEM),
            (404, PROBLEM),
            (409, PROBLEM),
            (413, PROBLEM),
            (429, PROBLEM),
            (500, PROBLEM),
            (503, PROBLEM),
            (504, PROBLEM),
        ],
    },
    Question {
        method: "post",
        path: "/api/v1/checks/{name}/push",
        about: "The report of a push check's job: nothing when all is well, supercheck's own \
                words, or a health document. Answered with the summary, once it is stored.",
        query: &[],
        body: Some(Sent::Report),
        answers: &[
            (200, "summary"),
            (400, PROBLEM),
            (401, PROBLEM),
            (403, PROBLEM),
            (404, PROBLEM),
            (409, PROBLEM),
            (413, PROBLEM),
            (500, PROBLEM),
            (503, PROBLEM),
        ],
    },
    Question {
        method: "post",
        path: "/api/v1/checks/{name}/maintenance",
        about: "Marks what happens to the check for a while; nothing, or `clear`, ends it.",
        query: &[],
        body: Some(Sent::Maintenance),
        answers: &[
            (200, "maintenance"),
            (400, PROBLEM),
            (401, PROBLEM),
            (403, PROBLEM),
            (404, PROBLEM),
            (413, PROBLEM),
            (503, PROBLEM),
        ],
    },
    Question {
        method: "get",
        path: "/health",
        about: "All checks as one health document.",
        query: &[("group", "text"), ("tag", "text")],
        body: None,
        answers: &[(200, "health"), (304, ""), (400, PROBLEM), (503, "health")],
    },
    Question {
        method: "get",
        path: "/readyz",
        about: "Whether supercheck can do its work.",
        query: &[],
        body: None,
        answers: &[(200, "ready"), (503, "ready")],
    },
];

/// `GET /api/openapi.json`.
pub async fn openapi(State(_): State<Face>) -> Response {
    ([(header::CACHE_CONTROL, "no-cache")], Json(document())).into_response()
}

/// The description.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .for_serialize();
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for question in QUESTIONS {
        let operation = operation(question, &mut generator);
        let path = paths.entry(question.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(question.method.to_owned(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "supercheck",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Health checks that are asked once, for any number of readers.",
            "license": {"name": "Apache-2.0 OR MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    })
}

fn operation(question: &Question, generator: &mut SchemaGenerator) -> Value {
    let mut parameters = Vec::new();
    if question.path.contains("{name}") {
        parameters.push(json!({
            "name": "name", "in": "path", "required": true,
            "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,62}$"},
        }));
    }
    for (name, kind) in question.query {
        let schema = match *kind {
            "status" => json!({"type": "string", "enum": ["up", "degraded", "down", "unknown"]}),
            "limit" => json!({"type": "integer", "minimum": 1, "maximum": super::api::MAX_PAGE}),
            "place" => json!({"type": "integer", "minimum": 0, "format": "int64"}),
            "duration" => json!({"type": "string", "pattern": "^(|0|[1-9][0-9]{0,5}(ms|s|m|h))$"}),
            "moment" => json!({"anyOf": [
                {"type": "string", "pattern": "^(|0|[1-9][0-9]{0,5}(ms|s|m|h))$"},
                {"type": "string", "pattern": TIME},
            ]}),
            _ => json!({"type": "string"}),
        };
        parameters.push(json!({"name": name, "in": "query", "schema": schema}));
    }
    if question.path.ends_with("/run") {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header",
            "schema": {"type": "string", "minLength": 1, "maxLength": 128},
        }));
    }
    let answers: Map<_, _> = question
        .answers
        .iter()
        .map(|(status, kind)| (status.to_string(), answer(kind, generator)))
        .collect();
    let mut operation =
        json!({"summary": question.about, "parameters": parameters, "responses": answers});
    if let (Some(sent), Some(operation)) = (question.body, operation.as_object_mut()) {
        let body = json!({"required": false, "content": {JSON: {"schema": sent.schema()}}});
        operation.insert("requestBody".to_owned(), body);
    }
    operation
}

impl Sent {
    fn schema(self) -> Value {
        match self {
            Self::Report => json!({"anyOf": [
                {
                    "type": "object",
                    "required": ["status"],
                    "properties": {
                        "status": {"type": "string", "enum": ["pass", "warn", "fail"]},
                        "message": {"type": "string"},
                    },
                    "additionalProperties": false,
                },
                {"type": "object", "description": "A health document in a known dialect."},
            ]}),
            Self::Maintenance => json!({"anyOf": [
                {
                    "type": "object",
                    "required": ["for"],
                    "properties": {
                        "for": {"type": "string", "pattern": "^[1-9][0-9]?(ms|s|m|h)$"},
                        "reason": {"type": "string", "pattern": "^[ -~]{0,200}$"},
                    },
                    "additionalProperties": false,
                },
                {
                    "type": "object",
                    "required": ["clear"],
                    "properties": {"clear": {"const": true}},
                    "additionalProperties": false,
                },
            ]}),
        }
    }
}

fn answer(kind: &str, generator: &mut SchemaGenerator) -> Value {
    let (media, schema) = match kind {
        "" => return json!({"description": "What you have is what there is."}),
        PROBLEM => (
            "application/problem+json",
            json!(generator.subschema_for::<Document>()),
        ),
        "list" => {
            let rows = json!({"type": "array", "items": row()});
            (
                JSON,
                json!({"type": "object", "required": ["checks", "next"], "properties": {
                    "checks": rows, "next": {"type": ["string", "null"]},
                }}),
            )
        }
        "row" => (JSON, row()),
        "past" => {
            let past = json!({"type": "array", "items": generator.subschema_for::<Summary>()});
            (
                JSON,
                json!({"type": "object", "required": ["summaries", "next"], "properties": {
                    "summaries": past, "next": {"type": ["integer", "null"]},
                }}),
            )
        }
        "report" => (JSON, json!(generator.subschema_for::<Report>())),
        "summary" => (JSON, json!(generator.subschema_for::<Summary>())),
        "maintenance" => (
            JSON,
            json!({
                "type": "object",
                "required": ["check", "maintenance"],
                "properties": {
                    "check": {"type": "string"},
                    "maintenance": {"type": "boolean"},
                    "until": {"type": "string", "format": "date-time"},
                    "reason": {"type": "string"},
                },
            }),
        ),
        "ready" => (JSON, json!(generator.subschema_for::<Readiness>())),
        _ => (
            "application/health+json",
            json!(generator.subschema_for::<Health>()),
        ),
    };
    json!({"description": "The answer.", "content": {media: {"schema": schema}}})
}

const JSON: &str = "application/json";
/// Times as RFC 3339 has them, in UTC, in months of 28 days at least.
const TIME: &str =
    "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$";

/// A summary with its freshness, or only that nothing is known.
fn row() -> Value {
    json!({
        "type": "object",
        "required": ["check", "url", "status", "freshness", "group", "tags"],
        "properties": {
            "check": {"type": "string"},
            "url": {"type": "string"},
            "status": {"type": "string", "enum": ["up", "degraded", "down", "unknown"]},
            "freshness": {"type": "string", "enum": ["fresh", "stale", "absent"]},
            "group": {"type": ["string", "null"]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
    })
}
