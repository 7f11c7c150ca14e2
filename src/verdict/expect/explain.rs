//! Why an expectation was not met, for a person: not "false", but what was
//! found and what was expected.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the language's kinds, of which few are told apart"
)]

use cel::{
    Context, ExecutionError, IdedExpr, Value,
    common::ast::{CallExpr, Expr, LiteralValue},
};

use super::scope::shown;

/// A condition that gave something other than true.
pub(super) fn unmet(expr: &IdedExpr, context: &Context<'_, '_>) -> String {
    if let Expr::Call(call) = &expr.expr
        && let Some(finding) = unmet_call(call, context)
    {
        return finding;
    }
    match render(expr) {
        Some(text) => format!("`{text}` is false"),
        None => "it is false".to_owned(),
    }
}

fn unmet_call(call: &CallExpr, context: &Context<'_, '_>) -> Option<String> {
    let holds = |expr: &IdedExpr| matches!(Value::resolve(expr, context), Ok(Value::Bool(true)));
    let (left, right) = (call.args.first(), call.args.get(1));
    match (call.func_name.as_str(), left, right) {
        // The part that does not hold is the one to tell of.
        ("_&&_", Some(left), Some(right)) => {
            Some(unmet(if holds(left) { right } else { left }, context))
        }
        ("_||_", Some(left), Some(right)) => Some(format!(
            "{}, and {}",
            unmet(left, context),
            unmet(right, context)
        )),
        (operator, Some(left), Some(right)) => {
            let wanted = match operator {
                "_==_" => "",
                "_!=_" => "anything but ",
                "_<_" => "less than ",
                "_<=_" => "at most ",
                "_>_" => "more than ",
                "_>=_" => "at least ",
                "@in" => "one of ",
                _ => return None,
            };
            let (found, limit) = (
                Value::resolve(left, context).ok()?,
                Value::resolve(right, context).ok()?,
            );
            let limit = match (&limit, operator) {
                (Value::List(items), "@in") => {
                    items.iter().map(shown).collect::<Vec<_>>().join(", ")
                }
                (limit, _) => shown(limit),
            };
            Some(format!(
                "`{}` is {}, expected {wanted}{limit}",
                render(left)?,
                shown(&found)
            ))
        }
        ("contains" | "startsWith" | "endsWith" | "matches", Some(argument), None) => {
            let target = call.target.as_ref()?;
            let found = Value::resolve(target, context).ok()?;
            let verb = match call.func_name.as_str() {
                "contains" => "contain",
                "startsWith" => "start with",
                "endsWith" => "end with",
                _ => "match",
            };
            let argument = Value::resolve(argument, context).ok()?;
            Some(format!(
                "`{}` is {}, which does not {verb} {}",
                render(target)?,
                shown(&found),
                shown(&argument)
            ))
        }
        _ => None,
    }
}

/// A condition that could not be worked out.
pub(super) fn failed(expr: &IdedExpr, error: &ExecutionError, context: &Context<'_, '_>) -> String {
    if let ExecutionError::NoSuchKey(key) = error {
        return match missing(expr, context) {
            Some(path) => format!("`{path}` is not there"),
            None => format!("`{key}` is not there"),
        };
    }
    if let Some(path) = missing(expr, context) {
        return format!("`{path}` is not there");
    }
    let said = error.to_string();
    let line: String = said
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect();
    format!("it cannot be worked out: {line}")
}

/// The shortest path within `expr` that leads nowhere.
fn missing(expr: &IdedExpr, context: &Context<'_, '_>) -> Option<String> {
    match &expr.expr {
        Expr::Select(select) if !select.test => missing(&select.operand, context).or_else(|| {
            Value::resolve(expr, context)
                .is_err()
                .then(|| render(expr))
                .flatten()
        }),
        Expr::Call(call) if call.func_name == "_[_]" => call
            .args
            .first()
            .and_then(|operand| missing(operand, context))
            .or_else(|| {
                Value::resolve(expr, context)
                    .is_err()
                    .then(|| render(expr))
                    .flatten()
            }),
        Expr::Call(call) => call
            .target
            .iter()
            .map(AsRef::as_ref)
            .chain(&call.args)
            .find_map(|part| missing(part, context)),
        Expr::Select(_)
        | Expr::Comprehension(_)
        | Expr::Ident(_)
        | Expr::List(_)
        | Expr::Literal(_)
        | Expr::Map(_)
        | Expr::Struct(_)
        | Expr::Unspecified => None,
    }
}

/// What kind of value this is, for a person.
pub(super) fn kind(value: &Value) -> String {
    match value {
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "an object".to_owned(),
        Value::String(_) => "a string".to_owned(),
        other => format!("a {}", other.type_of()),
    }
}

/// The text of a path or a simple call.
fn render(expr: &IdedExpr) -> Option<String> {
    match &expr.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Literal(literal) => match literal {
            LiteralValue::String(text) => Some(format!("{:?}", text.inner())),
            LiteralValue::Int(int) => Some(int.inner().to_string()),
            LiteralValue::Boolean(truth) => Some(truth.inner().to_string()),
            LiteralValue::Null => Some("null".to_owned()),
            LiteralValue::Bytes(_) | LiteralValue::Double(_) | LiteralValue::UInt(_) => None,
        },
        Expr::Select(select) if select.test => Some(format!(
            "has({}.{})",
            render(&select.operand)?,
            select.field
        )),
        Expr::Select(select) => Some(format!("{}.{}", render(&select.operand)?, select.field)),
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice(), &call.target) {
            ("_[_]", [operand, index], None) => {
                Some(format!("{}[{}]", render(operand)?, render(index)?))
            }
            ("!_", [operand], None) => Some(format!("!{}", render(operand)?)),
            (name, arguments, target) if name.starts_with(char::is_alphabetic) => {
                let arguments = arguments
                    .iter()
                    .map(render)
                    .collect::<Option<Vec<_>>>()?
                    .join(", ");
                Some(match target {
                    Some(target) => format!("{}.{name}({arguments})", render(target)?),
                    None => format!("{name}({arguments})"),
                })
            }
            _ => None,
        },
        Expr::Comprehension(_)
        | Expr::List(_)
        | Expr::Map(_)
        | Expr::Struct(_)
        | Expr::Unspecified => None,
    }
}
