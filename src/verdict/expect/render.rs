//! Expressions and values as text, in findings.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the language's kinds, of which few are told apart"
)]

use std::time::Duration;

use cel::{
    IdedExpr, Value,
    common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue},
};

use crate::{line::line, report::millis};

/// What kind of value this is, for a person.
pub(super) fn kind(value: &Value) -> String {
    match value {
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "an object".to_owned(),
        Value::String(_) => "a string".to_owned(),
        Value::Int(_) => "an int".to_owned(),
        Value::UInt(_) => "a uint".to_owned(),
        Value::Null => "null".to_owned(),
        other => format!("a {}", other.type_of()),
    }
}

/// A value in a finding: strings in quotes, durations with a unit.
pub(super) fn shown(value: &Value) -> String {
    /// A longer string is cut.
    const MAX_SHOWN: usize = 120;
    let text = match value {
        // No more of it than is shown.
        Value::String(text) => format!("{:?}", text.chars().take(MAX_SHOWN).collect::<String>()),
        Value::Int(int) => int.to_string(),
        Value::UInt(uint) => uint.to_string(),
        Value::Float(float) => float.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Null => "null".to_owned(),
        Value::Duration(length) => {
            let (sign, length) = match length.to_std() {
                Ok(length) => ("", length),
                Err(_) => ("-", length.abs().to_std().unwrap_or_default()),
            };
            if length.as_secs() >= 60 {
                let length = Duration::from_secs(length.as_secs());
                format!("{sign}{}", humantime::format_duration(length))
            } else {
                format!("{sign}{} ms", millis(length))
            }
        }
        Value::List(items) => format!("a list of {}", items.len()),
        Value::Map(map) => format!("an object of {}", map.map.len()),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::Timestamp(time) => time.to_rfc3339(),
        Value::Function(..) | Value::Opaque(_) | Value::Struct(_) => "something else".to_owned(),
    };
    if text.chars().count() <= MAX_SHOWN {
        return text;
    }
    text.chars().take(MAX_SHOWN).chain(['…']).collect()
}

/// An expression as text, of bounded length.
pub(super) fn render(expr: &IdedExpr) -> String {
    line(&text(expr), 200)
}

fn text(expr: &IdedExpr) -> String {
    match &expr.expr {
        Expr::Ident(name) => name.clone(),
        Expr::Literal(literal) => match literal {
            LiteralValue::String(text) => format!("{:?}", text.inner()),
            LiteralValue::Int(int) => int.inner().to_string(),
            LiteralValue::UInt(uint) => format!("{}u", uint.inner()),
            LiteralValue::Double(double) => format!("{:?}", double.inner()),
            LiteralValue::Boolean(truth) => truth.inner().to_string(),
            LiteralValue::Null => "null".to_owned(),
            LiteralValue::Bytes(_) => "b\"…\"".to_owned(),
        },
        Expr::Select(select) => {
            let path = format!("{}.{}", atom(&select.operand), select.field);
            if select.test {
                format!("has({path})")
            } else {
                path
            }
        }
        Expr::Call(call) => call_text(call),
        Expr::List(list) => format!("[{}]", joined(&list.elements)),
        Expr::Comprehension(comprehension) => match Loop::of(comprehension) {
            Some(Loop { verb, item, holds }) => {
                let range = atom(&comprehension.iter_range);
                format!("{range}.{verb}({item}, {})", text(holds))
            }
            None => format!("{}.…", atom(&comprehension.iter_range)),
        },
        Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => "{…}".to_owned(),
    }
}

fn call_text(call: &CallExpr) -> String {
    match (call.func_name.as_str(), call.args.as_slice(), &call.target) {
        ("_[_]", [operand, index], None) => format!("{}[{}]", atom(operand), text(index)),
        ("!_", [operand], None) => format!("!{}", atom(operand)),
        ("-_", [operand], None) => format!("-{}", atom(operand)),
        ("@in", [item, list], None) => format!("{} in {}", atom(item), atom(list)),
        ("_?_:_", [condition, yes, no], None) => {
            format!("{} ? {} : {}", atom(condition), atom(yes), atom(no))
        }
        (operator, [left, right], None) if operator.starts_with('_') => {
            format!(
                "{} {} {}",
                atom(left),
                operator.trim_matches('_'),
                atom(right)
            )
        }
        (name, arguments, Some(target)) => {
            format!("{}.{name}({})", atom(target), joined(arguments))
        }
        (name, arguments, None) => format!("{name}({})", joined(arguments)),
    }
}

fn joined(parts: &[IdedExpr]) -> String {
    parts.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// In brackets, where it would be read otherwise.
fn atom(expr: &IdedExpr) -> String {
    let text = text(expr);
    match &expr.expr {
        Expr::Call(call) if call.func_name.starts_with(['_', '@']) && call.func_name != "_[_]" => {
            format!("({text})")
        }
        _ => text,
    }
}

/// A list gone through, as it was written.
pub(super) struct Loop<'a> {
    /// `all`, `exists`, `filter`, `map`, …
    pub(super) verb: &'static str,
    /// What an item is called.
    pub(super) item: &'a str,
    /// What is asked of it.
    pub(super) holds: &'a IdedExpr,
}

impl<'a> Loop<'a> {
    /// Takes the macro's expansion back.
    pub(super) fn of(comprehension: &'a ComprehensionExpr) -> Option<Self> {
        let Expr::Call(step) = &comprehension.loop_step.expr else {
            return None;
        };
        let one = matches!(
            comprehension.accu_init.expr,
            Expr::Literal(LiteralValue::Int(_))
        );
        let (verb, holds) = match (step.func_name.as_str(), step.args.as_slice()) {
            ("_&&_", [_, holds]) => ("all", holds),
            ("_||_", [_, holds]) => ("exists", holds),
            ("_?_:_", [holds, ..]) if one => ("exists_one", holds),
            ("_?_:_", [holds, ..]) => ("filter", holds),
            ("_+_", [_, made]) => match &made.expr {
                Expr::List(list) => ("map", list.elements.first()?),
                _ => return None,
            },
            _ => return None,
        };
        let item = comprehension.iter_var.as_str();
        Some(Self { verb, item, holds })
    }
}
